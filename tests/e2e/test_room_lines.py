"""Rooms of our own over bad lines: LiveKit's SDK, recorded speech, a relay that loses, and the real recognizer.

What takes as long as it is spoken is spoken side by side: these tests are slow by the clock, and little work.
"""

import asyncio
import csv
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.conformance.room_checks import Bot, Call, call
from tests.conftest import Recorder
from tests.embedded_rooms import Rooms, embedded_rooms
from tests.engines.moonshine_data import model, recorded
from tests.lossy import Line, over
from tests.recordings import likeness
from tests.room_person import RATE, Person, strength, tone
from voxgate.audio.resample import Resampler
from voxgate.domain import SPEECH_RATE, Recognition, Samples
from voxgate.engines import moonshine_stt
from voxgate.gateways.rooms.media import Gone, Heard, Joined, TextStream, Typed
from voxgate.ports import EngineContext
from voxgate.text.wer import errors

pytestmark = pytest.mark.slow

CLIPS = ("lj_0004.wav", "sense_0890.wav", "ls_6930.wav")
"""36 words of three people."""
PIECE = SPEECH_RATE // 50
TONES = (500, 700, 900, 1100, 1300)
"""Hertz: those of 20 ms are told apart at 50 Hz."""
BACK_S = 0.04
"""How much more than before the delay may be when it counts as back: two packets, of the 60 ms that one hole costs."""


@pytest.fixture
async def rooms(tmp_path: Path) -> AsyncIterator[Rooms]:
    async with embedded_rooms(tmp_path) as made:
        yield made


@pytest.fixture
async def recognizer(metrics: Recorder) -> AsyncIterator[moonshine_stt.Moonshine]:
    context = EngineContext("moonshine", {moonshine_stt.MODEL: model()}, metrics, 1)
    made = await moonshine_stt.create(context, moonshine_stt.MoonshineSettings())
    yield made
    await made.aclose()


@asynccontextmanager
async def talking(rooms: Rooms, line: Line, *, single: bool = True) -> AsyncIterator[tuple[Call, Person]]:
    """A call over a line that is good as yet; the person's microphone is heard."""
    async with over(line, rooms.url) as url, call(rooms.provider, url, single=single) as made, made.person() as person:
        await person.take_microphone()
        await person.say(np.zeros(RATE // 2, np.float32))
        await made.bot.until(lambda: made.bot.all(Heard))
        yield made, person


def read(clip: str) -> Samples:
    """A recording, at the rate of a microphone, with a breath before it and after it."""
    resampler = Resampler(SPEECH_RATE, RATE)
    return np.pad(np.concatenate([resampler.feed(recorded(clip)), resampler.flush()]), (RATE // 10, RATE // 2))


def has_heard(bot: Bot, after: int, samples: int) -> bool:
    """Whether so much came behind the first so many pieces."""
    return sum(len(event.samples) for event in bot.all(Heard)[after:]) >= samples


async def spoken_over(rooms: Rooms, loss: float, late: float) -> tuple[Line, list[Samples]]:
    """What is heard of each clip."""
    line, heard = Line(seed=1), []
    clock = asyncio.get_running_loop().time
    async with talking(rooms, line) as (made, person):
        line.loss, line.late = loss, late
        for clip in CLIPS:
            sound = read(clip)
            before, began = len(made.bot.all(Heard)), clock()
            await person.say(sound)
            # What is on its way still is silence: of that behind the clip, 0.3 s more than a delay can be.
            wanted = len(sound) * SPEECH_RATE // RATE - 3 * SPEECH_RATE // 10
            await made.bot.until(partial(has_heard, made.bot, before, wanted))
            heard.append(np.concatenate([event.samples for event in made.bot.all(Heard)[before:]]))
            assert len(heard[-1]) / SPEECH_RATE > 0.9 * (clock() - began) - 0.2, "holes are filled"
    return line, heard


async def test_speech_is_recognized_over_lines_that_lose_and_mix_up_packets(
    rooms: Rooms, recognizer: moonshine_stt.Moonshine, shared: Path
) -> None:
    with (shared / "audio" / "transcripts.tsv").open(encoding="utf-8") as table:
        said = {row["file"]: row["transcript"] for row in csv.DictReader(table, delimiter="\t")}
    # (share lost, share late): words of the 36 that may be wrong, and how much of each clip is the original at least.
    # November 2026: over a good line and a mixed-up one at most 1 was wrong, at 5 % lost 4 (six runs), at 20 % lost 5
    # (nine runs); the likeness was at least 0.86, 0.78 and 0.69 (two runs). Where all that is late is given up, it is
    # 0.5 to 0.6 at the first.
    allowed = {(0.0, 0.5): (3, 0.75), (0.05, 0.05): (6, 0.55), (0.2, 0.05): (12, 0.5)}
    async with asyncio.TaskGroup() as calls:
        tasks = {line: calls.create_task(spoken_over(rooms, *line)) for line in allowed}
    for (loss, late), (most, least) in allowed.items():
        line, heard = tasks[loss, late].result()
        assert line.carried + line.lost > 700, "the microphone's packets take it"
        assert line.lost == pytest.approx(loss * (line.carried + line.lost), rel=0.4), "the line is what it should be"
        wrong = 0
        for clip, sound in zip(CLIPS, heard, strict=True):
            assert likeness(sound, recorded(clip))[0] > least, f"{clip}, {loss:.0%} lost, {late:.0%} late"
            transcript = await recognizer.recognize(Recognition(sound))
            wrong += errors(said[clip], transcript.text)[0]
        assert wrong <= most, f"{loss:.0%} lost, {late:.0%} late"


def holds(samples: Samples, hertz: float) -> bool:
    """Whether a tone is in there: in any 20 ms, since holes beside it are quiet."""
    return any(strength(samples[at : at + PIECE], hertz, SPEECH_RATE) > 0.1 for at in range(0, len(samples), PIECE))


async def delay_s(made: Call, person: Person) -> float:
    """From microphone to us, of five tones the one that came fastest: what is late always shows in each of them, what
    a busy machine does in some. Each is another, so that none is taken for one before it that comes late."""
    clock = asyncio.get_running_loop().time
    taken = []

    async def heard(hertz: int) -> float:
        since, began = len(made.bot.events), clock()
        await made.bot.until(
            lambda: any(isinstance(each, Heard) and holds(each.samples, hertz) for each in made.bot.events[since:])
        )
        return clock() - began

    for hertz in TONES:
        await person.say(np.zeros(3 * RATE // 10, np.float32))
        taken.append((await asyncio.gather(heard(hertz), person.say(tone(hertz, 0.2))))[0])
    return min(taken)


async def survive(rooms: Rooms, *, single: bool) -> None:
    """A call that goes through loss, and then through a cut."""
    line = Line(seed=2)
    async with talking(rooms, line, single=single) as (made, person):
        usual_s = await delay_s(made, person)
        line.loss = line.late = 0.2
        await delay_s(made, person)
        line.loss = line.late = 0.0
        assert await delay_s(made, person) < usual_s + BACK_S

        line.down = True
        before = len(made.bot.events)
        made.bot.media.post(TextStream("lk.transcription", "said meanwhile", {"lk.segment_id": "s1"}))
        await asyncio.gather(
            person.say(tone(300, 3.0)),
            person.room.local_participant.send_text("written meanwhile", topic="lk.chat"),
        )
        assert len(made.bot.events) <= before + 2, "nothing passes but what was under way"
        line.down = False
        assert await delay_s(made, person) < usual_s + BACK_S
        await made.bot.until(lambda: made.bot.all(Typed) == [Typed("written meanwhile")])
        await person.until(lambda: [text.text for text in person.texts] == ["said meanwhile"])
        assert (made.bot.all(Gone), made.bot.all(Joined)) == ([], [Joined(back=False)])


async def test_after_loss_and_after_a_cut_of_three_seconds_the_delay_is_what_it_was(rooms: Rooms) -> None:
    """A cut of 60 s is not waited for here: tests/gateways/rooms/test_embedded_room.py makes ICE's half minute of
    patience half a second, and sees the reconnect that follows."""
    async with asyncio.TaskGroup() as calls:
        for single in (True, False):
            calls.create_task(survive(rooms, single=single))

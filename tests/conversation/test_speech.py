import asyncio
import io
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from voxgate.audio.codecs.container import decode
from voxgate.audio.codecs.formats import ENCODED_RATE, Format
from voxgate.conversation.speech import LONGEST_PIECE_S, Ahead, LiveText, Spoken, speak, speak_each, speak_file
from voxgate.domain import SPEECH_RATE, Speech, Utterance, Voice, Word
from voxgate.errors import EngineError, MisuseError
from voxgate.testing.scripted import ScriptedTextToSpeech, ScriptedTtsSettings
from voxgate.text.pauses import pause_ms
from voxgate.text.sentences import split

UTTERANCE = Utterance("hello", "joe")


class Mouth:
    """A voice that says these pieces, remembers whether it was left, and can die before the last of them."""

    voices: Sequence[Voice] = ()

    def __init__(self, *sizes: int, rate: int = 16_000, dies: bool = False) -> None:
        self.left = False
        self._pieces = [np.full(size, 0.25, np.float32) for size in sizes]
        self._rate = rate
        self._dies = dies

    @asynccontextmanager
    async def open(self, utterance: Utterance) -> AsyncIterator[AsyncIterator[Speech]]:
        assert utterance is UTTERANCE
        try:
            yield self._all()
        finally:
            self.left = True

    async def _all(self) -> AsyncIterator[Speech]:
        for number, samples in enumerate(self._pieces, 1):
            if self._dies and number == len(self._pieces):
                raise EngineError("died", engine="mouth")
            yield Speech(samples, self._rate)


async def pieces(mouth: Mouth, fmt: Format) -> list[Spoken]:
    return [piece async for piece in speak(mouth, UTTERANCE, fmt)]


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 48_000])
@pytest.mark.parametrize("fmt", list(Format))
async def test_what_is_counted_is_what_was_said(fmt: Format, rate: int) -> None:
    mouth = Mouth(rate // 2, 7, rate // 2 - 7, rate=rate)
    made = await pieces(mouth, fmt)
    assert sum(piece.samples for piece in made) == ENCODED_RATE
    assert b"".join(piece.data for piece in made)
    assert mouth.left


async def test_pcm_is_the_samples_themselves() -> None:
    data = b"".join(piece.data for piece in await pieces(Mouth(2400, 2400, rate=ENCODED_RATE), Format.PCM))
    assert len(data) == 2 * 4800
    assert set(np.frombuffer(data, "<i2")) == {8192}


async def test_the_first_bytes_do_not_wait_for_the_rest() -> None:
    made = speak(Mouth(8000, 8000, dies=True), UTTERANCE, Format.WAV)
    assert (await anext(made)).data.startswith(b"RIFF")
    with pytest.raises(EngineError):
        async for _ in made:
            pass


async def test_leaving_early_stops_the_voice() -> None:
    mouth = Mouth(8000, 8000, 8000)
    made = speak(mouth, UTTERANCE, Format.MP3)
    await anext(made)
    await made.aclose()
    assert mouth.left


async def test_a_voice_that_says_nothing_makes_an_empty_file() -> None:
    made = await pieces(Mouth(), Format.WAV)
    assert sum(piece.samples for piece in made) == 0


async def test_the_time_to_the_first_audio_is_told_once() -> None:
    told: list[float] = []
    async for _ in speak(Mouth(800, 800), UTTERANCE, Format.PCM, on_first=told.append):
        pass
    assert len(told) == 1
    assert told[0] >= 0


async def test_a_finished_wav_tells_its_length() -> None:
    data = await speak_file(Mouth(8000, 8000), UTTERANCE, Format.WAV)
    assert data[:4] == b"RIFF"
    riff, size = struct.unpack("<I", data[4:8])[0], struct.unpack("<I", data[40:44])[0]
    assert riff == len(data) - 8
    assert size == len(data) - 44
    assert size == pytest.approx(2 * ENCODED_RATE, rel=0.01)


async def test_a_finished_file_of_another_format_is_its_pieces_joined() -> None:
    joined = b"".join(piece.data for piece in await pieces(Mouth(8000), Format.FLAC))
    assert await speak_file(Mouth(8000), UTTERANCE, Format.FLAC) == joined


# several utterances, one file


async def each(*texts: str, speed: float = 1.0) -> AsyncIterator[Utterance]:
    for text in texts:
        yield Utterance(text, "tone", speed=speed)


def voice(**settings: object) -> Any:
    return ScriptedTextToSpeech("voice", ScriptedTtsSettings.model_validate(settings))


async def said(fmt: Format, *texts: str, speed: float = 1.0, **settings: object) -> list[Spoken]:
    return [piece async for piece in speak_each(voice(**settings), each(*texts, speed=speed), fmt)]


@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000])
@pytest.mark.parametrize("fmt", [Format.WAV, Format.MP3, Format.OPUS, Format.FLAC, Format.AAC])
async def test_utterances_become_one_file_with_the_pauses_a_voice_makes(fmt: Format, rate: int, speed: float) -> None:
    made = await said(fmt, "One two three.", "", "Four,", "five", speed=speed, rate=rate)
    spoken_s = 5 * 0.25 / speed + (pause_ms("three.") + pause_ms("Four,")) / 1000 / speed
    samples = sum(piece.samples for piece in made)
    assert samples / ENCODED_RATE == pytest.approx(spoken_s, abs=0.001)
    back = np.concatenate(list(decode(io.BytesIO(b"".join(piece.data for piece in made)), max_seconds=60)))
    assert spoken_s - 0.005 <= back.size / SPEECH_RATE <= spoken_s + 0.11  # a codec's start-up and its last frame


async def test_words_lie_in_the_file_where_they_are_heard() -> None:
    made = await said(Format.WAV, "One two.", "Three", rate=22_050)
    words = [word for piece in made for word in piece.words]
    third = 0.5 + pause_ms("two.") / 1000
    assert [(word.text, round(word.start / ENCODED_RATE, 3), round(word.end / ENCODED_RATE, 3)) for word in words] == [
        ("One", 0.0, 0.25),
        ("two.", 0.25, 0.5),
        ("Three", third, third + 0.25),
    ]


async def test_an_engine_that_makes_all_at_once_is_sent_in_steps() -> None:
    made = await said(Format.PCM, " ".join(["word"] * 40), piece_audio_ms=10_000)
    assert sum(piece.samples for piece in made) == 10 * ENCODED_RATE
    assert max(piece.samples for piece in made) == LONGEST_PIECE_S * ENCODED_RATE
    assert len([word for piece in made for word in piece.words]) == 40


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 48_000])
async def test_pieces_end_at_the_marks(rate: int) -> None:
    async def texts() -> AsyncIterator[Utterance]:
        yield UTTERANCE

    made = speak_each(Mouth(3 * rate, 7, rate, rate=rate), texts(), Format.PCM, mark_at=5_000, mark_every=20_001)
    ends = np.cumsum([piece.samples async for piece in made])
    assert ends[-1] == (4 * rate + 7) * ENCODED_RATE // rate
    for mark in range(5_000, 4 * ENCODED_RATE, 20_001):
        assert min(abs(ends - mark)) <= ENCODED_RATE / rate, "a sample of the voice"


async def test_a_voice_that_changes_its_rate_is_our_mistake() -> None:
    class Changing(Mouth):
        async def _all(self) -> AsyncIterator[Speech]:
            yield Speech(np.zeros(100, np.float32), 16_000)
            yield Speech(np.zeros(100, np.float32), 24_000)

    with pytest.raises(MisuseError, match="16000 samples a second and went on at 24000"):
        await pieces(Changing(), Format.PCM)


async def test_words_without_audio_are_not_lost() -> None:
    class Late(Mouth):
        async def _all(self) -> AsyncIterator[Speech]:
            yield Speech(np.zeros(2400, np.float32), ENCODED_RATE)
            yield Speech(np.zeros(0, np.float32), ENCODED_RATE, (Word("late", 1200, 2400),))

    assert [piece.words for piece in await pieces(Late(), Format.PCM)][1] == (Word("late", 1200, 2400),)


# a text that is still being written


async def test_a_whole_text_is_one_piece() -> None:
    assert [piece async for piece in LiveText("One. Two. Three.")] == ["One. Two. Three."]


async def test_a_text_is_spoken_clause_by_clause_while_it_is_written() -> None:
    text = LiveText()
    text.append("Hello there. How")
    assert await anext(aiter(text)) == "Hello there."
    waiting = asyncio.ensure_future(anext(aiter(text)))
    await asyncio.sleep(0)
    assert not waiting.done()
    text.append(" are you? I")
    assert await waiting == "How are you?"
    text.end()
    assert [piece async for piece in text] == ["I"]
    text.end()
    with pytest.raises(MisuseError):
        text.append("more")


async def test_however_a_text_comes_it_is_spoken_in_the_same_pieces() -> None:
    whole = "Dr. Lee paid $3.50. Then, after a long while, she left! Did she?"
    text = LiveText()
    for letter in whole:
        text.append(letter)
    text.end()
    assert [piece async for piece in text] == split(whole)


async def test_a_text_of_nothing_has_no_pieces() -> None:
    text = LiveText()
    text.append("  ")
    text.end()
    assert [piece async for piece in text] == []


# made ahead of its reader


class Line:
    """A stream of numbers that remembers how many it gave, and whether it was left."""

    def __init__(self, count: int, error: Exception | None = None, error_when_left: Exception | None = None) -> None:
        self.given = 0
        self.left = asyncio.Event()
        self._count = count
        self._error = error
        self._error_when_left = error_when_left

    async def items(self) -> AsyncGenerator[int, None]:
        try:
            for number in range(self._count):
                self.given += 1
                yield number
            if self._error:
                raise self._error
        finally:
            self.left.set()
            if self._error_when_left:
                raise self._error_when_left


async def turn_over() -> None:
    """Let every other task do what it can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_is_made_ahead_comes_in_order_and_ends() -> None:
    assert [item async for item in Ahead(Line(10).items(), 3)] == list(range(10))


async def test_only_so_much_is_made_ahead() -> None:
    line = Line(10)
    ahead = Ahead(line.items(), 3)
    await turn_over()
    assert line.given == 4, "three that lie ready, and one that waits to be put there"
    assert await anext(ahead) == 0
    await turn_over()
    assert line.given == 5
    assert await ahead.aclose() is None
    assert line.left.is_set()


async def test_a_stream_is_over_for_its_maker_before_it_is_for_its_reader() -> None:
    line = Line(3)
    ahead = Ahead(line.items(), 3)
    await line.left.wait()
    assert [item async for item in ahead] == [0, 1, 2]
    await ahead.aclose()


async def test_what_goes_wrong_is_told_after_everything_before_it() -> None:
    ahead = Ahead(Line(2, EngineError("died", engine="mouth")).items(), 3)
    assert [await anext(ahead), await anext(ahead)] == [0, 1]
    with pytest.raises(EngineError):
        await anext(ahead)
    assert await ahead.aclose() is None, "it was read"


async def test_what_goes_wrong_while_it_is_given_up_is_told_who_closes_it() -> None:
    line = Line(9, error_when_left=EngineError("died", engine="mouth"))
    ahead = Ahead(line.items(), 1)
    await turn_over()
    ahead.cancel()
    ahead.cancel()
    async with asyncio.timeout(5):
        error = await ahead.aclose()
    assert isinstance(error, EngineError)
    assert line.left.is_set()

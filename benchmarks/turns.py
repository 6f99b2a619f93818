"""When a turn is over: how often a speaker who only pauses is cut off, and how long one who has finished waits.

    python -m benchmarks.turns [--json FILE]

Material: the shared recordings as they are, with their short breaks lengthened, and with a hesitation put in at a word;
sentences of ours with a hesitation inside, spoken by Piper (in one breath, cut at a word, so that the melody goes on)
and by flite (in two parts, the first with the melody of a comma); turns of two sentences; and the shared sentences,
spoken by Piper and cut at a random word: nobody chose the place, and no threshold was set on them.

Silero says where somebody speaks. A silence of 200 ms or more inside a turn is a pause (ending the turn there is a
cut-off), the one behind it an end. At 200 ms the sound (Smart Turn) and the words (Moonshine, for Vietnamese Whisper,
and text/ending.py) are asked, and each rule says after how much silence the turn ends. `--json` writes what was heard
at each silence, so that other rules can be tried. Takes a minute.
"""

import argparse
import asyncio
import csv
import json
import os
import random
import subprocess
import tempfile
import wave
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from voxgate.audio.resample import Resampler
from voxgate.conversation.endpointing import TurnEnd
from voxgate.domain import SPEECH_RATE, Recognition, Samples, Utterance
from voxgate.engines import moonshine_stt, piper_tts, silero_vad, smart_turn, whisper_stt
from voxgate.models.store import models_root
from voxgate.ports import EngineContext, EnginePlugin, SpeechToText, TextToSpeech, TurnDetector, Vad
from voxgate.text.ending import Ending, ending

SHARED = Path(os.environ.get("VOXGATE_SHARED", Path(__file__).parent.parent.parent / "shared"))
ASK_MS = 200
LONGEST_MS = 1200
LATE_MS = 900
ANSWER_MS = 60
"""From the question to both answers: 45 ms of Smart Turn, and the words are there from the speculative final."""
PAUSES_MS = (300, 1100)
"""Hesitations that are put in last so long, evenly spread."""
TAIL_MS = 1600
FLOOR = 2e-4
"""RMS of the noise that is laid under everything that was put in: -74 dBFS, a quiet room."""

UNFINISHED = frozenset({"lj_0004", "lj_0006", "sense_0880", "sense_0890"})
"""Recordings that are the first part of a sentence (a comma or a colon follows in the book): their ends are no ends."""

HESITANT = (
    "I would like to book a table for | four people on Friday evening.",
    "Can you tell me how long it takes to | drive from Boston to New York?",
    "My phone number is five five five | two three four nine eight seven six.",
    "I was wondering if you could | help me with my last invoice.",
    "The problem is that the | printer stops after the second page.",
    "Please send the report to | Maria and to the sales team.",
    "I need a flight to London on the | third of December.",
    "We ordered three chairs and | a table, but only the chairs came.",
    "What I want to know is | whether the shop is open on Sunday.",
    "My order number is four seven | one nine two zero.",
    "Could you change the appointment from Monday to | Wednesday at ten?",
    "I think it was because | the battery was empty.",
    "Set a timer for | twenty five minutes.",
    "He told me that he | would call again in the afternoon.",
    "When I open the app | it only shows a white screen.",
    "I am looking for a hotel with | a pool and free parking.",
    "The address is twenty two | Garden Street.",
    "Turn off the lights in the | kitchen and in the hall.",
    "If it rains tomorrow | we will stay at home.",
    "My name is | Jonathan Miller.",
)
TWO = (
    "I have a question about my bill. | Why is it higher than last month?",
    "That sounds good. | Let us take the second one.",
    "I tried that already. | It did not help.",
    "Hello, this is Anna. | I would like to speak to the manager.",
    "No, that is not what I meant. | I want to cancel the whole order.",
    "We arrive on Monday. | We stay until Friday.",
    "The red light is on. | The green one is not.",
    "Yes, please. | Can you also send me a receipt?",
)


class Quiet:
    """A `ports.Metrics` that keeps nothing."""

    def observe(self, stage: str, seconds: float, *, engine: str) -> None: ...

    def count(self, event: str, *, engine: str, times: int = 1) -> None: ...

    def gauge(self, name: str, value: float, *, engine: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Turn:
    """Something that is said, with silence behind it."""

    kind: str
    name: str
    language: str
    audio: Samples
    finished: bool = True
    """Whether its end is one."""
    put_in: tuple[int, ...] | None = None
    """Samples in the middle of the pauses that count; None: all do."""


@dataclass(frozen=True, slots=True)
class Silence:
    """What was heard at one silence."""

    kind: str
    turn: str
    language: str
    is_end: bool
    at_ms: int
    ms: float
    """How long it lasts; of an end: as long as the recording goes on."""
    sound: float
    """Smart Turn's probability of `complete`."""
    text: str


# the material


def noise(samples: int, rms: float = FLOOR, seed: int = 0) -> Samples:
    return np.asarray(np.random.default_rng(seed).standard_normal(samples) * rms, np.float32)


def ms(value: float) -> int:
    return round(value * SPEECH_RATE / 1000)


def floor_of(audio: Samples) -> float:
    """The level of a recording's quietest tenth."""
    frames = audio[: len(audio) // 320 * 320].reshape(-1, 320)
    return max(FLOOR / 4, float(np.quantile(np.sqrt(np.mean(frames**2, axis=1)), 0.1)))


def ended(audio: Samples) -> Samples:
    return np.concatenate([audio, noise(ms(TAIL_MS), floor_of(audio))])


def load(path: Path) -> Samples:
    with wave.open(str(path)) as file:
        ints = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        assert (file.getframerate(), file.getnchannels()) == (SPEECH_RATE, 1)
    return ints.astype(np.float32) / np.float32(32768)


async def recordings(vad: Vad, ears: Mapping[str, SpeechToText], chance: random.Random) -> AsyncIterator[Turn]:
    """Each recording as it is, with its short breaks lengthened, and with a hesitation at a word in its middle."""
    with (SHARED / "audio" / "transcripts.tsv").open(encoding="utf-8") as table:
        rows = [row for row in csv.DictReader(table, delimiter="\t") if row["language"] != "none"]
    for row in rows:
        name, language = row["file"].removesuffix(".wav"), row["language"]
        audio = load(SHARED / "audio" / row["file"])
        yield Turn("recorded", name, language, ended(audio), name not in UNFINISHED)
        breaks = [(begin + end) // 2 for begin, end in silences(vad, audio, 64)[:-1] if end - begin < ms(300)]
        if breaks:
            yield hesitating(Turn("lengthened", name, language, audio), breaks, chance)
        words = (await ears[language].recognize(Recognition(audio, language, words=True))).words
        inner = words[len(words) // 3 : 2 * len(words) // 3 + 1]
        quietest = min((word.start for word in inner), key=lambda at: float(np.sum(audio[at - 160 : at + 160] ** 2)))
        yield hesitating(Turn("cut", name, language, audio), [quietest], chance)


def hesitating(turn: Turn, places: Sequence[int], chance: random.Random) -> Turn:
    """With a pause at each place; only these count, as the rest of the recording was judged before."""
    first, *others = np.split(turn.audio, places)
    pieces, put_in = [first], []
    for other in others:
        pause = noise(ms(chance.uniform(*PAUSES_MS)), floor_of(turn.audio))
        put_in.append(sum(map(len, pieces)) + len(pause) // 2)
        pieces += [pause, other]
    return replace(turn, audio=ended(np.concatenate(pieces)), finished=False, put_in=tuple(put_in))


async def piper(tts: TextToSpeech, text: str, kind: str, chance: random.Random) -> Turn:
    """Spoken in one breath, and cut at the word behind `|`."""
    before = len(text.partition("|")[0].split())
    plain = text.replace("| ", "")
    async with tts.open(Utterance(plain, tts.voices[0].id, "en")) as pieces:
        speech = [piece async for piece in pieces]
    rate, words = speech[0].rate, [word for piece in speech for word in piece.words]
    assert len(words) == len(plain.split()), (plain, words)
    resampler = Resampler(rate, SPEECH_RATE)
    audio = np.concatenate([*(resampler.feed(piece.samples) for piece in speech), resampler.flush()])
    cut = words[before].start * SPEECH_RATE // rate
    audio = np.concatenate([audio[:cut], np.zeros(ms(chance.uniform(*PAUSES_MS)), np.float32), audio[cut:]])
    return Turn(kind, plain, "en", ended(audio + noise(len(audio))))


def flite(text: str, voice: str, folder: Path, chance: random.Random) -> Turn:
    """Spoken in two parts, the first as in front of a comma."""
    first, second = (part.strip() for part in text.split("|"))
    parts = []
    for part in (first.rstrip(".,?") + ",", second):
        path = folder / "part.wav"
        subprocess.run(["flite", "-voice", voice, "-t", part, "-o", str(path)], check=True)
        parts.append(load(path))
    audio = np.concatenate([parts[0], np.zeros(ms(chance.uniform(*PAUSES_MS)) - ms(200), np.float32), parts[1]])
    return Turn("flite", text.replace("| ", ""), "en", ended(audio + noise(len(audio))))


# what is heard


def silences(vad: Vad, audio: Samples, at_least_ms: int) -> list[tuple[int, int]]:
    """(begin, end) of each stretch behind speech without any, the one behind the end last."""
    stream, found, quiet_since, speech = vad.open(), [], 0, False
    for begin in range(0, len(audio) - vad.window + 1, vad.window):
        probability = stream.probability(audio[begin : begin + vad.window])
        if probability >= 0.5 or (speech and probability >= 0.35):  # as EndpointSettings
            if quiet_since and not speech and begin - quiet_since >= ms(at_least_ms):
                found.append((quiet_since, begin))
            speech, quiet_since = True, begin + vad.window
        else:
            speech = False
    return [*found, (quiet_since, len(audio))]


@asynccontextmanager
async def engine(plugin: EnginePlugin, name: str) -> AsyncIterator[Any]:
    settings = plugin.settings()
    folders = {model: models_root(os.environ) / model for model in plugin.models(settings)}
    made = await plugin.create(EngineContext(name, folders, Quiet(), cores=1), settings)
    try:
        yield made
    finally:
        await made.aclose()


async def listen(turn: Turn, vad: Vad, sound: TurnDetector, stt: SpeechToText) -> list[Silence]:
    heard = []
    edges = silences(vad, turn.audio, ASK_MS)
    for begin, end in edges:
        is_end = (begin, end) == edges[-1]
        counts = turn.put_in is None or any(begin <= place < end for place in turn.put_in)
        if not (turn.finished if is_end else counts):
            continue
        so_far = turn.audio[: begin + ms(ASK_MS)]
        text = (await stt.recognize(Recognition(so_far[-ms(30_000) :], turn.language))).text
        heard.append(
            Silence(
                turn.kind,
                turn.name,
                turn.language,
                is_end,
                begin * 1000 // SPEECH_RATE,
                (end - begin) * 1000 / SPEECH_RATE,
                round(await sound.complete(so_far), 4),
                text,
            )
        )
    return heard


async def measure() -> list[Silence]:
    chance = random.Random(13)
    async with AsyncExitStack() as stack:

        async def up(plugin: EnginePlugin, name: str) -> Any:
            return await stack.enter_async_context(engine(plugin, name))

        vad, sound = await up(silero_vad.PLUGIN, "silero"), await up(smart_turn.PLUGIN, "smart_turn")
        tts = await up(piper_tts.PLUGIN, "piper")
        ears = {"en": await up(moonshine_stt.PLUGIN, "moonshine"), "vi": await up(whisper_stt.PLUGIN, "whisper")}
        turns = [turn async for turn in recordings(vad, ears, chance)]
        turns += [await piper(tts, text, "piper", chance) for text in HESITANT]
        with tempfile.TemporaryDirectory() as folder:
            for number, text in enumerate(HESITANT):
                turns.append(flite(text, ("slt", "rms")[number % 2], Path(folder), chance))
        turns += [await piper(tts, text, "two sentences", chance) for text in TWO]
        for text in (SHARED / "audio" / "sentences.txt").read_text(encoding="utf-8").splitlines():
            words = text.split()
            words.insert(chance.randrange(len(words) // 3, 2 * len(words) // 3 + 1), "|")
            turns.append(await piper(tts, " ".join(words), "random", chance))
        return [heard for turn in turns for heard in await listen(turn, vad, sound, ears[turn.language])]


# the rules


@dataclass(frozen=True, slots=True)
class Rule:
    """Says after how much silence a turn ends."""

    name: str
    usual_ms: int
    """Where nothing is known."""
    complete_from: float | None = None
    """Sound this likely to be complete ends the turn at once, unless the words are open; None: it never does."""
    open_to: float | None = None
    """Sound this unlikely to be complete waits the longest, unless the words are complete."""
    words: bool = False
    """Whether words that are complete end the turn at once, unless the sound is open, and open ones wait longest."""

    def after(self, silence: Silence) -> float:
        words = ending(silence.text, silence.language) if self.words else Ending.UNKNOWN
        complete = self.complete_from is not None and silence.sound >= self.complete_from
        goes_on = self.open_to is not None and silence.sound <= self.open_to
        if words is Ending.OPEN or (goes_on and words is Ending.UNKNOWN):
            return LONGEST_MS
        if complete or (words is Ending.COMPLETE and not goes_on):
            return ASK_MS + ANSWER_MS
        return self.usual_ms


class Shipped:
    """`conversation/endpointing.py` with its defaults, of a speaker it does not know yet."""

    name = "conversation/endpointing.py"

    def after(self, silence: Silence) -> float:
        turn = TurnEnd()
        turn.words(ending(silence.text, silence.language))
        turn.sound(silence.sound)
        return max(ASK_MS + ANSWER_MS, turn.delay * 1000 / SPEECH_RATE)


RULES: tuple[Rule | Shipped, ...] = (
    *(Rule(f"{usual} ms", usual) for usual in (500, 700, 900)),
    *(
        Rule(f"sound {low:.2f}/{high:.2f}, else {usual}", usual, high, low)
        for usual in (500, 700)
        for low, high in ((0.5, 0.5), (0.2, 0.8), (0.1, 0.9), (0.05, 0.95))
    ),
    *(Rule(f"words, else {usual}", usual, words=True) for usual in (500, 700, 900)),
    *(Rule(f"words, sound only lengthens (0.05), else {usual}", usual, None, 0.05, words=True) for usual in (500, 700)),
    *(
        Rule(f"both, sound {low:.2f}/{high:.2f}, else {usual}", usual, high, low, words=True)
        for usual in (500, 700)
        for low, high in ((0.2, 0.8), (0.1, 0.9), (0.05, 0.95))
    ),
    Shipped(),
)
GROUPS = {
    "read": ("recorded",),
    "put in": ("lengthened", "cut"),
    "voices": ("piper", "flite"),
    "two": ("two sentences",),
    "random": ("random",),
}


def table(heard: Sequence[Silence]) -> None:
    """Cut-offs by kind of pause, and the delays of ends, a row for each rule."""
    pauses = {name: [h for h in heard if h.kind in kinds and not h.is_end] for name, kinds in GROUPS.items()}
    ends = [h for h in heard if h.is_end]
    people, chosen = [h for h in ends if h.kind == "recorded"], [h for h in ends if h.kind == "random"]
    voices = [h for h in ends if h not in people and h not in chosen]
    groups = {"of people": people, "of voices": voices, "random": chosen}
    print(f"Pauses: {', '.join(f'{len(found)} {name}' for name, found in pauses.items())}.")
    print(f"Ends: {', '.join(f'{len(found)} {name}' for name, found in groups.items())}; late: after {LATE_MS} ms.")
    print("Delays: p50 / p95, in ms of silence.\n")
    print("| rule | cut off: " + " | ".join(pauses) + " | delay: people | voices | random | mean | late |")
    print("|---|" + "--:|" * (len(pauses) + 5))
    for rule in RULES:
        cut = [sum(rule.after(h) <= h.ms for h in found) for found in pauses.values()]
        delays = [sorted(rule.after(h) for h in found) for found in groups.values()]
        every = [delay for found in delays for delay in found]
        cells = [str(n) for n in cut] + [f"{quantile(d, 0.5):.0f} / {quantile(d, 0.95):.0f}" for d in delays]
        cells += [f"{np.mean(every):.0f}", str(sum(delay > LATE_MS for delay in every))]
        print(f"| {rule.name} | {' | '.join(cells)} |")
    print("\nSmart Turn's probability at each (how many at most 0.05, at least 0.95), and what the words said:")
    for kind in dict.fromkeys(h.kind for h in heard):
        for what, is_end in (("pauses", False), ("ends", True)):
            found = [h for h in heard if h.kind == kind and h.is_end == is_end]
            if found:
                words = Counter(ending(h.text, h.language) for h in found)
                low, high = sum(h.sound <= 0.05 for h in found), sum(h.sound >= 0.95 for h in found)
                said = ", ".join(f"{words[each]} {each}" for each in Ending)
                print(f"  {kind} {what}: {len(found)}, {low} low, {high} high; {said}")


def quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="what was heard at each silence goes here too")
    arguments = parser.parse_args()
    heard = asyncio.run(measure())
    table(heard)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(each) for each in heard], ensure_ascii=False, indent=0))


if __name__ == "__main__":
    main()

"""What every voice must do."""

import asyncio
from collections.abc import Sequence

import numpy as np

from voxgate.domain import Samples, Speech, Utterance, Voice
from voxgate.errors import VoxgateError
from voxgate.ports import TextToSpeech
from voxgate.testing.conformance import expect

TEXT = "The quick brown fox jumps over the lazy dog."
GENDERS = frozenset({"female", "male", "neutral"})
QUALITIES = frozenset({"natural", "plain"})


async def speak(engine: TextToSpeech, text: str, *, voice: Voice | None = None, speed: float = 1.0) -> list[Speech]:
    """Every piece of an utterance, in the first voice unless another is named."""
    voice = voice or engine.voices[0]
    async with engine.open(Utterance(text, voice.id, voice.languages[0], speed)) as pieces:
        return [piece async for piece in pieces]


def join(pieces: Sequence[Speech]) -> Samples:
    """The audio of an utterance. Shape [n]."""
    return np.concatenate([piece.samples for piece in pieces]) if pieces else np.zeros(0, np.float32)


def _expect_speech(pieces: Sequence[Speech], what: str) -> None:
    expect(pieces, f"{what}: no audio came")
    expect(len({piece.rate for piece in pieces}) == 1, f"{what}: the rate changed within the utterance")
    expect(8_000 <= pieces[0].rate <= 48_000, f"{what}: {pieces[0].rate} samples per second")
    for piece in pieces:
        expect(piece.samples.dtype == np.float32 and piece.samples.ndim == 1, f"{what}: samples must be float32 [n]")
        expect(piece.samples.size, f"{what}: a piece is empty")
    audio = join(pieces)
    expect(bool(np.isfinite(audio).all()), f"{what}: not every sample is a number")
    expect(float(np.abs(audio).max()) <= 1.0, f"{what}: louder than full scale")
    expect(float(np.abs(audio).max()) > 0.01, f"{what}: nothing can be heard")


async def check_attributes(engine: TextToSpeech) -> None:
    """The engine says which voices it has."""
    expect(isinstance(engine, TextToSpeech), "the engine lacks open or voices")
    expect(engine.voices, "the engine has no voice")
    ids = [voice.id for voice in engine.voices]
    expect(len(set(ids)) == len(ids), f"two voices have the same id: {ids}")
    for voice in engine.voices:
        expect(voice.id and voice.engine, f"{voice} lacks its id or its engine")
        expect(voice.languages, f"{voice.id} speaks no language")
        expect(voice.gender in GENDERS, f"{voice.id} is {voice.gender!r}; it must be one of {sorted(GENDERS)}")
        expect(voice.quality in QUALITIES, f"{voice.id} is {voice.quality!r}; it must be one of {sorted(QUALITIES)}")


async def check_speech(engine: TextToSpeech) -> None:
    """Text becomes audio of a plausible length, at most at full scale."""
    pieces = await speak(engine, TEXT)
    _expect_speech(pieces, "a sentence")
    seconds = join(pieces).size / pieces[0].rate
    expect(1 <= seconds <= 8, f"a sentence of nine words took {seconds:.1f} s")


async def check_words(engine: TextToSpeech) -> None:
    """Word times, where there are any, lie in the utterance in order, and each comes with a piece it lies in."""
    pieces = await speak(engine, TEXT)
    begun = total = 0
    for piece in pieces:
        end = total + piece.samples.size
        for word in piece.words:
            expect(
                begun <= word.start <= word.end, f"{word} begins before the word ahead of it, or ends before it begins"
            )
            expect(word.start < end, f"{word} came with samples {total} to {end}, before it begins")
            expect(word.end >= total, f"{word} came with samples {total} to {end}, after it was over")
            begun = word.start
        total = end
    words = [word for piece in pieces for word in piece.words]
    expect(all(word.end <= total for word in words), "a word ends after the audio")


async def check_speed(engine: TextToSpeech) -> None:
    """A higher speed is shorter."""
    slow, plain, fast = [join(await speak(engine, TEXT, speed=speed)).size for speed in (0.5, 1.0, 2.0)]
    expect(slow > 1.4 * plain, f"at half the speed {plain} samples became {slow}")
    expect(fast < plain / 1.4, f"at twice the speed {plain} samples became {fast}")


async def check_extreme_speeds(engine: TextToSpeech) -> None:
    """The ends of the range are spoken, too."""
    for speed in (0.25, 4.0):
        _expect_speech(await speak(engine, TEXT, speed=speed), f"speed {speed}")


async def check_nothing_to_say(engine: TextToSpeech) -> None:
    """Text without a word in it is silence or no audio, never a crash."""
    for text in ("", " ", "...", "\n", "🙂"):
        pieces = await speak(engine, text)
        expect(bool(np.isfinite(join(pieces)).all()), f"{text!r}: not every sample is a number")


async def check_any_text(engine: TextToSpeech) -> None:
    """Whatever a model writes is spoken or skipped, never a crash, and the next sentence is spoken well."""
    for text in ("<b>$5 & 10%</b>", "Crème brûlée, naïve?", "你好。", "\x00\x1b[0m", "a" * 300, "word " * 60):
        try:
            await speak(engine, text)
        except VoxgateError as error:
            raise AssertionError(f"{text[:20]!r} was refused: {error}") from error
    _expect_speech(await speak(engine, TEXT), "a sentence after strange text")


async def check_every_voice(engine: TextToSpeech) -> None:
    """Each voice speaks; of an engine with many, the first twelve are tried."""
    for voice in engine.voices[:12]:
        _expect_speech(await speak(engine, "One, two, three.", voice=voice), voice.id)


async def check_unknown_voice(engine: TextToSpeech) -> None:
    """A voice the engine does not have is refused."""
    try:
        async with engine.open(Utterance(TEXT, "no-such-voice")) as pieces:
            spoken = [piece async for piece in pieces]
    except VoxgateError:
        return
    raise AssertionError(f"a voice that does not exist spoke {len(spoken)} pieces")


async def check_leaving(engine: TextToSpeech) -> None:
    """A caller may leave before the first piece or after it; the next one is served in full."""
    alone = join(await speak(engine, TEXT)).size
    voice = engine.voices[0]
    for taken in (0, 1):
        async with engine.open(Utterance(" ".join([TEXT] * 10), voice.id, voice.languages[0])) as pieces:
            for _ in range(taken):
                await anext(pieces)
    again = join(await speak(engine, TEXT)).size
    expect(0.7 * alone < again < 1.4 * alone, f"{alone} samples became {again} after a caller had left")


async def check_cancelled_callers(engine: TextToSpeech) -> None:
    """Callers that are cancelled do not disturb the next one."""
    tasks = [asyncio.ensure_future(speak(engine, " ".join([TEXT] * 10))) for _ in range(4)]
    await asyncio.sleep(0.02)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    _expect_speech(await speak(engine, TEXT), "a sentence after callers were cancelled")


async def check_many_at_once(engine: TextToSpeech) -> None:
    """Utterances at the same time do not mix: a short one stays short."""
    short = join(await speak(engine, "Yes.")).size
    together = await asyncio.gather(*(speak(engine, text) for text in ("Yes.", TEXT, "Yes.", TEXT)))
    sizes = [join(pieces).size for pieces in together]
    expect(max(sizes[0], sizes[2]) < min(sizes[1], sizes[3]), f"short and long sentences got {sizes} samples")
    expect(max(sizes[0], sizes[2]) < 2 * short, f"alone the short one has {short} samples, together {sizes}")

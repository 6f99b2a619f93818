"""The decoder suite, over a reader of WAV files written here, right and wrong."""

import io
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from voxgate.domain import SPEECH_RATE, Samples
from voxgate.errors import Code, EngineError, PeerError
from voxgate.testing.conformance import Check, decoder, suite

Wide = NDArray[Any]


class WavDecoder:
    """Reads PCM16 WAV of any rate and any number of channels."""

    gain = 1.0

    @asynccontextmanager
    async def open(self, path: Path) -> AsyncIterator[AsyncIterator[Samples]]:
        try:
            audio = self.decode(path.read_bytes(), path)
        except OSError as error:
            raise EngineError("no such file", engine="wav") from error
        except (wave.Error, EOFError) as error:
            raise PeerError("no WAV file", code=Code.INVALID_AUDIO) from error

        async def blocks() -> AsyncIterator[Samples]:
            for start in range(0, audio.size, 16_000):
                yield audio[start : start + 16_000]

        yield blocks()

    def decode(self, data: bytes, path: Path) -> Samples:
        with wave.open(io.BytesIO(data)) as reader:
            ints = np.frombuffer(reader.readframes(reader.getnframes()), "<i2")
            mono = self.mix(ints.reshape(-1, reader.getnchannels())) / 32768 * self.gain
            return self.resample(mono, reader.getframerate()).astype(np.float32)

    def mix(self, ints: Wide) -> Wide:
        mixed: Wide = ints.mean(axis=1)
        return mixed

    def resample(self, audio: Wide, rate: int) -> Wide:
        size = round(audio.size * SPEECH_RATE / rate)
        return np.interp(np.arange(size) * rate / SPEECH_RATE, np.arange(audio.size), audio) if size else audio


@pytest.mark.parametrize("check", suite(decoder), ids=lambda check: check.__name__)
async def test_a_right_decoder_passes(check: Check) -> None:
    await check(WavDecoder())


class Loud(WavDecoder):
    gain = 2.0


class Unresampled(WavDecoder):
    def resample(self, audio: Wide, rate: int) -> Wide:
        return audio


class Interleaved(WavDecoder):
    def mix(self, ints: Wide) -> Wide:
        return ints.reshape(-1)


class ByName(WavDecoder):
    def decode(self, data: bytes, path: Path) -> Samples:
        if path.suffix == ".mp3":
            raise wave.Error("this is no MP3")
        return super().decode(data, path)


class Forgiving(WavDecoder):
    def decode(self, data: bytes, path: Path) -> Samples:
        try:
            return super().decode(data, path)
        except (wave.Error, EOFError):
            return np.zeros(0, np.float32)


class Inventive(WavDecoder):
    def resample(self, audio: Wide, rate: int) -> Wide:
        return np.pad(audio, (0, 32_000))


class Shared(WavDecoder):
    """Hands a file the audio of the one before, if that was left in the middle."""

    last: Samples = np.zeros(0, np.float32)

    def decode(self, data: bytes, path: Path) -> Samples:
        before, self.last = self.last, super().decode(data, path)
        return before if before.size else self.last


BROKEN: list[tuple[str, WavDecoder]] = [
    ("check_rates_and_channels", Loud()),
    ("check_rates_and_channels", Unresampled()),
    ("check_rates_and_channels", Interleaved()),
    ("check_content_decides", ByName()),
    ("check_no_samples", Inventive()),
    ("check_junk", Forgiving()),
    ("check_truncated", Inventive()),
    ("check_leaving", Shared()),
    ("check_many_at_once", Shared()),
]


@pytest.mark.parametrize(("name", "engine"), BROKEN)
async def test_a_broken_decoder_is_found_out(name: str, engine: WavDecoder) -> None:
    check: Check = getattr(decoder, name)
    with pytest.raises((AssertionError, PeerError)):
        await check(engine)


class Nameless(WavDecoder):
    @asynccontextmanager
    async def open(self, path: Path) -> AsyncIterator[AsyncIterator[Samples]]:
        async def blocks() -> AsyncIterator[Samples]:
            yield np.zeros(1, np.float32)

        yield blocks()


async def test_a_file_that_is_not_there_must_be_missed() -> None:
    with pytest.raises(AssertionError):
        await decoder.check_missing_file(Nameless())


async def test_something_that_does_not_decode() -> None:
    nothing: Any = object()
    with pytest.raises(AssertionError):
        await decoder.check_attributes(nothing)

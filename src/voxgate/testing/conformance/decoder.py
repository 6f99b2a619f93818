"""What every reader of audio files must do."""

import asyncio
import io
import tempfile
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from voxgate.domain import SPEECH_RATE, Samples
from voxgate.errors import Code, EngineError, PeerError
from voxgate.ports import AudioDecoder
from voxgate.testing.conformance import expect
from voxgate.testing.scripted import tone

SECONDS = 1.5


def wav(seconds: float = SECONDS, *, rate: int = SPEECH_RATE, channels: int = 1) -> bytes:
    """A WAV file with a tone of 220 Hz on every channel, 16 bits a sample."""
    audio = tone(1, word_ms=1000 * seconds / 0.8, rate=rate)[: round(seconds * rate)]
    ints = np.repeat((audio * 32767).astype("<i2"), channels)
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(ints.tobytes())
    return file.getvalue()


@contextmanager
def _file(data: bytes, name: str = "upload") -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        yield path


async def decode(engine: AudioDecoder, data: bytes, name: str = "upload") -> Samples:
    """All the audio of a file. Shape [n]."""
    with _file(data, name) as path:
        async with engine.open(path) as blocks:
            pieces = [block async for block in blocks]
    for piece in pieces:
        expect(piece.dtype == np.float32 and piece.ndim == 1, "blocks must be float32 [n]")
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)


async def check_attributes(engine: AudioDecoder) -> None:
    """The engine decodes."""
    expect(isinstance(engine, AudioDecoder), "the engine lacks open")


async def check_rates_and_channels(engine: AudioDecoder) -> None:
    """Any rate and any number of channels comes out mono, at SPEECH_RATE, as long and as loud as it went in."""
    for rate in (8_000, 16_000, 22_050, 44_100, 48_000):
        for channels in (1, 2):
            audio = await decode(engine, wav(rate=rate, channels=channels))
            what = f"{rate} Hz, {channels} channels"
            expect(abs(audio.size / SPEECH_RATE - SECONDS) < 0.03, f"{what}: {audio.size / SPEECH_RATE:.3f} s came out")
            expect(0.4 < float(np.abs(audio).max()) < 0.6, f"{what}: the peak is {np.abs(audio).max():.2f}, not 0.5")
            pitch = float(np.argmax(np.abs(np.fft.rfft(audio)))) * SPEECH_RATE / audio.size
            expect(abs(pitch - 220) < 4, f"{what}: 220 Hz became {pitch:.0f}")


async def check_content_decides(engine: AudioDecoder) -> None:
    """A file is what its bytes say, not what its name says."""
    expect((await decode(engine, wav(), "music.mp3")).size > 0, "a WAV file called .mp3 was not read")


async def check_no_samples(engine: AudioDecoder) -> None:
    """A valid file without a sample is no audio, or `invalid_audio`."""
    try:
        audio = await decode(engine, wav(0))
    except PeerError as error:
        expect(error.code is Code.INVALID_AUDIO, f"the code is {error.code}")
    else:
        expect(audio.size == 0, f"no sample became {audio.size}")


async def check_junk(engine: AudioDecoder) -> None:
    """What is no audio is the client's error `invalid_audio`."""
    noise = np.random.default_rng(1).integers(0, 256, 50_000, np.uint8).tobytes()
    pieces = {"nothing": b"", "one byte": b"R", "text": b"hello " * 1000, "noise": noise, "a header": wav()[:20]}
    pieces |= {
        kind: magic + noise for kind, magic in (("ogg", b"OggS"), ("flac", b"fLaC"), ("webm", b"\x1a\x45\xdf\xa3"))
    }
    for what, data in pieces.items():
        try:
            audio = await decode(engine, data)
        except PeerError as error:
            expect(error.code is Code.INVALID_AUDIO, f"{what}: the code is {error.code}")
        else:
            raise AssertionError(f"{what} was decoded into {audio.size} samples")


async def check_truncated(engine: AudioDecoder) -> None:
    """A file that was cut gives what it still holds, or `invalid_audio`."""
    data = wav()
    try:
        audio = await decode(engine, data[: len(data) // 2])
    except PeerError as error:
        expect(error.code is Code.INVALID_AUDIO, f"the code is {error.code}")
    else:
        expect(0 < audio.size <= SECONDS * SPEECH_RATE, f"half a file became {audio.size} samples")


async def check_missing_file(engine: AudioDecoder) -> None:
    """A file that is not there is a typed error."""
    try:
        async with engine.open(Path("no-such-folder/no-such-file")) as blocks:
            async for _ in blocks:
                pass
    except (PeerError, EngineError):
        return
    raise AssertionError("a file that does not exist was decoded")


async def check_leaving(engine: AudioDecoder) -> None:
    """A caller may leave after the first block; the next file is read in full."""
    with _file(wav(60)) as path:
        async with engine.open(path) as blocks:
            await anext(blocks)
    expect(abs((await decode(engine, wav())).size / SPEECH_RATE - SECONDS) < 0.03, "the next file was not read in full")


async def check_many_at_once(engine: AudioDecoder) -> None:
    """Files at the same time do not mix."""
    lengths = (0.5, 1.0, 1.5, 2.0)
    sizes = [audio.size / SPEECH_RATE for audio in await asyncio.gather(*(decode(engine, wav(s)) for s in lengths))]
    expect(np.allclose(sizes, lengths, atol=0.03), f"files of {lengths} s became {sizes}")

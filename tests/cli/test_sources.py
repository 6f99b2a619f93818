import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.audio_samples import wav
from tests.e2e.real import recording
from voxgate.cli.sources import Source, arriving, file_source, stdin_source
from voxgate.domain import SPEECH_RATE
from voxgate.errors import PeerError

SECOND = 2 * SPEECH_RATE  # bytes


async def all_of(source: Source) -> bytes:
    return b"".join([piece async for piece in source.pieces])


class Naps:
    """Waits for nothing, and remembers for how long it should have."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


# files


async def test_a_file_is_sent_as_it_was_spoken(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(1.05))
    nap, clock = Naps(), asyncio.get_running_loop().time
    began = clock()
    source = file_source(tmp_path / "a.wav", fast=False, sleep=nap)
    sizes = [len(piece) async for piece in source.pieces]
    took = clock() - began
    assert (source.rate, sizes) == (SPEECH_RATE, [SECOND // 10] * 10 + [SECOND // 20])
    due = [0.1 * (number + 1) for number in range(10)] + [1.05]
    assert all(at - took <= waited <= at + 1e-6 for at, waited in zip(due, nap.seconds, strict=True))


async def test_fast_waits_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(1.0))
    nap = Naps()
    assert len(await all_of(file_source(tmp_path / "a.wav", fast=True, sleep=nap))) == SECOND
    assert nap.seconds == []


async def test_files_that_cannot_be_heard(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# no sound in here")
    with pytest.raises(PeerError, match="not audio"):
        await all_of(file_source(tmp_path / "a.md", fast=True))
    with pytest.raises(PeerError, match=r"gone\.wav cannot be read: No such file"):
        await all_of(file_source(tmp_path / "gone.wav", fast=True))


# standard input


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The writing end of what standard input now is."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield writing


async def fed(pipe: int, data: bytes, rate: int | None = None) -> bytes:
    def write() -> None:
        with os.fdopen(pipe, "wb") as out:
            out.write(data)

    source = stdin_source(rate)
    assert source.rate == (rate or SPEECH_RATE)
    heard, _ = await asyncio.gather(all_of(source), asyncio.to_thread(write))
    return heard


async def test_what_begins_like_no_container_is_raw_sound(pipe: int) -> None:
    raw = bytes(range(1, 251)) * 400
    assert await fed(pipe, raw) == raw


async def test_raw_sound_of_another_rate_is_left_to_the_server(pipe: int) -> None:
    looks_like_wav = wav(0.1)
    assert await fed(pipe, looks_like_wav, rate=8_000) == looks_like_wav


@pytest.mark.parametrize("ending", ["wav", "ogg", "opus", "webm", "mp3", "m4a", "flac", "aiff"])
async def test_any_container_is_heard(pipe: int, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"a.{ending}"
    encode = ["ffmpeg", "-v", "error", "-i", str(recording("question")), str(file)]
    subprocess.run(encode, check=True)
    heard = await fed(pipe, file.read_bytes())
    assert len(heard) / SECOND == pytest.approx(1.935, abs=0.12)  # codecs add their own beginning and end


@pytest.mark.parametrize(("data", "told"), [(b"", "standard input is empty"), (b"fLaC" + bytes(500), "FLAC")])
async def test_standard_input_that_cannot_be_heard(pipe: int, data: bytes, told: str) -> None:
    with pytest.raises(PeerError, match=told):
        await fed(pipe, data)


def test_a_terminal_is_no_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    with pytest.raises(PeerError, match="pipe audio into it"):
        stdin_source(None)


async def test_sound_comes_on_as_it_arrives() -> None:
    reading, writing = os.pipe()
    arrived = arriving(reading)
    for data in (b"one", b"two"):
        os.write(writing, data)
        assert await anext(arrived) == data
    os.close(writing)
    assert await anext(arrived, None) is None
    os.close(reading)


async def test_little_is_read_ahead_of_who_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = taken = most = 0

    def read(descriptor: int, size: int) -> bytes:
        nonlocal reads, most
        reads += 1
        most = max(most, reads - taken)
        return b"x" if reads <= 5_000 else b""

    monkeypatch.setattr(os, "read", read)
    async for _ in arriving(0):
        taken += 1
    assert taken == 5_000
    assert most <= 18


async def test_leaving_waits_for_no_more_sound() -> None:
    reading, writing = os.pipe()
    arrived = arriving(reading)
    waiting = asyncio.ensure_future(anext(arrived))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await arrived.aclose()
    os.close(writing)
    os.close(reading)

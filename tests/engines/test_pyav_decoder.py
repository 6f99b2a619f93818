import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from voxgate.audio.codecs.encoder import open_encoder
from voxgate.audio.codecs.wav import wav_header
from voxgate.audio.framing import to_pcm16
from voxgate.domain import SPEECH_RATE, Samples
from voxgate.engines import pyav_decoder
from voxgate.engines.pool import Pool
from voxgate.engines.pyav_decoder import PyavDecoder, Settings
from voxgate.errors import Code, PeerError
from voxgate.ports import AudioDecoder, EngineContext

pytestmark = pytest.mark.slow


class Counts:
    def __init__(self) -> None:
        self.events: list[str] = []

    def observe(self, stage: str, seconds: float, *, engine: str) -> None: ...

    def count(self, event: str, *, engine: str, times: int = 1) -> None:
        self.events.append(event)

    def gauge(self, name: str, value: float, *, engine: str) -> None: ...


@pytest.fixture
async def decoder() -> AsyncIterator[PyavDecoder]:
    made = await pyav_decoder.create(EngineContext("pyav", {}, Counts(), cores=2), Settings(max_file_s=3600))
    try:
        yield made
    finally:
        await made.aclose()


def ramp(seconds: int) -> Samples:
    """Audio in which every second is told from every other."""
    return np.repeat(np.arange(1, seconds + 1, dtype=np.float32) / 1000, SPEECH_RATE)


def wav_file(path: Path, samples: Samples) -> Path:
    data = to_pcm16(samples)
    path.write_bytes(wav_header(SPEECH_RATE, len(data)) + data)
    return path


async def read(decoder: PyavDecoder, path: Path) -> Samples:
    async with decoder.open(path) as blocks:
        return np.concatenate([block async for block in blocks])


async def test_a_file_comes_in_blocks_of_a_second(decoder: PyavDecoder, tmp_path: Path) -> None:
    assert isinstance(decoder, AudioDecoder)
    path = wav_file(tmp_path / "a.wav", ramp(5)[: 4 * SPEECH_RATE + 100])
    async with decoder.open(path) as blocks:
        assert [len(block) async for block in blocks] == [SPEECH_RATE] * 4 + [100]


async def test_many_files_at_once(decoder: PyavDecoder, tmp_path: Path) -> None:
    encoder = open_encoder("mp3", SPEECH_RATE)
    path = tmp_path / "a.bin"
    path.write_bytes(encoder.feed(ramp(3)) + encoder.close())
    lengths = await asyncio.gather(*(read(decoder, path) for _ in range(20)))
    assert all(abs(len(each) - 3 * SPEECH_RATE) < SPEECH_RATE // 10 for each in lengths)


@pytest.mark.parametrize("data", [b"", b"RIFF", b"not audio at all" * 100, b"\xff\xfb\x90\x00" + b"\0" * 100])
async def test_what_is_no_audio_is_the_senders_fault(decoder: PyavDecoder, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad"
    path.write_bytes(data)
    with pytest.raises(PeerError) as caught:
        await read(decoder, path)
    assert (caught.value.code, caught.value.param) == (Code.INVALID_AUDIO, "file")


async def test_a_reader_may_leave_early(decoder: PyavDecoder, tmp_path: Path) -> None:
    path = wav_file(tmp_path / "a.wav", ramp(120))
    for _ in range(70):  # more often than there are threads: each must have been given back
        async with decoder.open(path) as blocks:
            assert len(await anext(blocks)) == SPEECH_RATE


async def test_a_death_in_the_middle_is_not_noticed(decoder: PyavDecoder, tmp_path: Path) -> None:
    audio = ramp(200)
    path = wav_file(tmp_path / "a.wav", audio)
    heard: list[Samples] = []
    async with decoder.open(path) as blocks:
        async for block in blocks:
            heard.append(block)
            if len(heard) in (5, 90):
                for pid in decoder.pids[:-1]:
                    os.kill(pid, signal.SIGKILL)
    assert np.allclose(np.concatenate(heard), audio, atol=1e-4)


async def test_a_file_that_kills_its_worker_is_refused_and_nobody_else_notices(tmp_path: Path) -> None:
    metrics = Counts()
    spec = pyav_decoder.worker_spec(
        EngineContext("pyav", {}, metrics, cores=1), Settings(), factory="tests.engines.deadly_decoder:runner"
    )
    pool = Pool(spec, metrics)
    await pool.start()
    decoder = PyavDecoder(pool)
    try:
        deadly = wav_file(tmp_path / "deadly.wav", ramp(3))
        good = wav_file(tmp_path / "good.wav", ramp(60))
        results = await asyncio.gather(read(decoder, deadly), read(decoder, good), return_exceptions=True)
    finally:
        await decoder.aclose()
    assert isinstance(results[0], PeerError)
    assert results[0].code is Code.INVALID_AUDIO
    assert isinstance(results[1], np.ndarray)
    assert len(results[1]) == 60 * SPEECH_RATE
    assert metrics.events.count("worker_restart") >= 2

import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest

from voxgate.audio.codecs.formats import ENCODED_RATE, Format
from voxgate.conversation.speech import Spoken, speak, speak_file
from voxgate.domain import Speech, Utterance, Voice
from voxgate.errors import EngineError

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

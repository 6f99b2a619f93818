"""Recordings for live sessions with real engines, what clients of them are told, and what they are billed."""

import io
import wave
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tests.e2e.real import recording, until
from tests.serving import Server
from voxgate.audio.codecs.container import decode
from voxgate.audio.framing import to_pcm16
from voxgate.domain import SPEECH_RATE

BYTES_A_MS = 2 * SPEECH_RATE // 1000


def spoken(name: str) -> bytes:
    """One of our recordings as 16 kHz PCM16, cut where its last word ends: no silence tells of an end."""
    with recording(name).open("rb") as file:
        audio = np.concatenate(list(decode(file, max_seconds=60)))
    loud = np.flatnonzero(np.abs(audio) > 0.02)
    return to_pcm16(audio[: loud[-1] + SPEECH_RATE // 20])


def clip(path: Path) -> bytes:
    """The samples of a 16 kHz mono WAV file."""
    with wave.open(str(path)) as reader:
        assert (reader.getframerate(), reader.getnchannels(), reader.getsampwidth()) == (SPEECH_RATE, 1, 2)
        return bytes(reader.readframes(reader.getnframes()))


def wav(pcm: bytes, *, rate: int = SPEECH_RATE) -> bytes:
    """The samples as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(pcm)
    return file.getvalue()


def silence(seconds: float) -> bytes:
    return bytes(2 * round(seconds * SPEECH_RATE))


def texts(told: Iterable[dict[str, Any]], kind: str = "transcript.final") -> list[str]:
    """The texts of all messages of a kind, in order."""
    return [message["text"] for message in told if message["type"] == kind]


def billed(server: Server, key: str, surface: str) -> tuple[int, str]:
    """(milliseconds, credits) of the one session of a key, as soon as it is in the books and nothing is held."""
    rows: list[dict[str, Any]] = []

    def in_the_books() -> bool:
        rows[:] = client.get("/v1/usage").json()["data"]
        return bool(rows) and client.get("/v1/credits").json()["held"] == 0

    with server.client(key) as client:
        until(in_the_books)
    [row] = rows
    assert row["surface"] == surface
    return row["units"]["audio_ms"], str(row["credits"])

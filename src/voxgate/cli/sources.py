"""Audio on its way into a live session: a file at the pace it was spoken, standard input as it comes, a microphone."""

import asyncio
import math
import os
import sys
import tempfile
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from voxgate.domain import SPEECH_RATE
from voxgate.errors import PeerError

Sleep = Callable[[float], Awaitable[object]]
"""Waits so many seconds; `asyncio.sleep`, or a test's own."""

_PIECE = SPEECH_RATE // 10  # samples sent at once of a file: as often as a partial can change
_READ_BYTES = 1 << 16
_AHEAD = 16  # reads that may wait for the session, then the writer of the pipe does


_OPUS = b"OpusHead"  # RFC 7845, 5.1: how the first packet of an Ogg Opus stream begins; an Ogg page may hold others


@dataclass(frozen=True, slots=True)
class Source:
    """Where a session's audio comes from."""

    pieces: AsyncGenerator[bytes]
    """PCM16, little-endian, mono, cut anywhere."""
    rate: int = SPEECH_RATE
    """Samples per second."""


def file_source(path: Path, *, fast: bool, sleep: Sleep = asyncio.sleep) -> Source:
    """A recording of any container, sent as if it were being spoken; `fast`: as fast as it is taken.

    Its pieces raise PeerError `invalid_audio`, and PeerError for a file that cannot be read.
    """
    return Source(_decoded(path, fast=fast, sleep=sleep))


async def _decoded(path: Path, *, fast: bool, sleep: Sleep) -> AsyncGenerator[bytes]:
    # Decoded in this process: it is one user's own, and a file that breaks the decoder breaks one command.
    from voxgate.audio.codecs.container import decode
    from voxgate.audio.framing import to_pcm16

    now = asyncio.get_running_loop().time
    with _opened(path) as file:
        blocks = decode(file, max_seconds=math.inf)
        began, sent = now(), 0
        while (block := await asyncio.to_thread(next, blocks, None)) is not None:
            for at in range(0, len(block), _PIECE):
                piece = block[at : at + _PIECE]
                sent += len(piece)
                if not fast:  # a piece is there when its last sample has been spoken
                    await sleep(max(0.0, began + sent / SPEECH_RATE - now()))
                yield to_pcm16(piece)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise PeerError(f"{path} cannot be read: {error.strerror}", param="source") from None
    with file:
        yield file


def stdin_source(rate: int | None) -> Source:
    """What standard input brings, as it comes: sound without a header at `rate`, or, where that is None, anything.

    WAV, Ogg Opus and WebM are decoded while they arrive, other containers once they are complete; what begins like none
    is PCM16 at SPEECH_RATE. Raises PeerError on a terminal; the pieces raise PeerError `invalid_audio`.
    """
    if sys.stdin.isatty():
        raise PeerError("standard input is a terminal: pipe audio into it, or name a file", param="source")
    arrived = arriving(sys.stdin.fileno())
    return Source(arrived, rate) if rate is not None else Source(_recognized(arrived))


async def _recognized(arrived: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """The same sound as PCM16 at SPEECH_RATE, whatever it is packed in."""
    from voxgate.audio.codecs.recording import open_recording
    from voxgate.audio.codecs.sniff import HEAD_BYTES, Kind, sniff
    from voxgate.audio.framing import to_pcm16

    async with aclosing(arrived):
        head = b""
        async for data in arrived:
            head += data
            if len(head) >= HEAD_BYTES:
                break
        if not head:
            raise PeerError("standard input is empty", param="source")
        kind = sniff(head)
        if kind in (Kind.UNKNOWN, Kind.WAV, Kind.WEBM) or (kind is Kind.OGG and _OPUS in head):
            decoder = open_recording("pcm16", SPEECH_RATE)
            yield to_pcm16(decoder.feed(head))
            async for data in arrived:
                yield to_pcm16(decoder.feed(data))
            yield to_pcm16(decoder.flush())
            return
        with tempfile.NamedTemporaryFile(prefix="voxgate-") as whole:
            whole.write(head)
            async for data in arrived:
                whole.write(data)
            whole.flush()
            async for piece in _decoded(Path(whole.name), fast=True, sleep=asyncio.sleep):
                yield piece


async def arriving(descriptor: int) -> AsyncGenerator[bytes]:
    """What can be read from a file descriptor, as it comes, until its end: a pipe, a file and a terminal alike.

    A thread of its own reads, which nobody waits for: a command that is over does not stay for the next byte.
    """
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[bytes] = asyncio.Queue()
    room = threading.Semaphore(_AHEAD)

    def read() -> None:
        data = b"-"
        while data:
            room.acquire()
            try:
                data = os.read(descriptor, _READ_BYTES)
            except OSError:
                data = b""
            with suppress(RuntimeError):  # the loop is closed: the command is over
                loop.call_soon_threadsafe(arrived.put_nowait, data)

    threading.Thread(target=read, name="standard-input", daemon=True).start()
    while data := await arrived.get():
        room.release()
        yield data

"""`voxgate say --live`: a text spoken by a running server and heard while it is made, also one still being written."""

import asyncio
import codecs
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from voxgate.audio.codecs.formats import ENCODED_RATE, Format
from voxgate.cli.common import interruptible
from voxgate.cli.live_client import until
from voxgate.cli.remote import Remote, Wire, credits_used
from voxgate.cli.sources import arriving
from voxgate.errors import PeerError

PATH = "/v1/realtime/tts"

_TURN = 5_000
"""Characters after which the next line begins a new speech: half of what one may hold by default
(`limits.speech_input_characters`), so that a pipe may go on for hours."""
_ADDED_UP = frozenset({Format.MP3, Format.AAC, Format.OPUS, Format.PCM})
"""Formats of which several files, one after the other, are one."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What is to be spoken, and how."""

    text: str | None
    """None: what standard input brings, as it comes."""
    options: dict[str, Any]
    """Fields of `session.start` but the format."""
    fmt: Format
    output: Path | None
    """File that is written as the speech arrives, `-` for standard output; None: it is played."""
    is_verbose: bool


class Sink(Protocol):
    """Where speech goes."""

    def write(self, audio: bytes, /) -> object:
        """The next frame."""
        ...


async def say_live(remote: Remote, spoken: Spoken) -> bool:
    """Speak it; whether Ctrl-C ended it. Raises VoxgateError."""
    with interruptible() as stop, suppress(_StoppedError):
        async with _sink(spoken) as sink, remote.open(PATH) as wire:
            await wire.send("session.start", **spoken.options, response_format=spoken.fmt.value)
            await wire.until("session.ready")
            await _Speaking(wire, spoken, sink, stop).run()
    return stop.is_set()


class _StoppedError(Exception):
    """Ctrl-C: leaving by an exception stops the loudspeaker where it is."""


class _Speaking:
    """One session: text on its way to the server, speech on its way from it."""

    def __init__(self, wire: Wire, spoken: Spoken, sink: Sink, stop: asyncio.Event) -> None:
        self._wire = wire
        self._spoken = spoken
        self._sink = sink
        self._stop = stop
        self._places = asyncio.Semaphore(2)  # the speech that is heard, and the one that is written meanwhile
        self._asked_at = 0.0

    async def run(self) -> None:
        """Until the session is closed. Raises VoxgateError, and _StoppedError on Ctrl-C."""
        receiving = asyncio.create_task(self._receive())
        sending = asyncio.create_task(self._send())
        stopping = asyncio.create_task(self._stop.wait())
        sending.add_done_callback(lambda done: receiving.cancel() if _has_failed(done) else None)
        try:
            await asyncio.wait({receiving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for job in (receiving, sending, stopping):
                job.cancel()
            await asyncio.gather(receiving, sending, stopping, return_exceptions=True)
        if self._stop.is_set():
            await self._wire.send("speech.cancel")
            await self._wire.send("session.stop")
            raise _StoppedError
        for job in (sending, receiving):
            if not job.cancelled():
                job.result()

    async def _send(self) -> None:
        if self._spoken.text is not None:
            self._asked_at = asyncio.get_running_loop().time()
            await self._wire.send("speech.create", input=self._spoken.text)
        else:
            await self._append()
        await self._wire.send("session.stop")

    async def _append(self) -> None:
        """Standard input, as it comes. Raises PeerError where it has nothing in it but white space."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        begun, length, turns = False, 0, self._spoken.fmt in _ADDED_UP
        async for data in until(arriving(sys.stdin.fileno()), self._stop):
            for line in decoder.decode(data).splitlines(keepends=True):
                if not length:
                    if not line.strip():
                        continue
                    await self._places.acquire()
                self._asked_at = self._asked_at or asyncio.get_running_loop().time()
                begun, length = True, length + len(line)
                await self._wire.send("speech.append", text=line)
                if turns and length >= _TURN and line.endswith("\n"):
                    await self._wire.send("speech.commit")
                    length = 0
        if not begun:
            raise PeerError("the text is empty: there is nothing to say", param="text")
        if length:
            await self._wire.send("speech.commit")

    async def _receive(self) -> None:
        heard = False
        while (message := await self._wire.receive()) is not None:
            if isinstance(message, bytes):
                if not heard:
                    heard = True
                    waited_s = asyncio.get_running_loop().time() - self._asked_at
                    self._tell(f"first audio after {1000 * waited_s:.0f} ms")
                self._sink.write(message)
            elif message["type"] == "speech.finished":
                self._places.release()
            elif message["type"] == "session.closed":
                self._tell(f"{message['durationMs'] / 1000:.1f} s of speech for {credits_used(message)}")

    def _tell(self, text: str) -> None:
        if self._spoken.is_verbose:
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()


def _has_failed(task: asyncio.Task[None]) -> bool:
    return not task.cancelled() and task.exception() is not None


@asynccontextmanager
async def _sink(spoken: Spoken) -> AsyncIterator[Sink]:
    if spoken.output is None:
        from voxgate.cli.sound import loudspeaker

        async with loudspeaker(ENCODED_RATE) as speaker:
            yield speaker
        return
    file = _File(spoken.output)
    try:
        yield file
    finally:
        file.close()


class _File:
    """A file that is there from the first frame on: a refusal leaves none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def write(self, audio: bytes) -> None:
        """Raises PeerError where the file cannot be written."""
        try:
            if self._file is None:
                self._file = os.fdopen(os.dup(1), "wb") if self._path == Path("-") else self._path.open("wb")
            self._file.write(audio)
            self._file.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise PeerError(f"{self._path} cannot be written: {error.strerror}", param="output") from None

    def close(self) -> None:
        """The file has all it will have."""
        if self._file is not None:
            self._file.close()

"""How worker processes are born, and how they end. worker.py is what runs in them, pool.py what gives them work."""

import asyncio
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from voxgate.engines.worker import BROKEN, HEADER, SETUP
from voxgate.errors import Code, EngineError

_SECRET_PREFIXES = ("VOXGATE", "OPENAI_")  # engines get their settings as arguments, and nobody's keys


class Birth(StrEnum):
    """How workers come to be."""

    SPAWN = "spawn"
    """Each is a fresh process that loads the model itself."""
    FORK = "fork"
    """A fresh process, the zygote, loads the model once; each worker is a fork of it and shares its memory."""


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """An engine's processes."""

    name: str
    """The engine's name, for metrics, errors and process titles."""
    factory: str
    """`module:function`, called in the child as `function(**arguments)`; answers a Runner."""
    arguments: Mapping[str, Any]
    """Picklable keyword arguments of the factory."""
    processes: int = 1
    threads: int = 1
    """Jobs at once in each process."""
    birth: Birth = Birth.SPAWN
    environment: Mapping[str, str] = field(default_factory=dict)
    """Set in the child before anything is imported (OMP_NUM_THREADS …)."""
    queue: int = 64
    """Jobs that may wait; one more is refused with `busy`. As many partials may wait besides."""
    reserved: int = 0
    """Seats (threads of all processes) that partials leave free for other work, but never all."""
    stoppable: bool = False
    """Whether a job that is cancelled ends within moments: a partial is then stopped when other work finds no seat."""
    start_timeout_s: float = 60.0
    wait_timeout_s: float = 20.0
    """Longest a job waits for a worker before it is refused with `busy`."""
    stall_timeout_s: float = 60.0
    """Longest a job may run without a result while its reader waits; its worker is then taken for hung and replaced."""


@dataclass(frozen=True, slots=True)
class Born:
    """A worker that has loaded and is ready."""

    pid: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    process: subprocess.Popen[bytes] | None
    """None for a fork: the zygote's child, not ours, and reaped by the kernel."""

    async def bury(self) -> int | None:
        """Close the connection and wait for the process; its exit status, where it was ours to see."""
        await _hang_up(self.writer)
        return await asyncio.to_thread(_reap, self.process) if self.process else None


class Processes:
    """Brings the workers of one engine into the world."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._spec = spec
        self._zygote: tuple[subprocess.Popen[bytes], socket.socket] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._one_at_a_time = asyncio.Lock()

    @property
    def zygote_pid(self) -> int | None:
        """The process that workers are forked from, while it lives."""
        return self._zygote[0].pid if self._zygote else None

    async def bear(self) -> Born:
        """One more worker, loaded and ready. Raises EngineError, OSError."""
        ours, theirs = socket.socketpair()
        process: subprocess.Popen[bytes] | None = None
        writer: asyncio.StreamWriter | None = None
        try:
            if self._spec.birth is Birth.FORK:
                async with self._one_at_a_time:
                    zygote = self._zygote or await self._raise_zygote()
                socket.send_fds(zygote[1], [b"f"], [theirs.fileno()])
            else:
                process = self._start(theirs)
            theirs.close()
            ours.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=ours, limit=1 << 20)
            if process:
                writer.write(frame(SETUP, self._setup()))
            pid = await self._first_word(reader.readexactly)
        except BaseException:
            theirs.close()
            if writer:
                await _hang_up(writer)
            ours.close()
            if process:
                process.kill()
                await asyncio.to_thread(process.wait)
            raise
        return Born(pid, reader, writer, process)

    async def aclose(self) -> None:
        """End the zygote, if there is one. Idempotent."""
        if self._watch:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        if self._zygote:
            process, control = self._zygote
            self._zygote = None
            control.close()
            await asyncio.to_thread(_reap, process)

    async def _raise_zygote(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        ours, theirs = socket.socketpair()
        process = self._start(theirs)
        theirs.close()
        ours.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_sendall(ours, frame(SETUP, self._setup()))
            await self._first_word(partial(_receive, ours))
        except BaseException:
            ours.close()
            process.kill()
            await asyncio.to_thread(process.wait)
            raise
        self._zygote = (process, ours)
        self._watch = asyncio.get_running_loop().create_task(self._watch_zygote(process, ours))
        return self._zygote

    def _start(self, theirs: socket.socket) -> subprocess.Popen[bytes]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(_SECRET_PREFIXES)}
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "voxgate.engines.worker", str(theirs.fileno()), str(os.getpid())],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            env=environment | dict(self._spec.environment),
        )

    def _setup(self) -> dict[str, Any]:
        spec = self._spec
        return {
            "name": spec.name,
            "factory": spec.factory,
            "arguments": dict(spec.arguments),
            "threads": spec.threads,
            "fork": spec.birth is Birth.FORK,
            "path": [str(Path(entry).absolute()) for entry in sys.path],
        }

    async def _first_word(self, read: Callable[[int], Awaitable[bytes]]) -> int:
        """The process id of a worker or zygote that has loaded. Raises EngineError."""
        name = self._spec.name
        try:
            async with asyncio.timeout(self._spec.start_timeout_s):
                kind, value = await receive(read)
        except TimeoutError:
            raise EngineError(
                f"{name} did not load within {self._spec.start_timeout_s:g} s", engine=name, code=Code.ENGINE_TIMEOUT
            ) from None
        except (asyncio.IncompleteReadError, OSError):
            raise EngineError(f"{name} died while loading", engine=name, retryable=True) from None
        if kind == BROKEN:
            raise value
        return int(value)

    async def _watch_zygote(self, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        """Notice the end of the zygote. Its workers end with it; the first to be replaced raises another."""
        with suppress(OSError):
            await asyncio.get_running_loop().sock_recv(control, 1)
        self._zygote = None
        control.close()
        await asyncio.to_thread(_reap, process)


def frame(*message: Any) -> bytes:
    """A message as it goes over the socket."""
    body = pickle.dumps(message, protocol=5)
    return HEADER.pack(len(body)) + body


async def receive(read: Callable[[int], Awaitable[bytes]]) -> tuple[Any, ...]:
    """The next message. Raises IncompleteReadError where the other end is gone."""
    (length,) = HEADER.unpack(await read(HEADER.size))
    message: tuple[Any, ...] = pickle.loads(await read(length))  # from a process this one started
    return message


async def _receive(sock: socket.socket, size: int) -> bytes:
    """Exactly `size` bytes of a non-blocking socket."""
    data = b""
    while len(data) < size:
        piece = await asyncio.get_running_loop().sock_recv(sock, size - len(data))
        if not piece:
            raise asyncio.IncompleteReadError(data, size)
        data += piece
    return data


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def _reap(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process whose socket is closed, and help it along if it does not end by itself."""
    try:
        return process.wait(timeout=2)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()

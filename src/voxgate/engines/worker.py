"""The child side of pool.py: a process that loads one engine and carries out jobs on its threads.

Started as `python -P -m voxgate.engines.worker FD PARENT_PID`; FD is one end of a Unix socket pair. Both directions
carry frames: a 4-byte little-endian length and a pickle. Only the server and its own children speak here.

    server -> worker   (SETUP, dict) first; then (RUN, job, request), (CANCEL, job), (ACK, job)
    worker -> server   (READY, pid) or (BROKEN, error); then (BEGUN, job), (ITEM, job, value),
                       and at last (DONE, job) or (FAILED, job, error)

A worker that is to be forked (see pool.Birth) starts as a zygote: it loads, answers READY, and then each byte it gets
carries a file descriptor: the socket of a new worker, which is a fork of the loaded zygote.
"""

import ctypes
import importlib
import logging
import os
import pickle
import queue
import signal
import socket
import struct
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn, Protocol

from voxgate.errors import EngineError, VoxgateError

SETUP, RUN, CANCEL, ACK, READY, BROKEN, BEGUN, ITEM, DONE, FAILED = range(10)

WINDOW = 32
"""Results of one job that may be on their way to the server unread; then the job waits for its reader."""

HEADER = struct.Struct("<I")

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15  # linux/prctl.h


class Runner(Protocol):
    """What runs inside a worker process: built once by the factory, then called from up to `threads` threads."""

    def run(self, request: Any, cancelled: Callable[[], bool]) -> Iterator[Any]:
        """Carry out one job, yielding its results (picklable) as they exist; stop soon once `cancelled()` is true.

        A VoxgateError raised here reaches the caller as it is; any other exception becomes an EngineError.
        """
        ...


class _Job:
    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.window = threading.Semaphore(WINDOW)


class Wire:
    """Frames on a blocking socket; sending is safe from any thread."""

    def __init__(self, sock: socket.socket) -> None:
        self._file = sock.makefile("rb")
        self._sock = sock
        self._lock = threading.Lock()

    def receive(self) -> tuple[Any, ...] | None:
        """The next message, or None when the other end is gone."""
        header = self._file.read(HEADER.size)
        if len(header) < HEADER.size:
            return None
        body = self._file.read(HEADER.unpack(header)[0])
        message: tuple[Any, ...] = pickle.loads(body)
        return message

    def send(self, *message: Any) -> None:
        """One message to the server; its absence is no error here, the reading side notices it too."""
        body = pickle.dumps(message, protocol=5)
        with self._lock:
            self._sock.sendall(HEADER.pack(len(body)) + body)


def _die_with_parent(parent: int) -> None:
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def _name_process(name: str) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_NAME, f"vg:{name}".encode()[:15], 0, 0, 0)


def _serve(wire: Wire, runner: Runner, name: str, threads: int) -> NoReturn:
    """Read commands on this thread, carry out jobs on others, until the server is gone."""
    jobs: dict[int, _Job] = {}
    todo: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()

    def work() -> None:
        while True:
            number, request = todo.get()
            job = jobs[number]
            try:
                wire.send(BEGUN, number)
                for value in runner.run(request, job.cancelled.is_set):
                    job.window.acquire()
                    if job.cancelled.is_set():
                        break
                    wire.send(ITEM, number, value)
                wire.send(DONE, number)
            except OSError:
                os._exit(0)
            except VoxgateError as error:
                wire.send(FAILED, number, error)
            except Exception as error:
                logging.getLogger(__name__).exception("%s: a job failed", name)
                wire.send(FAILED, number, EngineError(f"{name} failed: {type(error).__name__}", engine=name))
            finally:
                del jobs[number]

    for _ in range(threads):
        threading.Thread(target=work, daemon=True).start()
    wire.send(READY, os.getpid())
    while (message := wire.receive()) is not None:
        kind, number, *rest = message
        if kind == RUN:
            jobs[number] = _Job()
            todo.put((number, rest[0]))
            continue
        job = jobs.get(number)
        if job is None:
            continue
        if kind == CANCEL:
            job.cancelled.set()
        job.window.release()
    os._exit(0)


def _breed(wire: Wire, control: socket.socket, runner: Runner, name: str, threads: int) -> NoReturn:
    """A zygote's life: fork a worker for every socket that is handed over."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # forks are reaped by the kernel; the server sees their sockets close
    warnings.filterwarnings("ignore", message=r".*multi-threaded, use of fork\(\).*", category=DeprecationWarning)
    zygote = os.getpid()
    wire.send(READY, zygote)
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not data:
            os._exit(0)
        sock = socket.socket(fileno=descriptors[0])
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _die_with_parent(zygote)
            control.close()
            _serve(Wire(sock), runner, name, threads)
        sock.close()


def main() -> NoReturn:
    """Load the engine the server names, then work until the server is gone, be it in the middle of the loading."""
    try:
        _live()
    except (BrokenPipeError, ConnectionResetError):
        os._exit(0)


def _live() -> NoReturn:
    descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    _die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the server decides when we end
    os.dup2(2, 1)  # what a native library prints does not belong into the server's output
    control = socket.socket(fileno=descriptor)
    wire = Wire(control)
    message = wire.receive()
    if message is None:
        os._exit(0)
    setup: Mapping[str, Any] = message[1]
    name: str = setup["name"]
    _name_process(name)
    sys.path[:] = setup["path"]
    try:
        module, _, function = setup["factory"].partition(":")
        runner: Runner = getattr(importlib.import_module(module), function)(**setup["arguments"])
    except VoxgateError as error:
        wire.send(BROKEN, error)
        os._exit(1)
    except Exception as error:
        logging.getLogger(__name__).exception("%s: could not be loaded", name)
        wire.send(BROKEN, EngineError(f"{name} could not be loaded: {type(error).__name__}: {error}", engine=name))
        os._exit(1)
    if setup["fork"]:
        _breed(wire, control, runner, name, setup["threads"])
    _serve(wire, runner, name, setup["threads"])


if __name__ == "__main__":
    main()

"""The listening socket and the HTTP server on it."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from voxgate.errors import ConfigError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_BACKLOG = 2048  # connections the kernel keeps waiting; uvicorn's own default


class _Server(uvicorn.Server):
    """uvicorn's own server raises the signal again once it has stopped, which would end the process before the
    engines and the database are closed; this one leaves that to whoever called it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM stop the server; a second one, at once."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)


class HttpServer:
    """One address that is listened on."""

    def __init__(self, sock: socket.socket, host: str) -> None:
        """Use `HttpServer.bind`."""
        self._sock = sock
        self._host = host

    @classmethod
    def bind(cls, host: str, port: int) -> "HttpServer":
        """Take the address, before anything else is begun. Raises ConfigError where it cannot be had."""
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        except OSError as error:
            raise ConfigError(f"server.host {host!r} is no address: {error.strerror}", param="server.host") from None
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            sock.listen(_BACKLOG)
            sock.setblocking(False)
        except OSError as error:
            sock.close()
            raise ConfigError(
                f"cannot listen on {host} port {port}: {error.strerror}; choose another with --port or VOXGATE_PORT",
                param="server.port",
            ) from None
        return cls(sock, host)

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the server."""
        port = self._sock.getsockname()[1]
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self._host, self._host)
        return f"http://[{host}]:{port}" if ":" in host and "[" not in host else f"http://{host}:{port}"

    async def run(self, app: ASGIApp, *, grace_s: int, beside: asyncio.Task[None]) -> None:
        """Serve until the process is told to stop (SIGINT, SIGTERM).

        `beside` is work the server is no use without: where it fails, the server ends with its error.
        """
        server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,  # uvicorn's own would hold query strings, and those hold keys
                server_header=False,
                lifespan="off",
                ws="none",  # no route of ours is a WebSocket yet, and uvicorn itself brings no library for them
                timeout_graceful_shutdown=grace_s,
            )
        )

        def watch(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and task.exception():
                server.should_exit = True

        beside.add_done_callback(watch)
        await server.serve(sockets=[self._sock])
        if beside.done() and not beside.cancelled():
            beside.result()

    def close(self) -> None:
        """Let the address go."""
        self._sock.close()

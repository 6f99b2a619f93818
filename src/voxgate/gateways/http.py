"""The listening socket and the HTTP server on it."""

import asyncio
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from voxgate.errors import ConfigError
from voxgate.gateways.websocket import SocketProtocol

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


def read_tls(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 and newer with this certificate and its key, PEM files both. Raises ConfigError naming the file."""
    for file, setting in ((certificate, "server.tls_certificate"), (key, "server.tls_key")):
        try:
            file.read_bytes()
        except OSError as error:
            raise ConfigError(f"{setting}: {file} cannot be read: {error.strerror}", param=setting) from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        reason = f"{certificate} or {key} is no PEM file"  # OpenSSL's reason is empty for most of what is none
        if error.reason == "KEY_VALUES_MISMATCH":
            reason = f"{key} is not the key of {certificate}"
        raise ConfigError(f"server.tls_certificate, server.tls_key: {reason}", param="server.tls_certificate") from None
    return context


def _no_password() -> str:
    """OpenSSL would ask the terminal."""
    raise ConfigError(
        "server.tls_key: the file is locked with a password; a server reads it alone", param="server.tls_key"
    )


class HttpServer:
    """One address that is listened on."""

    def __init__(self, sock: socket.socket, host: str, tls: ssl.SSLContext | None) -> None:
        """Use `HttpServer.bind`."""
        self._sock = sock
        self._host = host
        self._port = sock.getsockname()[1]  # asked now: the socket may be closed while engines are still loaded
        self._tls = tls

    @classmethod
    def bind(cls, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> "HttpServer":
        """Take the address, before anything else is begun; with `tls`, for HTTPS.

        Raises ConfigError where it cannot be had.
        """
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
        return cls(sock, host, tls)

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the server."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self._host, self._host)
        scheme = "https" if self._tls else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host and '[' not in host else host}:{self._port}"

    async def run(self, app: ASGIApp, *, grace_s: int, beside: asyncio.Task[None]) -> None:
        """Serve until the process is told to stop (SIGINT, SIGTERM).

        `beside` is work the server is no use without: where it fails, the server ends with its error.
        """
        tls = self._tls
        server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,  # uvicorn's own would hold query strings, and those hold keys
                server_header=False,
                proxy_headers=False,  # uvicorn would believe anyone on this machine; see gateways/proxies.py
                ssl_context_factory=None if tls is None else lambda _config, _default: tls,
                lifespan="off",
                ws=SocketProtocol,
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

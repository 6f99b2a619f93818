"""The server that a command talks to: its address, a key, and sockets whose errors are told as people talk."""

import os
import ssl
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from voxgate.errors import PeerError, RefusedError, VoxgateError

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

DEFAULT_URL = "http://127.0.0.1:8080"

UrlOption = Annotated[
    str | None, typer.Option("--url", help=f"Address of the server. [VOXGATE_URL; default: {DEFAULT_URL}]")
]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", help="API key. [VOXGATE_API_KEY, which other users of the machine cannot see]"),
]

_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_COMMAND_WAS_WRONG = frozenset({"INVALID_MESSAGE", "INPUT_TOO_LONG", "INVALID_AUDIO"})
"""Codes, beside UNSUPPORTED_…, that another command would not have been told."""
_REMEDIES = {
    "UNAUTHORIZED": "--key or VOXGATE_API_KEY gives the key",
    "INSUFFICIENT_CREDITS": "`voxgate credits add` adds some",
}
_NO_KEY = (
    "there is no API key: give one with --key or in VOXGATE_API_KEY. `voxgate serve` printed the development key when "
    "it first started, and only then; `voxgate keys create --org development` makes another"
)
_OPEN_S = 10  # a server that does not shake hands for so long is not there
_CLOSE_S = 3  # how long its answer to our close is awaited: everything it had to say was said
_IN_FLIGHT = 1 << 16  # bytes between two pings of `send_audio`, twice as many may be unread: 4 s of PCM16 at 16 kHz
_MOST_BYTES = 1 << 24  # of a message: none of ours is near it, and a stranger's cannot fill the memory


def refused(message: dict[str, Any]) -> VoxgateError:
    """The error that an `error` message stands for: PeerError where the command was wrong, else RefusedError."""
    code, text = str(message.get("code")), str(message.get("message"))
    if code in _COMMAND_WAS_WRONG or code.startswith("UNSUPPORTED_"):
        return PeerError(text, param=message.get("param"))
    remedy = _REMEDIES.get(code)
    return RefusedError(f"{text} ({remedy})" if remedy else text)


def credits_used(closed: dict[str, Any]) -> str:
    """What a session cost, as its `session.closed` tells it."""
    used = closed["creditsUsed"]
    return f"{used:g} {'credit' if used == 1 else 'credits'}"


class Wire:
    """One WebSocket to the server."""

    def __init__(self, connection: "ClientConnection", address: str) -> None:
        self._connection = connection
        self._address = address
        self._since_ping = 0
        self._pong: Awaitable[float] | None = None

    async def send(self, kind: str, **fields: Any) -> None:
        """One message; nobody minds if the server has closed meanwhile: `receive` tells why it did."""
        import orjson

        await self._send(orjson.dumps({"type": kind, **fields}).decode())

    async def send_audio(self, audio: bytes) -> None:
        """A binary frame. Waits while the server does not read, also where the network would take minutes of sound:
        what is in flight can be neither stopped nor had for nothing, and the pings of `websockets` wait behind it.
        """
        from contextlib import suppress

        from websockets.exceptions import ConnectionClosed

        await self._send(audio)
        self._since_ping += len(audio)
        if self._since_ping >= _IN_FLIGHT:
            self._since_ping = 0
            with suppress(ConnectionClosed):
                before, self._pong = self._pong, await self._connection.ping()
                if before is not None:
                    await before  # everything sent before that ping has been read

    async def _send(self, data: str | bytes) -> None:
        from contextlib import suppress

        from websockets.exceptions import ConnectionClosed

        with suppress(ConnectionClosed):
            await self._connection.send(data)

    async def receive(self) -> dict[str, Any] | bytes | None:
        """The next message, or None once the server has closed as it should.

        Raises what `refused` makes of an `error` message, and VoxgateError where the connection ends in any other way.
        """
        import orjson
        from websockets.exceptions import ConnectionClosed

        try:
            raw = await self._connection.recv()
        except ConnectionClosed as closed:
            if closed.rcvd is not None and closed.rcvd.code == 1000:  # RFC 6455, 7.4.1: normal
                return None
            why = f"was closed with {closed.rcvd.code}" if closed.rcvd else "broke"
            raise VoxgateError(f"the connection to {self._address} {why}") from None
        if isinstance(raw, bytes):
            return raw
        message: dict[str, Any] = orjson.loads(raw)
        if message["type"] == "error":
            raise refused(message)
        return message

    async def until(self, kind: str) -> dict[str, Any]:
        """The next message of a kind; those before it are passed over. Raises as `receive`."""
        while (message := await self.receive()) is not None:
            if isinstance(message, dict) and message["type"] == kind:
                return message
        raise VoxgateError(f"the connection to {self._address} ended early")


@dataclass(frozen=True, slots=True)
class Remote:
    """A running server, and who asks."""

    url: str
    """As people write it: `http://127.0.0.1:8080`."""
    key: str = field(repr=False)

    @property
    def socket_url(self) -> str:
        """The same address as WebSockets have it."""
        scheme, rest = self.url.split("://", 1)
        return f"{_SCHEMES[scheme]}://{rest}"

    @asynccontextmanager
    async def open(self, path: str) -> AsyncIterator[Wire]:
        """A WebSocket. Raises VoxgateError where there is no such server, or none that can be trusted."""
        from websockets.asyncio.client import connect

        try:
            connection = await connect(
                self.socket_url + path,
                additional_headers={"Authorization": f"Bearer {self.key}"},
                compression=None,  # sound does not get smaller
                open_timeout=_OPEN_S,
                close_timeout=_CLOSE_S,
                max_size=_MOST_BYTES,
                proxy=None if self._is_here else True,
            )
        except Exception as error:
            raise self._unreachable(error, path) from None
        try:
            yield Wire(connection, self.url)
        finally:
            await connection.close()

    @property
    def _is_here(self) -> bool:
        """Whether the server runs on this machine, where no proxy leads."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    def _unreachable(self, error: Exception, path: str) -> Exception:
        """Why there is no connection, said plainly; the error itself where it is a defect of ours."""
        from websockets.exceptions import InvalidHandshake, InvalidStatus

        match error:
            case TimeoutError():
                return VoxgateError(f"the server at {self.url} does not answer")
            case ssl.SSLCertVerificationError():
                return VoxgateError(f"the certificate of {self.url} is not trusted: {error.verify_message}")
            case ssl.SSLError():
                return VoxgateError(f"what answers at {self.url} speaks no TLS, which https:// asks for")
            case OSError():
                return VoxgateError(
                    f"no server answers at {self.url}: `voxgate serve` starts one, --url or VOXGATE_URL names another"
                )
            case InvalidStatus() if error.response.status_code == 404:
                return VoxgateError(f"the server at {self.url} has no {path}: no Voxgate, or an old one")
            case InvalidStatus():
                return VoxgateError(f"the server at {self.url} answers with HTTP {error.response.status_code}")
            case InvalidHandshake():
                return VoxgateError(f"what answers at {self.url} is no Voxgate: {error}")
            case _:
                return error


def remote(url: str | None, key: str | None) -> Remote:
    """The server and the key that options and environment name. Raises PeerError where one cannot be used."""
    url = (url or os.environ.get("VOXGATE_URL") or DEFAULT_URL).strip()
    if "://" not in url:
        url = f"http://{url}"
    parts = urlsplit(url)
    try:
        is_address = parts.scheme in _SCHEMES and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # the port is no number, or too large a one
        is_address = False
    if not is_address or parts.query or parts.fragment:
        raise PeerError(f"{url} is no address of a server; one looks like {DEFAULT_URL}", param="url")
    base = parts.path.rstrip("/").removesuffix("/v1")  # what OpenAI's clients are given ends so
    key = (key or os.environ.get("VOXGATE_API_KEY") or "").strip()
    if not key:
        raise PeerError(_NO_KEY, param="key")
    if not (key.isascii() and key.isprintable()):
        raise PeerError("the API key holds characters that no key has", param="key")
    return Remote(f"{parts.scheme}://{parts.netloc}{base}", key)

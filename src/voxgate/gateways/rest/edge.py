"""What every HTTP request passes first: an id, the door (rates, places, its key), a limit on its body; and last: a
metric and a line in the log."""

import asyncio
import secrets
from contextlib import AsyncExitStack

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voxgate.errors import Code, MisuseError, PeerError, VoxgateError
from voxgate.gateways.admission import Admission
from voxgate.gateways.limits import LimitSettings
from voxgate.gateways.livework import KeyEndedError
from voxgate.gateways.rest.answers import ClientGoneError, error_response
from voxgate.observe import Prometheus
from voxgate.protocols.rest.voicebots import IMAGES

log = structlog.get_logger(__name__)

GUARDED = "/v1/"
"""Paths below this need a key."""


CLIENT_GONE = 499
"""nginx's status for a client that hung up before its answer; only metrics and the log see it."""


class RequestIds:
    """ASGI middleware around everything: each answer, a preflight's too, carries an id of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"req_{secrets.token_hex(12)}"
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            await self._app(scope, receive, send_marked)


class Edge:
    """ASGI middleware around the whole REST API."""

    def __init__(self, app: ASGIApp, *, admission: Admission, limits: LimitSettings, metrics: Prometheus) -> None:
        self._app = app
        self._admission = admission
        self._limits = limits
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        over = self._metrics.request_began()
        status = 0

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._answer(scope, receive, send_noted)
        except ClientGoneError:
            status = status or CLIENT_GONE
        except KeyEndedError as error:
            if status:
                log.warning("answer broken off", code=error.code, error=error.message)
            else:
                await error_response(error)(scope, receive, send_noted)
        except Exception as error:
            log.exception("request failed")
            if not status:
                await error_response(hidden(error))(scope, receive, send_noted)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            over(route, scope["method"], status)
            log.info("request", method=scope["method"], path=scope["path"], status=status)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        async with AsyncExitStack() as stack:
            try:
                address = (scope.get("client") or ("", 0))[0]
                if scope["path"].startswith(GUARDED):
                    admitted = self._admission.admit(headers, address, scope["path"])
                    scope["state"]["principal"] = await stack.enter_async_context(admitted)
                elif scope["path"].startswith(IMAGES):
                    self._admission.count(address)
                body = _Body(receive, headers, self._limits)
            except VoxgateError as error:
                await error_response(error)(scope, receive, send)
                return
            await self._app(scope, body.receive, send)


class _Body:
    """A request's body, watched: not too long, not too slow."""

    def __init__(self, receive: Receive, headers: Headers, limits: LimitSettings) -> None:
        self._receive = receive
        self._limits = limits
        self._count = 0
        self._complete = False
        self._form = headers.get("content-type", "").lower().startswith("multipart/form-data")
        self._limit = limits.upload_bytes + limits.form_overhead_bytes if self._form else limits.json_body_bytes
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._limit:
            raise self._too_large()

    async def receive(self) -> Message:
        """ASGI's receive, with the limits."""
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout(self._limits.body_idle_s):
                message = await self._receive()
        except TimeoutError:
            raise PeerError(
                f"no more of the body came for {self._limits.body_idle_s:g} s", code=Code.REQUEST_TIMEOUT
            ) from None
        if message["type"] == "http.request":
            self._count += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            if self._count > self._limit:
                raise self._too_large()
        return message

    def _too_large(self) -> PeerError:
        named = "limits.upload_bytes" if self._form else "limits.json_body_bytes"
        allowed = self._limits.upload_bytes if self._form else self._limits.json_body_bytes
        return PeerError(
            f"the body is too large: {allowed:,} bytes are allowed ({named})",
            code=Code.TOO_LARGE,
            param="file" if self._form else None,
        )


def hidden(error: Exception) -> VoxgateError:
    """What a client may know of an error nobody expected: nothing but that it happened."""
    if isinstance(error, VoxgateError) and not isinstance(error, MisuseError):
        return error
    return MisuseError("something went wrong on our side; the request id is in the header X-Request-Id")

"""The REST API as one ASGI application."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.security import HTTPBearer
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from voxgate import __version__
from voxgate.errors import Code, MisuseError, PeerError, VoxgateError
from voxgate.gateways.page import site
from voxgate.gateways.rest import chat, client_secrets, info, rooms, speech, transcriptions, usage, voicebots
from voxgate.gateways.rest.answers import ClientGoneError, error_response
from voxgate.gateways.rest.context import Rest
from voxgate.gateways.rest.edge import CLIENT_GONE, GUARDED, Edge, RequestIds, hidden
from voxgate.gateways.rest.idempotency import Idempotent
from voxgate.protocols.rest.errors import from_validation

EXPOSED_HEADERS = ("X-Request-Id", "X-Credits-Used", "X-Credits-Remaining", "Retry-After")
"""What scripts in a browser may read of an answer."""

CHARGING = ("/v1/audio/transcriptions", "/v1/audio/speech", "/v1/chat/completions", rooms.PATH)
"""POSTs that charge: an `Idempotency-Key` makes them happen once."""

_HTTP_CODES = {404: Code.NOT_FOUND, 405: Code.METHOD_NOT_ALLOWED, 413: Code.TOO_LARGE, 408: Code.REQUEST_TIMEOUT}


def build(
    rest: Rest,
    more: Sequence[APIRouter] = (),
    *,
    allowed_origins: tuple[str, ...] = ("*",),
    public_url: str = "",
) -> ASGIApp:
    """The whole REST surface, with its middleware, over one server's services.

    `more`: routes that need no API key.
    `public_url`: what the API's description names as the server's address; empty: where it was asked.
    """
    app = FastAPIOffline(  # the pages' scripts come from this server, not from somebody's CDN
        title="Voxgate",
        version=__version__,
        summary="The self-hosted realtime voice gateway.",
        redoc_url=None,
        static_url="/docs/assets",
        servers=[{"url": public_url}] if public_url else None,
        swagger_ui_parameters={"persistAuthorization": True},
    )
    bearer = HTTPBearer(auto_error=False, description="An API key of this installation: `voxgate keys create`")
    for room in (transcriptions, speech, chat, info, usage, client_secrets, voicebots, rooms):
        app.include_router(room.router(rest), dependencies=[Depends(bearer)])
    app.include_router(info.operations(rest))
    app.include_router(voicebots.shown(rest))
    app.include_router(site.router())
    for routes in more:
        app.include_router(routes)
    app.add_exception_handler(VoxgateError, _told)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientGoneError, _gone)
    app.add_exception_handler(Exception, _unexpected)
    app.openapi = partial(_openapi, app.openapi)  # type: ignore[method-assign]  # FastAPI's documented way
    once = Idempotent(app, idempotency=rest.idempotency, paths=CHARGING)
    edge: ASGIApp = Edge(once, admission=rest.admission, limits=rest.limits, metrics=rest.metrics)
    crossing: ASGIApp = CORSMiddleware(
        edge,
        allow_origins=allowed_origins,
        allow_methods=("GET", "POST", "PATCH", "DELETE"),
        allow_headers=("*",),
        expose_headers=EXPOSED_HEADERS,
        max_age=600,
    )
    return RequestIds(crossing)


def _openapi(plain: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """FastAPI's description of the routes, with the errors they really answer instead of its own 422."""
    schema = plain()
    fields: dict[str, Any] = {field: {"type": "string"} for field in ("message", "type", "code")}
    fields["param"] = {"type": ["string", "null"]}
    problem = {"type": "object", "properties": fields}
    schema["components"]["schemas"]["Error"] = {"type": "object", "properties": {"error": problem}}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for path, methods in schema["paths"].items():
        for operation in methods.values():
            operation["responses"].pop("422", None)
            if path.startswith(GUARDED):
                operation["responses"]["default"] = {"description": "An error", "content": content}
    for name in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(name, None)
    return schema


async def _told(_request: Request, error: Exception) -> Response:
    assert isinstance(error, VoxgateError)
    if isinstance(error, MisuseError):
        raise error  # our own fault: hidden from the client, and in the log with its traceback
    return error_response(error)


async def _gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=CLIENT_GONE)


async def _unexpected(_request: Request, error: Exception) -> Response:
    """The answer; Starlette raises the error on, and the edge writes it into the log."""
    return error_response(hidden(error))


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    code, message, param = from_validation(error.errors()[0])
    return error_response(PeerError(message, code=code, param=param))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, VoxgateError):  # FastAPI wraps what reading a body raises
        return error_response(error.__cause__)
    if isinstance(error.__cause__, ValueError | RecursionError):
        return error_response(PeerError("the body is not JSON that can be read", code=Code.INVALID_JSON))
    code = _HTTP_CODES.get(error.status_code, Code.INVALID_VALUE)
    message = str(error.detail)
    if code is Code.NOT_FOUND:
        message = f"there is nothing at {request.url.path}"
    elif code is Code.METHOD_NOT_ALLOWED:
        message = f"{request.method} is not possible at {request.url.path}"
    return error_response(PeerError(message, code=code))

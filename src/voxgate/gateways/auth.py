"""Who is asking: credentials out of a request, looked up once, before a byte of the body is read."""

from urllib.parse import parse_qsl

from starlette.datastructures import Headers

from voxgate.domain import Principal, Scope
from voxgate.errors import Code, RefusedError
from voxgate.ports import Keys

_EVERY = frozenset(Scope)

SCOPED: dict[str, frozenset[Scope]] = {
    "/v1/audio/transcriptions": frozenset({Scope.TRANSCRIPTION}),
    "/v1/audio/speech": frozenset({Scope.SPEECH}),
    "/v1/audio/voices": _EVERY,
    "/v1/audio/agent": frozenset({Scope.AGENT}),
    "/v1/chat/completions": frozenset({Scope.AGENT}),
    "/v1/models": _EVERY,
    "/v1/realtime": frozenset({Scope.TRANSCRIPTION}),
    "/v1/realtime/tts": frozenset({Scope.SPEECH}),
    "/v1/realtime/client_secrets": frozenset(),
}
"""Path -> the scopes of client secrets that open it, and what is below it, where no longer path says otherwise; every
other path is closed to them."""


def credential(headers: Headers) -> str | None:
    """The credential of `Authorization: Bearer KEY` or `X-API-Key: KEY`; None where there is neither."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    return headers.get("x-api-key", "").strip() or None


def socket_credential(headers: Headers, query_string: bytes) -> str | None:
    """The same of a WebSocket's or Socket.IO's handshake, where browsers cannot set headers: also `?api_key=KEY`.

    A header wins over the query. Never for REST: addresses end up in logs, histories and Referer headers.
    """
    named = (value.strip() for name, value in parse_qsl(query_string.decode("latin-1")) if name == "api_key")
    return credential(headers) or next(filter(None, named), None)


async def authenticate(keys: Keys, key: str | None) -> Principal:
    """The owner of a credential. Raises RefusedError `invalid_api_key`, StoreError."""
    if key is None:
        raise RefusedError(
            "an API key is required: send 'Authorization: Bearer KEY' or 'X-API-Key: KEY'", code=Code.INVALID_API_KEY
        )
    principal = await keys.find(key)
    if principal is None:
        raise RefusedError("this API key is not valid: unknown, revoked or expired", code=Code.INVALID_API_KEY)
    return principal


def check_scope(principal: Principal, path: str) -> None:
    """Let a client secret do what it was minted for, and an API key everything.

    Raises RefusedError `permission_denied`.
    """
    if principal.scopes is None:
        return
    above = [below for below in SCOPED if f"{path}/".startswith(f"{below}/")]
    opening = SCOPED[max(above, key=len)] if above else frozenset()
    if principal.scopes & opening:
        return
    if not opening:
        raise RefusedError("a client secret cannot be used here; use an API key")
    needed = " or ".join(f"'{scope}'" for scope in sorted(opening))
    raise RefusedError(f"this client secret was not minted for this: it needs the scope {needed}")

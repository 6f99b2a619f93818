"""LiveKit access tokens: JSON Web Tokens (RFC 7519) under HMAC-SHA-256, with LiveKit's `video` grant.

Written and read here rather than by `livekit.api`, which takes a quarter of a second to import for what is a
signature over two JSON objects; the tests hold both against each other.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Any

import orjson

from voxgate.errors import Code, RefusedError

_LONGEST = 8_192
"""Bytes of a token that is looked at. Ours have about 400; metadata that an operator puts in may make it longer."""
_HEADER = {"alg": "HS256", "typ": "JWT"}
_EARLY_S = 60
"""How far a token may begin in the future: clocks of those who mint with the same key differ."""


@dataclass(frozen=True, slots=True)
class TokenKey:
    """What tokens are signed with."""

    name: str
    """`iss`: LiveKit's API key."""
    secret: str = field(repr=False)
    """LiveKit's API secret."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Who may join which room."""

    room: str
    identity: str
    expires_at: int
    """Seconds since 1970, UTC."""
    name: str = ""


def mint(key: TokenKey, claims: Claims, *, now: int) -> str:
    """A token that lets a person join, speak, listen, and send data. `now`: seconds since 1970, UTC."""
    payload = {
        "iss": key.name,
        "sub": claims.identity,
        "name": claims.name,
        "nbf": now,
        "exp": claims.expires_at,
        "video": {
            "roomJoin": True,
            "room": claims.room,
            "canPublish": True,
            "canSubscribe": True,
            "canPublishData": True,
            "canUpdateOwnMetadata": True,
            "canPublishSources": ["microphone"],
        },
    }
    signed = f"{_encoded(_HEADER)}.{_encoded(payload)}"
    return f"{signed}.{_base64(_signature(key, signed))}"


def verify(key: TokenKey, token: str, *, now: int) -> Claims:
    """What a token of this key says. `now`: seconds since 1970, UTC.

    Raises RefusedError `invalid_api_key`, whose message is what LiveKit's clients show: not a token, signed by
    somebody else, expired, not valid yet, or not for joining a room.
    """
    parts = token.split(".") if len(token) <= _LONGEST else []
    if len(parts) != 3:
        raise _refused("it is no LiveKit access token")
    header, payload = _decoded(parts[0]), _decoded(parts[1])
    if header.get("alg") != _HEADER["alg"]:
        raise _refused("it is not signed with HS256")
    if not hmac.compare_digest(_signature(key, f"{parts[0]}.{parts[1]}"), _bytes(parts[2])):
        raise _refused("this server did not sign it; the session may be another server's")
    expires_at, begins = payload.get("exp"), payload.get("nbf", 0)
    if not isinstance(expires_at, int) or not isinstance(begins, int):
        raise _refused("it does not say when it expires")
    if expires_at <= now:
        raise _refused("it has expired; create a new session")
    if payload.get("iss") != key.name or begins > now + _EARLY_S:
        raise _refused("it is not valid here, or not yet")
    video, identity = payload.get("video"), payload.get("sub")
    room = video.get("room") if isinstance(video, dict) and video.get("roomJoin") is True else None
    if not isinstance(room, str) or not room or not isinstance(identity, str) or not identity:
        raise _refused("it is not for joining a room")
    name = payload.get("name")
    return Claims(room, identity, expires_at, name if isinstance(name, str) else "")


def _signature(key: TokenKey, signed: str) -> bytes:
    return hmac.new(key.secret.encode(), signed.encode(), hashlib.sha256).digest()


def _encoded(value: Any) -> str:
    return _base64(orjson.dumps(value))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise _refused("it is no LiveKit access token") from None


def _decoded(text: str) -> dict[str, Any]:
    try:
        value = orjson.loads(_bytes(text))
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise _refused("it is no LiveKit access token")
    return value


def _refused(why: str) -> RefusedError:
    return RefusedError(f"invalid token: {why}", code=Code.INVALID_API_KEY)

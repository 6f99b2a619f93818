"""What every WebSocket of ours says in the same words: errors, announced ends, a credential as a first message."""

from typing import Final, Literal, NotRequired, TypedDict

import orjson

from voxgate.errors import VoxgateError
from voxgate.protocols.status import STATUS

AUTHENTICATED: Final = '{"type":"successful-authentication"}'
"""Answers a first message that held a credential that is right."""


class Error(TypedDict):
    """Something was wrong; the page of each protocol says which codes end its session."""

    type: Literal["error"]
    code: str
    message: str
    param: NotRequired[str]


class SessionExpiring(TypedDict):
    """A limit is about to end the session: which, and when."""

    type: Literal["session.expiring"]
    reason: str
    secondsLeft: int


class SessionClosed(TypedDict):
    """The last message of a session that ended by the client's will."""

    type: Literal["session.closed"]
    sessionId: str
    durationMs: int
    creditsUsed: orjson.Fragment


def error_message(error: VoxgateError) -> str:
    """What a client is told of an error."""
    told = Error(type="error", code=STATUS[error.code].socket, message=error.message)
    if error.param is not None:
        told["param"] = error.param
    return orjson.dumps(told).decode()


def expiring_message(reason: str, seconds_left: int) -> str:
    """What a client is told of a limit that comes near."""
    told = SessionExpiring(type="session.expiring", reason=reason, secondsLeft=seconds_left)
    return orjson.dumps(told).decode()


def closed_message(session_id: str, duration_ms: int, credits_used: str) -> str:
    """What a client is told last. `credits_used`: decimal credits, exactly."""
    told = SessionClosed(
        type="session.closed", sessionId=session_id, durationMs=duration_ms, creditsUsed=orjson.Fragment(credits_used)
    )
    return orjson.dumps(told).decode()


def token_of(message: str | bytes) -> str | None:
    """The credential of a first message `{"token": KEY}`; None where the message is anything else."""
    try:
        content = orjson.loads(message)
    except orjson.JSONDecodeError:
        return None
    token = content.get("token") if isinstance(content, dict) else None
    return (token.strip() or None) if isinstance(token, str) else None

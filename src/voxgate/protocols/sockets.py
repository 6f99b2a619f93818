"""What every WebSocket of ours says in the same words: errors, announced ends, a credential as a first message."""

from typing import Final

import orjson

from voxgate.errors import VoxgateError
from voxgate.protocols.status import STATUS

AUTHENTICATED: Final = '{"type":"successful-authentication"}'
"""Answers a first message that held a credential that is right."""


def error_message(error: VoxgateError) -> str:
    """`{"type": "error", "code", "message", "param"?}`."""
    told = {"type": "error", "code": STATUS[error.code].socket, "message": error.message}
    if error.param is not None:
        told["param"] = error.param
    return orjson.dumps(told).decode()


def expiring_message(reason: str, seconds_left: int) -> str:
    """`{"type": "session.expiring", "reason", "secondsLeft"}`: which limit will end the session, and when."""
    return orjson.dumps({"type": "session.expiring", "reason": reason, "secondsLeft": seconds_left}).decode()


def token_of(message: str | bytes) -> str | None:
    """The credential of a first message `{"token": KEY}`; None where the message is anything else."""
    try:
        content = orjson.loads(message)
    except orjson.JSONDecodeError:
        return None
    token = content.get("token") if isinstance(content, dict) else None
    return (token.strip() or None) if isinstance(token, str) else None

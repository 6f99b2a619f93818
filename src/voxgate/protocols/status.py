"""What an error is on each wire: one table, so that no two wires disagree."""

from dataclasses import dataclass

from voxgate.errors import Code, VoxgateError

NORMAL, GOING_AWAY, POLICY, MESSAGE_TOO_BIG, FAILURE, RESTART, TRY_LATER = 1000, 1001, 1008, 1009, 1011, 1012, 1013
"""Close codes of WebSockets (RFC 6455, 7.4.1, and IANA's registry), each for the one reason the contract gives it."""


@dataclass(frozen=True, slots=True)
class Status:
    """One error code on the wires."""

    http: int
    """HTTP status of a REST answer."""
    type: str
    """`error.type` of OpenAI's envelope."""
    socket: str
    """`code` of an `error` message on a WebSocket."""
    agent: str
    """`type` of an `error` event on Socket.IO; its `code` is the code itself."""
    close: int | None = None
    """The close code where this error ends a WebSocket session; None where the session goes on."""


_REQUEST, _AUTH, _LIMIT, _SERVER = "invalid_request_error", "authentication_error", "rate_limit_error", "server_error"
_WRONG, _SOUND, _SESSION = "validation_error", "audio_error", "session_error"
_DENIED = "authorization_error"

STATUS: dict[Code, Status] = {
    Code.INVALID_VALUE: Status(400, _REQUEST, "INVALID_MESSAGE", _WRONG),
    Code.MISSING_FIELD: Status(400, _REQUEST, "INVALID_MESSAGE", _WRONG),
    Code.INVALID_JSON: Status(400, _REQUEST, "INVALID_MESSAGE", _WRONG),
    Code.INVALID_AUDIO: Status(400, _REQUEST, "INVALID_AUDIO", _SOUND),
    Code.INPUT_TOO_LONG: Status(400, _REQUEST, "INPUT_TOO_LONG", _WRONG),
    Code.UNSUPPORTED_LANGUAGE: Status(400, _REQUEST, "UNSUPPORTED_LANGUAGE", _WRONG),
    Code.UNSUPPORTED_VOICE: Status(400, _REQUEST, "UNSUPPORTED_VOICE", _WRONG),
    Code.UNSUPPORTED_FORMAT: Status(400, _REQUEST, "UNSUPPORTED_FORMAT", _WRONG),
    Code.SESSION_NOT_STARTED: Status(400, _REQUEST, "SESSION_NOT_STARTED", _SESSION),
    Code.SESSION_ALREADY_STARTED: Status(400, _REQUEST, "SESSION_ALREADY_STARTED", _SESSION),
    Code.NOTHING_TO_CANCEL: Status(400, _REQUEST, "NOTHING_TO_CANCEL", _SESSION),
    Code.IDEMPOTENCY_MISMATCH: Status(400, _REQUEST, "INVALID_MESSAGE", _WRONG),
    Code.INVALID_API_KEY: Status(401, _AUTH, "UNAUTHORIZED", _AUTH, POLICY),
    Code.INSUFFICIENT_CREDITS: Status(402, "insufficient_quota", "INSUFFICIENT_CREDITS", _DENIED, POLICY),
    Code.PERMISSION_DENIED: Status(403, "permission_error", "UNAUTHORIZED", _DENIED, POLICY),
    Code.NOT_FOUND: Status(404, _REQUEST, "INVALID_MESSAGE", _WRONG),
    Code.MODEL_NOT_FOUND: Status(404, _REQUEST, "UNSUPPORTED_MODEL", _WRONG),
    Code.METHOD_NOT_ALLOWED: Status(405, _REQUEST, "INVALID_MESSAGE", _WRONG),
    Code.REQUEST_TIMEOUT: Status(408, _REQUEST, "SESSION_TIMEOUT", _SESSION, POLICY),
    Code.SESSION_TIMEOUT: Status(408, _REQUEST, "SESSION_TIMEOUT", _SESSION, POLICY),
    Code.IDEMPOTENCY_IN_PROGRESS: Status(409, _REQUEST, "INVALID_MESSAGE", _SESSION),
    Code.TOO_LARGE: Status(413, _REQUEST, "MESSAGE_TOO_LARGE", _WRONG),
    Code.RATE_LIMITED: Status(429, _LIMIT, "RATE_LIMITED", _SESSION, POLICY),
    Code.ENGINE_ERROR: Status(500, _SERVER, "ENGINE_ERROR", _SESSION, FAILURE),
    Code.INTERNAL_ERROR: Status(500, _SERVER, "ENGINE_ERROR", _SESSION, FAILURE),
    Code.INVALID_CONFIG: Status(500, _SERVER, "ENGINE_ERROR", _SESSION, FAILURE),
    Code.MODEL_BROKEN: Status(500, _SERVER, "ENGINE_ERROR", _SESSION, FAILURE),
    Code.MODEL_UNREACHABLE: Status(500, _SERVER, "ENGINE_ERROR", _SESSION, FAILURE),
    Code.DISK_FULL: Status(500, _SERVER, "ENGINE_ERROR", _SESSION, FAILURE),
    Code.UPSTREAM_ERROR: Status(502, _SERVER, "ENGINE_ERROR", _SESSION, FAILURE),
    Code.BUSY: Status(503, _SERVER, "RATE_LIMITED", _SESSION, TRY_LATER),
    Code.SHUTTING_DOWN: Status(503, _SERVER, "ENGINE_ERROR", _SESSION, GOING_AWAY),
    Code.ENGINE_UNAVAILABLE: Status(503, _SERVER, "ENGINE_ERROR", _SESSION, FAILURE),
    Code.MODEL_MISSING: Status(503, _SERVER, "ENGINE_ERROR", _SESSION, FAILURE),
    Code.STORE_UNAVAILABLE: Status(503, _SERVER, "ENGINE_ERROR", _SESSION, FAILURE),
    Code.ENGINE_TIMEOUT: Status(504, _SERVER, "ENGINE_ERROR", _SESSION, FAILURE),
}

_RETRY_AFTER_S = 5  # where whoever refused knows no better; clients must always be told something on 429 and 503


def retry_after_s(error: VoxgateError) -> int | None:
    """Seconds a client should wait before it tries again: always said on 429 and 503."""
    if error.retry_after_s is None and STATUS[error.code].http in (429, 503):
        return _RETRY_AFTER_S
    return error.retry_after_s

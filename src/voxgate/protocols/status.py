"""What an error is on each wire: one table, so that no two wires disagree."""

from dataclasses import dataclass

from voxgate.errors import Code, VoxgateError


@dataclass(frozen=True, slots=True)
class Status:
    """One error code on the wires."""

    http: int
    """HTTP status of a REST answer."""
    type: str
    """`error.type` of OpenAI's envelope."""


_REQUEST, _AUTH, _LIMIT, _SERVER = "invalid_request_error", "authentication_error", "rate_limit_error", "server_error"

STATUS: dict[Code, Status] = {
    Code.INVALID_VALUE: Status(400, _REQUEST),
    Code.MISSING_FIELD: Status(400, _REQUEST),
    Code.INVALID_JSON: Status(400, _REQUEST),
    Code.INVALID_AUDIO: Status(400, _REQUEST),
    Code.INPUT_TOO_LONG: Status(400, _REQUEST),
    Code.UNSUPPORTED_LANGUAGE: Status(400, _REQUEST),
    Code.UNSUPPORTED_VOICE: Status(400, _REQUEST),
    Code.UNSUPPORTED_FORMAT: Status(400, _REQUEST),
    Code.IDEMPOTENCY_MISMATCH: Status(400, _REQUEST),
    Code.INVALID_API_KEY: Status(401, _AUTH),
    Code.INSUFFICIENT_CREDITS: Status(402, "insufficient_quota"),
    Code.PERMISSION_DENIED: Status(403, "permission_error"),
    Code.NOT_FOUND: Status(404, _REQUEST),
    Code.MODEL_NOT_FOUND: Status(404, _REQUEST),
    Code.METHOD_NOT_ALLOWED: Status(405, _REQUEST),
    Code.REQUEST_TIMEOUT: Status(408, _REQUEST),
    Code.IDEMPOTENCY_IN_PROGRESS: Status(409, _REQUEST),
    Code.TOO_LARGE: Status(413, _REQUEST),
    Code.RATE_LIMITED: Status(429, _LIMIT),
    Code.ENGINE_ERROR: Status(500, _SERVER),
    Code.INTERNAL_ERROR: Status(500, _SERVER),
    Code.INVALID_CONFIG: Status(500, _SERVER),
    Code.MODEL_BROKEN: Status(500, _SERVER),
    Code.MODEL_UNREACHABLE: Status(500, _SERVER),
    Code.DISK_FULL: Status(500, _SERVER),
    Code.UPSTREAM_ERROR: Status(502, _SERVER),
    Code.BUSY: Status(503, _SERVER),
    Code.SHUTTING_DOWN: Status(503, _SERVER),
    Code.ENGINE_UNAVAILABLE: Status(503, _SERVER),
    Code.MODEL_MISSING: Status(503, _SERVER),
    Code.STORE_UNAVAILABLE: Status(503, _SERVER),
    Code.ENGINE_TIMEOUT: Status(504, _SERVER),
}

_RETRY_AFTER_S = 5  # where whoever refused knows no better; clients must always be told something on 429 and 503


def retry_after_s(error: VoxgateError) -> int | None:
    """Seconds a client should wait before it tries again: always said on 429 and 503."""
    if error.retry_after_s is None and STATUS[error.code].http in (429, 503):
        return _RETRY_AFTER_S
    return error.retry_after_s

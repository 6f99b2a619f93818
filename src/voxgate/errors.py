"""Everything that can go wrong, as one tree.

    VoxgateError            has a stable `code`, a `message` for people, and maybe the `param` it is about
    ├── ConfigError         the operator's configuration is wrong: told at start, the process ends
    ├── PeerError           the client's fault: told to the client, the session goes on
    ├── RefusedError        not allowed or not now: key, tier, credit, capacity
    ├── ModelError          weights on disk: missing, broken, unreachable
    ├── EngineError         an engine failed: names the `engine`, says whether another try may help
    │   └── UpstreamError   a server behind us answered with an error: its status and body, to be passed on
    ├── StoreError          the database did not answer
    └── MisuseError         our own fault: an illegal step

Codes are part of the wire contract: clients branch on them, so they never change their meaning.
`protocols/status.py` says what each becomes on every wire. Messages never hold speech, prompts or keys.
"""

import re
from enum import StrEnum
from typing import Any


class Code(StrEnum):
    """Every error code Voxgate sends, one line of meaning each (docs/protocols/ lists them)."""

    # the client's request
    INVALID_VALUE = "invalid_value"
    MISSING_FIELD = "missing_field"
    INVALID_JSON = "invalid_json"
    INVALID_AUDIO = "invalid_audio"
    INPUT_TOO_LONG = "input_too_long"
    TOO_LARGE = "too_large"
    MODEL_NOT_FOUND = "model_not_found"
    UNSUPPORTED_LANGUAGE = "unsupported_language"
    UNSUPPORTED_VOICE = "unsupported_voice"
    UNSUPPORTED_FORMAT = "unsupported_format"
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    REQUEST_TIMEOUT = "request_timeout"
    # a client's steps on a socket
    SESSION_NOT_STARTED = "session_not_started"
    SESSION_ALREADY_STARTED = "session_already_started"
    NOTHING_TO_CANCEL = "nothing_to_cancel"
    SESSION_TIMEOUT = "session_timeout"
    # not allowed, or not now
    INVALID_API_KEY = "invalid_api_key"
    INSUFFICIENT_CREDITS = "insufficient_credits"
    PERMISSION_DENIED = "permission_denied"
    RATE_LIMITED = "rate_limited"
    IDEMPOTENCY_IN_PROGRESS = "idempotency_in_progress"
    BUSY = "busy"
    SHUTTING_DOWN = "shutting_down"
    # ours, or an engine's
    ENGINE_UNAVAILABLE = "engine_unavailable"
    ENGINE_ERROR = "engine_error"
    ENGINE_TIMEOUT = "engine_timeout"
    UPSTREAM_ERROR = "upstream_error"
    STORE_UNAVAILABLE = "store_unavailable"
    INTERNAL_ERROR = "internal_error"
    # the operator's side: shown by the command line, never on a wire
    INVALID_CONFIG = "invalid_config"
    MODEL_MISSING = "model_missing"
    MODEL_BROKEN = "model_broken"
    MODEL_UNREACHABLE = "model_unreachable"
    DISK_FULL = "disk_full"


_CREDENTIAL = re.compile(r"(?<![A-Za-z0-9])(vg|ek)_[A-Za-z0-9_-]{20,}")  # longer than what `keys list` shows of one


def without_credentials(text: str) -> str:
    """The text without API keys and client secrets: people paste them where a name or a path is wanted."""
    return _CREDENTIAL.sub(r"\1_**********", text)


class VoxgateError(Exception):
    """The root of the tree; catch it to catch everything Voxgate raises on purpose."""

    default_code = Code.INTERNAL_ERROR

    def __init__(
        self,
        message: str,
        *,
        code: Code | None = None,
        param: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        message = without_credentials(message)
        super().__init__(message)
        self.message = message
        self.code: Code = code or self.default_code
        self.param = param
        """The field of the request, or the key of the configuration, that is to blame."""
        self.retry_after_s = retry_after_s
        """Seconds after which the same request may succeed; None where only a changed one can."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (type(self), self.args, self.__dict__)


def _revive(kind: type[VoxgateError], args: tuple[Any, ...], state: dict[str, Any]) -> VoxgateError:
    """An error that crossed a process boundary, as it was: constructors with keywords do not survive plain pickling."""
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigError(VoxgateError):
    """The configuration cannot be used; `param` is the dotted key."""

    default_code = Code.INVALID_CONFIG


class PeerError(VoxgateError):
    """The client sent something wrong; `param` is the field."""

    default_code = Code.INVALID_VALUE


class RefusedError(VoxgateError):
    """The request is fine, but is not allowed, or there is no room for it now."""

    default_code = Code.PERMISSION_DENIED


class ModelError(VoxgateError):
    """Model weights are missing, broken or out of reach."""

    default_code = Code.MODEL_MISSING


class EngineError(VoxgateError):
    """An engine failed on this request."""

    default_code = Code.ENGINE_ERROR

    def __init__(
        self,
        message: str,
        *,
        engine: str,
        retryable: bool = False,
        code: Code | None = None,
        param: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message, code=code, param=param, retry_after_s=retry_after_s)
        self.engine = engine
        self.retryable = retryable
        """True where the same call may succeed at once: a worker died and was replaced."""


class UpstreamError(EngineError):
    """The server behind an engine answered with an error of its own, which keeps its status and its message."""

    default_code = Code.UPSTREAM_ERROR

    def __init__(
        self,
        message: str,
        *,
        engine: str,
        status: int,
        body: bytes,
        content_type: str = "application/json",
        retryable: bool = False,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message, engine=engine, retryable=retryable, retry_after_s=retry_after_s)
        self.status = status
        """The HTTP status the upstream gave, 400 to 599; 502 where its error came inside a 200."""
        self.body = body
        """What the upstream said, to be sent on as it is; at most a few KiB, without our own credentials."""
        self.content_type = content_type
        """The media type of `body`."""


class StoreError(VoxgateError):
    """The database did not do what it was asked; nothing was half-written."""

    default_code = Code.STORE_UNAVAILABLE


class MisuseError(VoxgateError):
    """We broke our own rules: an illegal step. Fatal in tests, one failed request in service."""

"""OpenAI's error envelope."""

from typing import Any

from voxgate.errors import Code, VoxgateError
from voxgate.protocols.status import STATUS


def envelope(error: VoxgateError) -> dict[str, Any]:
    """`{"error": {"message", "type", "code", "param"}}`; `code` is never null."""
    return {
        "error": {
            "message": error.message,
            "type": STATUS[error.code].type,
            "code": error.code.value,
            "param": error.param,
        }
    }


def from_validation(problem: dict[str, Any]) -> tuple[Code, str, str | None]:
    """The (code, message, param) of one of pydantic's error entries, for a request body or form."""
    where = [str(part) for part in problem["loc"] if part not in ("body", "query", "path")]
    param = ".".join(where) or None
    kind = problem["type"]
    if kind == "json_invalid":
        return Code.INVALID_JSON, "the body is not valid JSON", None
    if kind == "missing":
        missing = "a body is required" if param is None else f"{param!r} is required"
        return Code.MISSING_FIELD, missing, param
    message = str(problem["msg"]).removeprefix("Value error, ")
    named = f"{param}: " if param else ""
    return Code.INVALID_VALUE, f"{named}{message[:1].lower()}{message[1:]}", param

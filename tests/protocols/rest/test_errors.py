from typing import Any

import pytest
from pydantic import BaseModel, Field, ValidationError

from voxgate.errors import Code, EngineError, MisuseError, PeerError
from voxgate.protocols.rest.errors import envelope, from_validation


def test_the_envelope_is_openais() -> None:
    error = PeerError("'voice' is required", code=Code.MISSING_FIELD, param="voice")
    assert envelope(error) == {
        "error": {
            "message": "'voice' is required",
            "type": "invalid_request_error",
            "code": "missing_field",
            "param": "voice",
        }
    }


def test_a_code_is_never_null() -> None:
    for error in (EngineError("x", engine="e"), MisuseError("x")):
        assert envelope(error)["error"]["code"]
        assert envelope(error)["error"]["type"] == "server_error"


class Body(BaseModel):
    name: str
    size: int = Field(default=1, ge=1)
    parts: list[int] = []


@pytest.mark.parametrize(
    ("body", "code", "message", "param"),
    [
        ({}, Code.MISSING_FIELD, "'name' is required", "name"),
        ({"name": "a", "size": 0}, Code.INVALID_VALUE, "size: input should be greater than or equal to 1", "size"),
        ({"name": 1}, Code.INVALID_VALUE, "name: input should be a valid string", "name"),
        ({"name": "a", "parts": [1, "x"]}, Code.INVALID_VALUE, "parts.1: input should be a valid integer", "parts.1"),
    ],
)
def test_what_a_validator_found(body: dict[str, Any], code: Code, message: str, param: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Body.model_validate(body)
    problem = dict(caught.value.errors()[0])
    problem["loc"] = ("body", *caught.value.errors()[0]["loc"])
    found = from_validation(problem)
    assert found[0] is code
    assert found[1].startswith(message)
    assert found[2] == param


def test_bodies_that_are_none() -> None:
    broken = {"type": "json_invalid", "loc": ("body", 7), "msg": "JSON decode error"}
    assert from_validation(broken) == (Code.INVALID_JSON, "the body is not valid JSON", None)
    absent = {"type": "missing", "loc": ("body",), "msg": "Field required"}
    assert from_validation(absent) == (Code.MISSING_FIELD, "a body is required", None)
    ours = {"type": "value_error", "loc": ("body", "input"), "msg": "Value error, is empty"}
    assert from_validation(ours) == (Code.INVALID_VALUE, "input: is empty", "input")

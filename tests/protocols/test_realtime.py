from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, field_validator

from voxgate.errors import Code, PeerError
from voxgate.protocols.realtime import parse_message, read, text_of, with_defaults

KNOWN = ("one", "two")


class Inner(BaseModel):
    deep: int = Field(default=1, ge=1)


class Sample(BaseModel):
    model_config = ConfigDict(strict=True)

    count: int
    inner: Inner | None = Inner()
    name: str = "x"

    @field_validator("name")
    @classmethod
    def _no_spaces(cls, value: str) -> str:
        if " " in value:
            raise ValueError("Holds a space")
        return value


def refused(raw: str) -> PeerError:
    with pytest.raises(PeerError) as caught:
        parse_message(raw, KNOWN)
    return caught.value


def test_a_message_is_an_object_with_a_type_that_is_known() -> None:
    assert parse_message('{"type": "two", "more": [1]}', KNOWN) == {"type": "two", "more": [1]}


@pytest.mark.parametrize("raw", ["", "{", "[1", "nothing", "\ud800", '{"a": NaN}', "[" * 100_000, '"\ud800"'])
def test_what_is_no_json_is_told_so(raw: str) -> None:
    assert (refused(raw).code, refused(raw).param) == (Code.INVALID_JSON, None)


@pytest.mark.parametrize("raw", ["[]", "1", "null", '"one"'])
def test_what_is_no_object_is_told_so(raw: str) -> None:
    assert refused(raw).message == "a message is a JSON object"


def test_a_type_that_is_missing_wrong_or_unknown_is_named() -> None:
    missing, wrong, unknown = refused("{}"), refused('{"type": ["one"]}'), refused('{"type": "three"}')
    assert (missing.code, missing.message, missing.param) == (Code.MISSING_FIELD, "'type' is required", "type")
    assert (wrong.code, wrong.param) == (Code.INVALID_VALUE, "type")
    assert unknown.message == "'type': 'three' is none of one, two"


def test_what_a_client_wrote_is_repeated_in_part_and_on_one_line() -> None:
    message = refused('{"type": "a\\nb' + "x" * 1000 + '"}').message
    assert len(message) < 100
    assert "\n" not in message


@pytest.mark.parametrize(
    ("fields", "code", "param", "message"),
    [
        ({}, Code.MISSING_FIELD, "count", "'count' is required"),
        ({"count": None}, Code.MISSING_FIELD, "count", "'count' is required"),
        ({"count": "1"}, Code.INVALID_VALUE, "count", "'count': input should be a valid integer"),
        ({"count": True}, Code.INVALID_VALUE, "count", "'count': input should be a valid integer"),
        ({"count": 1, "inner": 3}, Code.INVALID_VALUE, "inner", "'inner': input should be an object"),
        ({"count": 1, "name": "a b"}, Code.INVALID_VALUE, "name", "'name': holds a space"),
        (
            {"count": 1, "inner": {"deep": 0}},
            Code.INVALID_VALUE,
            "inner.deep",
            "'inner.deep': input should be greater than or equal to 1",
        ),
    ],
)
def test_a_complaint_names_the_field(fields: dict[str, Any], code: Code, param: str, message: str) -> None:
    with pytest.raises(PeerError) as caught:
        read(Sample, fields)
    assert (caught.value.code, caught.value.param, caught.value.message) == (code, param, message)


def test_null_means_absent_but_where_it_says_something() -> None:
    assert read(Sample, {"count": 1, "name": None, "inner": None}) == Sample(count=1)
    assert read(Sample, {"count": 1, "inner": None}, keep_null={"inner"}).inner is None


@given(st.text() | st.recursive(st.none() | st.integers(), st.lists, max_leaves=5).map(repr))
def test_whatever_comes_only_a_peer_error_comes_of_it(raw: str) -> None:
    with pytest.raises(PeerError):
        parse_message(raw, KNOWN)


def test_a_message_goes_out_as_compact_json() -> None:
    assert text_of({"type": "one", "text": "điểm"}) == '{"type":"one","text":"điểm"}'


def test_defaults_stand_for_what_is_absent() -> None:
    defaults = {"a": 1, "b": 2, "c": 3}
    assert with_defaults({"a": 9, "b": None, "c": None}, defaults, keep_null=["c"]) == {"a": 9, "b": 2, "c": None}

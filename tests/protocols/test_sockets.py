import json

import pytest

from voxgate.errors import Code, PeerError, RefusedError
from voxgate.protocols.sockets import AUTHENTICATED, error_message, expiring_message, token_of


def test_an_error_names_its_code_and_the_field_where_there_is_one() -> None:
    assert json.loads(error_message(PeerError("too loud", param="voice"))) == {
        "type": "error",
        "code": "INVALID_MESSAGE",
        "message": "too loud",
        "param": "voice",
    }
    refused = RefusedError("no", code=Code.INVALID_API_KEY)
    assert json.loads(error_message(refused)) == {"type": "error", "code": "UNAUTHORIZED", "message": "no"}


def test_an_announced_end_says_which_limit_and_when() -> None:
    told = json.loads(expiring_message("credits", 29))
    assert told == {"type": "session.expiring", "reason": "credits", "secondsLeft": 29}


def test_a_credential_that_is_right_is_answered_as_published() -> None:
    assert json.loads(AUTHENTICATED) == {"type": "successful-authentication"}


@pytest.mark.parametrize(
    ("message", "token"),
    [
        ('{"token": "vg_x"}', "vg_x"),
        (b'{"token": " vg_x "}', "vg_x"),
        ('{"type": "authenticate", "token": "vg_x"}', "vg_x"),
        ('{"token": ""}', None),
        ('{"token": 7}', None),
        ('{"token": null}', None),
        ('{"type": "session.start"}', None),
        ('["token"]', None),
        ('"token"', None),
        ("vg_x", None),
        ("", None),
        (b"\xff\x00", None),
    ],
)
def test_a_first_message_is_a_credential_or_is_none(message: str | bytes, token: str | None) -> None:
    assert token_of(message) == token

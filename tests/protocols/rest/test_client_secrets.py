from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from voxgate.domain import Scope
from voxgate.protocols.rest.client_secrets import ClientSecretRequest, minted


def test_nothing_is_required() -> None:
    wanted = ClientSecretRequest.model_validate({})
    assert wanted.seconds(60) == 60
    assert wanted.wanted_scopes() == frozenset(Scope)


@pytest.mark.parametrize("seconds", [10, 7200])
def test_openais_own_range_of_seconds(seconds: int) -> None:
    body = {"expires_after": {"anchor": "created_at", "seconds": seconds}, "session": {"type": "realtime"}}
    assert ClientSecretRequest.model_validate(body).seconds(60) == seconds


@pytest.mark.parametrize(
    "body",
    [
        {"expires_after": {"seconds": 9}},
        {"expires_after": {"seconds": 7201}},
        {"expires_after": {"seconds": "soon"}},
        {"expires_after": {"anchor": "last_active_at", "seconds": 60}},
        {"expires_after": 60},
        {"scopes": []},
        {"scopes": ["everything"]},
        {"scopes": "speech"},
        {"session": []},
        {"session": "realtime"},
    ],
)
def test_what_is_none_of_it(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ClientSecretRequest.model_validate(body)


def test_the_answer_is_openais() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert minted("ek_x", "sess_1", at, (Scope.AGENT,), {"type": "transcription", "id": "mine", "language": "en"}) == {
        "value": "ek_x",
        "expires_at": 1767225600,
        "scopes": ["agent"],
        "session": {"type": "transcription", "object": "realtime.session", "id": "sess_1", "language": "en"},
    }
    assert minted("ek_x", "sess_1", at, (), {})["session"]["type"] == "realtime"

import pytest

from voxgate.errors import Code, EngineError, RefusedError, StoreError
from voxgate.protocols.status import STATUS, retry_after_s


def test_every_code_has_its_place_on_the_wire() -> None:
    assert set(STATUS) == set(Code)


@pytest.mark.parametrize(
    ("code", "http"),
    [
        (Code.INVALID_VALUE, 400),
        (Code.INVALID_AUDIO, 400),
        (Code.INVALID_API_KEY, 401),
        (Code.INSUFFICIENT_CREDITS, 402),
        (Code.PERMISSION_DENIED, 403),
        (Code.NOT_FOUND, 404),
        (Code.MODEL_NOT_FOUND, 404),
        (Code.REQUEST_TIMEOUT, 408),
        (Code.TOO_LARGE, 413),
        (Code.RATE_LIMITED, 429),
        (Code.INTERNAL_ERROR, 500),
        (Code.UPSTREAM_ERROR, 502),
        (Code.BUSY, 503),
        (Code.ENGINE_UNAVAILABLE, 503),
        (Code.ENGINE_TIMEOUT, 504),
    ],
)
def test_statuses_that_clients_rely_on(code: Code, http: int) -> None:
    assert STATUS[code].http == http


def test_statuses_are_errors_and_validation_is_never_422() -> None:
    assert all(400 <= status.http <= 599 and status.http != 422 for status in STATUS.values())


def test_who_is_told_to_come_back_is_told_when() -> None:
    assert retry_after_s(RefusedError("x", code=Code.BUSY)) == 5
    assert retry_after_s(RefusedError("x", code=Code.RATE_LIMITED)) == 5
    assert retry_after_s(StoreError("x")) == 5
    assert retry_after_s(RefusedError("x", code=Code.BUSY, retry_after_s=2)) == 2
    assert retry_after_s(EngineError("x", engine="e", retry_after_s=9)) == 9
    assert retry_after_s(RefusedError("x", code=Code.INSUFFICIENT_CREDITS)) is None


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (Code.INVALID_API_KEY, "authentication_error"),
        (Code.PERMISSION_DENIED, "authorization_error"),
        (Code.INSUFFICIENT_CREDITS, "authorization_error"),
        (Code.INVALID_VALUE, "validation_error"),
        (Code.UNSUPPORTED_LANGUAGE, "validation_error"),
        (Code.TOO_LARGE, "validation_error"),
        (Code.INVALID_AUDIO, "audio_error"),
        (Code.SESSION_ALREADY_STARTED, "session_error"),
        (Code.ENGINE_UNAVAILABLE, "session_error"),
    ],
)
def test_the_five_types_of_the_agent(code: Code, kind: str) -> None:
    assert STATUS[code].agent == kind
    assert len({status.agent for status in STATUS.values()}) == 5

import pickle
from collections.abc import Iterator

import pytest

from voxgate.errors import (
    Code,
    ConfigError,
    EngineError,
    MisuseError,
    ModelError,
    PeerError,
    RefusedError,
    StoreError,
    UpstreamError,
    VoxgateError,
)


def every_kind(of: type[VoxgateError] = VoxgateError) -> Iterator[type[VoxgateError]]:
    yield of
    for kind in of.__subclasses__():
        if kind.__module__ == VoxgateError.__module__:
            yield from every_kind(kind)


EXAMPLES = [
    VoxgateError("a"),
    ConfigError("b", param="server.port"),
    PeerError("c", code=Code.INVALID_AUDIO, param="file"),
    RefusedError("d", code=Code.BUSY, retry_after_s=3),
    ModelError("e", code=Code.DISK_FULL),
    EngineError("f", engine="moonshine", retryable=True, code=Code.ENGINE_TIMEOUT, retry_after_s=1),
    UpstreamError("g", engine="openai", status=429, body=b"{}", content_type="text/plain", retry_after_s=2),
    StoreError("h"),
    MisuseError("i"),
]


def test_there_is_an_example_of_every_kind() -> None:
    assert {type(error) for error in EXAMPLES} == set(every_kind())


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_survives_the_way_out_of_a_worker(error: VoxgateError) -> None:
    revived = pickle.loads(pickle.dumps(error))
    assert type(revived) is type(error)
    assert str(revived) == error.message
    assert vars(revived) == vars(error)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), "invalid_config"),
        (PeerError("x"), "invalid_value"),
        (RefusedError("x"), "permission_denied"),
        (ModelError("x"), "model_missing"),
        (EngineError("x", engine="e"), "engine_error"),
        (UpstreamError("x", engine="e", status=500, body=b""), "upstream_error"),
        (StoreError("x"), "store_unavailable"),
        (MisuseError("x"), "internal_error"),
    ],
)
def test_codes_that_clients_branch_on(error: VoxgateError, code: str) -> None:
    assert error.code == code


def test_codes_are_spelled_one_way() -> None:
    assert all(code.value == code.name.lower() for code in Code)


def test_the_tree_is_drawn_as_it_is() -> None:
    from voxgate import errors

    drawn = errors.__doc__ or ""
    assert [kind.__name__ for kind in every_kind() if kind.__name__ not in drawn] == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no model 'vg_" + "a" * 43 + "'", "no model 'vg_**********'"),
        ("ek_" + "-" * 20, "ek_**********"),
        ("/v1/vg_" + "A" * 60 + "/vg_" + "B" * 60, "/v1/vg_**********/vg_**********"),
        ("vg_12345678", "vg_12345678"),
        ("key_0123456789abcdef01234567 of acme", "key_0123456789abcdef01234567 of acme"),
        ("the week_of_the_very_long_underscores", "the week_of_the_very_long_underscores"),
    ],
)
def test_messages_hold_no_credentials(text: str, shown: str) -> None:
    error = PeerError(text)
    assert (error.message, str(error)) == (shown, shown)

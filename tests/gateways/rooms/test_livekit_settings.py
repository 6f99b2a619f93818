import pytest
from pydantic import SecretStr, ValidationError

from voxgate.gateways.rooms.livekit_settings import LiveKitSettings


@pytest.mark.parametrize("url", ["ws://10.0.0.5:7880", "wss://rooms.example.com", "wss://example.com/rooms/"])
def test_addresses(url: str) -> None:
    assert LiveKitSettings(url=url, public_url=url).url == url.rstrip("/")


@pytest.mark.parametrize("field", ["url", "public_url"])
@pytest.mark.parametrize("url", ["http://example.com", "rooms.example.com", "wss://", "wss://a:b@c", "wss://c?d=e"])
def test_what_is_no_address_is_named(field: str, url: str) -> None:
    with pytest.raises(ValidationError, match="must be an address such as wss://"):
        LiveKitSettings.model_validate({field: url})


def test_a_short_secret_is_refused_and_none_is_shown() -> None:
    with pytest.raises(ValidationError, match="at least 32 characters") as refused:
        LiveKitSettings(api_secret=SecretStr("short-secret"))
    assert "short-secret" not in str(refused.value)
    assert "x" * 32 not in repr(LiveKitSettings(api_secret=SecretStr("x" * 32)))


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_bot_needs_time_to_join(seconds: float) -> None:
    with pytest.raises(ValidationError, match="join_timeout_s"):
        LiveKitSettings(join_timeout_s=seconds)

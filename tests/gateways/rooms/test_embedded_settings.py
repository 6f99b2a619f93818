import pytest
from pydantic import ValidationError

from voxgate.gateways.rooms.embedded_settings import EmbeddedSettings


def test_nothing_has_to_be_set() -> None:
    settings = EmbeddedSettings()
    assert (settings.ice_servers, settings.public_address, settings.ask_ice_servers) == ((), "", False)


def test_servers_are_taken() -> None:
    settings = EmbeddedSettings.model_validate(
        {
            "public_address": "203.0.113.9",
            "ice_servers": [
                {"urls": ["stun:stun.example:3478"]},
                {"urls": ["turn:turn.example:3478?transport=udp"], "username": "u", "credential": "geheim"},
            ],
        }
    )
    assert settings.ice_servers[1].credential.get_secret_value() == "geheim"
    assert "geheim" not in repr(settings)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"public_address": "my.host"}, "public_address"),
        ({"token_secret": "short"}, "token_secret"),
        ({"ice_servers": [{"urls": []}]}, "urls"),
        ({"ice_servers": [{"urls": ["http://x"]}]}, "urls"),
        ({"ice_servers": [{"urls": ["turn:x"]}]}, "ice_servers"),
    ],
)
def test_what_cannot_work_names_its_field(values: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        EmbeddedSettings.model_validate(values)
    assert field in str(caught.value)

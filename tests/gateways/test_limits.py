import pytest
from pydantic import ValidationError

from voxgate.gateways.limits import LimitSettings


def test_the_limits_of_the_contract() -> None:
    limits = LimitSettings()
    assert limits.upload_bytes == 25 * 1024 * 1024
    assert limits.json_body_bytes == 1024 * 1024
    assert limits.speech_input_characters == 10_000
    assert (limits.prompt_characters, limits.hint_terms) == (2_000, 16)
    assert limits.slow_reader_s == 10
    assert limits.client_secret_s == 60
    assert limits.key_check_s < 5, "a revocation reaches live work within five seconds"


@pytest.mark.parametrize("name", list(LimitSettings.model_fields))
def test_a_limit_of_nothing_is_a_mistake(name: str) -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        LimitSettings(**{name: 0})

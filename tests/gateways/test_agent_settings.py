import pytest
from pydantic import ValidationError

from voxgate.domain import Tier
from voxgate.gateways.agent_settings import AgentSettings


@pytest.mark.parametrize(
    ("needed", "admitted"),
    [
        ("free", ["free", "beta", "pro", "owner"]),
        ("beta", ["beta", "pro", "owner"]),
        ("pro", ["pro", "owner"]),
        ("owner", ["owner"]),
    ],
)
def test_a_tier_admits_itself_and_those_above(needed: str, admitted: list[str]) -> None:
    settings = AgentSettings(tier=Tier(needed))
    assert [tier.value for tier in Tier if settings.admits(tier)] == admitted


def test_owners_alone_unless_told_otherwise() -> None:
    assert AgentSettings().tier is Tier.OWNER
    with pytest.raises(ValidationError):
        AgentSettings.model_validate({"tier": "gold"})

import pytest
from pydantic import ValidationError

from voxgate.gateways.rooms.settings import RoomSettings
from voxgate.services.room_time import RoomRules


def test_they_are_the_rules_of_the_contract() -> None:
    rules: RoomRules = RoomSettings()
    assert (rules.empty_s, rules.longest_s) == (60, 7200)
    assert 15 <= rules.announce_s <= 20
    assert RoomSettings().provider == "embedded"


def test_who_is_away_with_a_token_that_ran_out_is_not_waited_for_longer_than_others() -> None:
    with pytest.raises(ValidationError, match="grace_s must not be more than empty_s"):
        RoomSettings(grace_s=61)
    assert RoomSettings(grace_s=60).grace_s == 60

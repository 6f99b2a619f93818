import dataclasses
import inspect

import pytest

from voxgate import domain
from voxgate.domain import MICRO, SPEECH_RATE, ApiKey, Balance, Organization, Tier, Usage

NOUNS = [kind for _, kind in inspect.getmembers(domain, dataclasses.is_dataclass)]


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.__name__)
def test_nouns_are_frozen_and_slotted(noun: type) -> None:
    assert noun.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert "__slots__" in vars(noun)


def test_tiers_come_lowest_first() -> None:
    assert [tier.value for tier in Tier] == ["free", "beta", "pro", "owner"]


def test_units_that_everything_counts_in() -> None:
    assert SPEECH_RATE == 16_000
    assert MICRO == 10**6


def test_what_is_kept_of_work_and_of_keys_holds_neither_speech_nor_keys() -> None:
    assert {field.name for field in dataclasses.fields(Usage)} == {"request_id", "surface", "units"}
    assert "key" not in {field.name for field in dataclasses.fields(ApiKey)}


def test_records_do_not_share_what_they_hold() -> None:
    assert Usage("a", "chat").units is not Usage("b", "chat").units
    left = Organization("o", "acme", Tier.PRO, Balance(5, 2))
    assert dataclasses.replace(left, tier=Tier.FREE).balance is left.balance

import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from voxgate.domain import MICRO
from voxgate.services.billing import (
    Paid,
    PerMinute,
    PerSecond,
    PerToken,
    Prepaid,
    PriceSettings,
    Tariff,
    reach,
    to_credits,
    to_micro,
)

RATE = 16_000
PRICES = PriceSettings()

quantities = st.integers(0, 10**9)
plain = st.one_of(
    st.builds(PerSecond, st.just("transcription"), st.integers(0, 10**12), st.sampled_from([8000, 16_000, 44_100])),
    st.builds(PerMinute, st.just("speech"), st.integers(0, 10**12), st.sampled_from([22_050, 24_000, 48_000])),
    st.builds(PerToken, st.just("chat"), st.integers(0, 10**12)),
)
tariffs = st.one_of(plain, st.builds(Prepaid, plain, st.integers(0, 10**15)), st.builds(Paid, plain))


@given(tariffs, quantities)
def test_what_was_held_covers_what_is_charged(tariff: Tariff, quantity: int) -> None:
    assert 0 <= tariff.charge(quantity) <= tariff.held(quantity)


@given(tariffs, quantities, quantities)
def test_more_work_never_costs_less(tariff: Tariff, one: int, other: int) -> None:
    less, more = sorted((one, other))
    assert tariff.charge(less) <= tariff.charge(more)
    assert tariff.held(less) <= tariff.held(more)


@given(plain, st.integers(0, 10**12), quantities)
def test_credits_reach_exactly_as_far_as_they_can_be_held_for(tariff: Tariff, budget: int, most: int) -> None:
    far = reach(tariff, budget, most)
    assert 0 <= far <= most
    assert far == 0 or tariff.held(far) <= budget
    assert far == most or tariff.held(far + 1) > budget


@given(tariffs)
def test_nothing_costs_nothing(tariff: Tariff) -> None:
    assert tariff.charge(0) == 0


@given(quantities, st.sampled_from([PRICES.transcription(RATE), PRICES.speech(RATE)]))
def test_free_work_is_never_held_for(quantity: int, tariff: PerSecond | PerMinute) -> None:
    free = type(tariff)(tariff.surface, 0, RATE)
    assert free.charge(quantity) == free.held(quantity) == 0


@pytest.mark.parametrize(
    ("samples", "charge", "held"),
    [
        (0, 0, 166_666),  # ten seconds are held before anything is heard
        (1, 16_666, 166_666),
        (RATE, 16_666, 166_666),
        (RATE + 1, 33_333, 166_666),
        (5 * RATE, 83_333, 166_666),
        (10 * RATE, 166_666, 166_666),
        (10 * RATE + 1, 183_333, 333_333),
        (60 * RATE, MICRO, MICRO),
        (3600 * RATE, 60 * MICRO, 60 * MICRO),
    ],
)
def test_transcription_is_billed_by_the_second_and_held_by_ten(samples: int, charge: int, held: int) -> None:
    tariff = PRICES.transcription(RATE)
    assert (tariff.charge(samples), tariff.held(samples)) == (charge, held)


@pytest.mark.parametrize(
    ("samples", "charge", "held"),
    [
        (0, 0, MICRO),  # a minute is held before anything is said
        (1, MICRO, MICRO),
        (60 * RATE, MICRO, MICRO),
        (60 * RATE + 1, 2 * MICRO, 2 * MICRO),
    ],
)
def test_speech_is_billed_and_held_by_the_begun_minute(samples: int, charge: int, held: int) -> None:
    tariff = PRICES.speech(RATE)
    assert (tariff.charge(samples), tariff.held(samples)) == (charge, held)


def test_chat_is_free_unless_priced() -> None:
    assert PRICES.chat().charge(10**9) == 0
    priced = PriceSettings(chat_credits_per_1000_tokens=Decimal("0.5")).chat()
    assert [priced.charge(tokens) for tokens in (0, 1, 1000, 1001)] == [0, 500, 500_000, 500_500]
    assert priced.held(1000) == 500_000


def test_units_say_what_was_delivered() -> None:
    assert PRICES.transcription(RATE).units(RATE + 1) == {"audio_ms": 1001}
    assert PRICES.speech(24_000).units(12_000) == {"audio_ms": 500}
    assert PRICES.chat().units(7) == {"tokens": 7}
    assert [t.surface for t in (PRICES.transcription(1), PRICES.speech(1), PRICES.chat())] == [
        "transcription",
        "speech",
        "chat",
    ]


@pytest.mark.parametrize("price", ["-1", "0.0000001", "NaN", "Infinity", "1000001", "cheap"])
def test_prices_are_checked(price: str) -> None:
    with pytest.raises(ValidationError):
        PriceSettings.model_validate({"speech_credits_per_minute": price})


def test_prices_come_from_toml_numbers_exactly() -> None:
    prices = PriceSettings.model_validate({"speech_credits_per_minute": 0.1, "transcription_credits_per_minute": 2})
    assert prices.speech(RATE).charge(1) == 100_000
    assert prices.transcription(RATE).charge(60 * RATE) == 2 * MICRO
    with pytest.raises(ValidationError):
        PriceSettings.model_validate({"speach": 1})


@pytest.mark.parametrize(
    ("micro", "text"),
    [(0, "0"), (1, "0.000001"), (83_333, "0.083333"), (500_000, "0.5"), (MICRO, "1"), (12_500_000, "12.5")],
)
def test_credits_are_written_exactly(micro: int, text: str) -> None:
    assert to_credits(micro) == text


@given(st.integers(0, 2**62))
def test_writing_and_reading_credits_loses_nothing(micro: int) -> None:
    assert to_micro(Decimal(to_credits(micro))) == micro


@pytest.mark.parametrize("amount", ["0.0000001", "NaN", "Infinity"])
def test_amounts_that_are_no_micro_credits_are_refused(amount: str) -> None:
    with pytest.raises(ValueError, match="credits"):
        to_micro(Decimal(amount))


@given(plain, quantities, st.integers(0, 10**15))
def test_what_was_paid_before_is_not_paid_again_and_never_paid_back(tariff: Tariff, quantity: int, paid: int) -> None:
    again = Prepaid(tariff, paid)
    assert again.charge(quantity) + paid == max(paid, tariff.charge(quantity))
    assert (again.surface, again.units(quantity)) == (tariff.surface, tariff.units(quantity))


@given(plain, quantities)
def test_what_was_sold_before_is_free(tariff: Tariff, quantity: int) -> None:
    again = Paid(tariff)
    assert again.charge(quantity) == again.held(quantity) == 0
    assert (again.surface, again.units(quantity)) == (tariff.surface, tariff.units(quantity))


DOCS = Path(__file__).parents[2] / "docs" / "billing.md"
_EXAMPLE = re.compile(r"\| (transcription|speech|chat) \| ([\d.,]+) (s|tokens) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|")


def test_the_examples_of_the_documentation_are_what_is_computed() -> None:
    examples = _EXAMPLE.findall(DOCS.read_text())
    assert len(examples) >= 9
    for surface, quantity, unit, price, held, charge in examples:
        keys = {"transcription": "minute", "speech": "minute", "chat": "1000_tokens"}
        prices = PriceSettings.model_validate({f"{surface}_credits_per_{keys[surface]}": price})
        tariff: Tariff = prices.chat() if unit == "tokens" else getattr(prices, surface)(RATE)
        amount = Decimal(quantity.replace(",", "")) * (1 if unit == "tokens" else RATE)
        computed = (to_credits(tariff.held(int(amount))), to_credits(tariff.charge(int(amount))))
        assert computed == (held, charge), (surface, quantity)

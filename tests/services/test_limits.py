from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.clock import FakeClock
from voxgate.services.limits import Buckets, Places, Recent


def test_so_many_at_once_and_then_one_as_each_token_comes() -> None:
    clock = FakeClock()
    buckets = Buckets(6, clock)
    assert [buckets.take("a") for _ in range(6)] == [0] * 6
    assert buckets.take("a") == 10
    clock.advance(4)
    assert buckets.take("a") == 6
    clock.advance(5.999)
    assert buckets.take("a") == pytest.approx(0.001)
    clock.advance(0.001)
    assert buckets.take("a") == 0
    assert buckets.take("a") == 10


def test_a_bucket_that_rested_for_a_minute_is_full_and_no_fuller() -> None:
    clock = FakeClock()
    buckets = Buckets(3, clock)
    for rest in (60, 3600):
        assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 20]
        clock.advance(rest)


def test_names_have_buckets_of_their_own() -> None:
    buckets = Buckets(1, FakeClock())
    assert (buckets.take("a"), buckets.take("b"), buckets.take("a")) == (0, 0, 60)


def test_looking_takes_nothing() -> None:
    buckets = Buckets(1, FakeClock())
    assert (buckets.wait_s("a"), buckets.wait_s("a"), len(buckets)) == (0, 0, 0)
    buckets.take("a")
    assert (buckets.wait_s("a"), buckets.take("a"), buckets.wait_s("a")) == (60, 60, 60)


def test_the_name_unused_for_longest_is_forgotten_first() -> None:
    buckets = Buckets(2, FakeClock(), remembered=2)
    for name in ("a", "b", "a", "c"):
        assert buckets.take(name) == 0
    assert len(buckets) == 2
    assert buckets.take("a") > 0
    assert (buckets.take("b"), buckets.take("b")) == (0, 0)  # forgotten, so full again


@given(
    per_minute=st.integers(1, 2_000),
    pauses_ms=st.lists(st.integers(0, 90_000), max_size=60),
)
def test_no_minute_sees_more_than_a_full_bucket_and_what_flowed_in(per_minute: int, pauses_ms: list[int]) -> None:
    clock = FakeClock()
    buckets = Buckets(per_minute, clock)
    level, capacity = Fraction(per_minute), Fraction(per_minute)
    for pause in pauses_ms:
        clock.advance(pause / 1000)
        level = min(capacity, level + Fraction(pause * per_minute, 60_000))
        wait = buckets.take("a")
        if wait == 0:
            level -= 1
            # The interval is cut to whole nanoseconds and the clock counts floats: a millionth of a token at most.
            assert level > Fraction(-1, 1_000_000)
        else:
            assert level < 1 + Fraction(1, 1_000_000)
            assert wait <= 60 / per_minute


def test_places_are_taken_and_given_up() -> None:
    places = Places()
    assert [places.enter("a", 2) for _ in range(3)] == [True, True, False]
    assert places.enter("b", 1)
    places.leave("a")
    assert places.enter("a", 2)
    assert not places.enter("a", 1), "a smaller limit counts those that are inside"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=100))
def test_places_count_who_is_inside(moves: list[tuple[str, bool]]) -> None:
    places, inside = Places(), Counter[str]()
    for name, goes_in in moves:
        if goes_in:
            assert places.enter(name, 3) is (inside[name] < 3)
            inside[name] = min(3, inside[name] + 1)
        elif inside[name]:
            places.leave(name)
            inside[name] -= 1
    assert len(places) == sum(1 for count in inside.values() if count), "an empty place takes no memory"


def test_the_names_noted_last_are_remembered() -> None:
    recent = Recent(2)
    for name in (b"a", b"b", b"a", b"c"):
        recent.note(name)
    assert [name in recent for name in (b"a", b"b", b"c")] == [True, False, True]

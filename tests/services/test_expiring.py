from hypothesis import given
from hypothesis import strategies as st

from voxgate.services.expiring import LEAD_S, Expiring, Notice


def test_a_limit_is_announced_once_thirty_seconds_ahead() -> None:
    expiring = Expiring()
    assert expiring.look({"session": 30.001}) == []
    assert expiring.look({"session": 30.0}) == [Notice("session", 30)]
    assert expiring.look({"session": 29.0}) == []


def test_where_less_is_left_it_is_announced_at_once() -> None:
    assert Expiring().look({"credits": 7.9}) == [Notice("credits", 7)]
    assert Expiring().look({"credits": -1.0}) == [Notice("credits", 0)]


def test_several_limits_each_have_their_word_soonest_first() -> None:
    expiring = Expiring()
    assert expiring.look({"session": 20.0, "credits": 10.0, "key": 90.0}) == [
        Notice("credits", 10),
        Notice("session", 20),
    ]
    assert expiring.look({"session": 1.0, "credits": 1.0, "key": 30.0}) == [Notice("key", 30)]


def test_a_limit_that_moved_away_is_announced_again_when_it_comes_back() -> None:
    expiring = Expiring()
    assert expiring.look({"credits": 10.0}) == [Notice("credits", 10)]
    assert expiring.look({"credits": 600.0}) == []  # somebody added credits
    assert expiring.look({"credits": 30.0}) == [Notice("credits", 30)]


@given(st.lists(st.floats(0, 100), min_size=1, max_size=50))
def test_time_that_only_runs_out_is_announced_once(times: list[float]) -> None:
    expiring = Expiring()
    told = [notice for left in sorted(times, reverse=True) for notice in expiring.look({"session": left})]
    assert len(told) == (min(times) <= LEAD_S)

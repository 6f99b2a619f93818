import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.conversation.gate import EnergyGate

W = 512
SECOND = 31
"""Windows."""


def dbfs(level: float) -> float:
    """The energy of a window of this level (rms)."""
    return float(W * 10 ** (level / 10))


def closed(level: float = -60) -> EnergyGate:
    """A gate that has heard a second and more of a room as loud as that."""
    gate = EnergyGate(W)
    for _ in range(2 * SECOND):
        if gate.take(dbfs(level)):
            gate.heard(0.01)
    assert not gate.is_open
    return gate


def test_it_closes_after_a_second_without_speech_and_not_before() -> None:
    gate = EnergyGate(W)
    for _ in range(SECOND - 1):
        assert gate.take(dbfs(-60))
        gate.heard(0.1)
    assert gate.is_open
    gate.heard(0.1)
    assert not gate.is_open
    assert not gate.take(dbfs(-60))


def test_speech_keeps_it_open_however_quiet() -> None:
    gate = EnergyGate(W)
    for number in range(10 * SECOND):
        assert gate.take(dbfs(-60))
        gate.heard(0.9 if number % (SECOND - 1) == 0 else 0.0)


@pytest.mark.parametrize("room", [-75, -60, -40])
def test_what_is_louder_than_the_room_opens_it_at_once(room: float) -> None:
    gate = closed(room)
    assert not gate.take(dbfs(room + 2.9))
    assert gate.take(dbfs(room + 3.1))
    assert gate.is_open


def test_below_what_can_be_heard_nothing_opens_it() -> None:
    gate = closed(-100)
    assert not gate.take(dbfs(-81))
    assert gate.take(dbfs(-79))


def test_it_gets_used_to_a_louder_room_within_three_seconds() -> None:
    gate = closed(-60)
    asked = 0
    for _ in range(10 * SECOND):
        if gate.take(dbfs(-50)):
            gate.heard(0.01)
            asked += 1
    assert SECOND <= asked <= 4 * SECOND
    assert not gate.is_open


def test_a_room_that_becomes_quiet_makes_it_listen_closer() -> None:
    gate = closed(-40)
    assert not gate.take(dbfs(-50))
    assert gate.take(dbfs(-46))


def test_what_is_no_number_is_left_to_the_detector() -> None:
    gate = closed()
    assert gate.take(math.nan)
    for _ in range(3 * SECOND):
        gate.take(math.nan)
        gate.heard(0.0)
    assert not closed().take(dbfs(-60)), "and it poisons nothing"


@given(st.lists(st.tuples(st.floats(-100, 0), st.floats(0, 1)), max_size=300))
def test_it_never_closes_within_a_second_of_speech(heard: list[tuple[float, float]]) -> None:
    gate = EnergyGate(W)
    since = SECOND
    for level, probability in heard:
        if gate.take(dbfs(level)):
            gate.heard(probability)
            since = 0 if probability >= 0.35 else since + 1
        else:
            assert since >= SECOND

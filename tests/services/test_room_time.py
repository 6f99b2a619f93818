from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.rooms import Lived, RoomEnd
from voxgate.services.billing import PerMinute
from voxgate.services.room_time import MINUTE_MS, Notice, Presence, Situation, ending, lived, notice

TARIFF = PerMinute("rooms", 100, 1000)


@dataclass(frozen=True)
class Rules:
    token_s: float = 900
    empty_s: float = 60
    grace_s: float = 10
    longest_s: float = 7200
    announce_s: float = 20


RULES = Rules()
INSIDE = Situation(
    inside=True, joined_once=True, empty_s=0, inside_s=30, token_left_s=800, held_left_s=30, next_minute=None
)
AWAY = replace(INSIDE, inside=False)
NEVER = Situation(
    inside=False, joined_once=False, empty_s=30, inside_s=0, token_left_s=800, held_left_s=60, next_minute=None
)


@pytest.mark.parametrize(
    ("situation", "reason"),
    [
        (INSIDE, None),
        (replace(INSIDE, inside_s=7199.9), None),
        (replace(INSIDE, inside_s=7200), RoomEnd.EXPIRED),
        (replace(INSIDE, token_left_s=-100), None),  # who is inside stays
        (replace(INSIDE, held_left_s=0.1, next_minute=RoomEnd.CREDITS), None),
        (replace(INSIDE, held_left_s=0, next_minute=RoomEnd.CREDITS), RoomEnd.CREDITS),
        (replace(INSIDE, held_left_s=-1, next_minute=RoomEnd.FAILED), RoomEnd.FAILED),
        (replace(INSIDE, held_left_s=-1), RoomEnd.FAILED),  # nobody has tried to hold the minute in time
        (replace(AWAY, empty_s=59.9), None),
        (replace(AWAY, empty_s=60), RoomEnd.LEFT),
        (replace(AWAY, held_left_s=0), None),  # nothing is billed of an empty room
        (replace(AWAY, empty_s=9, token_left_s=0), None),  # he may be reconnecting
        (replace(AWAY, empty_s=10, token_left_s=0), RoomEnd.EXPIRED),
        (replace(NEVER, empty_s=890, token_left_s=0.1), None),
        (replace(NEVER, token_left_s=0), RoomEnd.EXPIRED),
    ],
)
def test_when_a_session_is_over(situation: Situation, reason: RoomEnd | None) -> None:
    assert ending(RULES, situation) is reason


@pytest.mark.parametrize(
    ("situation", "told"),
    [
        (INSIDE, None),
        (replace(INSIDE, held_left_s=15), None),
        (replace(INSIDE, held_left_s=15, next_minute=RoomEnd.FAILED), None),  # it may yet be held
        (replace(INSIDE, held_left_s=15, next_minute=RoomEnd.CREDITS), Notice(RoomEnd.CREDITS, 15)),
        (replace(INSIDE, held_left_s=21, next_minute=RoomEnd.CREDITS), None),
        (replace(INSIDE, inside_s=7185), Notice(RoomEnd.EXPIRED, 15)),
        (
            replace(INSIDE, inside_s=7190, held_left_s=15, next_minute=RoomEnd.CREDITS),
            Notice(RoomEnd.EXPIRED, 10),
        ),
        (replace(AWAY, held_left_s=15, next_minute=RoomEnd.CREDITS), None),
    ],
)
def test_what_is_announced(situation: Situation, told: Notice | None) -> None:
    assert notice(RULES, situation) == told


def test_the_stopwatch_runs_while_somebody_is_inside() -> None:
    presence = Presence(100)
    assert (presence.inside, presence.joined_once, presence.empty_s(130), presence.inside_s(130)) == (
        False,
        False,
        30,
        0,
    )
    presence.joined(130)
    presence.joined(140)
    assert (presence.inside, presence.joined_once, presence.empty_s(150), presence.inside_s(150)) == (True, True, 0, 20)
    presence.left(160)
    presence.left(170)
    assert (presence.inside, presence.empty_s(170), presence.inside_s(170)) == (False, 10, 30)
    presence.joined(200)
    assert presence.inside_s(205) == 35


@pytest.mark.parametrize(
    ("seconds", "minutes_held", "bill"),
    [
        (0, 1, Lived(0, 1, 100)),
        (59.9999, 1, Lived(59_999, 1, 100)),
        (60, 1, Lived(60_000, 1, 100)),
        (60.0009, 2, Lived(60_000, 1, 100)),
        (60.001, 2, Lived(60_001, 2, 200)),
        (61, 1, Lived(60_000, 1, 100)),  # the end came late
        (119, 5, Lived(119_000, 2, 200)),
    ],
)
def test_what_is_billed(seconds: float, minutes_held: int, bill: Lived) -> None:
    assert lived(TARIFF, seconds, minutes_held) == bill


@given(st.floats(0, 1e5), st.floats(0, 1e5), st.integers(1, 2000))
def test_a_bill_never_shrinks_and_never_exceeds_what_was_held(first: float, more: float, minutes_held: int) -> None:
    earlier, later = lived(TARIFF, first, minutes_held), lived(TARIFF, first + more, minutes_held)
    assert earlier.duration_ms <= later.duration_ms <= minutes_held * MINUTE_MS
    assert TARIFF.charge(1) <= earlier.charged <= later.charged <= TARIFF.held(minutes_held * MINUTE_MS)
    assert later.charged == 100 * later.minutes
    assert later.duration_ms <= later.minutes * MINUTE_MS

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.gateways.limits import LimitSettings
from voxgate.gateways.vigil import Act, Seen, Vigil

LIMITS = LimitSettings()
FRESH = Seen(heard=0, told=0, reading=True, waiting_since=0, stuck_since=None, leaving=False)


def vigil(*, authenticated: bool = True) -> Vigil:
    return Vigil(LIMITS, 0.0, authenticated=authenticated)


def test_a_quiet_socket_is_pinged_every_twenty_seconds() -> None:
    watch = vigil()
    acts = {now: watch.look(now, replace(FRESH, heard=now - 1, told=now - 2)) for now in range(100)}
    assert set(acts.values()) == {Act.WAIT}  # nothing is quiet
    acts = {now: watch.look(now, replace(FRESH, heard=now, told=0.0)) for now in range(100, 200)}
    assert [now for now, act in acts.items() if act is Act.PING] == [100, 120, 140, 160, 180]
    acts = {now: watch.look(now, replace(FRESH, heard=190, told=now)) for now in range(200, 230)}
    assert [now for now, act in acts.items() if act is Act.PING] == [210]


def test_a_peer_that_answers_no_ping_is_given_up_at_the_limit_and_not_before() -> None:
    watch = vigil()
    assert watch.look(20, FRESH) is Act.PING
    assert watch.look(39.99, FRESH) is Act.WAIT
    assert watch.look(40, FRESH) is Act.SILENT


def test_after_a_standstill_of_our_own_the_peer_is_asked_first() -> None:
    watch = vigil()
    assert watch.look(500, FRESH) is Act.PING
    assert watch.look(501, FRESH) is Act.SILENT
    assert watch.look(501, replace(FRESH, heard=500.1)) is Act.WAIT
    late = Vigil(LIMITS, 0.001, authenticated=True)  # what it sent first was there before it was looked after
    assert late.look(500, FRESH) is Act.PING


def test_silence_while_we_read_nothing_is_our_own_doing() -> None:
    watch = vigil()
    paused = replace(FRESH, reading=False, waiting_since=None)
    acts = {watch.look(now, paused) for now in range(600)}
    assert acts == {Act.WAIT, Act.PING}


def test_a_session_is_idle_only_while_it_waits() -> None:
    watch = vigil()
    alive = replace(FRESH, heard=599.0, told=599.0)
    assert watch.look(599.99, alive) is Act.WAIT
    assert watch.look(600, replace(alive, waiting_since=None)) is Act.WAIT
    assert watch.look(600, replace(alive, waiting_since=0.1)) is Act.WAIT
    assert watch.look(600, alive) is Act.IDLE


def test_the_longest_session_ends() -> None:
    busy = replace(FRESH, heard=7199.5, told=7199.5, waiting_since=7199.5)
    assert vigil().look(7199.9, busy) is Act.WAIT
    assert vigil().look(7200, busy) is Act.OVER


def test_a_credential_has_ten_seconds() -> None:
    watch = vigil(authenticated=False)
    assert watch.look(9.99, FRESH) is Act.WAIT
    assert watch.look(10, FRESH) is Act.UNAUTHENTICATED
    watch.authenticated = True
    assert watch.look(11, FRESH) is Act.WAIT


@pytest.mark.parametrize("leaving", [False, True])
def test_a_reader_that_stays_behind_is_broken_off_even_if_it_is_leaving(leaving: bool) -> None:
    stuck = replace(FRESH, stuck_since=5.0, leaving=leaving)
    assert vigil().look(14.99, stuck) is Act.WAIT
    assert vigil().look(15, stuck) is Act.STUCK


def test_a_peer_that_has_closed_is_not_asked_for_anything() -> None:
    acts = {vigil(authenticated=False).look(now, replace(FRESH, leaving=True)) for now in range(0, 9000, 7)}
    assert acts == {Act.WAIT}


def test_what_is_left_is_told_by_reason() -> None:
    assert vigil().left_s(570.0, FRESH) == {"session": 6630.0, "idle": 30.0}
    assert vigil().left_s(7190.0, replace(FRESH, waiting_since=None)) == {"session": 10.0}
    watch = vigil()
    watch.key_until = 100.0
    assert watch.left_s(80.0, replace(FRESH, waiting_since=None)) == {"session": 7120.0, "key": 20.0}


@pytest.mark.parametrize(
    ("now", "waiting"), [(7169.6, 7169.6), (569.6, 0.0), (69.6, 69.6)], ids=["session", "idle", "key"]
)
def test_an_end_is_announced_on_time(now: float, waiting: float) -> None:
    watch = vigil()
    watch.key_until = 100.0 if now < 100 else None
    seen = replace(FRESH, heard=now, told=now, waiting_since=waiting)
    assert watch.next_s(now, seen) == pytest.approx(0.4)


def test_short_patience_is_looked_at_often_enough() -> None:
    watch = Vigil(LimitSettings(socket_idle_s=0.2), 0.0, authenticated=True)
    assert watch.next_s(5, replace(FRESH, heard=5, told=5, waiting_since=None)) == 0.2


moments = st.floats(0, 8000)


@given(
    heard=moments,
    told=moments,
    waiting=st.none() | moments,
    stuck=st.none() | moments,
    reading=st.booleans(),
    authenticated=st.booleans(),
    start=moments,
)
def test_nothing_falls_due_between_two_looks(
    heard: float,
    told: float,
    waiting: float | None,
    stuck: float | None,
    reading: bool,
    authenticated: bool,
    start: float,
) -> None:
    seen = Seen(heard, told, reading, waiting, stuck, leaving=False)
    watch = vigil(authenticated=authenticated)
    act = watch.look(start, seen)
    pause = watch.next_s(start, seen)
    assert 0.01 <= pause <= 1
    before, after = (watch.left_s(start + later, seen) for later in (0, pause - 1e-3))
    near = LIMITS.session_expiring_s
    assert pause == 0.01 or all(before[reason] <= near or left > near for reason, left in after.items())
    if act is Act.WAIT and pause > 0.01:  # just before the next look there is as little to do as now
        assert watch.look(start + pause - 1e-3, seen) is Act.WAIT

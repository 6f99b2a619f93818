import asyncio

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from voxgate.gateways.rooms.arrivals import UNHEARD, UNREAD, Arrivals
from voxgate.gateways.rooms.media import Closed, Gone, Heard, Joined, Listening, Muted, Played, RoomEvent, Typed


def sound(samples: int) -> Heard:
    return Heard(np.zeros(samples, np.float32))


async def taken(arrivals: Arrivals) -> list[RoomEvent]:
    arrivals.put(Closed("over"))
    return [event async for event in arrivals.events()]


async def test_what_comes_is_taken_in_order() -> None:
    arrivals = Arrivals()
    came: list[RoomEvent] = [Joined(False), Listening(), sound(320), Typed("hello"), sound(320), Gone(True)]
    for event in came:
        arrivals.put(event)
    assert await taken(arrivals) == [*came, Closed("over")]


async def test_who_waits_is_woken() -> None:
    arrivals = Arrivals()
    events = arrivals.events()
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    arrivals.put(Joined(True))
    assert await waiting == Joined(True)


async def test_nothing_follows_the_end() -> None:
    arrivals = Arrivals()
    arrivals.put(Closed("first"))
    arrivals.put(Typed("too late"))
    arrivals.put(Closed("second"))
    assert [event async for event in arrivals.events()] == [Closed("first")]


@given(st.lists(st.integers(1, UNHEARD), max_size=30))
def test_old_sound_is_dropped_and_counted(pieces: list[int]) -> None:
    arrivals = Arrivals()
    arrivals.put(Joined(False))
    for piece in pieces:
        arrivals.put(sound(piece))
    first, *heard, last = asyncio.run(taken(arrivals))
    assert (first, last) == (Joined(False), Closed("over"))
    kept = [len(event.samples) for event in heard if isinstance(event, Heard)]
    assert kept == pieces[len(pieces) - len(kept) :], "the newest are kept"
    assert sum(kept) <= UNHEARD
    assert sum(kept) + arrivals.dropped == sum(pieces)
    assert len(kept) == len(pieces) or sum(kept) + pieces[-len(kept) - 1] > UNHEARD, "no more than must be"


async def test_texts_are_dropped_that_nobody_reads() -> None:
    arrivals = Arrivals()
    for number in range(UNREAD + 5):
        arrivals.put(Typed(str(number)))
    *texts, _ = await taken(arrivals)
    assert texts == [Typed(str(number)) for number in range(UNREAD)]


async def test_texts_that_are_read_make_room() -> None:
    arrivals = Arrivals()
    events = arrivals.events()
    for number in range(2 * UNREAD):
        arrivals.put(Typed(str(number)))
        assert await anext(events) == Typed(str(number))


async def test_only_the_last_of_what_changes_all_the_time_is_kept() -> None:
    arrivals = Arrivals()
    for event in (Played(10), Played(20), Muted(True), Muted(False), Muted(True), Played(30), Typed("x"), Played(40)):
        arrivals.put(event)
    *kept, _ = await taken(arrivals)
    assert kept == [Played(20), Muted(True), Played(30), Typed("x"), Played(40)]

"""What a room decides by itself; with a server behind it, tests/conformance/test_rooms.py runs it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from voxgate.gateways.rooms.livekit_room import KEPT, LiveKitRoom
from voxgate.gateways.rooms.media import Attributes, Closed, Gone, Joined, Packet, RoomEvent, RoomMessage
from voxgate.rooms import RoomEnd, RoomPlan

PLAN = RoomPlan("s1", "room", "ann", "Ann", "Greeter", datetime.now(UTC) + timedelta(minutes=15))


class Rooms:
    """A server that was not joined yet."""

    def __init__(self) -> None:
        self.removed = 0
        self.active: bool | None = True

    async def remove(self) -> None:
        self.removed += 1

    async def is_active(self) -> bool | None:
        return self.active


@pytest.fixture
def rooms() -> Rooms:
    return Rooms()


@pytest.fixture
async def room(rooms: Rooms) -> AsyncIterator[LiveKitRoom]:
    made = LiveKitRoom(PLAN, remove=rooms.remove, active=rooms.is_active)
    yield made
    await made.aclose(RoomEnd.REQUESTED)


async def came(room: LiveKitRoom) -> list[RoomEvent]:
    await room.aclose(RoomEnd.REQUESTED)
    return [event async for event in room.events()][:-1]


def sent(room: LiveKitRoom) -> list[RoomMessage]:
    """What is sent next, on a connection that holds."""
    private = cast(Any, room)
    private._connected = True
    messages = []
    while (message := private._next()) is not None:
        messages.append(message)
    return messages


async def test_a_webhook_lets_the_person_in_and_nobody_else(room: LiveKitRoom) -> None:
    room.told_joined("somebody")
    room.told_joined("ann")
    room.told_joined("ann")
    room.told_left("somebody", "PA_1")
    room.told_left("ann", "PA_1")
    room.told_left("ann", "PA_1")
    room.told_joined("ann")
    assert await came(room) == [Joined(back=False), Gone(left=True), Joined(back=True)]


async def test_a_webhook_about_a_connection_of_before_does_not_end_the_one_of_now(room: LiveKitRoom) -> None:
    private = cast(Any, room)
    private._room._remote_participants["ann"] = SimpleNamespace(sid="PA_2", identity="ann", track_publications={})
    room.told_joined("ann")
    room.told_left("ann", "PA_1")
    assert await came(room) == [Joined(back=False)]


async def test_a_room_that_is_finished_is_closed(room: LiveKitRoom) -> None:
    room.told_finished()
    assert [event async for event in room.events()] == [Closed("LiveKit says that the room is finished")]


async def test_closing_happens_once_and_stops_everything(room: LiveKitRoom, rooms: Rooms) -> None:
    room.told_joined("ann")
    await room.aclose(RoomEnd.CREDITS)
    await room.aclose(RoomEnd.REQUESTED)
    assert rooms.removed == 1
    assert [event async for event in room.events()][-1] == Closed("closed by us: credits")
    assert not cast(Any, room)._tasks


async def test_what_is_for_a_person_who_is_away_is_kept_and_attributes_are_sent(room: LiveKitRoom) -> None:
    packets = [Packet("t", b"%d" % number) for number in range(KEPT + 9)]
    state = Attributes({"lk.agent.state": "listening"})
    for packet in packets:
        room.post(packet)
    room.post(state)
    assert sent(room) == [state]
    room.told_joined("ann")
    assert sent(room) == packets[10:], "the newest of them, in order"


async def test_nothing_is_sent_while_there_is_no_connection(room: LiveKitRoom) -> None:
    room.told_joined("ann")
    room.post(Packet("t", b"1"))
    assert cast(Any, room)._next() is None
    assert sent(room) == [Packet("t", b"1")]


async def test_nothing_is_played_to_nobody(room: LiveKitRoom) -> None:
    private = cast(Any, room)
    room.play(np.ones(240, np.float32))
    assert not private._voice._queue
    room.told_joined("ann")
    room.play(np.ones(240, np.float32))
    assert len(private._voice._queue) == 1
    room.told_left("ann", "")
    assert not private._voice._queue

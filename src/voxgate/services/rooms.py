"""Sessions in rooms, and what they cost: from the row that is written with the first minute to the last settlement.

    room = await rooms.create(principal, bot, name, request_id=id)      # 402, and nothing is written
    room.joined() … room.left()                 whoever carries the call tells who is inside
    tick = await room.tick()                    a few times a minute: bills, holds the next minute, says what is due
    await room.end(RoomEnd.REQUESTED)           settles, whoever calls it first; again is the same answer

The first minute is charged with the row; each later one is held before it begins and earned as it does. A server that
is killed is billed what its last heartbeat wrote down, by whoever settles its holds (store/books.py).
"""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from typing import Protocol

import structlog

from voxgate.books import Spending
from voxgate.clock import Clock
from voxgate.domain import Principal
from voxgate.errors import Code, PeerError, RefusedError, StoreError
from voxgate.rooms import (
    Grant,
    Message,
    NewRoom,
    RoomEnd,
    RoomPlan,
    RoomSession,
    RoomStore,
    Voicebot,
)
from voxgate.services.billing import Tariff
from voxgate.services.open_room import OpenRoom as OpenRoom
from voxgate.services.open_room import Tick as Tick
from voxgate.services.room_time import MINUTE_MS, RoomRules, lived
from voxgate.services.spending import Reserved

_log = structlog.get_logger(__name__)

PAGE, LARGEST_PAGE = 50, 200
"""Messages of a page."""

OTHERS_S = 6.0
"""How long another server is waited for before its session is ended in its place: it looks three times meanwhile."""

_ROOM = re.compile(r"ext-vb-[0-9a-f]{24}-[0-9a-f]{12}")
_LOOK_S = 2.0  # between two looks for sessions that others want ended; contract: 5 s
_ASK_S = 0.2


class House(Protocol):
    """Who carries calls in this process: gateways/rooms/house.py."""

    async def opened(self, room: "OpenRoom", bot: Voicebot, base_url: str) -> Grant:
        """Carry the call from now on; what the person joins with. `base_url`: `http(s)://…` of this server.

        Raises VoxgateError where it cannot; the session is void then.
        """
        ...

    async def end(self, room: str, reason: RoomEnd) -> None:
        """End the call in a room and settle it (`OpenRoom.end`). A room that is not carried here is left alone."""
        ...


class Rooms:
    """The sessions of one organization after another, as REST and the command line ask for them."""

    def __init__(
        self,
        store: RoomStore,
        spending: Spending,
        clock: Clock,
        rules: RoomRules,
        *,
        tariff: Tariff,
        flush: Callable[[], Awaitable[object]],
        ended_keys: Callable[[Collection[str]], Awaitable[frozenset[str]]],
        others_s: float = OTHERS_S,
    ) -> None:
        """`flush`: writes what was said just now. `ended_keys`: `ports.Keys.ended`.

        `others_s`: how long another server is waited for before a session is ended in its place.
        """
        self.house: House
        """Who carries calls; set by whoever wires them together, before the first session is created."""
        self._store = store
        self._spending = spending
        self._clock = clock
        self._rules = rules
        self._tariff = tariff
        self._flush = flush
        self._ended_keys = ended_keys
        self._others_s = others_s
        self._open: dict[str, OpenRoom] = {}

    async def create(
        self, principal: Principal, bot: Voicebot, name: str, *, request_id: str, tariff: Tariff | None = None
    ) -> OpenRoom:
        """A new session of a person called `name` with a bot, its first minute paid; carried by nobody yet.

        `tariff`: where it is not the usual one, as of a request that is repeated. Raises RefusedError
        `insufficient_credits` and StoreError, nothing written.
        """
        tariff = tariff or self._tariff
        at = self._clock.now()
        plan = RoomPlan(
            session=f"sess_{secrets.token_hex(12)}",
            room=f"ext-vb-{bot.id}-{secrets.token_hex(6)}",
            identity=f"user-{secrets.token_hex(8)}",
            name=name,
            bot=bot.name,
            expires_at=(at + timedelta(seconds=self._rules.token_s)).replace(microsecond=0),
        )
        first, hold = lived(tariff, 0, 1), tariff.held(MINUTE_MS)
        reserved = Reserved(self._spending, self._clock, principal)
        await reserved.more(hold)
        try:
            new = NewRoom(plan, bot.id, request_id)
            entry = await self._store.open(principal, new, hold=hold, lived=first, at=at)
        except BaseException:
            await reserved.less(hold)
            raise
        session = RoomSession(
            plan=plan,
            org_id=principal.org_id,
            key_id=principal.key_id,
            voicebot_id=bot.id,
            started_at=at,
            ended_at=None,
            reason=None,
            duration_s=0,
            billed_minutes=first.minutes,
            charged=first.charged,
        )
        room = OpenRoom(
            session, entry, tariff=tariff, reserved=reserved, rules=self._rules, clock=self._clock, over=self._is_over
        )
        self._open[plan.room] = room
        return room

    async def begin(
        self,
        principal: Principal,
        bot: Voicebot,
        name: str,
        *,
        request_id: str,
        base_url: str,
        tariff: Tariff | None = None,
    ) -> tuple[OpenRoom, Grant]:
        """A new session that is carried here, and what its person joins with. Raises as `create`, and what the house
        raises where it cannot carry the call: nothing is charged then."""
        room = await self.create(principal, bot, name, request_id=request_id, tariff=tariff)
        try:
            grant = await self.house.opened(room, bot, base_url)
        except BaseException:
            await room.void()
            raise
        return room, grant

    async def get(self, principal: Principal, room: str) -> RoomSession:
        """A session as it stands. Raises PeerError `invalid_value` for what is no name of a room, `not_found`;
        RefusedError `permission_denied` for another organization's; StoreError."""
        session = await self._find(principal, room)
        here = self._open.get(room)
        return session if here is None or session.ended_at is not None else here.session

    async def messages(self, principal: Principal, room: str, *, limit: int, offset: int) -> tuple[list[Message], int]:
        """A page of its transcript, what was said just now included, and how long the whole is. Raises as `get`."""
        session = await self._find(principal, room)
        await self._flush()
        page, total = await self._store.messages(session.plan.session, limit=limit, offset=offset)
        return list(page), total

    async def erase_messages(self, principal: Principal, room: str) -> int:
        """Erase its transcript as far as it goes; how many exchanges there were. Raises as `get`."""
        session = await self._find(principal, room)
        await self._flush()
        return await self._store.erase_messages(session.plan.session)

    async def end(self, principal: Principal, room: str) -> RoomSession:
        """End a session, whichever server carries it; one that has ended stays as it is. Raises as `get`."""
        session = await self._find(principal, room)
        return session if session.ended_at is not None else await self.end_any(room)

    async def end_any(self, room: str) -> RoomSession:
        """End the session of a room that is on record, whosesoever it is. Raises StoreError.

        One of another server is ended by that server; where it does not, in its place, billed to its last heartbeat.
        """
        here = self._open.get(room)
        if here is not None:
            return await self._end_here(here, RoomEnd.REQUESTED)
        return await end_elsewhere(self._store, self._clock, room, others_s=self._others_s)

    async def run(self) -> None:
        """End what others want ended, and what belongs to keys that are no more, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            await self.look()

    async def look(self) -> None:
        """One round. A database that does not answer is asked again in the next."""
        if not self._open:
            return
        try:
            asked = await self._store.over(list(self._open))
            gone = await self._ended_keys({room.key_id for room in self._open.values()})
        except StoreError as error:
            _log.warning("rooms_not_looked_after", error=error.message)
            return
        over = {
            room: RoomEnd.REQUESTED if name in asked else RoomEnd.REVOKED
            for name, room in self._open.items()
            if name in asked or room.key_id in gone
        }
        # All at once: a conversation may take two seconds to end, and a key may have hundreds.
        await asyncio.gather(*(self._end_here(room, reason) for room, reason in over.items()))

    async def _end_here(self, room: OpenRoom, reason: RoomEnd) -> RoomSession:
        await self.house.end(room.plan.room, reason)
        return await room.end(reason)

    async def _find(self, principal: Principal, room: str) -> RoomSession:
        if _ROOM.fullmatch(room) is None:
            raise PeerError("'roomName' is not the name of a room: ext-vb-{voicebot}-{12 hex digits}", param="roomName")
        session = await on_record(self._store, room)
        if session.org_id != principal.org_id:
            raise RefusedError("this session belongs to another organization", param="roomName")
        return session

    async def _is_over(self, room: OpenRoom) -> RoomSession | None:
        self._open.pop(room.plan.room, None)
        try:
            return await self._store.find(room.plan.room)
        except StoreError:
            return None  # its settlement was logged as put off already


async def on_record(store: RoomStore, room: str) -> RoomSession:
    """The session of a room, whosesoever it is. Raises PeerError `not_found`, StoreError."""
    session = await store.find(room)
    if session is None:
        raise PeerError(f"there is no session {room!r}", code=Code.NOT_FOUND, param="roomName")
    return session


async def end_elsewhere(store: RoomStore, clock: Clock, room: str, *, others_s: float) -> RoomSession:
    """End a session whose call another server carries: by asking it or, where it does not answer for `others_s`, in its
    place, billed to its last heartbeat. One that has ended stays as it is. Raises PeerError `not_found`, StoreError."""
    await store.ask_end(room, clock.now())
    for _ in range(round(others_s / _ASK_S)):
        session = await on_record(store, room)
        if session.ended_at is not None:
            return session
        await asyncio.sleep(_ASK_S)
    await store.end_in_place(room, RoomEnd.REQUESTED)
    return await on_record(store, room)

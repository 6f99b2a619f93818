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
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from voxgate.books import Spending
from voxgate.clock import Clock
from voxgate.domain import Principal
from voxgate.errors import Code, MisuseError, PeerError, RefusedError, StoreError
from voxgate.rooms import (
    Grant,
    Message,
    NewRoom,
    RoomEnd,
    RoomEntry,
    RoomPlan,
    RoomSession,
    RoomStore,
    Voicebot,
)
from voxgate.services.billing import Tariff
from voxgate.services.room_time import MINUTE_MS, Notice, Presence, RoomRules, Situation, ending, lived, notice
from voxgate.services.spending import Reserved

_log = structlog.get_logger(__name__)

PAGE, LARGEST_PAGE = 50, 200
"""Messages of a page."""

_ROOM = re.compile(r"ext-vb-[0-9a-f]{24}-[0-9a-f]{12}")
_STEP_S = 1.0  # between two ticks of a session
_RETRY_S = 2.0  # between two attempts to hold a minute that was refused: credits may be added meanwhile
_LOOK_S = 2.0  # between two looks for sessions that others want ended; contract: 5 s
_OTHERS_S = 6.0  # how long another server is waited for before its session is ended in its place: it looks thrice
_ASK_S = 0.2


@dataclass(frozen=True, slots=True)
class Tick:
    """What a session needs now."""

    ending: RoomEnd | None
    """End it, for this reason."""
    notice: Notice | None
    """Say that it is about to end; told with every tick until then."""
    wait_s: float
    """How long the next tick may wait."""


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


class OpenRoom:
    """One session that this server carries, and its bill."""

    def __init__(
        self,
        session: RoomSession,
        entry: RoomEntry,
        *,
        tariff: Tariff,
        reserved: Reserved,
        rules: RoomRules,
        clock: Clock,
        over: Callable[["OpenRoom"], Awaitable[RoomSession | None]],
    ) -> None:
        """Use `Rooms.create`. `over`: told once it is settled; the session as the books have it, where they answer."""
        self._session = session
        self._entry = entry
        self._tariff = tariff
        self._reserved = reserved
        self._rules = rules
        self._clock = clock
        self._over = over
        self._presence = Presence(clock.monotonic())
        self._minutes_held = 1
        self._refused: RoomEnd | None = None
        self._tried_at = float("-inf")
        self._ending: asyncio.Task[RoomSession] | None = None
        self._step = asyncio.Lock()
        """The steps on the entry follow one another."""

    @property
    def plan(self) -> RoomPlan:
        """What a media provider is told of it."""
        return self._session.plan

    @property
    def key_id(self) -> str:
        """Of the API key that created it."""
        return self._session.key_id

    @property
    def org_id(self) -> str:
        """Whose it is."""
        return self._session.org_id

    @property
    def remaining(self) -> int:
        """Micro-credits that the organization had left after the last step."""
        return self._entry.balance.available

    @property
    def session(self) -> RoomSession:
        """As it stands at this moment, to the second."""
        so_far = lived(self._tariff, self._presence.inside_s(self._clock.monotonic()), self._minutes_held)
        return _with(self._session, so_far.duration_ms, so_far.minutes, so_far.charged)

    def joined(self) -> None:
        """The person is inside: what comes now is billed."""
        self._presence.joined(self._clock.monotonic())

    def left(self) -> None:
        """The person is not there; he may come back."""
        self._presence.left(self._clock.monotonic())

    def seconds_left(self) -> float:
        """How much longer he may be inside with what is held."""
        return self._minutes_held * 60 - self._presence.inside_s(self._clock.monotonic())

    async def tick(self) -> Tick:
        """Write down how far it has come, hold the next minute where its time has come, and say what is due.

        A database that does not answer is asked again with the next tick; only where the minute ends before it answers,
        the session does.
        """
        if self._ending is not None:
            return Tick(None, None, _STEP_S)
        self._note()
        more = self._minutes_held * 60 < self._rules.longest_s  # a minute behind that is nobody's, and so not billed
        if self._presence.inside and more and self.seconds_left() <= self._rules.announce_s:
            await self.next_minute()
        now = self._situation()
        left_s = now.held_left_s if now.inside else _STEP_S
        return Tick(ending(self._rules, now), notice(self._rules, now), min(_STEP_S, max(left_s, 0.01)))

    async def next_minute(self) -> bool:
        """Hold the minute behind those that are held; False where that cannot be done now. Raises nothing.

        After a refusal the database is left alone for a while: until then the answer stays what it was.
        """
        now = self._clock.monotonic()
        if self._refused is not None and now - self._tried_at < _RETRY_S:
            return False
        self._tried_at = now
        async with self._step:
            return self._ending is None and await self._hold_next()

    async def _hold_next(self) -> bool:
        total = self._tariff.held((self._minutes_held + 1) * MINUTE_MS)
        more = total - self._entry.held
        try:
            if more > 0:
                await self._reserved.more(more)
                try:
                    await self._entry.extend(total)
                except BaseException:
                    await self._reserved.less(more)
                    raise
        except RefusedError:
            self._refused = RoomEnd.CREDITS
            return False
        except StoreError as error:
            _log.warning("minute_not_held", session_id=self.plan.session, error=error.message)
            self._refused = RoomEnd.FAILED
            return False
        self._refused = None
        self._minutes_held += 1
        return True

    async def end(self, reason: RoomEnd) -> RoomSession:
        """Settle it; whoever comes first gives the reason, and everybody gets the same answer.

        A caller that is cancelled meanwhile leaves it being settled. A database that does not answer fails nobody: what
        is due is settled as soon as it does.
        """
        if self._ending is None:
            self._presence.left(self._clock.monotonic())
            self._ending = asyncio.create_task(self._close(reason, self._clock.now()))
        return await asyncio.shield(self._ending)

    async def void(self) -> None:
        """There was no session: nothing is charged, and nothing stays on record."""
        if self._ending is not None:
            raise MisuseError("a session that has ended cannot be void")
        self._ending = asyncio.create_task(self._forget())
        await asyncio.shield(self._ending)

    async def _close(self, reason: RoomEnd, at: datetime) -> RoomSession:
        done = lived(self._tariff, self._presence.inside_s(self._clock.monotonic()), self._minutes_held)
        try:
            async with self._step:
                await self._entry.close(reason, at, done)
            await self._reserved.less(self._entry.held - done.charged)
        except StoreError as error:
            _log.warning("room_not_settled", session_id=self.plan.session, charge=done.charged, error=error.message)
        in_books = await self._over(self)
        own = _with(self._session, done.duration_ms, done.minutes, done.charged, at, reason)
        session = in_books if in_books is not None and in_books.ended_at is not None else own
        _log.info(
            "room session",
            session_id=self.plan.session,
            key_id=self.key_id,
            reason=session.reason,
            seconds=session.duration_s,
            minutes=session.billed_minutes,
            charge=session.charged,
        )
        return session

    async def _forget(self) -> RoomSession:
        try:
            async with self._step:
                await self._entry.void()
            await self._reserved.less(self._entry.held)
        except StoreError as error:
            _log.warning("room_not_void", session_id=self.plan.session, error=error.message)
        await self._over(self)
        return _with(self._session, 0, 0, 0, self._clock.now(), RoomEnd.FAILED)

    def _note(self) -> None:
        inside_s = self._presence.inside_s(self._clock.monotonic())
        self._entry.lived(lived(self._tariff, inside_s, self._minutes_held))

    def _situation(self) -> Situation:
        now = self._clock.monotonic()
        return Situation(
            inside=self._presence.inside,
            joined_once=self._presence.joined_once,
            empty_s=self._presence.empty_s(now),
            inside_s=self._presence.inside_s(now),
            token_left_s=(self.plan.expires_at - self._clock.now()).total_seconds(),
            held_left_s=self.seconds_left(),
            next_minute=self._refused,
        )


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
        others_s: float = _OTHERS_S,
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
            await self.house.end(room, RoomEnd.REQUESTED)
            return await here.end(RoomEnd.REQUESTED)
        await self._store.ask_end(room, self._clock.now())
        for _ in range(round(self._others_s / _ASK_S)):
            session = await self._on_record(room)
            if session.ended_at is not None:
                return session
            await asyncio.sleep(_ASK_S)
        await self._store.end_in_place(room, RoomEnd.REQUESTED)
        return await self._on_record(room)

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
        for name, room in tuple(self._open.items()):
            if name in asked or room.key_id in gone:
                reason = RoomEnd.REQUESTED if name in asked else RoomEnd.REVOKED
                await self.house.end(name, reason)
                await room.end(reason)

    async def _find(self, principal: Principal, room: str) -> RoomSession:
        if _ROOM.fullmatch(room) is None:
            raise PeerError("'roomName' is not the name of a room: ext-vb-{voicebot}-{12 hex digits}", param="roomName")
        session = await self._store.find(room)
        if session is None:
            raise PeerError(f"there is no session {room!r}", code=Code.NOT_FOUND, param="roomName")
        if session.org_id != principal.org_id:
            raise RefusedError("this session belongs to another organization", param="roomName")
        return session

    async def _on_record(self, room: str) -> RoomSession:
        session = await self._store.find(room)
        if session is None:
            raise PeerError(f"there is no session {room!r}", code=Code.NOT_FOUND, param="roomName")
        return session

    async def _is_over(self, room: OpenRoom) -> RoomSession | None:
        self._open.pop(room.plan.room, None)
        try:
            return await self._store.find(room.plan.room)
        except StoreError:
            return None  # its settlement was logged as put off already


def _with(
    session: RoomSession,
    duration_ms: int,
    minutes: int,
    charged: int,
    ended_at: datetime | None = None,
    reason: RoomEnd | None = None,
) -> RoomSession:
    return RoomSession(
        plan=session.plan,
        org_id=session.org_id,
        key_id=session.key_id,
        voicebot_id=session.voicebot_id,
        started_at=session.started_at,
        ended_at=ended_at,
        reason=reason,
        duration_s=-(-duration_ms // 1000),
        billed_minutes=minutes,
        charged=charged,
    )

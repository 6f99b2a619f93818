"""One session that this server carries, and its bill: it is held, earned and settled minute by minute."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from voxgate.clock import Clock
from voxgate.errors import RefusedError, StoreError
from voxgate.rooms import Lived, RoomEnd, RoomEntry, RoomPlan, RoomSession
from voxgate.services.billing import Tariff
from voxgate.services.room_time import MINUTE_MS, Notice, Presence, RoomRules, Situation, ending, lived, notice
from voxgate.services.spending import Reserved

_log = structlog.get_logger(__name__)

_STEP_S = 1.0  # between two ticks of a session
_RETRY_S = 2.0  # between two attempts to hold a minute that was refused: credits may be added meanwhile


@dataclass(frozen=True, slots=True)
class Tick:
    """What a session needs now."""

    ending: RoomEnd | None
    """End it, for this reason."""
    notice: Notice | None
    """Say that it is about to end; told with every tick until then."""
    wait_s: float
    """How long the next tick may wait."""


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
        self._reason: RoomEnd | None = None
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
        return _with(self._session, so_far)

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
            return Tick(self._reason, None, _STEP_S)
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
            self._reason = reason
            self._ending = asyncio.create_task(self._close(reason, self._clock.now()))
        return await asyncio.shield(self._ending)

    async def void(self) -> None:
        """There was no session: nothing is charged, and nothing stays on record. One that has ended stays as it is."""
        if self._ending is None:
            self._reason = RoomEnd.FAILED
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
        own = _with(self._session, done, at, reason)
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
        return _with(self._session, Lived(0, 1, 0), self._clock.now(), RoomEnd.FAILED)

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


def _with(
    session: RoomSession, bill: Lived, ended_at: datetime | None = None, reason: RoomEnd | None = None
) -> RoomSession:
    return replace(
        session,
        ended_at=ended_at,
        reason=reason,
        duration_s=-(-bill.duration_ms // 1000),
        billed_minutes=bill.minutes,
        charged=bill.charged,
    )

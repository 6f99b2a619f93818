"""Daily limits of keys: a ledger in front of the ledger, which asks what the key has spent today.

Only keys that have a limit pay for it, with one short transaction a hold. The counter is moved before credits are held
and moved back after they are released: where a server dies between the two, the key is counted too much until midnight,
never too little.
"""

from collections.abc import Mapping
from datetime import date, timedelta

import structlog

from voxgate.books import Spending
from voxgate.clock import Clock
from voxgate.domain import Balance, Principal, Usage
from voxgate.errors import Code, RefusedError, StoreError
from voxgate.ports import Hold, Ledger
from voxgate.services.billing import to_credits

_log = structlog.get_logger(__name__)


class DailyLimits:
    """`ports.Ledger` with the daily limits of keys. A day is one of UTC."""

    def __init__(self, ledger: Ledger, spending: Spending, clock: Clock) -> None:
        self._ledger = ledger
        self._spending = spending
        self._clock = clock

    async def hold(self, principal: Principal, amount: int, *, request_id: str, surface: str) -> Hold:
        if principal.daily_limit is None:
            return await self._ledger.hold(principal, amount, request_id=request_id, surface=surface)
        reserved = Reserved(self._spending, self._clock, principal)
        await reserved.more(amount)
        try:
            held = await self._ledger.hold(principal, amount, request_id=request_id, surface=surface)
        except BaseException:
            await reserved.less(amount)
            raise
        return _DailyHold(held, reserved)

    async def record(self, principal: Principal, usage: Usage) -> Balance:
        return await self._ledger.record(principal, usage)

    async def balance(self, org_id: str) -> Balance:
        return await self._ledger.balance(org_id)


class Reserved:
    """What one piece of work has counted to its key's days; nothing where the key has no limit."""

    def __init__(self, spending: Spending, clock: Clock, principal: Principal) -> None:
        self._spending = spending
        self._clock = clock
        self._principal = principal
        self._days: dict[date, int] = {}

    async def more(self, amount: int) -> None:
        """Count `amount` to today. Raises RefusedError `insufficient_credits`, counting nothing."""
        if self._principal.daily_limit is None or not amount:
            return
        now = self._clock.now()
        if not await self._spending.reserve(self._principal, now.date(), amount):
            tomorrow = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
            raise RefusedError(
                f"this API key may spend {to_credits(self._principal.daily_limit)} credits a day, and too little is "
                "left of them for this request; the day ends at midnight UTC",
                code=Code.INSUFFICIENT_CREDITS,
                retry_after_s=int((tomorrow - now).total_seconds()) + 1,
            )
        self._days[now.date()] = self._days.get(now.date(), 0) + amount

    async def less(self, amount: int) -> None:
        """Count `amount` less, of the last day first. What the store cannot do now stays counted until midnight."""
        for day in sorted(self._days, reverse=True):
            part = min(amount, self._days[day])
            if not part:
                continue
            self._days[day] -= part
            amount -= part
            try:
                await self._spending.give_back(self._principal.key_id, day, part)
            except StoreError as error:
                _log.warning("spending_not_given_back", key_id=self._principal.key_id, error=error.message)


class _DailyHold:
    """`ports.Hold` whose every step is counted to the day of its key."""

    def __init__(self, hold: Hold, reserved: Reserved) -> None:
        self.amount = hold.amount
        self.balance = hold.balance
        self._hold = hold
        self._reserved = reserved
        self._settled = False

    async def extend(self, total: int, *, earned: int = 0, units: Mapping[str, int] | None = None) -> None:
        more = max(0, total - self._hold.amount)
        if more:
            await self._reserved.more(more)
        try:
            await self._hold.extend(total, earned=earned, units=units)
        except BaseException:
            await self._reserved.less(more)
            raise
        self.amount, self.balance = self._hold.amount, self._hold.balance

    def progress(self, earned: int, units: Mapping[str, int]) -> None:
        self._hold.progress(earned, units)

    async def settle(self, charge: int, usage: Usage | None) -> Balance:
        self.balance = await self._hold.settle(charge, usage)
        if not self._settled:
            self._settled = True
            await self._reserved.less(self.amount - charge)
        return self.balance

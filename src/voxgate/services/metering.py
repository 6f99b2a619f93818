"""Runs the money beside a piece of work: holds ahead of it, charges what was delivered, exactly once.

    async with Meter(ledger, principal, tariff, request_id=id) as meter:    # 402 before any work
        async for piece in work:
            await meter.ahead(len(piece))       # held before it goes out; 402 where credits end
            await send(piece)
            meter.delivered(len(piece))
                                                # leaving settles, however it is left

Work that answers all at once (`whole=True`) calls `settle()` itself before it writes its headers, then reads `used` and
`remaining`. Until then nothing of it counts as delivered: whoever got no answer pays nothing, also after a crash.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

import structlog

from voxgate.domain import Principal, Usage
from voxgate.errors import MisuseError, StoreError
from voxgate.ports import Hold, Ledger
from voxgate.services.billing import Tariff, reach, to_credits

_log = structlog.get_logger(__name__)


class Meter:
    """One piece of work and its hold. Quantities are in the tariff's unit: samples, or tokens."""

    def __init__(
        self,
        ledger: Ledger,
        principal: Principal,
        tariff: Tariff,
        *,
        request_id: str,
        first: int = 0,
        whole: bool = False,
    ) -> None:
        """`first`: the quantity to hold for at once, where it is known; else the tariff's smallest step.

        `whole`: the answer is sent when all the work is done; False: it is sent while it is made.
        """
        self._ledger = ledger
        self._principal = principal
        self._tariff = tariff
        self._request_id = request_id
        self._first = first
        self._whole = whole
        self._hold: Hold | None = None
        self._delivered = 0
        self._units: Mapping[str, int] | None = None
        self._charged = 0
        self._remaining = 0
        self._opened = False
        self._settled = False
        self._void = False
        self._complete = False

    @property
    def used(self) -> str:
        """Decimal credits for `X-Credits-Used`: what was charged, or would be if the work ended now."""
        return to_credits(self._charged if self._settled else self._due())

    @property
    def remaining(self) -> str:
        """Decimal credits for `X-Credits-Remaining`: what could be spent after the last step on the ledger."""
        return to_credits(self._remaining)

    @property
    def complete(self) -> bool:
        """Whether the work came to its own end; False while it runs, and where an error or a goodbye ended it."""
        return self._complete

    async def __aenter__(self) -> Self:
        """Hold before any work. Raises RefusedError `insufficient_credits`, StoreError."""
        amount = self._tariff.held(self._first)
        if amount:
            await self._open(amount)
        else:
            self._remaining = (await self._ledger.balance(self._principal.org_id)).available
        self._opened = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None and self._whole:
            self.void()
        await self.settle()
        self._complete = kind is None

    async def ahead(self, quantity: int) -> None:
        """Make sure that `quantity` more is held for before it is delivered.

        Raises RefusedError `insufficient_credits` where credits end here (what was delivered stays sold), StoreError.
        """
        self._check_open()
        amount = self._tariff.held(self._delivered + quantity)
        if self._hold is None:
            if amount:  # an earlier attempt had paid as far as here
                await self._open(amount)
        elif amount > self._hold.amount:
            earned, units = (0, {}) if self._whole else (self._due(), self._delivered_units())
            await self._hold.extend(amount, earned=earned, units=units)
            self._remaining = self._hold.balance.available

    def delivered(self, quantity: int, *, units: Mapping[str, int] | None = None) -> None:
        """`quantity` more has reached the customer. `units` replaces the tariff's own words in the usage record."""
        self._check_open()
        if quantity < 0:
            raise MisuseError("a delivery cannot be taken back; use `void`")
        self._delivered += quantity
        self._units = units or self._units
        if self._hold is not None and not self._whole:
            self._hold.progress(self._due(), self._delivered_units())

    def left(self, most: int) -> int:
        """How much more could be delivered with the credits there were at the last step, at most `most`.

        For announcing the end before it comes; other work of the organization may make it come sooner.
        """
        self._check_open()
        budget = self._remaining + (self._hold.amount if self._hold is not None else 0)
        return max(0, reach(self._tariff, budget, self._delivered + most) - self._delivered)

    def void(self) -> None:
        """Charge nothing: the answer is an error that clients repeat by themselves (408, 409, 429, 5xx)."""
        if not self._settled:
            self._void = True
            if self._hold is not None:
                self._hold.progress(0, {})

    async def settle(self) -> None:
        """Charge what was delivered, release the rest, write the usage. Once; again does nothing.

        A store that fails here does not fail the answer, which the customer already has: a warning is logged, and the
        ledger settles the hold as soon as the store answers again.
        """
        if self._settled or not self._opened:
            return
        self._settled = True
        self._charged = self._due()
        usage = None
        if self._delivered and not self._void:
            usage = Usage(self._request_id, self._tariff.surface, self._delivered_units())
        try:
            if self._hold is not None:
                self._remaining = (await self._hold.settle(self._charged, usage)).available
            elif usage is not None:
                self._remaining = (await self._ledger.record(self._principal, usage)).available
        except StoreError as error:
            _log.warning("usage_not_settled", request_id=self._request_id, charge=self._charged, error=error.message)

    async def _open(self, amount: int) -> None:
        self._hold = await self._ledger.hold(
            self._principal, amount, request_id=self._request_id, surface=self._tariff.surface
        )
        self._remaining = self._hold.balance.available

    def _due(self) -> int:
        """Micro-credits for what was delivered, never more than was held."""
        if self._void or self._hold is None:
            return 0
        return min(self._tariff.charge(self._delivered), self._hold.amount)

    def _delivered_units(self) -> Mapping[str, int]:
        return self._units if self._units is not None else self._tariff.units(self._delivered)

    def _check_open(self) -> None:
        if not self._opened or self._settled:
            raise MisuseError("the meter is not running")

"""Requests that carry an `Idempotency-Key`: done once, charged once, answered as often as they are asked.

What a repeat gets, for 24 hours, within one organization:

    the first is still running              409, try again
    the first was another request           400 `idempotency_mismatch`
    the first answer was kept               that answer
    it was whole, and not kept              made again, free (streams and audio)
    it broke off                            made again; what was charged for it counts
    it was an error                         nothing: errors are not charged, and the next attempt is the first
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import structlog

from voxgate.books import Earlier, IdempotencyStore, KeptAnswer, State
from voxgate.errors import Code, PeerError, RefusedError, StoreError
from voxgate.services.billing import Paid, Prepaid, Tariff

KEPT_BYTES = 1024 * 1024
"""Largest answer that is kept."""

_RUNNING_RETRY_S = 2
_KEY = re.compile(r"[\x21-\x7e]{1,255}")

_log = structlog.get_logger(__name__)


def check_key(key: str) -> str:
    """The key as it came. Raises PeerError."""
    if _KEY.fullmatch(key) is None:
        raise PeerError("an Idempotency-Key has 1 to 255 visible ASCII characters", param="Idempotency-Key")
    return key


def decide(earlier: Earlier | None, fingerprint: str) -> Earlier | None:
    """The earlier attempt, where another may go on behind it. Raises RefusedError, PeerError."""
    if earlier is None:
        return None
    if earlier.fingerprint != fingerprint:
        raise PeerError(
            "this Idempotency-Key was used for another request; send a new key with a new request",
            code=Code.IDEMPOTENCY_MISMATCH,
            param="Idempotency-Key",
        )
    if earlier.state is State.RUNNING:
        raise RefusedError(
            "the first request with this Idempotency-Key is still running",
            code=Code.IDEMPOTENCY_IN_PROGRESS,
            retry_after_s=_RUNNING_RETRY_S,
        )
    return earlier


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a request, and how it is billed."""

    request_id: str
    """What it is billed under: the request id of the first attempt."""
    earlier: Earlier | None
    _ends: "_Ends | None"
    """None where the request was done before: how this attempt ends changes nothing."""

    @property
    def answer(self) -> KeptAnswer | None:
        """The answer that is to be given again, where it was kept."""
        return self.earlier.answer if self.earlier else None

    def tariff(self, tariff: Tariff) -> Tariff:
        """`tariff` without what the customer has paid already."""
        if self.earlier is None:
            return tariff
        return Paid(tariff) if self.earlier.state is State.DONE else Prepaid(tariff, self.earlier.paid)

    async def finish(self, answer: KeptAnswer | None) -> None:
        """It was answered whole; `answer` where it is to be kept."""
        if self._ends is not None:
            await self._ends.write(partial(self._ends.store.finish, *self._ends.mine, answer))

    async def interrupt(self) -> None:
        """It ended without a whole answer."""
        if self._ends is not None:
            await self._ends.write(partial(self._ends.store.interrupt, *self._ends.mine))

    async def forget(self) -> None:
        """It was answered with an error."""
        if self._ends is not None:
            await self._ends.write(partial(self._ends.store.forget, *self._ends.mine))


_Mine = tuple[str, str, str]
"""Organization, digest of the key, request id of the attempt."""


@dataclass(frozen=True, slots=True)
class _Ends:
    """Writes how an attempt ended: now, or as soon as the store answers again."""

    store: IdempotencyStore
    late: "dict[_Mine, Callable[[], Awaitable[None]]]"
    mine: _Mine

    async def write(self, step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        except StoreError as error:
            self.late[self.mine] = step
            _log.warning("request_not_ended", request_id=self.mine[2], error=error.message)


class Idempotency:
    """The use case behind the header."""

    def __init__(self, store: IdempotencyStore) -> None:
        self._store = store
        self._late: dict[_Mine, Callable[[], Awaitable[None]]] = {}

    async def begin(self, org_id: str, key: str, fingerprint: str, request_id: str) -> Attempt:
        """Begin an attempt at the request that `fingerprint` (SHA-256, hexadecimal) stands for.

        Raises PeerError `idempotency_mismatch`, RefusedError `idempotency_in_progress`, StoreError. A caller that is
        cancelled meanwhile has begun nothing.
        """
        mine = (org_id, hashlib.sha256(check_key(key).encode()).hexdigest(), request_id)
        ends = _Ends(self._store, self._late, mine)
        try:
            earlier = decide(await self._store.begin(mine[0], mine[1], fingerprint, request_id), fingerprint)
        except asyncio.CancelledError:
            await ends.write(partial(self._store.interrupt, *mine))
            raise
        except StoreError:
            # It may have begun though nobody heard of it.
            self._late[mine] = partial(self._store.interrupt, *mine)
            raise
        if earlier is None:
            return Attempt(request_id, None, ends)
        return Attempt(earlier.request_id, earlier, ends if earlier.state is State.INTERRUPTED else None)

    async def settle_late(self) -> None:
        """Write the ends that the store could not take when they came. Raises StoreError."""
        for mine, step in tuple(self._late.items()):
            await step()
            self._late.pop(mine, None)

"""May this request or socket come in? Rates, places and keys, in the order of what they cost, before a body is read."""

import hashlib
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager

from starlette.datastructures import Headers

from voxgate.clock import Clock
from voxgate.domain import Principal
from voxgate.errors import Code, RefusedError
from voxgate.gateways.auth import authenticate, check_scope, credential
from voxgate.gateways.limits import LimitSettings
from voxgate.gateways.livework import LiveWork
from voxgate.gateways.proxies import rate_name
from voxgate.ports import Keys
from voxgate.services.limits import Buckets, Places, Recent

_FULL_RETRY_S = 1  # places become free as requests end, mostly within a second

_SERVER = "the server has {:,} requests and sessions under way"
_KEY = "this API key has {:,} requests and sessions under way"
_WAITING = "{:,} connections wait to show their credential"
_WAITING_HERE = "{:,} connections from this address wait to show their credential"


class Admission:
    """The door of one server. What it counts is in memory and of this process."""

    def __init__(self, keys: Keys, limits: LimitSettings, clock: Clock) -> None:
        self._keys = keys
        self._limits = limits
        self._by_address = Buckets(limits.requests_per_minute_per_address, clock)
        self._by_key = Buckets(limits.requests_per_minute_per_key, clock)
        self._failures = Buckets(limits.failed_keys_per_minute_per_address, clock)
        self._proven = Recent()
        self._places = Places()
        self.live = LiveWork(keys, check_every_s=limits.key_check_s)
        """The work that is under way."""

    def admit(self, headers: Headers, address: str, path: str) -> AbstractAsyncContextManager[Principal]:
        """Who sends a request, for as long as it takes; as `let_in`, with the credential in its headers."""
        return self.let_in(credential(headers), address, path)

    def count(self, address: str) -> None:
        """Count a request from `address` that needs no key. Raises RefusedError `rate_limited`."""
        name = rate_name(address)
        self._within_rate(self._by_address, name, "from this address", "requests_per_minute_per_address")

    @asynccontextmanager
    async def wait(self, address: str) -> AsyncIterator[None]:
        """Keep a place for a socket from `address` that has not shown its credential yet.

        Not one of those that requests have: whoever waits without a key keeps nobody out who has one, and one address
        takes few of the places for it. Raises RefusedError `rate_limited`, `busy`.
        """
        self.count(address)
        name, limits = rate_name(address), self._limits
        own = limits.sockets_without_key_per_address
        with (
            self._place(f"waiting {name}", own, Code.RATE_LIMITED, _WAITING_HERE, "sockets_without_key_per_address"),
            self._place("waiting", limits.concurrent_requests, Code.BUSY, _WAITING, "concurrent_requests"),
        ):
            yield

    @asynccontextmanager
    async def let_in(self, key: str | None, address: str, path: str) -> AsyncIterator[Principal]:
        """Who is asking, for as long as it takes; it is cancelled where its key ends meanwhile.

        `key`: the credential that was shown, if any; `address`: where it came from. Raises RefusedError
        `rate_limited`, `busy`, `invalid_api_key`, `permission_denied`; KeyEndedError; StoreError.
        """
        self.count(address)
        name = rate_name(address)
        with self._place("server", self._limits.concurrent_requests, Code.BUSY, _SERVER, "concurrent_requests"):
            principal = await self._authenticate(key, name)
            key_id = principal.key_id
            self._within_rate(self._by_key, key_id, "with this API key", "requests_per_minute_per_key")
            check_scope(principal, path)
            own = principal.max_concurrent
            most = min(own or self._limits.concurrent_requests_per_key, self._limits.concurrent_requests_per_key)
            named = "concurrent_requests_per_key" if most != own else "the key's own"
            with self._place(f"key {key_id}", most, Code.RATE_LIMITED, _KEY, named):
                async with self.live.of(key_id):
                    yield principal

    async def _authenticate(self, key: str | None, address: str) -> Principal:
        """Who is asking. An address that showed too many wrong keys is not looked up, but for keys that were right.

        So a flood of guesses costs no queries, and shuts nobody out who shares the address with it.
        """
        shown = hashlib.sha256((key or "").encode()).digest()
        if shown not in self._proven and (wait := self._failures.wait_s(address)) > 0:
            raise _too_often("too many wrong API keys from this address", "failed_keys_per_minute_per_address", wait)
        try:
            principal = await authenticate(self._keys, key)
        except RefusedError:
            self._failures.take(address)
            raise
        self._proven.note(shown)
        return principal

    @contextmanager
    def _place(self, name: str, most: int, code: Code, full: str, limit: str) -> Iterator[None]:
        if not self._places.enter(name, most):
            raise RefusedError(
                f"{full.format(most)}, as many as may be ({_named(limit)})",
                code=code,
                retry_after_s=_FULL_RETRY_S,
            )
        try:
            yield
        finally:
            self._places.leave(name)

    def _within_rate(self, buckets: Buckets, name: str, whose: str, limit: str) -> None:
        if (wait := buckets.take(name)) > 0:
            raise _too_often(f"too many requests and connections {whose}", limit, wait)


def _too_often(what: str, limit: str, wait_s: float) -> RefusedError:
    return RefusedError(f"{what} ({_named(limit)})", code=Code.RATE_LIMITED, retry_after_s=math.ceil(wait_s))


def _named(limit: str) -> str:
    return limit if " " in limit else f"limits.{limit}"

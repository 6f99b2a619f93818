"""Work under way, by the key it is done for: a key that is revoked, or expires, ends it within seconds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from voxgate.errors import Code, RefusedError, StoreError
from voxgate.ports import Keys

_log = structlog.get_logger(__name__)


class KeyEndedError(RefusedError):
    """The key ended while work was done for it."""

    default_code = Code.INVALID_API_KEY


class LiveWork:
    """Every piece of work that is done for a key at this moment."""

    def __init__(self, keys: Keys, *, check_every_s: float) -> None:
        self._keys = keys
        self._check_every_s = check_every_s
        self._lives: dict[str, set[asyncio.Timeout]] = {}

    @asynccontextmanager
    async def of(self, key_id: str) -> AsyncIterator[None]:
        """Do the block's work for this key; where the key ends first, the block is cancelled.

        Raises KeyEndedError then.
        """
        try:
            async with asyncio.timeout(None) as life:
                self._lives.setdefault(key_id, set()).add(life)
                try:
                    yield
                finally:
                    self._forget(key_id, life)
        except TimeoutError:
            if life.expired():
                raise KeyEndedError("this API key was revoked or has expired") from None
            raise

    async def check(self) -> None:
        """End the work of keys that have ended: one query, none where nothing is done. Raises StoreError."""
        for key_id in await self._keys.ended(tuple(self._lives)) if self._lives else ():
            for life in self._lives.pop(key_id, ()):
                life.reschedule(asyncio.get_running_loop().time())
            _log.info("key_ended", key_id=key_id)

    async def run(self) -> None:
        """Check until cancelled. A store that does not answer is asked again the next time."""
        while True:
            await asyncio.sleep(self._check_every_s)
            try:
                await self.check()
            except StoreError as error:
                _log.warning("keys_not_checked", error=error.message)
            except Exception:
                # Nobody waits for this task: were it to die, revoked keys would live on unnoticed.
                _log.exception("keys_not_checked")

    def _forget(self, key_id: str, life: asyncio.Timeout) -> None:
        lives = self._lives.get(key_id, set())
        lives.discard(life)
        if not lives:
            self._lives.pop(key_id, None)

    def __len__(self) -> int:
        return len(self._lives)

"""What a request costs before its body is read, and what a key's daily limit adds to a hold (docs/decisions/0008).

python -m benchmarks.door                           SQLite in a temporary folder
python -m benchmarks.door --url postgresql://USER:PASSWORD@HOST/EMPTY_DATABASE
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from starlette.datastructures import Headers

from voxgate.clock import SystemClock
from voxgate.domain import Principal, Scope
from voxgate.gateways.admission import Admission
from voxgate.gateways.limits import LimitSettings
from voxgate.ports import Keys
from voxgate.services.accounts import Accounts, KeyLimits
from voxgate.services.client_secrets import ClientSecrets
from voxgate.services.spending import DailyLimits
from voxgate.store.database import Database
from voxgate.store.stores import Stores

LIMITS = LimitSettings(requests_per_minute_per_key=10**9, requests_per_minute_per_address=10**9)


class InMemory:
    """`ports.Keys` that knows one key at once: what is left is the door alone."""

    def __init__(self, who: Principal) -> None:
        self._who = who

    async def find(self, key: str) -> Principal | None:
        return self._who

    async def ended(self, key_ids: Collection[str]) -> frozenset[str]:
        return frozenset()


async def median_ms(count: int, step: Callable[[], Awaitable[object]]) -> float:
    """The median of so many times, in milliseconds."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        await step()
        times.append((time.perf_counter() - start) * 1000)
    return round(statistics.median(times), 3)


async def run(url: str) -> dict[str, float]:
    """Measure one database."""
    database = await Database.open(url)
    await database.upgrade()
    clock = SystemClock()
    stores = Stores.over(database, clock)
    limits = KeyLimits(daily_credits=Decimal(900_000))
    name = f"benchmark {time.time_ns()}"
    made = await Accounts(stores.accounts).create_key(name, credits=Decimal(1_000_000), limits=limits)
    limited = await stores.credentials.find(made.key)
    assert limited is not None
    free = replace(limited, daily_limit=None)
    secrets = ClientSecrets(stores.secrets, clock)
    ledger = DailyLimits(stores.ledger, stores.spending, clock)
    headers = Headers({"Authorization": f"Bearer {made.key}"})

    async def through(door: Admission) -> None:
        async with door.admit(headers, "203.0.113.9", "/v1/audio/speech"):
            pass

    async def mint() -> str:
        return (await secrets.mint(free, seconds=60, scopes=frozenset(Scope), session={"type": "realtime"})).value

    async def hold(who: Principal) -> object:
        return await ledger.hold(who, 166_666, request_id="req_benchmark", surface="transcription")

    def door(keys: Keys) -> Admission:
        return Admission(keys, LIMITS, clock)

    alone, whole, secret = door(InMemory(free)), door(stores.credentials), await mint()
    many = [f"key_{number}" for number in range(1_000)]
    figures = {
        "the door alone": await median_ms(5_000, lambda: through(alone)),
        "find a key": await median_ms(1_000, lambda: stores.credentials.find(made.key)),
        "the door with its key": await median_ms(1_000, lambda: through(whole)),
        "find a client secret": await median_ms(1_000, lambda: stores.credentials.find(secret)),
        "mint a client secret": await median_ms(400, mint),
        "hold": await median_ms(400, lambda: hold(free)),
        "hold, with a daily limit": await median_ms(400, lambda: hold(limited)),
        "ask which of 1,000 keys have ended": await median_ms(100, lambda: stores.keys.ended(many)),
    }
    await stores.keys.aclose()
    await database.aclose()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="database to measure; default: SQLite in a temporary folder")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(run(given.url or f"sqlite:///{Path(folder) / 'benchmark.db'}"))
    print(json.dumps({f"{what}, ms": value for what, value in figures.items()}, indent=2))


if __name__ == "__main__":
    main()

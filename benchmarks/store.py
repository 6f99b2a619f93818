"""How long a request waits for keys and credits: authorize + hold, on a ledger of a given length.

    python benchmarks/store.py                          SQLite in a temporary folder, an empty ledger
    python benchmarks/store.py --postings 1000000       behind a million postings
    python benchmarks/store.py --url postgresql://USER:PASSWORD@HOST/EMPTY_DATABASE

Targets (issue 11): authorize + hold <= 2 ms p50 on SQLite, 4 ms on PostgreSQL, flat up to a million postings.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.clock import SystemClock
from voxgate.domain import Principal, Tier, Usage
from voxgate.ports import Hold
from voxgate.services.accounts import Accounts
from voxgate.store.accounts import SqlAccounts
from voxgate.store.database import Database
from voxgate.store.keys import SqlKeys
from voxgate.store.ledger import SqlLedger
from voxgate.store.schema import Kind, organizations, postings

CONCURRENT = 200
BATCH = 10_000


async def fill(database: Database, org_id: str, count: int) -> None:
    """Put `count` postings of a micro-credit into the ledger, the balance along with them."""
    at = SystemClock().now()
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        rows = [
            {"org_id": org_id, "kind": Kind.GRANT, "amount": 1, "key": f"{org_id}:fill:{start + n}", "at": at}
            for n in range(size)
        ]

        async def add(connection: AsyncConnection, rows: list[dict[str, object]] = rows) -> None:
            await connection.execute(insert(postings), rows)
            await connection.execute(
                update(organizations)
                .where(organizations.c.id == org_id)
                .values(available=organizations.c.available + len(rows))
            )

        await database.write(add)


async def timed(step: Callable[[], Awaitable[object]], times: list[float]) -> object:
    """Carry out `step` and note how many milliseconds it took."""
    start = time.perf_counter()
    result = await step()
    times.append((time.perf_counter() - start) * 1000)
    return result


def summary(times: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(times, n=20)
    return {"p50_ms": round(statistics.median(times), 3), "p95_ms": round(cuts[18], 3)}


async def run(url: str, count: int, requests: int) -> dict[str, object]:
    """Measure one database."""
    database = await Database.open(url)
    await database.upgrade()
    clock = SystemClock()
    keys, ledger = SqlKeys(database, clock), SqlLedger(database, clock)
    name = f"benchmark {time.time_ns()}"
    made = await Accounts(SqlAccounts(database, clock)).create_key(name, tier=Tier.OWNER, credits=Decimal(1_000_000))
    await fill(database, made.org.id, count)

    async def authorize() -> Principal:
        principal = await keys.find(made.key)
        assert principal is not None
        return principal

    async def authorize_and_hold() -> Hold:
        return await ledger.hold(await authorize(), 166_666, request_id="req_benchmark", surface="transcription")

    async def settle(hold: Hold) -> object:
        return await hold.settle(83_333, Usage("req_benchmark", "transcription", {"audio_ms": 5000}))

    for _ in range(20):
        await settle(await authorize_and_hold())
    authorized: list[float] = []
    held: list[float] = []
    settled: list[float] = []
    for _ in range(requests):
        await timed(authorize, authorized)
        hold = await timed(authorize_and_hold, held)
        await timed(lambda hold=hold: settle(hold), settled)  # type: ignore[misc]  # mypy infers no default of a lambda
    start = time.perf_counter()
    holds = await asyncio.gather(*(authorize_and_hold() for _ in range(CONCURRENT)))
    together = time.perf_counter() - start
    await asyncio.gather(*(settle(hold) for hold in holds))
    await keys.aclose()
    await database.aclose()
    return {
        "database": database.dialect,
        "postings": count,
        "requests": requests,
        "authorize": summary(authorized),
        "authorize_and_hold": summary(held),
        "settle": summary(settled),
        f"{CONCURRENT}_at_once": {"seconds": round(together, 3), "holds_per_second": round(CONCURRENT / together)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="database to fill and measure; default: SQLite in a temporary folder")
    parser.add_argument("--postings", type=int, default=0, help="length of the ledger beforehand (default 0)")
    parser.add_argument("--requests", type=int, default=500, help="how many to time (default 500)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = given.url or f"sqlite:///{Path(folder) / 'benchmark.db'}"
        print(json.dumps(asyncio.run(run(url, given.postings, given.requests)), indent=2))


if __name__ == "__main__":
    main()

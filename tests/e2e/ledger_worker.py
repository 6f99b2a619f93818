"""A process that does metered work until it is killed, and writes down what it delivered before the ledger knows.

    python -m tests.e2e.ledger_worker URL KEY_ID ORG_ID SEED

Lines on stdout: `sent REQUEST TOTAL`, `known REQUEST TOTAL` (the ledger has it for certain), `void REQUEST`,
`settled REQUEST CHARGE`.
"""

import asyncio
import os
import random
import sys
from decimal import Decimal

from voxgate.clock import SystemClock
from voxgate.domain import Principal, Tier
from voxgate.errors import RefusedError
from voxgate.services.billing import PerMinute, PerSecond, Tariff, to_micro
from voxgate.services.metering import Meter
from voxgate.store.accounts import SqlAccounts
from voxgate.store.database import Database
from voxgate.store.ledger import SqlLedger

RATE = 1000
TARIFFS: dict[str, Tariff] = {"s": PerSecond("transcription", 600_000, RATE), "m": PerMinute("speech", 1000, RATE)}
WORKERS = 6
GRANTS = (Decimal("0.5"), Decimal(3))


def tell(*words: object) -> None:
    """One line, in one write, so that a kill takes it whole or not at all."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


class Worker:
    """Everything one process does."""

    def __init__(self, database: Database, who: Principal, seed: int) -> None:
        self.ledger = SqlLedger(database, SystemClock())
        self.accounts = SqlAccounts(database, SystemClock())
        self.who = who
        self.random = random.Random(seed)
        self.seed = seed
        self.sent: dict[str, int] = {}

    async def work(self, name: str) -> None:
        """One piece of work after another: streamed, whole, void."""
        count = 0
        while True:
            count += 1
            kind = self.random.choice("sm")
            request = f"{kind}-{self.seed}-{name}-{count}"
            whole, void = self.random.random() < 0.3, self.random.random() < 0.2
            try:
                meter = Meter(self.ledger, self.who, TARIFFS[kind], request_id=request, whole=whole)
                total = 0
                async with meter:
                    for _ in range(self.random.randrange(6)):
                        quantity = self.random.randrange(1, 40 * RATE)
                        await meter.ahead(quantity)
                        if not whole:
                            self.sent[request] = self.sent.get(request, 0) + quantity
                            tell("sent", request, self.sent[request])
                        meter.delivered(quantity)
                        await asyncio.sleep(self.random.random() / 200)
                        total += quantity
                    if whole:
                        tell("sent", request, total)
                    if void:
                        self.sent.pop(request, None)
                        tell("void", request)
                        meter.void()
            except RefusedError:
                await self.accounts.grant("acme", to_micro(self.random.choice(GRANTS)), grant_id=f"{request}")
                continue
            self.sent.pop(request, None)
            tell("settled", request, meter.used)

    async def beat(self) -> None:
        """The heart, a few hundred times as fast."""
        while True:
            known = dict(self.sent)
            await self.ledger.beat()
            for request, total in known.items():
                tell("known", request, total)
            await asyncio.sleep(0.02)


async def main(url: str, key_id: str, org_id: str, seed: int) -> None:
    """Until killed."""
    database = await Database.open(url)
    worker = Worker(database, Principal(key_id, org_id, "acme", Tier.FREE), seed)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker.beat())
        for number in range(WORKERS):
            tasks.create_task(worker.work(str(number)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))

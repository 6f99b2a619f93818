"""SIGKILL at any moment, on both databases: the books come out right, and charge what was delivered."""

import asyncio
import random
import time
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from tests.e2e.killing import run_and_kill
from tests.e2e.ledger_worker import TARIFFS
from tests.postgres import Postgres
from tests.serving import SCRIPTED, Server
from voxgate.books import UsageQuery
from voxgate.clock import FakeClock
from voxgate.domain import Tier
from voxgate.services.billing import to_micro
from voxgate.services.idempotency import Idempotency
from voxgate.services.sweeping import LedgerSettings, Sweeper
from voxgate.store.accounts import SqlAccounts
from voxgate.store.audit import SqlAudit
from voxgate.store.books import SqlBooks
from voxgate.store.database import Database
from voxgate.store.idempotency import SqlIdempotency
from voxgate.store.ledger import SqlLedger
from voxgate.store.usage import SqlUsage

pytestmark = pytest.mark.slow

KILLS = 4
_PATIENCE_S = 30


def bounds(journal: list[list[str]]) -> dict[str, tuple[int, int]]:
    """Request -> the least and the most micro-credits it may have been charged."""
    least: dict[str, int] = defaultdict(int)
    most: dict[str, int] = defaultdict(int)
    void, settled = set(), {}
    for word, request, *value in journal:
        tariff = TARIFFS[request[0]]
        if word == "sent":
            most[request] = tariff.charge(int(value[0]))
        elif word == "known":
            least[request] = tariff.charge(int(value[0]))
        elif word == "void":
            void.add(request)
        else:
            settled[request] = to_micro(Decimal(value[0]))
    open_ = {request: (0 if request in void else least[request], amount) for request, amount in most.items()}
    return open_ | {request: (charge, charge) for request, charge in settled.items()}


async def test_the_ledger_says_what_was_delivered_whenever_its_server_is_killed(url: str) -> None:
    database = await Database.open(url)
    await database.upgrade()
    clock = FakeClock()
    added = await SqlAccounts(database, clock).add_key(
        "vg_" + "k" * 40, org="acme", tier=Tier.FREE, grant=20_000_000, label="", expires_at=None
    )
    assert added is not None
    org, key = added
    ledger = SqlLedger(database, clock)
    books, requests = SqlBooks(database, clock), Idempotency(SqlIdempotency(database, clock, ledger))
    sweeper = Sweeper(ledger, books, requests, clock, LedgerSettings())
    seed = random.randrange(1_000_000)
    swept = 0
    for kill in range(KILLS):
        journal = await asyncio.to_thread(run_and_kill, "ledger_worker", url, key.id, org.id, seed + kill)
        swept += (await ledger.balance(org.id)).held > 0
        for _ in range(2):  # seen alive for the last time, then silent for too long
            await sweeper.tick()
            clock.advance(31)
        await sweeper.tick()
        assert (await SqlAudit(database).audit()).differences == (), f"seed {seed + kill}"
        assert (await ledger.balance(org.id)).held == 0
        rows = await SqlUsage(database).page(UsageQuery(org_id=org.id), limit=100_000)
        assert rows is not None
        charged: dict[str, int] = defaultdict(int)
        for row in rows:
            charged[row.request_id] += row.amount
        assert len(charged) == len(rows), "one usage row a request"
        for request, (least, most) in bounds(journal).items():
            its_lines = [line for line in journal if line[1] == request]
            assert charged[request] in range(least, most + 1), f"seed {seed + kill}: {its_lines}"
        its_own = {request for request in charged if request.split("-")[1] == str(seed + kill) and charged[request]}
        assert its_own <= bounds(journal).keys(), "nothing is charged that was not delivered"
    assert swept, "no kill hit open work"
    await database.aclose()


SLOW = """
[engines.scripted_tts]
piece_ms = 20
piece_audio_ms = 1000
word_ms = 1000
[ledger]
heartbeat_s = 0.1
orphaned_after_s = 0.5
[store]
url = "{url}"
"""
SAY = {"model": "tts-1", "voice": "alloy", "response_format": "pcm", "input": "word " * 70}
WHOLE = 70 * 24_000 * 2
"""Bytes of the audio: a second a word."""


def test_a_server_killed_in_the_middle_of_a_stream_is_settled_by_the_next_and_the_repeat_pays_the_rest(
    postgres: Postgres, tmp_path: Path
) -> None:
    name = postgres.create()
    config = SCRIPTED + SLOW.format(url=postgres.url(name))
    first = Server(tmp_path / "server", config)
    key = first.new_key("acme", "10")
    headers = {"Idempotency-Key": "order-1"}
    with (
        pytest.raises(httpx.RemoteProtocolError),
        first.client(key) as client,
        client.stream("POST", "/v1/audio/speech", json=SAY, headers=headers) as answer,
    ):
        request_id = answer.headers["X-Request-Id"]
        got = 0
        for piece in answer.iter_raw():
            got += len(piece)
            if got > 5 * 48_000:
                time.sleep(0.3)  # a heartbeat or three
                first.process.kill()
    first.process.wait(10)

    second = Server(tmp_path / "server", config)
    with second.client(key) as client:
        end = time.monotonic() + _PATIENCE_S
        while client.get("/v1/credits").json()["held"]:
            assert time.monotonic() < end, "the hold was never settled"
            time.sleep(0.1)
        assert client.get("/v1/credits").json()["balance"] == 9, "one minute was begun"
        again = client.post("/v1/audio/speech", json=SAY, headers=headers)
        assert (again.status_code, len(again.content)) == (200, WHOLE)
        assert client.get("/v1/credits").json() == {"balance": 8, "held": 0, "org": "acme", "tier": "free"}
        rows = client.get("/v1/usage", params={"request_id": request_id}).json()["data"]
        assert [row["credits"] for row in rows] == [1, 1]
        assert client.post("/v1/audio/speech", json=SAY, headers=headers).status_code == 200
        assert client.get("/v1/credits").json()["balance"] == 8
    audit = second.voxgate("credits", "audit", check=False)
    assert (audit.returncode, "agrees" in audit.stderr) == (0, True), audit.stderr
    assert second.stop() == 0
    assert key not in first.log + second.log
    assert "order-1" not in first.log + second.log
    assert "not-asked-for" not in first.log + second.log, "the database's password"
    postgres.drop(name)

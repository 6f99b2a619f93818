import asyncio
from pathlib import Path

import pytest

from tests.cli.conftest import Voxgate
from voxgate.clock import FakeClock
from voxgate.domain import Principal, Tier, Usage
from voxgate.store.accounts import SqlAccounts
from voxgate.store.database import Database
from voxgate.store.ledger import SqlLedger


@pytest.fixture
def worked(here: Path) -> Path:
    """The database of two organizations, with a minute between their two pieces of work."""

    async def work() -> None:
        clock = FakeClock()
        database = await Database.open(f"sqlite:///{here / 'data' / 'voxgate.db'}")
        await database.upgrade()
        for name in ("acme", "other"):
            added = await SqlAccounts(database, clock).add_key(
                f"vg_{name:k<40}", org=name, tier=Tier.FREE, grant=1000, label="", expires_at=None
            )
            assert added is not None
            who = Principal(added[1].id, added[0].id, name, Tier.FREE)
            hold = await SqlLedger(database, clock).hold(who, 10, request_id=f"req_{name}", surface="speech")
            await hold.settle(7, Usage(f"req_{name}", "speech", {"audio_ms": 5}))
            clock.advance(60)
        await database.aclose()

    (here / "data").mkdir()
    asyncio.run(work())
    return here


def _requests(csv: str) -> list[str]:
    return [line.split(",")[3] for line in csv.splitlines()[1:]]


@pytest.mark.usefixtures("worked")
def test_everything_is_exported_oldest_first(voxgate: Voxgate) -> None:
    exported = voxgate("usage", "export")
    assert exported.exit_code == 0
    lines = exported.stdout.splitlines()
    assert lines[0] == "at,org,key,request_id,surface,units,credits,id"
    assert lines[1].startswith("2026-01-01T00:00:00+00:00,acme,key_")
    assert ",req_acme,speech,audio_ms=5,0.000007,use_" in lines[1]
    assert _requests(exported.stdout) == ["req_acme", "req_other"]


@pytest.mark.usefixtures("worked")
@pytest.mark.parametrize(
    ("options", "requests"),
    [
        (["--from", "2026-01-01T00:01Z"], ["req_other"]),
        (["--to", "2026-01-01T00:01Z"], ["req_acme"]),
        (["--from", "2026-01-01", "--to", "2026-01-02"], ["req_acme", "req_other"]),
        (["--org", "other"], ["req_other"]),
        (["--from", "2027-01-01"], []),
    ],
)
def test_a_span_and_an_organization_can_be_chosen(voxgate: Voxgate, options: list[str], requests: list[str]) -> None:
    assert _requests(voxgate("usage", "export", *options).stdout) == requests


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--from", "yesterday"], "'from'"),
        (["--from", "2026-01-02", "--to", "2026-01-01"], "'to'"),
        (["--org", "nobody"], "'nobody'"),
    ],
)
def test_wrong_options_are_told_in_one_line(voxgate: Voxgate, options: list[str], named: str) -> None:
    told = voxgate("usage", "export", *options)
    assert (told.exit_code, told.stdout, told.stderr.count("\n")) == (2, "", 1)
    assert named in told.stderr

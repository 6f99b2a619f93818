import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.clock import FakeClock
from voxgate.domain import Balance, Principal, Usage
from voxgate.errors import Code, MisuseError, RefusedError
from voxgate.store.audit import SqlAudit
from voxgate.store.database import Database
from voxgate.store.ledger import SqlLedger
from voxgate.store.schema import Kind
from voxgate.store.steps import HoldRef, balance_of, settle, take


async def test_taking_moves_credits_and_refuses_what_is_not_there(database: Database, who: Principal) -> None:
    async def step(connection: AsyncConnection) -> Balance:
        return await take(connection, who.org_id, 600)

    assert await database.write(step) == Balance(available=400, held=600)
    with pytest.raises(RefusedError) as caught:
        await database.write(step)
    assert caught.value.code is Code.INSUFFICIENT_CREDITS


async def test_an_organization_that_is_not_there_has_no_balance(database: Database) -> None:
    async def step(connection: AsyncConnection) -> Balance:
        return await balance_of(connection, "org_unknown")

    with pytest.raises(MisuseError):
        await database.read(step)


def test_the_key_of_a_posting_is_its_hold_and_step() -> None:
    row = HoldRef("hold_1", "org_1", "key_1", "req_1").posting(Kind.HOLD, 5, FakeClock().now(), step="hold:5")
    assert (row["key"], row["kind"], row["amount"], row["request_id"]) == ("hold_1:hold:5", "hold", 5, "req_1")


@pytest.mark.parametrize(("charge", "done"), [(0, None), (4, Usage("req_1", "speech", {})), (10, None)])
async def test_what_fails_behind_a_settlement_undoes_it(
    database: Database, ledger: SqlLedger, who: Principal, charge: int, done: Usage | None
) -> None:
    hold = await ledger.hold(who, 10, request_id="req_1", surface="speech")

    async def step(connection: AsyncConnection) -> None:
        await settle(connection, hold.ref, 10, charge, done, FakeClock().now(), swept=True)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.write(step)
    assert await ledger.balance(who.org_id) == Balance(available=990, held=10)
    assert (await SqlAudit(database).audit()).differences == ()

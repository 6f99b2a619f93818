import asyncio

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

from voxgate.clock import FakeClock
from voxgate.domain import Balance, Principal, Tier, Usage
from voxgate.errors import Code, MisuseError, RefusedError, StoreError
from voxgate.store.database import Database, Work
from voxgate.store.ledger import SqlLedger
from voxgate.store.schema import holds, postings, usage

GRANT = 1000
DONE = Usage("req_1", "speech", {"audio_ms": 1200})


async def posted(database: Database) -> list[tuple[str, int]]:
    """Every posting after the grant, in order, as (kind, amount)."""

    async def look(connection: AsyncConnection) -> list[tuple[str, int]]:
        rows = await connection.execute(select(postings.c.kind, postings.c.amount).order_by(postings.c.id))
        return [(row.kind, row.amount) for row in rows][1:]

    return await database.read(look)


async def used(database: Database) -> list[tuple[str, str, dict[str, int], int]]:
    async def look(connection: AsyncConnection) -> list[tuple[str, str, dict[str, int], int]]:
        rows = await connection.execute(select(usage).order_by(usage.c.id))
        return [(row.request_id, row.surface, row.units, row.amount) for row in rows]

    return await database.read(look)


async def test_a_hold_sets_aside_and_a_settlement_charges_and_releases(
    database: Database, ledger: SqlLedger, who: Principal
) -> None:
    hold = await ledger.hold(who, 300, request_id="req_1", surface="speech")
    assert (hold.amount, hold.balance) == (300, Balance(available=700, held=300))
    await hold.extend(500, earned=290, units={"audio_ms": 900})
    assert (hold.amount, hold.balance) == (500, Balance(available=500, held=500))
    assert await hold.settle(320, DONE) == Balance(available=680, held=0)
    assert await ledger.balance(who.org_id) == Balance(available=680, held=0)
    assert await posted(database) == [("hold", 300), ("hold", 200), ("charge", 320), ("release", 180)]
    assert await used(database) == [("req_1", "speech", {"audio_ms": 1200}, 320)]


async def test_exactly_enough_is_enough_and_one_micro_credit_less_is_not(ledger: SqlLedger, who: Principal) -> None:
    with pytest.raises(RefusedError) as caught:
        await ledger.hold(who, GRANT + 1, request_id="r", surface="speech")
    assert caught.value.code is Code.INSUFFICIENT_CREDITS
    assert await ledger.balance(who.org_id) == Balance(available=GRANT, held=0)
    hold = await ledger.hold(who, GRANT - 1, request_id="r", surface="speech")
    with pytest.raises(RefusedError):
        await hold.extend(GRANT + 1)
    assert (hold.amount, await ledger.balance(who.org_id)) == (GRANT - 1, Balance(available=1, held=GRANT - 1))
    await hold.extend(GRANT)
    assert hold.balance == Balance(available=0, held=GRANT)
    assert await hold.settle(GRANT, DONE) == Balance(available=0, held=0)


async def test_whole_and_empty_settlements_post_no_zeros(database: Database, ledger: SqlLedger, who: Principal) -> None:
    await (await ledger.hold(who, 10, request_id="r", surface="chat")).settle(10, DONE)
    await (await ledger.hold(who, 10, request_id="r", surface="chat")).settle(0, None)
    assert await posted(database) == [("hold", 10), ("charge", 10), ("hold", 10), ("release", 10)]
    assert len(await used(database)) == 1


async def test_a_settlement_made_twice_charges_once(database: Database, ledger: SqlLedger, who: Principal) -> None:
    hold = await ledger.hold(who, 100, request_id="r", surface="speech")
    both = await asyncio.gather(hold.settle(60, DONE), hold.settle(60, DONE))
    assert set(both) == {Balance(available=940, held=0)}
    with pytest.raises(MisuseError, match="cannot be settled at 61"):
        await hold.settle(61, DONE)
    with pytest.raises(MisuseError, match="extended"):
        await hold.extend(200)
    assert await posted(database) == [("hold", 100), ("charge", 60), ("release", 40)]
    assert len(await used(database)) == 1


@pytest.mark.parametrize("charge", [-1, 101])
async def test_a_charge_outside_its_hold_is_our_fault(ledger: SqlLedger, who: Principal, charge: int) -> None:
    hold = await ledger.hold(who, 100, request_id="r", surface="speech")
    with pytest.raises(MisuseError):
        await hold.settle(charge, DONE)
    assert await hold.settle(100, DONE) == Balance(available=900, held=0)


async def test_a_hold_of_nothing_is_our_fault(ledger: SqlLedger, who: Principal) -> None:
    with pytest.raises(MisuseError):
        await ledger.hold(who, 0, request_id="r", surface="chat")


async def test_a_hold_for_nobody_is_refused(ledger: SqlLedger, who: Principal) -> None:
    nobody = Principal(who.key_id, "org_gone", "gone", Tier.FREE)
    with pytest.raises(RefusedError):
        await ledger.hold(nobody, 1, request_id="r", surface="chat")
    with pytest.raises(MisuseError):
        await ledger.balance("org_gone")


async def test_an_extension_made_twice_holds_once_and_never_shrinks(
    database: Database, ledger: SqlLedger, who: Principal
) -> None:
    hold = await ledger.hold(who, 100, request_id="r", surface="speech")
    await asyncio.gather(hold.extend(150), hold.extend(150))
    await hold.extend(120, earned=90)
    assert (hold.amount, hold.balance) == (150, Balance(available=850, held=150))
    assert await posted(database) == [("hold", 100), ("hold", 50)]


async def test_an_open_hold_remembers_what_a_crash_will_be_billed(
    database: Database, ledger: SqlLedger, who: Principal, clock: FakeClock
) -> None:
    hold = await ledger.hold(who, 100, request_id="req_7", surface="speech")
    opened = clock.now()
    clock.advance(60)
    await hold.extend(200, earned=100, units={"audio_ms": 60_000})

    async def look(connection: AsyncConnection) -> object:
        row = (await connection.execute(select(holds))).one()
        return (
            row.request_id, row.surface, row.amount, row.earned, row.units,
            row.opened_at, row.heartbeat_at, row.settled_at, row.charged,
        )  # fmt: skip

    assert await database.read(look) == (
        "req_7", "speech", 200, 100, {"audio_ms": 60_000}, opened, clock.now(), None, None
    )  # fmt: skip


async def test_free_work_is_written_without_a_posting(database: Database, ledger: SqlLedger, who: Principal) -> None:
    assert await ledger.record(who, Usage("req_2", "chat", {"tokens": 3})) == Balance(available=GRANT, held=0)
    assert await posted(database) == []
    assert await used(database) == [("req_2", "chat", {"tokens": 3}, 0)]


async def test_two_hundred_holds_at_once_lose_and_invent_nothing(
    database: Database, ledger: SqlLedger, who: Principal
) -> None:
    async def work(number: int) -> int:
        """Credits that were charged: 6 of 10, or none where there were not 10 left."""
        try:
            hold = await ledger.hold(who, 10, request_id=f"req_{number}", surface="speech")
        except RefusedError:
            return 0
        await hold.settle(6, Usage(f"req_{number}", "speech", {}))
        return 6

    charged = sum(await asyncio.gather(*(work(number) for number in range(200))))
    # 1000 pays for 166 charges of 6; a hold of 10 is refused once fewer than 10 are available
    assert 100 * 6 <= charged <= 166 * 6
    assert await ledger.balance(who.org_id) == Balance(available=GRANT - charged, held=0)
    assert len(await used(database)) == charged // 6


async def test_of_two_hundred_holds_that_stay_exactly_those_that_fit_are_granted(
    ledger: SqlLedger, who: Principal
) -> None:
    made = await asyncio.gather(
        *(ledger.hold(who, 10, request_id=f"req_{number}", surface="speech") for number in range(200)),
        return_exceptions=True,
    )
    refused = [each for each in made if isinstance(each, RefusedError)]
    assert len(refused) == 100
    assert sum(isinstance(each, BaseException) for each in made) == 100
    assert await ledger.balance(who.org_id) == Balance(available=0, held=GRANT)


async def test_extensions_and_settlements_of_many_holds_never_wait_for_each_other(
    ledger: SqlLedger, who: Principal
) -> None:
    async def work(number: int) -> None:
        hold = await ledger.hold(who, 1, request_id=f"req_{number}", surface="speech")
        for total in (2, 3):
            await hold.extend(total)
        await hold.settle(2, Usage(f"req_{number}", "speech", {}))

    await asyncio.gather(*(work(number) for number in range(50)))
    assert await ledger.balance(who.org_id) == Balance(available=GRANT - 100, held=0)


@pytest.mark.parametrize(
    "point", ["begin", "update organizations", "insert into holds", "insert into postings", "commit"]
)
async def test_a_caller_cancelled_at_any_point_has_nothing_held(
    database: Database, ledger: SqlLedger, who: Principal, point: str
) -> None:
    engine = database._writer.sync_engine
    cancelled: list[str] = []

    def at(here: str) -> None:
        if here.lower().startswith(point) and not cancelled:
            cancelled.append(point)
            task.cancel()

    event.listen(engine, "begin", lambda *_: at("begin"))
    event.listen(engine, "before_cursor_execute", lambda _c, _cursor, statement, *_: at(statement))
    event.listen(engine, "commit", lambda *_: at("commit"))
    task = asyncio.create_task(ledger.hold(who, 10, request_id="r", surface="speech"))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled == [point]
    assert await ledger.balance(who.org_id) == Balance(available=GRANT, held=0)
    assert await posted(database) == [("hold", 10), ("release", 10)]


async def test_a_caller_cancelled_while_the_store_fails_is_still_cancelled(
    database: Database, ledger: SqlLedger, who: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(_work: object) -> None:
        raise StoreError("the database does not answer")

    task = asyncio.create_task(ledger.hold(who, 10, request_id="req_9", surface="speech"))
    await asyncio.sleep(0)
    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(database, "read", gone)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [(log["event"], log["request_id"]) for log in logs] == [("hold_left_open", "req_9")]
    assert await ledger.balance(who.org_id) == Balance(available=GRANT - 10, held=10)


async def test_a_caller_cancelled_twice_has_nothing_held_after_the_next_beat(
    database: Database, ledger: SqlLedger, who: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking = asyncio.Event()

    async def look_for_ever(_work: object) -> None:
        looking.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(ledger.hold(who, 10, request_id="r", surface="speech"))
    await asyncio.sleep(0)
    with monkeypatch.context() as patch:
        patch.setattr(database, "read", look_for_ever)
        task.cancel()
        await looking.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await ledger.balance(who.org_id) == Balance(available=GRANT - 10, held=10)
    await ledger.beat()
    assert await ledger.balance(who.org_id) == Balance(available=GRANT, held=0)
    assert await posted(database) == [("hold", 10), ("release", 10)]


async def test_a_settlement_is_finished_though_its_caller_is_cancelled(ledger: SqlLedger, who: Principal) -> None:
    hold = await ledger.hold(who, 10, request_id="r", surface="speech")
    task = asyncio.create_task(hold.settle(4, DONE))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await ledger.balance(who.org_id) == Balance(available=GRANT - 4, held=0)
    await ledger.beat()
    assert ledger._live == {}, "forgotten with the next beat"
    assert await ledger.balance(who.org_id) == Balance(available=GRANT - 4, held=0)


async def test_the_schema_itself_refuses_a_negative_balance(database: Database, who: Principal) -> None:
    async def overdraw(connection: AsyncConnection) -> None:
        await connection.execute(text("UPDATE organizations SET available = -1"))

    with pytest.raises(MisuseError):
        await database.write(overdraw)


async def test_what_fails_in_the_middle_posts_nothing(database: Database, ledger: SqlLedger, who: Principal) -> None:
    stranger = Principal("key_unknown", who.org_id, who.org_name, who.tier)
    with pytest.raises(MisuseError):  # the key is a foreign key of the hold
        await ledger.hold(stranger, 10, request_id="r", surface="speech")
    assert await ledger.balance(who.org_id) == Balance(available=GRANT, held=0)
    assert await posted(database) == []

    async def count(connection: AsyncConnection) -> int:
        return int(await connection.scalar(select(func.count()).select_from(holds)) or 0)

    assert await database.read(count) == 0


async def test_a_beat_writes_what_was_delivered_since_the_last(
    database: Database, ledger: SqlLedger, who: Principal, clock: FakeClock
) -> None:
    hold = await ledger.hold(who, 100, request_id="req_1", surface="speech")
    still = await ledger.hold(who, 100, request_id="req_2", surface="speech")

    async def look(connection: AsyncConnection) -> list[tuple[int, object, object]]:
        rows = await connection.execute(
            select(holds.c.earned, holds.c.units, holds.c.heartbeat_at).order_by(holds.c.request_id)
        )
        return [(row.earned, row.units, row.heartbeat_at) for row in rows]

    opened = clock.now()
    clock.advance(5)
    hold.progress(10, {"audio_ms": 1})
    hold.progress(20, {"audio_ms": 2})
    await ledger.beat()
    assert await database.read(look) == [(20, {"audio_ms": 2}, clock.now()), (0, {}, opened)]
    clock.advance(5)
    await ledger.beat()
    assert (await database.read(look))[0][2] != clock.now(), "nothing new, nothing written"
    await hold.settle(20, DONE)
    still.progress(5, {"audio_ms": 3})
    await ledger.beat()
    assert [row[0] for row in await database.read(look)] == [20, 5]


async def test_a_settlement_the_store_could_not_take_is_made_with_a_later_beat(
    database: Database, ledger: SqlLedger, who: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = await ledger.hold(who, 100, request_id="req_1", surface="speech")

    async def gone(*_: object, **__: object) -> None:
        raise StoreError("the database does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(database, "write", gone)
        with pytest.raises(StoreError):
            await hold.settle(40, DONE)
        with pytest.raises(StoreError):
            await ledger.beat()
        with pytest.raises(StoreError):  # nobody knows whether this one was opened
            await ledger.hold(who, 100, request_id="req_2", surface="speech")
    await ledger.beat()
    assert await ledger.balance(who.org_id) == Balance(available=GRANT - 40, held=0)
    assert await used(database) == [("req_1", "speech", {"audio_ms": 1200}, 40)]


async def test_a_hold_whose_opening_was_not_heard_of_is_given_back(
    database: Database, ledger: SqlLedger, who: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = database.write

    async def opens_and_loses_its_voice(work: Work[object], *, durable: bool = True) -> None:
        await write(work, durable=durable)
        raise StoreError("the database does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(database, "write", opens_and_loses_its_voice)
        with pytest.raises(StoreError):
            await ledger.hold(who, 100, request_id="req_1", surface="speech")
    assert await ledger.balance(who.org_id) == Balance(available=GRANT - 100, held=100)
    await ledger.beat()
    assert await ledger.balance(who.org_id) == Balance(available=GRANT, held=0)

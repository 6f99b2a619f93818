import asyncio

import pytest

from voxgate.books import Earlier, KeptAnswer, State
from voxgate.clock import FakeClock
from voxgate.domain import Principal, Usage
from voxgate.store.database import Database
from voxgate.store.idempotency import SqlIdempotency
from voxgate.store.ledger import SqlLedger

KEY, BODY = "a" * 64, "b" * 64
ANSWER = KeptAnswer(200, {"content-type": "application/json"}, b'{"text": "hi"}')


@pytest.fixture
def requests(database: Database, clock: FakeClock, ledger: SqlLedger) -> SqlIdempotency:
    return SqlIdempotency(database, clock, ledger)


async def test_of_twenty_at_once_one_is_the_first(requests: SqlIdempotency, who: Principal) -> None:
    begun = await asyncio.gather(*(requests.begin(who.org_id, KEY, BODY, f"req_{n}") for n in range(20)))
    assert sum(each is None for each in begun) == 1
    assert {each.state for each in begun if each} == {State.RUNNING}


async def test_the_first_answer_is_kept(requests: SqlIdempotency, who: Principal) -> None:
    assert await requests.begin(who.org_id, KEY, BODY, "req_1") is None
    await requests.finish(who.org_id, KEY, "req_1", ANSWER)
    assert await requests.begin(who.org_id, KEY, BODY, "req_2") == Earlier(State.DONE, BODY, "req_1", 0, ANSWER)


async def test_an_answer_that_is_not_kept_leaves_what_it_cost(
    requests: SqlIdempotency, ledger: SqlLedger, who: Principal
) -> None:
    await requests.begin(who.org_id, KEY, BODY, "req_1")
    hold = await ledger.hold(who, 10, request_id="req_1", surface="speech")
    await hold.settle(7, Usage("req_1", "speech", {}))
    await requests.finish(who.org_id, KEY, "req_1", None)
    assert await requests.begin(who.org_id, KEY, BODY, "req_2") == Earlier(State.DONE, BODY, "req_1", 7, None)


async def test_an_interrupted_request_is_taken_over_by_one(requests: SqlIdempotency, who: Principal) -> None:
    await requests.begin(who.org_id, KEY, BODY, "req_1")
    await requests.interrupt(who.org_id, KEY, "req_1")
    begun = await asyncio.gather(*(requests.begin(who.org_id, KEY, BODY, f"again_{n}") for n in range(5)))
    assert sorted(each.state for each in begun if each) == ["interrupted"] + ["running"] * 4
    await requests.finish(who.org_id, KEY, "req_1", ANSWER)  # the first has nothing to say any more
    latest = await requests.begin(who.org_id, KEY, BODY, "req_9")
    assert latest is not None
    assert latest.state is State.RUNNING


async def test_another_body_takes_nothing_over(requests: SqlIdempotency, who: Principal) -> None:
    await requests.begin(who.org_id, KEY, BODY, "req_1")
    await requests.interrupt(who.org_id, KEY, "req_1")
    for _ in range(2):
        earlier = await requests.begin(who.org_id, KEY, "c" * 64, "req_2")
        assert earlier is not None
        assert (earlier.state, earlier.fingerprint) == (State.INTERRUPTED, BODY)


async def test_a_request_whose_hold_is_open_is_still_running(
    requests: SqlIdempotency, ledger: SqlLedger, who: Principal
) -> None:
    await requests.begin(who.org_id, KEY, BODY, "req_1")
    hold = await ledger.hold(who, 10, request_id="req_1", surface="speech")
    await requests.interrupt(who.org_id, KEY, "req_1")
    earlier = await requests.begin(who.org_id, KEY, BODY, "req_2")
    assert earlier is not None
    assert earlier.state is State.RUNNING
    await hold.settle(4, Usage("req_1", "speech", {}))
    earlier = await requests.begin(who.org_id, KEY, BODY, "req_2")
    assert earlier is not None
    assert (earlier.state, earlier.paid) == (State.INTERRUPTED, 4)


async def test_a_request_that_was_an_error_never_was(requests: SqlIdempotency, who: Principal) -> None:
    await requests.begin(who.org_id, KEY, BODY, "req_1")
    await requests.forget(who.org_id, KEY, "req_1")
    assert await requests.begin(who.org_id, KEY, "c" * 64, "req_2") is None


async def test_keys_of_one_organization_mean_nothing_to_another(
    requests: SqlIdempotency, who: Principal, database: Database
) -> None:
    from voxgate.domain import Tier
    from voxgate.store.accounts import SqlAccounts

    added = await SqlAccounts(database, FakeClock()).add_key(
        "vg_" + "o" * 40, org="other", tier=Tier.FREE, grant=0, label="", expires_at=None
    )
    assert added is not None
    assert await requests.begin(who.org_id, KEY, BODY, "req_1") is None
    assert await requests.begin(added[0].id, KEY, BODY, "req_2") is None


def test_answers_are_not_shown() -> None:
    assert "hi" not in repr(ANSWER)

import asyncio
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from voxgate.books import Earlier, KeptAnswer, State
from voxgate.errors import Code, PeerError, RefusedError, StoreError
from voxgate.services.billing import Paid, PerMinute, Prepaid
from voxgate.services.idempotency import Idempotency, check_key, decide

SAME = "f" * 64
ANSWER = KeptAnswer(200, {"content-type": "application/json"}, b"{}")
TARIFF = PerMinute("speech", 1_000_000, 1000)


@dataclass
class FakeRequests:
    """What is found, and what was written."""

    found: Earlier | None = None
    steps: list[tuple[object, ...]] = field(default_factory=list)
    broken: bool = False

    async def begin(self, org_id: str, key: str, fingerprint: str, attempt: str) -> Earlier | None:
        self.did("begin", org_id, key, fingerprint, attempt)
        return self.found

    async def finish(self, org_id: str, key: str, attempt: str, answer: KeptAnswer | None) -> None:
        self.did("finish", attempt, answer)

    async def interrupt(self, org_id: str, key: str, attempt: str) -> None:
        self.did("interrupt", attempt)

    async def forget(self, org_id: str, key: str, attempt: str) -> None:
        self.did("forget", attempt)

    def did(self, *step: object) -> None:
        if self.broken:
            raise StoreError("the database does not answer")
        self.steps.append(step)


def earlier(state: State, *, paid: int = 0, answer: KeptAnswer | None = None) -> Earlier:
    return Earlier(state, SAME, "req_first", paid, answer)


@pytest.mark.parametrize("key", ["", " ", "a b", "ü", "x" * 256, "a\n", "\x7f"])
def test_keys_are_checked(key: str) -> None:
    with pytest.raises(PeerError) as caught:
        check_key(key)
    assert caught.value.param == "Idempotency-Key"


@pytest.mark.parametrize("key", ["1", "x" * 255, "550e8400-e29b-41d4-a716-446655440000", '"quoted"'])
def test_any_visible_text_is_a_key(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize("state", State)
def test_another_request_under_the_same_key_is_refused_whatever_became_of_the_first(state: State) -> None:
    with pytest.raises(PeerError) as caught:
        decide(earlier(state), "e" * 64)
    assert caught.value.code is Code.IDEMPOTENCY_MISMATCH


def test_a_first_request_that_is_running_is_to_be_waited_for() -> None:
    with pytest.raises(RefusedError) as caught:
        decide(earlier(State.RUNNING), SAME)
    assert caught.value.code is Code.IDEMPOTENCY_IN_PROGRESS
    assert caught.value.retry_after_s


async def test_keys_are_stored_as_hashes() -> None:
    store = FakeRequests()
    await Idempotency(store).begin("org_1", "order-1", SAME, "req_1")
    [(_, org, key, fingerprint, attempt)] = store.steps
    assert (org, fingerprint, attempt) == ("org_1", SAME, "req_1")
    assert "order-1" not in str(key)
    assert len(str(key)) == 64


async def test_the_first_attempt_pays_as_ever() -> None:
    store = FakeRequests()
    attempt = await Idempotency(store).begin("org_1", "k", SAME, "req_1")
    assert (attempt.request_id, attempt.answer, attempt.tariff(TARIFF)) == ("req_1", None, TARIFF)
    await attempt.finish(ANSWER)
    assert store.steps[1:] == [("finish", "req_1", ANSWER)]


async def test_an_answer_that_was_kept_is_given_again() -> None:
    attempt = await Idempotency(FakeRequests(earlier(State.DONE, answer=ANSWER))).begin("org_1", "k", SAME, "req_2")
    assert attempt.answer == ANSWER


async def test_work_that_was_done_whole_is_made_again_free_and_leaves_no_trace() -> None:
    store = FakeRequests(earlier(State.DONE, paid=5))
    attempt = await Idempotency(store).begin("org_1", "k", SAME, "req_2")
    assert (attempt.request_id, attempt.tariff(TARIFF)) == ("req_first", Paid(TARIFF))
    await attempt.finish(None)
    await attempt.interrupt()
    await attempt.forget()
    assert [step[0] for step in store.steps] == ["begin"]


async def test_work_that_broke_off_is_gone_on_with_and_what_was_paid_counts() -> None:
    store = FakeRequests(earlier(State.INTERRUPTED, paid=5))
    attempt = await Idempotency(store).begin("org_1", "k", SAME, "req_2")
    assert (attempt.request_id, attempt.tariff(TARIFF)) == ("req_first", Prepaid(TARIFF, 5))
    await attempt.interrupt()
    assert store.steps[1:] == [("interrupt", "req_2")]


async def test_an_end_the_store_could_not_take_is_written_later() -> None:
    store = FakeRequests()
    it = Idempotency(store)
    attempt = await it.begin("org_1", "k", SAME, "req_1")
    store.broken = True
    with capture_logs() as logs:
        await attempt.forget()
    assert [log["event"] for log in logs] == ["request_not_ended"]
    with pytest.raises(StoreError):
        await it.settle_late()
    store.broken = False
    await it.settle_late()
    await it.settle_late()
    assert store.steps[1:] == [("forget", "req_1")]


async def test_a_beginning_nobody_heard_of_is_taken_back() -> None:
    store = FakeRequests(broken=True)
    it = Idempotency(store)
    with pytest.raises(StoreError):
        await it.begin("org_1", "k", SAME, "req_1")
    store.broken = False
    await it.settle_late()
    assert store.steps == [("interrupt", "req_1")]


async def test_a_caller_that_is_cancelled_has_begun_nothing() -> None:
    class Cancelled(FakeRequests):
        async def begin(self, org_id: str, key: str, fingerprint: str, attempt: str) -> Earlier | None:
            raise asyncio.CancelledError

    store = Cancelled()
    with pytest.raises(asyncio.CancelledError):
        await Idempotency(store).begin("org_1", "k", SAME, "req_1")
    assert store.steps == [("interrupt", "req_1")]

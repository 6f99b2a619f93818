import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from voxgate.domain import MICRO, Balance, Principal, Tier, Usage
from voxgate.errors import Code, MisuseError, RefusedError, StoreError
from voxgate.services.billing import Paid, PerMinute, PerSecond, PerToken, Prepaid, Tariff
from voxgate.services.metering import Meter

RATE = 1000
WHO = Principal("key_1", "org_1", "acme", Tier.FREE)
SPEECH = PerMinute("speech", MICRO, RATE)
MINUTE = 60 * RATE


@dataclass
class FakeLedger:
    """A ledger on half a page: what there is, and the steps that were asked for."""

    available: int = 10 * MICRO
    steps: list[tuple[object, ...]] = field(default_factory=list)
    holds: "list[FakeHold]" = field(default_factory=list)
    broken: bool = False

    async def hold(self, principal: Principal, amount: int, *, request_id: str, surface: str) -> "FakeHold":
        self.take(amount)
        self.steps.append(("hold", amount, request_id, surface))
        self.holds.append(FakeHold(self, amount, Balance(self.available, amount)))
        return self.holds[-1]

    async def record(self, principal: Principal, usage: Usage) -> Balance:
        self.take(0)
        self.steps.append(("record", usage.surface, usage.units))
        return Balance(self.available, 0)

    async def balance(self, org_id: str) -> Balance:
        self.take(0)
        return Balance(self.available, 0)

    def take(self, amount: int) -> None:
        if self.broken:
            raise StoreError("the database is busy", retry_after_s=1)
        if amount > self.available:
            raise RefusedError("no credits", code=Code.INSUFFICIENT_CREDITS)
        self.available -= amount


@dataclass
class FakeHold:
    ledger: FakeLedger
    amount: int
    balance: Balance
    known: list[tuple[int, Mapping[str, int]]] = field(default_factory=list)
    """What a crash would be billed, as it grew."""

    def progress(self, earned: int, units: Mapping[str, int]) -> None:
        self.known.append((earned, units))

    async def extend(self, total: int, *, earned: int = 0, units: Mapping[str, int] | None = None) -> None:
        self.ledger.take(total - self.amount)
        self.ledger.steps.append(("extend", total, earned, units))
        self.amount = total
        self.balance = Balance(self.ledger.available, total)

    async def settle(self, charge: int, usage: Usage | None) -> Balance:
        self.ledger.take(charge - self.amount)
        self.ledger.steps.append(("settle", charge, None if usage is None else usage.units))
        return Balance(self.ledger.available, 0)


def meter(ledger: FakeLedger, tariff: Tariff = SPEECH, first: int = 0, whole: bool = False) -> Meter:
    return Meter(ledger, WHO, tariff, request_id="req_1", first=first, whole=whole)


async def test_a_minute_is_held_before_any_work_and_each_minute_as_it_begins() -> None:
    ledger = FakeLedger()
    async with meter(ledger) as it:
        assert ledger.steps == [("hold", MICRO, "req_1", "speech")]
        assert (it.used, it.remaining) == ("0", "9")
        for _ in range(3):
            await it.ahead(MINUTE // 2)
            it.delivered(MINUTE // 2)
        assert (it.used, it.remaining) == ("2", "8")
    assert ledger.steps[1:] == [
        ("extend", 2 * MICRO, MICRO, {"audio_ms": 60_000}),
        ("settle", 2 * MICRO, {"audio_ms": 90_000}),
    ]
    assert (it.used, it.remaining) == ("2", "8")


async def test_credits_of_a_second_are_exact_in_headers() -> None:
    ledger = FakeLedger()
    async with meter(ledger, PerSecond("transcription", MICRO, RATE)) as it:
        await it.ahead(4200)
        it.delivered(4200)
        await it.settle()
        assert (it.used, it.remaining) == ("0.083333", "9.916667")
    assert ledger.steps == [
        ("hold", 166_666, "req_1", "transcription"),
        ("settle", 83_333, {"audio_ms": 4200}),
    ]


async def test_no_credits_refuse_before_any_work() -> None:
    ledger = FakeLedger(available=MICRO - 1)
    with pytest.raises(RefusedError) as caught:
        async with meter(ledger):
            raise AssertionError("worked")
    assert caught.value.code is Code.INSUFFICIENT_CREDITS
    assert (ledger.steps, ledger.available) == ([], MICRO - 1)


async def test_credits_that_end_midway_leave_sold_what_was_delivered() -> None:
    ledger = FakeLedger(available=MICRO)
    with pytest.raises(RefusedError):
        async with meter(ledger) as it:
            await it.ahead(MINUTE)
            it.delivered(MINUTE)
            await it.ahead(1)
    assert ledger.steps[-1] == ("settle", MICRO, {"audio_ms": 60_000})
    assert ledger.available == 0


async def test_what_was_held_and_not_delivered_is_released() -> None:
    ledger = FakeLedger()
    async with meter(ledger) as it:
        await it.ahead(3 * MINUTE)
    assert ledger.steps[-1] == ("settle", 0, None)
    assert ledger.available == 10 * MICRO


async def test_a_void_answer_costs_nothing_and_is_no_usage() -> None:
    ledger = FakeLedger()
    async with meter(ledger) as it:
        it.delivered(MINUTE)
        it.void()
        assert it.used == "0"
    assert ledger.steps[-1] == ("settle", 0, None)
    assert it.used == "0"


async def test_void_comes_too_late_after_the_settlement() -> None:
    ledger = FakeLedger()
    async with meter(ledger) as it:
        it.delivered(1)
        await it.settle()
        it.void()
        await it.settle()
        assert it.used == "1"
    assert [step[0] for step in ledger.steps] == ["hold", "settle"]


async def test_an_exception_passes_and_what_was_delivered_is_charged() -> None:
    ledger = FakeLedger()
    with pytest.raises(ZeroDivisionError):
        async with meter(ledger) as it:
            it.delivered(1)
            raise ZeroDivisionError
    assert ledger.steps[-1] == ("settle", MICRO, {"audio_ms": 1})


async def test_cancelled_work_is_charged_for_what_was_delivered() -> None:
    ledger = FakeLedger()
    reached = asyncio.Event()

    async def work() -> None:
        async with meter(ledger) as it:
            await it.ahead(MINUTE)
            it.delivered(500)
            reached.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ledger.steps[-1] == ("settle", MICRO, {"audio_ms": 500})


async def test_a_store_that_fails_at_the_end_spares_the_answer_and_is_logged() -> None:
    ledger = FakeLedger()
    with capture_logs() as logs:
        async with meter(ledger) as it:
            it.delivered(1)
            ledger.broken = True
    assert (it.used, it.remaining) == ("1", "9")
    assert [(log["event"], log["request_id"], log["charge"]) for log in logs] == [("usage_not_settled", "req_1", MICRO)]


async def test_a_store_that_fails_before_or_between_stops_the_work() -> None:
    with pytest.raises(StoreError):
        async with meter(FakeLedger(broken=True)):
            raise AssertionError("worked")
    with pytest.raises(StoreError):
        async with meter(FakeLedger(broken=True), PerToken("chat", 0)):
            raise AssertionError("worked")
    ledger = FakeLedger()
    with pytest.raises(StoreError):
        async with meter(ledger) as it:
            ledger.broken = True
            await it.ahead(2 * MINUTE)


async def test_free_work_is_recorded_without_a_hold() -> None:
    ledger = FakeLedger()
    async with meter(ledger, PerToken("chat", 0), first=60) as it:
        assert it.remaining == "10"
        await it.ahead(1000)
        it.delivered(42, units={"prompt_tokens": 40, "completion_tokens": 2})
    assert ledger.steps == [("record", "chat", {"prompt_tokens": 40, "completion_tokens": 2})]
    assert (it.used, it.remaining) == ("0", "10")


async def test_free_work_that_was_void_is_not_recorded() -> None:
    ledger = FakeLedger()
    async with meter(ledger, PerToken("chat", 0)) as it:
        it.delivered(42)
        it.void()
    assert ledger.steps == []


async def test_tokens_are_held_at_first_and_never_charged_beyond_the_hold() -> None:
    ledger = FakeLedger()
    async with meter(ledger, PerToken("chat", MICRO), first=100) as it:
        it.delivered(250)  # an upstream that counted more than it was allowed
    assert ledger.steps == [("hold", 100_000, "req_1", "chat"), ("settle", 100_000, {"tokens": 250})]
    assert it.used == "0.1"


async def test_a_meter_that_does_not_run_refuses_work() -> None:
    it = meter(FakeLedger())
    with pytest.raises(MisuseError):
        await it.ahead(1)
    async with it:
        with pytest.raises(MisuseError):
            it.delivered(-1)
    with pytest.raises(MisuseError):
        it.delivered(1)


async def test_what_a_crash_is_billed_grows_with_what_was_delivered() -> None:
    ledger = FakeLedger()
    async with meter(ledger) as it:
        await it.ahead(2 * MINUTE)
        it.delivered(MINUTE)
        it.delivered(1)
    assert ledger.holds[0].known == [(MICRO, {"audio_ms": 60_000}), (2 * MICRO, {"audio_ms": 60_001})]


async def test_work_that_is_answered_whole_counts_for_nothing_until_it_is() -> None:
    ledger = FakeLedger()
    async with meter(ledger, whole=True) as it:
        it.delivered(MINUTE)
        await it.ahead(MINUTE)
        it.delivered(MINUTE)
        assert ledger.holds[0].known == []
        assert ledger.steps[-1][:3] == ("extend", 2 * MICRO, 0)
    assert ledger.steps[-1] == ("settle", 2 * MICRO, {"audio_ms": 120_000})


async def test_work_that_was_to_be_answered_whole_and_failed_is_void() -> None:
    ledger = FakeLedger()
    with pytest.raises(ZeroDivisionError):
        async with meter(ledger, whole=True) as it:
            it.delivered(MINUTE)
            raise ZeroDivisionError
    assert ledger.steps[-1] == ("settle", 0, None)


async def test_void_work_is_void_after_a_crash_too() -> None:
    ledger = FakeLedger()
    async with meter(ledger) as it:
        it.delivered(1)
        it.void()
    assert ledger.holds[0].known[-1] == (0, {})


async def test_a_repeat_holds_and_pays_only_what_was_not_paid_before() -> None:
    ledger = FakeLedger()
    async with meter(ledger, Prepaid(SPEECH, MICRO)) as it:
        await it.ahead(MINUTE)
        it.delivered(MINUTE)
        assert (ledger.steps, it.used) == ([], "0")
        await it.ahead(1)
        it.delivered(1)
        assert it.used == "1"
    assert ledger.steps == [("hold", MICRO, "req_1", "speech"), ("settle", MICRO, {"audio_ms": 60_001})]


async def test_a_repeat_that_was_paid_whole_is_free_and_needs_no_credits() -> None:
    ledger = FakeLedger(available=0)
    async with meter(ledger, Paid(SPEECH)) as it:
        await it.ahead(3 * MINUTE)
        it.delivered(3 * MINUTE)
    assert ledger.steps == [("record", "speech", {"audio_ms": 180_000})]


async def test_a_meter_knows_whether_its_work_came_to_an_end() -> None:
    async with meter(FakeLedger()) as it:
        assert not it.complete
    assert it.complete
    broken = meter(FakeLedger())
    with pytest.raises(ZeroDivisionError):
        async with broken:
            raise ZeroDivisionError
    assert not broken.complete


async def test_what_is_left_is_what_the_credits_still_pay() -> None:
    ledger = FakeLedger(available=3 * MICRO)
    async with Meter(ledger, WHO, SPEECH, request_id="req_1") as meter:  # a minute is held, two are left
        assert meter.left(10 * MINUTE) == 3 * MINUTE
        await meter.ahead(MINUTE // 2)
        meter.delivered(MINUTE // 2)
        assert meter.left(10 * MINUTE) == 5 * MINUTE // 2
        assert meter.left(MINUTE) == MINUTE
    with pytest.raises(MisuseError):
        meter.left(1)

import asyncio
from collections.abc import Collection

import pytest
from structlog.testing import capture_logs

from voxgate.domain import Principal
from voxgate.errors import Code, StoreError
from voxgate.gateways.livework import KeyEndedError, LiveWork


class Ending:
    """`ports.Keys` whose keys end when the test says so."""

    def __init__(self) -> None:
        self.over: set[str] = set()
        self.asked: list[frozenset[str]] = []
        self.failing: list[Exception] = []
        self.answered = asyncio.Event()

    async def find(self, key: str) -> Principal | None:
        raise AssertionError("nobody is looked up")

    async def ended(self, key_ids: Collection[str]) -> frozenset[str]:
        self.asked.append(frozenset(key_ids))
        if self.failing:
            raise self.failing.pop(0)
        self.answered.set()
        return frozenset(key_ids) & self.over


@pytest.fixture
def keys() -> Ending:
    return Ending()


@pytest.fixture
def live(keys: Ending) -> LiveWork:
    return LiveWork(keys, check_every_s=0.001)


async def _work(live: LiveWork, key_id: str, said: list[str]) -> None:
    async with live.of(key_id):
        try:
            await asyncio.Event().wait()
        finally:
            said.append("put away")


async def test_work_of_an_ended_key_is_cancelled_and_puts_its_things_away(live: LiveWork, keys: Ending) -> None:
    said: list[str] = []
    tasks = [asyncio.create_task(_work(live, key, said)) for key in ("a", "a", "b")]
    await asyncio.sleep(0)
    await live.check()
    assert not any(task.done() for task in tasks)
    keys.over.add("a")
    await live.check()
    await live.check()  # while they are still ending
    for task in tasks[:2]:
        with pytest.raises(KeyEndedError) as caught:
            await task
        assert caught.value.code is Code.INVALID_API_KEY
    assert said == ["put away"] * 2
    assert not tasks[2].done()
    assert keys.asked == [{"a", "b"}, {"a", "b"}, {"b"}]
    tasks[2].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(live) == 0


async def test_work_that_is_over_is_not_asked_about(live: LiveWork, keys: Ending) -> None:
    async with live.of("a"):
        pass
    with pytest.raises(ZeroDivisionError):
        async with live.of("a"):
            raise ZeroDivisionError
    await live.check()
    assert keys.asked == []


async def test_a_timeout_of_the_works_own_is_not_the_keys_end(live: LiveWork) -> None:
    with pytest.raises(TimeoutError) as caught:
        async with live.of("a"):
            raise TimeoutError
    assert not isinstance(caught.value, KeyEndedError)


async def test_the_watch_outlives_a_store_that_does_not_answer_and_whatever_else(live: LiveWork, keys: Ending) -> None:
    keys.failing = [StoreError("the database does not answer"), ZeroDivisionError()]
    keys.over.add("a")
    said: list[str] = []
    task = asyncio.create_task(_work(live, "a", said))
    with capture_logs() as logs:
        watch = asyncio.create_task(live.run())
        await asyncio.wait_for(keys.answered.wait(), 5)
        with pytest.raises(KeyEndedError):
            await task
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
    assert [log["event"] for log in logs] == ["keys_not_checked", "keys_not_checked", "key_ended"]

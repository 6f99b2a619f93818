import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Recorder
from voxgate.engines.pool import Birth, Pool, Priority, Shed, WorkerSpec
from voxgate.errors import Code, EngineError, PeerError, RefusedError

pytestmark = pytest.mark.slow

Make = Callable[..., Any]


@pytest.fixture
def pool(metrics: Recorder) -> Make:
    @asynccontextmanager
    async def make(function: str = "load", **options: Any) -> AsyncIterator[Pool]:
        spec = WorkerSpec(name="fake", factory=f"tests.engines.pool_runners:{function}", arguments={}, **options)
        pool = Pool(spec, metrics)
        await pool.start()
        try:
            yield pool
        finally:
            await pool.aclose()

    return make


@pytest.fixture(params=[Birth.SPAWN, Birth.FORK])
def birth(request: pytest.FixtureRequest) -> Birth:
    return Birth(request.param)


async def test_results_come_in_order_and_more_than_a_window_of_them(pool: Make, birth: Birth) -> None:
    async with pool(birth=birth) as p, p.open(("count", 500)) as results:
        assert [number async for number in results] == list(range(500))


async def test_a_fork_shares_what_the_zygote_loaded(pool: Make) -> None:
    async with pool(birth=Birth.FORK, processes=2) as p:
        *workers, zygote = p.pids
        where = [await p.call(("where", None)) for _ in range(2)]
        assert len(set(workers)) == 2
        assert {pid for pid, _, _ in where} <= set(workers)
        assert {loaded_in for _, loaded_in, _ in where} == {zygote}


async def test_jobs_run_side_by_side_on_threads_and_processes(pool: Make, birth: Birth, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    async with pool(birth=birth, processes=2, threads=2) as p:
        jobs = [asyncio.create_task(p.call(("wait_for_file", str(gate)))) for _ in range(3)]
        assert await p.call(("echo", "not stuck behind three")) == "not stuck behind three"
        gate.touch()
        assert await asyncio.gather(*jobs) == ["seen"] * 3


async def test_finals_go_before_partials(pool: Make, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    order: list[str] = []

    async def job(p: Pool, name: str, priority: Priority) -> None:
        order.append(await p.call(("echo", name), priority=priority))

    async with pool() as p, asyncio.TaskGroup() as group:
        group.create_task(p.call(("wait_for_file", str(gate))))
        await asyncio.sleep(0)
        for name, priority in [
            ("partial", Priority.PARTIAL),
            ("final", Priority.FINAL),
            ("early", Priority.SPECULATIVE),
        ]:
            group.create_task(job(p, name, priority))
        await asyncio.sleep(0)
        gate.touch()
    assert order == ["final", "early", "partial"]


async def test_a_promoted_job_goes_first(pool: Make, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    order: list[str] = []
    async with pool() as p:
        running = asyncio.create_task(p.call(("wait_for_file", str(gate))))
        await asyncio.sleep(0)
        one, two = (p.submit(lambda name=name: ("echo", name), Priority.SPECULATIVE) for name in ("one", "two"))
        assert one.waits
        two.promote()

        async def follow(ticket: Any) -> None:
            order.append(await ticket.result())

        following = [asyncio.create_task(follow(ticket)) for ticket in (one, two)]
        gate.touch()
        await asyncio.gather(running, *following)
    assert order == ["two", "one"]


async def test_what_a_job_asks_is_settled_when_it_starts(pool: Make, tmp_path: Path) -> None:
    gate, newest = tmp_path / "gate", 1
    async with pool() as p:
        running = asyncio.create_task(p.call(("wait_for_file", str(gate))))
        await asyncio.sleep(0)
        ticket = p.submit(lambda: ("echo", newest), Priority.PARTIAL)
        newest = 2
        gate.touch()
        await running
        assert await ticket.result() == 2


async def test_partials_leave_a_seat_free(pool: Make, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    async with pool(threads=2, reserved=1) as p:
        first, second = (p.submit(lambda: ("wait_for_file", str(gate)), Priority.PARTIAL) for _ in range(2))
        assert (first.waits, second.waits) == (False, True)
        assert await p.call(("echo", 1)) == 1
        gate.touch()
        assert [await first.result(), await second.result()] == ["seen", "seen"]
    async with pool(reserved=1) as p:
        assert await p.submit(lambda: ("echo", "the only seat"), Priority.PARTIAL).result() == "the only seat"


@pytest.mark.parametrize("stoppable", [True, False])
async def test_a_partial_makes_room_where_it_can_be_stopped(
    pool: Make, tmp_path: Path, metrics: Recorder, *, stoppable: bool
) -> None:
    gate = tmp_path / "gate"
    async with pool(processes=2, stoppable=stoppable) as p:
        old, young = (p.submit(lambda: ("wait_for_file", str(gate)), Priority.PARTIAL) for _ in range(2))
        if stoppable:
            assert await p.call(("echo", "final"), priority=Priority.SPECULATIVE) == "final"
            with pytest.raises(Shed):
                await young.result()
            assert metrics.counted == [("partial_shed", "fake")]
        else:
            waiting = p.submit(lambda: ("echo", "final"), Priority.FINAL)
            assert waiting.waits
            waiting.withdraw()
        gate.touch()
        assert await old.result() == "seen"
        young.withdraw()


async def test_partials_have_a_queue_of_their_own(pool: Make, tmp_path: Path, metrics: Recorder) -> None:
    gate = tmp_path / "gate"
    async with pool(queue=1, wait_timeout_s=0.05) as p:
        running = asyncio.create_task(p.call(("wait_for_file", str(gate))))
        await asyncio.sleep(0)
        waiting = p.submit(lambda: ("echo", 1), Priority.PARTIAL)
        with pytest.raises(Shed):
            p.submit(lambda: ("echo", 2), Priority.PARTIAL)
        final = p.submit(lambda: ("echo", 3), Priority.FINAL)
        with pytest.raises(Shed):
            await waiting.result()
        gate.touch()
        assert await running == "seen"
        assert await final.result() == 3
    assert metrics.counted.count(("partial_shed", "fake")) == 2


async def test_leaving_the_block_cancels_the_job(pool: Make, birth: Birth, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    async with pool(birth=birth) as p:
        async with p.open(("until_cancelled", str(mark))) as results:
            assert await anext(results) == "started"
        assert await p.call(("echo", 1)) == 1
        assert mark.read_text() == "cancelled"


async def test_a_cancelled_job_that_still_waits_never_runs(pool: Make, tmp_path: Path, metrics: Recorder) -> None:
    gate, mark = tmp_path / "gate", tmp_path / "mark"
    async with pool() as p:
        first = asyncio.create_task(p.call(("wait_for_file", str(gate))))
        second = asyncio.create_task(p.call(("die_once", str(mark))))
        await asyncio.sleep(0)
        second.cancel()
        gate.touch()
        assert await first == "seen"
        assert await p.call(("echo", 1)) == 1
    assert not mark.exists()
    assert metrics.gauges["queued", "fake"] == 0


async def test_a_full_queue_and_a_long_wait_are_refused(pool: Make, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    async with pool(queue=1, wait_timeout_s=0.05) as p:
        running = asyncio.create_task(p.call(("wait_for_file", str(gate))))
        waiting = asyncio.create_task(p.call(("echo", 1)))
        await asyncio.sleep(0)
        with pytest.raises(RefusedError) as full:
            await p.call(("echo", 2))
        with pytest.raises(RefusedError) as late:
            await waiting
        gate.touch()
        assert await running == "seen"
        assert full.value.code == late.value.code == Code.BUSY
        assert full.value.retry_after_s


async def test_without_a_queue_work_is_taken_by_whoever_is_free(pool: Make, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    async with pool(queue=0, threads=2) as p:
        running = asyncio.create_task(p.call(("wait_for_file", str(gate))))
        await asyncio.sleep(0)
        assert await p.call(("echo", 1)) == 1
        second = asyncio.create_task(p.call(("wait_for_file", str(gate))))
        await asyncio.sleep(0)
        with pytest.raises(RefusedError):
            await p.call(("echo", 2))
        gate.touch()
        assert set(await asyncio.gather(running, second)) == {"seen"}


async def test_errors_cross_the_process_boundary_whole(pool: Make) -> None:
    async with pool() as p:
        with pytest.raises(PeerError) as peer:
            await p.call(("peer_error", None))
        assert (peer.value.code, peer.value.param, peer.value.message) == (Code.INVALID_AUDIO, "file", "not this")
        with pytest.raises(EngineError, match="ZeroDivisionError") as bug:
            await p.call(("bug", "the secret text"))
        assert "secret" not in bug.value.message


async def test_a_job_whose_worker_died_is_repeated_once(
    pool: Make, birth: Birth, tmp_path: Path, metrics: Recorder
) -> None:
    async with pool(birth=birth) as p:
        assert await p.call(("die_once", str(tmp_path / "mark"))) == "survived"
        with pytest.raises(EngineError) as error:
            await p.call(("die", None))
        assert error.value.retryable
        assert await p.call(("echo", "others notice nothing")) == "others notice nothing"
    assert metrics.counted.count(("worker_restart", "fake")) == 3


async def test_a_job_that_was_given_to_dead_workers_is_not_to_blame(pool: Make, birth: Birth) -> None:
    async with pool(birth=birth, processes=3) as p:
        for pid in p.pids[:3]:
            os.kill(pid, signal.SIGKILL)  # nobody knows it yet: the next jobs are handed to the dead
        jobs = [asyncio.create_task(p.call(("echo", number))) for number in range(6)]
        assert await asyncio.gather(*jobs) == list(range(6))


async def test_a_job_that_has_answered_is_not_repeated(pool: Make) -> None:
    async with pool() as p, p.open(("answer_and_die", None)) as results:
        assert await anext(results) == "first"
        with pytest.raises(EngineError):
            await anext(results)


async def test_kill_9_hurts_nobody_else(pool: Make, birth: Birth, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    async with pool(birth=birth, processes=2) as p:
        jobs = [asyncio.create_task(p.call(("wait_for_file", str(gate)))) for _ in range(2)]
        await asyncio.sleep(0.05)
        os.kill(p.pids[0], signal.SIGKILL)
        gate.touch()
        assert await asyncio.gather(*jobs) == ["seen", "seen"]


async def test_a_worker_that_hangs_is_replaced(pool: Make, birth: Birth, metrics: Recorder) -> None:
    async with pool(birth=birth, stall_timeout_s=0.3) as p:
        with pytest.raises(EngineError, match=r"no result for 0\.3 s") as error:
            await p.call(("hang", None))
        assert error.value.code is Code.ENGINE_TIMEOUT
        assert await p.call(("echo", "the next one works")) == "the next one works"
    assert ("worker_hung", "fake") in metrics.counted


async def test_a_slow_reader_is_no_hung_worker(pool: Make) -> None:
    async with pool(stall_timeout_s=0.2) as p, p.open(("count", 100)) as results:
        assert await anext(results) == 0
        await asyncio.sleep(0.6)
        assert [number async for number in results] == list(range(1, 100))


async def test_a_killed_zygote_is_raised_again(pool: Make) -> None:
    async with pool(birth=Birth.FORK) as p:
        zygote = p.pids[-1]
        os.kill(zygote, signal.SIGKILL)
        while zygote in p.pids:
            await asyncio.sleep(0.01)
        pid, loaded_in, _ = await p.call(("where", None))
        assert (pid, loaded_in) == p.pids
        assert loaded_in != zygote


async def test_a_model_that_cannot_be_loaded_is_an_engine_error(pool: Make, birth: Birth) -> None:
    with pytest.raises(EngineError, match="no such model"):
        async with pool("broken", birth=birth):
            pass


async def test_loading_has_a_limit(pool: Make, birth: Birth) -> None:
    with pytest.raises(EngineError, match=r"did not load within 0\.3 s"):
        async with pool("slow_to_load", birth=birth, start_timeout_s=0.3):
            pass


async def test_workers_get_no_keys(pool: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("VOXGATE__LLM__API_KEY", "secret")
    async with pool(environment={"OMP_NUM_THREADS": "1"}) as p:
        assert await p.call(("environment", "OPENAI_API_KEY")) is None
        assert await p.call(("environment", "VOXGATE__LLM__API_KEY")) is None
        assert await p.call(("environment", "OMP_NUM_THREADS")) == "1"


async def test_a_closed_pool_refuses_and_fails_what_waits(pool: Make, tmp_path: Path) -> None:
    async with pool() as p:
        job = asyncio.create_task(p.call(("wait_for_file", str(tmp_path / "never"))))
        await asyncio.sleep(0)
        await p.aclose()
        await p.aclose()
        with pytest.raises(EngineError):
            await job
        with pytest.raises(EngineError):
            await p.call(("echo", 1))


@pytest.mark.parametrize("birth", list(Birth))
def test_no_worker_outlives_a_killed_server(birth: Birth) -> None:
    """A server that is killed with -9 leaves nothing behind."""
    script = f"""
        import asyncio, sys
        from voxgate.engines.pool import Birth, Pool, WorkerSpec
        from tests.conftest import Recorder
        async def main():
            spec = WorkerSpec(name="fake", factory="tests.engines.pool_runners:load", arguments={{}},
                              processes=2, birth=Birth({birth.value!r}))
            pool = Pool(spec, Recorder())
            await pool.start()
            print(*pool.pids, flush=True)
            await asyncio.sleep(60)
        asyncio.run(main())
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        pids = [int(word) for word in server.stdout.readline().split()]
        assert pids
        server.kill()
        server.wait()
    deadline = time.monotonic() + 5
    while any(_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not [pid for pid in pids if _alive(pid)]


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"

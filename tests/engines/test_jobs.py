import asyncio

import pytest

from voxgate.engines.jobs import Job, Priority, Ticket
from voxgate.engines.worker import DONE, FAILED, ITEM
from voxgate.errors import EngineError, MisuseError


class Hall:
    name = "hall"

    def __init__(self) -> None:
        self.withdrawn: list[Job] = []

    def promote(self, job: Job) -> None:
        job.priority = Priority.FINAL

    def withdraw(self, job: Job) -> None:
        self.withdrawn.append(job)

    async def wait_for_news(self, job: Job) -> None:
        await job.news.wait()


def job(number: int = 0, priority: Priority = Priority.PARTIAL) -> Job:
    return Job(number, lambda: None, priority)


def test_finals_go_first_and_then_who_came_first() -> None:
    jobs = [job(0), job(1, Priority.FINAL), job(2, Priority.SPECULATIVE), job(3, Priority.FINAL)]
    assert [each.number for each in sorted(jobs)] == [1, 3, 2, 0]


async def test_a_ticket_gives_results_as_they_come_and_the_error_at_their_end() -> None:
    one = job()
    ticket = Ticket(Hall(), one)
    waiting = asyncio.ensure_future(anext(ticket))
    await asyncio.sleep(0)
    one.tell(ITEM, "first")
    one.tell(FAILED, EngineError("died", engine="hall"))
    assert await waiting == "first"
    for _ in range(2):
        with pytest.raises(EngineError):
            await anext(ticket)


@pytest.mark.parametrize("results", [0, 1, 2])
async def test_one_result_is_one(results: int) -> None:
    hall, one = Hall(), job()
    for number in range(results):
        one.tell(ITEM, number)
    one.tell(DONE)
    if results == 1:
        assert await Ticket(hall, one).result() == 0
    else:
        with pytest.raises(MisuseError, match=f"one result was expected, {results} came"):
            await Ticket(hall, one).result()
    assert hall.withdrawn == [one]


async def test_who_stops_waiting_has_withdrawn_the_job() -> None:
    hall, one = Hall(), job()
    waiting = asyncio.ensure_future(Ticket(hall, one).result())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert hall.withdrawn == [one]


def test_a_job_waits_until_it_is_started_or_over() -> None:
    started, over = job(), job()
    tickets = [Ticket(Hall(), each) for each in (started, over)]
    assert [ticket.waits for ticket in tickets] == [True, True]
    started.started = True
    over.tell(DONE)
    assert [ticket.waits for ticket in tickets] == [False, False]
    tickets[0].promote()
    assert started.priority is Priority.FINAL

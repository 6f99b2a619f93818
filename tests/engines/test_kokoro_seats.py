"""One seat a core: who speaks, who waits, who is refused."""

import asyncio

import pytest

from tests.conftest import Recorder
from voxgate.engines.kokoro_seats import Seats
from voxgate.errors import Code, RefusedError


def seats(metrics: Recorder, *, count: int = 1, queue: int = 4, wait_s: float = 30.0) -> Seats:
    return Seats("kokoro", count, queue, wait_s, metrics)


async def test_the_next_in_line_gets_the_seat_that_becomes_free(metrics: Recorder) -> None:
    room = seats(metrics)
    order: list[str] = []
    enough = asyncio.Event()

    async def caller(name: str) -> None:
        async with room.open() as seat:
            await seat.take()
            await seat.take()  # one that sits stays seated
            order.append(name)
            await enough.wait()

    tasks = [asyncio.create_task(caller(name)) for name in "abc"]
    for _ in range(5):
        await asyncio.sleep(0)
    assert order == ["a"]
    enough.set()
    await asyncio.gather(*tasks)
    assert order == ["a", "b", "c"]
    await room.take()  # free again


async def test_a_stream_that_needs_nothing_made_takes_no_seat(metrics: Recorder) -> None:
    room = seats(metrics)
    async with room.open(), room.open() as other:
        await other.take()


async def test_too_many_waiting_and_too_long_are_busy(metrics: Recorder) -> None:
    room = seats(metrics, queue=1, wait_s=0.01)
    await room.take()
    waiting = asyncio.create_task(room.take())
    await asyncio.sleep(0)
    with pytest.raises(RefusedError) as full:
        await room.take()
    with pytest.raises(RefusedError) as late:
        await waiting
    for caught in (full, late):
        assert (caught.value.code, caught.value.retry_after_s) == (Code.BUSY, 2)
    room.give_back()
    await room.take()


async def test_one_that_gives_up_waiting_loses_no_seat(metrics: Recorder) -> None:
    room = seats(metrics)
    await room.take()
    first, second = asyncio.create_task(room.take()), asyncio.create_task(room.take())
    await asyncio.sleep(0)
    room.give_back()  # handed to the first, who leaves before it notices
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await asyncio.wait_for(second, 1)
    second = asyncio.create_task(room.take())
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    room.give_back()
    await asyncio.wait_for(room.take(), 1)


async def test_leaving_twice_gives_back_once(metrics: Recorder) -> None:
    room = seats(metrics, queue=0)
    async with room.open() as seat:
        await seat.take()
        seat.leave()
    await room.take()
    with pytest.raises(RefusedError):
        await room.take()

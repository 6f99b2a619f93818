"""Works side by side, and their ends."""

import asyncio

import pytest

from voxgate.gateways.tasks import end, first_of


async def nothing() -> None:
    """Ends at once."""


async def test_the_first_to_end_ends_the_others() -> None:
    left = asyncio.Event()

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    await first_of(waits(), nothing())
    assert left.is_set()


async def test_what_one_raises_is_raised_when_the_others_have_ended() -> None:
    async def fails() -> None:
        raise LookupError("one")

    async def fails_when_it_is_ended() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError("two") from None

    with pytest.raises(LookupError):
        await first_of(fails(), fails_when_it_is_ended())
    with pytest.raises(ValueError, match="two"):
        await first_of(nothing(), fails_when_it_is_ended())


async def test_cancelled_from_outside_all_have_ended() -> None:
    begun, left = asyncio.Event(), asyncio.Event()

    async def waits() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    both = asyncio.create_task(first_of(waits()))
    await begun.wait()
    both.cancel()
    with pytest.raises(asyncio.CancelledError):
        await both
    assert left.is_set()


async def test_one_that_was_told_is_not_disturbed_while_it_puts_things_away() -> None:
    begun, release = asyncio.Event(), asyncio.Event()
    put_away = False

    async def tidy() -> None:
        nonlocal put_away
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await release.wait()
            put_away = True

    task = asyncio.create_task(tidy())
    await begun.wait()
    task.cancel()
    ending = asyncio.create_task(end(task, told=True))
    await asyncio.sleep(0)
    assert not task.done()
    release.set()
    await ending
    assert put_away


async def test_what_an_ended_one_raised_stays_in_it() -> None:
    async def fails() -> None:
        raise LookupError("kept")

    task = asyncio.create_task(fails())
    await asyncio.wait({task})
    await end(task)
    assert isinstance(task.exception(), LookupError)

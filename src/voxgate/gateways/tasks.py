"""Tasks side by side in one handler: several of which the first to end ends the others, and ends that are seen."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def first_of(*works: Coroutine[Any, Any, None]) -> None:
    """Do these side by side until one has ended, then end the others. Raises what the first of them raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            await end(task)
    errors = [error for task in tasks if not task.cancelled() and (error := task.exception()) is not None]
    if errors:
        raise errors[0]


async def end(task: asyncio.Task[None], *, told: bool = False) -> None:
    """Cancel a task and see it end; what it raised stays in it, for who wants to know.

    `told`: it was cancelled before, and is not disturbed again while it puts things away.
    """
    if not told:
        task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()

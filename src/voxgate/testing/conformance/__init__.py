"""What every engine of a port must do, as suites that engine authors run over theirs.

Each module is one port's suite: plain async functions `check_*(engine)` that raise AssertionError, saying what was
wrong. `suite(stt)` lists them for `pytest.mark.parametrize`; `run(stt, engine)` carries all of them out. None of them
closes the engine; that is what `check_closing(engine)` is for, last.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

PATIENCE_S = 60.0
"""Longest a check may take; an engine that hangs fails instead of hanging its author's tests."""

Check = Callable[..., Awaitable[None]]


def suite(module: ModuleType) -> tuple[Check, ...]:
    """The checks of one port's module, in the order they are written in."""
    checks = [
        value
        for name, value in vars(module).items()
        if name.startswith("check_") and inspect.iscoroutinefunction(value) and value.__module__ == module.__name__
    ]
    return tuple(sorted(checks, key=lambda check: check.__code__.co_firstlineno))


async def run(module: ModuleType, engine: Any, **material: Any) -> None:
    """Carry out a port's whole suite on one engine; an error names the check.

    `material` goes to the checks that take it: `sample=Spoken(audio, text)` to those that need to hear something.
    """
    for check in suite(module):
        wanted = inspect.signature(check).parameters
        try:
            async with asyncio.timeout(PATIENCE_S):
                await check(engine, **{name: value for name, value in material.items() if name in wanted})
        except BaseException as error:
            error.add_note(f"in {module.__name__.rpartition('.')[2]}.{check.__name__}")
            raise


async def check_closing(engine: Any) -> None:
    """An engine can be closed, and closed again."""
    async with asyncio.timeout(PATIENCE_S):
        await engine.aclose()
        await engine.aclose()


def expect(condition: object, message: str) -> None:
    """Raise AssertionError with a message; unlike `assert` it also works under `python -O`."""
    if not condition:
        raise AssertionError(message)

import types
from typing import Any

import pytest

from voxgate.testing.conformance import check_closing, expect, run, suite


def module() -> types.ModuleType:
    made = types.ModuleType("some.port")
    source = """
seen = []
async def check_b(engine): seen.append("b")
async def check_a(engine, sample=1): seen.append(f"a{sample}")
async def helper(engine): seen.append("helper")
def check_not_async(engine): seen.append("sync")
async def check_fails(engine): assert engine != "bad", "it is bad"
"""
    exec(compile(source, "port.py", "exec"), vars(made))
    vars(made)["check_borrowed"] = check_closing
    return made


def test_a_suite_is_the_modules_own_checks_in_order() -> None:
    assert [check.__name__ for check in suite(module())] == ["check_b", "check_a", "check_fails"]


async def test_run_hands_material_to_the_checks_that_take_it() -> None:
    port: Any = module()
    await run(port, "good", sample=7)
    assert port.seen == ["b", "a7"]


async def test_run_names_the_check_that_failed() -> None:
    with pytest.raises(AssertionError, match="it is bad") as caught:
        await run(module(), "bad")
    assert caught.value.__notes__ == ["in port.check_fails"]


async def test_closing_twice_must_work() -> None:
    class Once:
        closed = False

        async def aclose(self) -> None:
            assert not self.closed
            self.closed = True

    with pytest.raises(AssertionError):
        await check_closing(Once())


def test_expect() -> None:
    expect(1, "fine")
    with pytest.raises(AssertionError, match="why"):
        expect(0, "why")

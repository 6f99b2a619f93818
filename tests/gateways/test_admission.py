from collections.abc import Collection
from contextlib import AsyncExitStack

import pytest
from starlette.datastructures import Headers

from voxgate.clock import FakeClock
from voxgate.domain import Principal, Scope, Tier
from voxgate.errors import Code, RefusedError
from voxgate.gateways.admission import Admission
from voxgate.gateways.limits import LimitSettings

SPEECH = "/v1/audio/speech"


class Known:
    """`ports.Keys` of two organizations, which counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self._who = {
            "vg_a": Principal("key_a", "org_1", "acme", Tier.FREE),
            "vg_small": Principal("key_small", "org_1", "acme", Tier.FREE, max_concurrent=1),
            "vg_large": Principal("key_large", "org_1", "acme", Tier.FREE, max_concurrent=99),
            "ek_a": Principal("key_a", "org_1", "acme", Tier.FREE, scopes=frozenset({Scope.TRANSCRIPTION})),
        }

    async def find(self, key: str) -> Principal | None:
        self.asked += 1
        return self._who.get(key)

    async def ended(self, key_ids: Collection[str]) -> frozenset[str]:
        return frozenset()


class Door:
    """An admission with small limits, and requests that stay inside."""

    def __init__(self, **limits: int) -> None:
        self.keys = Known()
        self.clock = FakeClock()
        small = {
            "requests_per_minute_per_key": 60,
            "requests_per_minute_per_address": 600,
            "failed_keys_per_minute_per_address": 3,
            "concurrent_requests_per_key": 3,
            "concurrent_requests": 5,
        }
        self.admission = Admission(self.keys, LimitSettings.model_validate(small | limits), self.clock)

    async def enter(
        self, key: str, stack: AsyncExitStack | None = None, *, address: str = "203.0.113.9", path: str = SPEECH
    ) -> Principal:
        """Ask, and stay until the stack is left; without one, only for a moment."""
        headers = Headers({"X-API-Key": key} if key else {})
        admitted = self.admission.admit(headers, address, path)
        if stack is not None:
            return await stack.enter_async_context(admitted)
        async with admitted as principal:
            return principal

    async def refused(self, key: str, stack: AsyncExitStack | None = None, **where: str) -> tuple[Code, int | None]:
        """Why it was not let in, and for how long."""
        with pytest.raises(RefusedError) as caught:
            await self.enter(key, stack, **where)
        assert key not in caught.value.message or not key
        return caught.value.code, caught.value.retry_after_s


async def test_a_key_gets_its_requests_a_minute_and_no_more() -> None:
    door = Door(requests_per_minute_per_key=3)
    for _ in range(3):
        assert (await door.enter("vg_a")).key_id == "key_a"
    assert await door.refused("vg_a") == (Code.RATE_LIMITED, 20)
    assert await door.refused("vg_a", address="198.51.100.1") == (Code.RATE_LIMITED, 20)
    assert await door.refused("ek_a", path="/v1/models") == (Code.RATE_LIMITED, 20)
    await door.enter("vg_small")
    door.clock.advance(19.5)
    assert await door.refused("vg_a") == (Code.RATE_LIMITED, 1)
    door.clock.advance(0.5)
    await door.enter("vg_a")


async def test_an_address_gets_its_requests_a_minute_whoever_asks() -> None:
    door = Door(requests_per_minute_per_address=2)
    await door.enter("vg_a", address="2001:db8::1")
    await door.enter("vg_small", address="2001:db8::2")
    asked = door.keys.asked
    assert await door.refused("vg_large", address="2001:db8::3") == (Code.RATE_LIMITED, 30)
    assert door.keys.asked == asked, "nobody was looked up"
    await door.enter("vg_large", address="2001:db8:0:1::1")


async def test_wrong_keys_are_told_apart_so_often_and_no_more() -> None:
    door = Door()
    await door.enter("vg_a")
    for wrong in ("", "vg_wrong", "ek_wrong"):
        assert await door.refused(wrong) == (Code.INVALID_API_KEY, None)
    asked = door.keys.asked
    for _ in range(5):
        assert await door.refused("vg_wrong") == (Code.RATE_LIMITED, 20)
        assert await door.refused("") == (Code.RATE_LIMITED, 20)
    assert door.keys.asked == asked, "no guess is looked up"
    assert await door.refused("vg_small") == (Code.RATE_LIMITED, 20), "nor told whether it is right"
    await door.enter("vg_a")  # who was here before is not shut out
    assert await door.refused("vg_wrong", address="198.51.100.1") == (Code.INVALID_API_KEY, None)
    door.clock.advance(20)
    await door.enter("vg_small")
    assert await door.refused("vg_wrong") == (Code.INVALID_API_KEY, None)


async def test_right_keys_are_no_failures() -> None:
    door = Door()
    for _ in range(10):
        await door.enter("vg_a")
    assert await door.refused("vg_wrong") == (Code.INVALID_API_KEY, None)


@pytest.mark.parametrize(("key", "most"), [("vg_a", 3), ("vg_small", 1), ("vg_large", 3)])
async def test_a_key_has_its_requests_at_once_and_no_more(key: str, most: int) -> None:
    door = Door()
    for _ in range(2):  # who leaves makes room
        async with AsyncExitStack() as stack:
            for _ in range(most):
                await door.enter(key, stack)
            assert await door.refused(key, stack) == (Code.RATE_LIMITED, 1)


async def test_a_keys_secrets_take_its_places() -> None:
    door = Door()
    async with AsyncExitStack() as stack:
        for secret in ("ek_a", "vg_a", "ek_a"):
            await door.enter(secret, stack, path="/v1/models")
        assert await door.refused("vg_a", stack) == (Code.RATE_LIMITED, 1)


async def test_a_full_server_is_busy_for_everybody() -> None:
    door = Door()
    async with AsyncExitStack() as stack:
        for key in ("vg_a", "vg_a", "vg_a", "vg_large", "vg_small"):
            await door.enter(key, stack)
        asked = door.keys.asked
        assert await door.refused("vg_large", stack) == (Code.BUSY, 1)
        assert door.keys.asked == asked
    await door.enter("vg_large")


async def test_who_is_refused_leaves_no_place_taken() -> None:
    door = Door(concurrent_requests=1, failed_keys_per_minute_per_address=100)
    for _ in range(3):
        assert (await door.refused("vg_wrong"))[0] is Code.INVALID_API_KEY
        assert (await door.refused("ek_a"))[0] is Code.PERMISSION_DENIED
        with pytest.raises(ZeroDivisionError):
            async with AsyncExitStack() as stack:
                await door.enter("vg_a", stack)
                raise ZeroDivisionError
    await door.enter("vg_a")


async def test_a_secret_opens_what_it_was_minted_for() -> None:
    door = Door()
    await door.enter("ek_a", path="/v1/audio/transcriptions")
    assert await door.refused("ek_a") == (Code.PERMISSION_DENIED, None)


async def test_a_refusal_names_the_limit() -> None:
    door = Door(requests_per_minute_per_key=1, concurrent_requests_per_key=1, failed_keys_per_minute_per_address=1)
    async with AsyncExitStack() as stack:
        await door.enter("vg_a", stack)
        with pytest.raises(RefusedError, match=r"limits\.requests_per_minute_per_key"):
            await door.enter("vg_a")
        door.clock.advance(60)
        with pytest.raises(RefusedError, match=r"limits\.concurrent_requests_per_key"):
            await door.enter("vg_a")
        await door.enter("vg_small", stack)
        door.clock.advance(60)
        with pytest.raises(RefusedError, match="the key's own"):
            await door.enter("vg_small")


async def test_who_waits_without_a_key_has_a_place_but_none_of_those_with_one() -> None:
    door = Door(concurrent_requests=2)
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(door.admission.wait("203.0.113.9"))
        with pytest.raises(RefusedError) as caught:
            await stack.enter_async_context(door.admission.wait("203.0.113.9"))
        assert caught.value.code is Code.BUSY
        await door.enter("vg_a", stack)
        await door.enter("vg_a", stack)
        assert await door.refused("vg_a") == (Code.BUSY, 1)
    async with door.admission.wait("203.0.113.9"):
        assert door.keys.asked == 2


async def test_one_address_has_few_of_the_places_to_wait_without_a_key() -> None:
    door = Door(sockets_without_key_per_address=2)
    for _ in range(2):  # who leaves makes room
        async with AsyncExitStack() as stack:
            for host in (1, 2):
                await stack.enter_async_context(door.admission.wait(f"2001:db8::{host}"))
            with pytest.raises(RefusedError, match=r"this address .*limits\.sockets_without_key_per_address") as caught:
                await stack.enter_async_context(door.admission.wait("2001:db8::3"))
            assert (caught.value.code, caught.value.retry_after_s) == (Code.RATE_LIMITED, 1)
            await stack.enter_async_context(door.admission.wait("2001:db8:0:1::1"))
            await door.enter("vg_a", stack, address="2001:db8::3")


async def test_waiting_counts_towards_the_rate_of_an_address() -> None:
    door = Door(requests_per_minute_per_address=2)
    for _ in range(2):
        async with door.admission.wait("2001:db8::1"):
            pass
    with pytest.raises(RefusedError) as caught:
        await door.admission.wait("2001:db8::2").__aenter__()
    assert (caught.value.code, caught.value.retry_after_s) == (Code.RATE_LIMITED, 30)


async def test_a_socket_shows_its_key_by_itself() -> None:
    door = Door()
    async with door.admission.let_in("vg_a", "203.0.113.9", "/v1/realtime") as principal:
        assert principal.key_id == "key_a"
    with pytest.raises(RefusedError, match="'speech'"):
        await door.admission.let_in("ek_a", "203.0.113.9", "/v1/realtime/tts").__aenter__()
    async with door.admission.let_in("ek_a", "203.0.113.9", "/v1/realtime") as principal:
        assert principal.key_id == "key_a"

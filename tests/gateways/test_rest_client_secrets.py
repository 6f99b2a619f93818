"""Client secrets over HTTP, and what limits, proxies and revocations look like from outside."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.gateways.test_rest_edge import error_of
from tests.inside import Inside, inside, listening
from tests.serving import SCRIPTED
from voxgate.services.accounts import KeyLimits

pytestmark = pytest.mark.slow

PORTS = frozenset({"stt", "tts", "llm", "vad"})
SPEECH = {"model": "tts-1", "voice": "alloy", "input": "hello"}
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
MINT = "/v1/realtime/client_secrets"


def _limited(**limits: float) -> str:
    return SCRIPTED + "[limits]\n" + "".join(f"{name} = {value}\n" for name, value in limits.items())


@pytest.fixture
async def scripted(tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(tmp_path, SCRIPTED, ports=PORTS) as running:
        yield running


async def _mint(running: Inside, **body: Any) -> dict[str, Any]:
    async with running.client() as client:
        response = await client.post(MINT, json=body)
    assert response.status_code == 200, response.text
    assert response.headers["Cache-Control"] == "no-store"
    found: dict[str, Any] = response.json()
    return found


async def test_a_secret_in_openais_shape(scripted: Inside) -> None:
    before = int(time.time())
    minted = await _mint(
        scripted,
        expires_after={"anchor": "created_at", "seconds": 120},
        session={"type": "realtime", "model": "gpt-realtime", "instructions": "be brief"},
    )
    assert set(minted) == {"value", "expires_at", "scopes", "session"}
    assert minted["value"].startswith("ek_")
    assert before + 119 <= minted["expires_at"] <= time.time() + 121
    assert minted["session"].pop("id").startswith("sess_")
    assert minted["session"] == {
        "type": "realtime",
        "object": "realtime.session",
        "model": "gpt-realtime",
        "instructions": "be brief",
    }


async def test_a_secret_without_a_body_lasts_a_minute_and_does_everything(scripted: Inside) -> None:
    async with scripted.client() as client:
        minted = (await client.post(MINT)).json()
    assert time.time() + 50 < minted["expires_at"] <= time.time() + 61
    assert minted["scopes"] == ["agent", "speech", "transcription"]
    async with scripted.client(minted["value"]) as browser:
        assert (await browser.post("/v1/audio/speech", json=SPEECH)).status_code == 200
        assert (await browser.post("/v1/chat/completions", json=CHAT)).status_code == 200
        assert (await browser.get("/v1/models")).status_code == 200
        assert (await browser.get("/v1/models", headers={"X-API-Key": minted["value"]})).status_code == 200


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"expires_after": {"seconds": 5}}, "expires_after.seconds"),
        ({"scopes": ["root"]}, "scopes.0"),
        ({"scopes": []}, "scopes"),
        ({"session": "all"}, "session"),
        ({"session": {"a": "x" * 20_000}}, "session"),
        ({"session": {"type": "speech", "speed": 40}}, "session.speed"),
    ],
)
async def test_what_a_secret_cannot_be(scripted: Inside, body: dict[str, Any], param: str) -> None:
    async with scripted.client() as client:
        response = await client.post(MINT, json=body)
    assert (response.status_code, error_of(response)["param"]) == (400, param)


async def test_a_secret_does_only_what_it_was_minted_for(scripted: Inside) -> None:
    minted = await _mint(scripted, scopes=["speech"])
    assert minted["scopes"] == ["speech"]
    async with scripted.client(minted["value"]) as browser:
        assert (await browser.post("/v1/audio/speech", json=SPEECH)).status_code == 200
        for method, path in (
            ("POST", "/v1/chat/completions"),
            ("POST", "/v1/audio/transcriptions"),
            ("POST", MINT),
            ("GET", "/v1/credits"),
            ("GET", "/v1/usage"),
            ("GET", "/v1/nothing"),
        ):
            response = await browser.request(method, path)
            assert (response.status_code, error_of(response)["code"]) == (403, "permission_denied"), path
        chat = await browser.post("/v1/chat/completions", json=CHAT)
    assert "needs the scope 'agent'" in error_of(chat)["message"]


async def test_work_with_a_secret_is_billed_to_the_key_that_minted_it(scripted: Inside) -> None:
    minted = await _mint(scripted)
    async with scripted.client(minted["value"]) as browser:
        spoken = await browser.post("/v1/audio/speech", json=SPEECH)
    async with scripted.client() as client:
        assert (await client.get("/v1/credits")).json()["balance"] == 99
        [row] = (await client.get("/v1/usage")).json()["data"]
    assert (row["request_id"], row["credits"]) == (spoken.headers["X-Request-Id"], 1)


def _sdk(url: str, key: str) -> openai.AsyncOpenAI:
    client = openai.DefaultAsyncHttpxClient(trust_env=False)
    return openai.AsyncOpenAI(api_key=key, base_url=f"{url}/v1", http_client=client, max_retries=0)


async def test_openais_own_client_mints_uses_and_is_refused(scripted: Inside) -> None:
    async with listening(scripted.server.app) as url, _sdk(url, scripted.key) as server:
        minted = await server.realtime.client_secrets.create(
            expires_after={"anchor": "created_at", "seconds": 60},
            session={"type": "realtime", "model": "gpt-realtime"},
            extra_body={"scopes": ["agent"]},
        )
        assert (minted.session.type, minted.expires_at > time.time()) == ("realtime", True)
        async with _sdk(url, minted.value) as browser:
            answer = await browser.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "hello"}]
            )
            assert answer.choices[0].message.content
            with pytest.raises(openai.PermissionDeniedError):
                await browser.audio.speech.create(model="tts-1", voice="alloy", input="hello")
            with pytest.raises(openai.PermissionDeniedError):
                await browser.realtime.client_secrets.create()
            [key] = await scripted.server.accounts.keys()
            await scripted.server.accounts.revoke_key(key.id)
            with pytest.raises(openai.AuthenticationError):
                await browser.models.list()


async def test_openais_own_client_knows_a_limit(tmp_path: Path) -> None:
    config = _limited(requests_per_minute_per_key=1)
    async with (
        inside(tmp_path, config, ports=PORTS) as running,
        listening(running.server.app) as url,
        _sdk(url, running.key) as client,
    ):
        await client.models.list()
        with pytest.raises(openai.RateLimitError):
            await client.models.list()


async def test_a_revoked_key_takes_its_secrets_along(scripted: Inside) -> None:
    minted = await _mint(scripted)
    [key] = await scripted.server.accounts.keys()
    await scripted.server.accounts.revoke_key(key.id)
    for credential in (minted["value"], scripted.key):
        async with scripted.client(credential) as client:
            assert (await client.get("/v1/models")).status_code == 401


async def test_too_many_requests_are_429_with_retry_after_also_for_browsers(tmp_path: Path) -> None:
    config = _limited(requests_per_minute_per_key=3)
    async with inside(tmp_path, config, ports=PORTS) as running, running.client() as client:
        for _ in range(3):
            assert (await client.get("/v1/models")).status_code == 200
        response = await client.get("/v1/models", headers={"Origin": "https://shop.example"})
        assert (response.status_code, error_of(response)["code"]) == (429, "rate_limited")
        assert error_of(response)["type"] == "rate_limit_error"
        assert 1 <= int(response.headers["Retry-After"]) <= 20
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert response.headers["X-Request-Id"]
        assert (await client.get("/healthz")).status_code == 200, "who watches the server is not counted"


async def test_too_many_wrong_keys_are_429(tmp_path: Path) -> None:
    config = _limited(failed_keys_per_minute_per_address=2)
    async with inside(tmp_path, config, ports=PORTS) as running, running.client() as client:
        assert (await client.get("/v1/models")).status_code == 200
        wrong = {"Authorization": "Bearer vg_" + "x" * 43}
        codes = [(await client.get("/v1/models", headers=wrong)).status_code for _ in range(4)]
        assert codes == [401, 401, 429, 429]
        assert (await client.get("/v1/models")).status_code == 200


SLOW = "[engines.scripted_tts]\nfirst_audio_ms = 60_000\n"


@pytest.mark.parametrize(
    ("limit", "status", "code"),
    [("concurrent_requests_per_key", 429, "rate_limited"), ("concurrent_requests", 503, "busy")],
)
async def test_too_many_requests_at_once(tmp_path: Path, limit: str, status: int, code: str) -> None:
    config = _limited(**{limit: 2}) + SLOW
    async with inside(tmp_path, config, ports=PORTS) as running, running.client() as client:
        slow = [asyncio.create_task(client.post("/v1/audio/speech", json=SPEECH)) for _ in range(2)]
        while (await running.server.accounts.organizations())[0].balance.held < 2_000_000:
            await asyncio.sleep(0)
        response = await client.get("/v1/models")
        assert (response.status_code, error_of(response)["code"]) == (status, code)
        assert response.headers["Retry-After"] == "1"
        assert (await client.get("/readyz")).status_code == 200
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        assert (await client.get("/v1/models")).status_code == 200


async def test_a_keys_own_daily_limit_is_402_before_any_work(scripted: Inside) -> None:
    from decimal import Decimal

    made = await scripted.server.accounts.create_key("acme", limits=KeyLimits(daily_credits=Decimal(2)))
    async with scripted.client(made.key) as client:
        codes = [(await client.post("/v1/audio/speech", json=SPEECH)).status_code for _ in range(3)]
        assert codes == [200, 200, 402]
        refused = await client.post("/v1/audio/speech", json=SPEECH)
        assert error_of(refused)["code"] == "insufficient_credits"
        assert "2 credits a day" in error_of(refused)["message"]
        assert 0 < int(refused.headers["Retry-After"]) <= 24 * 3600
    async with scripted.client() as client:
        assert (await client.post("/v1/audio/speech", json=SPEECH)).status_code == 200, "another key has its own"


async def test_a_key_that_ends_takes_its_running_requests_along(tmp_path: Path) -> None:
    quick = _limited(key_check_s=0.05)
    async with inside(tmp_path, quick + SLOW, ports=PORTS) as running, running.client() as client:
        working = asyncio.create_task(client.post("/v1/audio/speech", json=SPEECH))
        while (await running.server.accounts.organizations())[0].balance.held == 0:
            await asyncio.sleep(0)
        [key] = await running.server.accounts.keys()
        await running.server.accounts.revoke_key(key.id)
        response = await asyncio.wait_for(working, 5)
        assert (response.status_code, error_of(response)["code"]) == (401, "invalid_api_key")
        [org] = await running.server.accounts.organizations()
        assert (org.balance.available, org.balance.held) == (100_000_000, 0), "nothing was sold, nothing stays held"


async def test_a_stream_of_a_key_that_ends_is_broken_off(tmp_path: Path) -> None:
    quick = _limited(key_check_s=0.05)
    trickle = "[engines.scripted_tts]\npiece_ms = 50\n"
    async with (
        inside(tmp_path, quick + trickle, ports=PORTS) as running,
        listening(running.server.app) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, headers={"X-API-Key": running.key}) as client,
    ):
        body = SPEECH | {"input": "word " * 1_900, "response_format": "pcm"}
        async with client.stream("POST", "/v1/audio/speech", json=body) as response:
            assert response.status_code == 200
            pieces = response.aiter_raw()
            await anext(pieces)
            [key] = await running.server.accounts.keys()
            await running.server.accounts.revoke_key(key.id)
            with pytest.raises(httpx.RemoteProtocolError):
                async with asyncio.timeout(5):
                    async for _ in pieces:
                        pass
        [org] = await running.server.accounts.organizations()
        assert (org.balance.available, org.balance.held) == (99_000_000, 0), "what was sent is sold"


FORWARDED = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "Host": "voice.example.com"}


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_proxys_word_counts_where_it_is_trusted(tmp_path: Path, trusted: bool) -> None:
    config = _limited(requests_per_minute_per_address=2)
    config += '[server]\ntrusted_proxies = ["127.0.0.0/8"]\n' if trusted else ""
    async with inside(tmp_path, config, ports=PORTS) as running, running.client() as client:
        for last in range(4):
            asked = await client.get("/v1/models", headers={"X-Forwarded-For": f"203.0.113.{last}"})
            assert asked.status_code == (200 if trusted or last < 2 else 429)
        turned = await client.get("/healthz/", headers=FORWARDED)
    scheme = "https" if trusted else "http"
    assert turned.headers["Location"] == f"{scheme}://voice.example.com/healthz"


@pytest.mark.parametrize("configured", [True, False])
async def test_the_apis_description_names_the_public_address(tmp_path: Path, configured: bool) -> None:
    config = SCRIPTED + ('[server]\npublic_url = "https://voice.example.com/"\n' if configured else "")
    async with inside(tmp_path, config, ports=PORTS) as running, running.client() as client:
        described = (await client.get("/openapi.json")).json()
    assert described.get("servers") == ([{"url": "https://voice.example.com"}] if configured else None)


async def test_origins_that_are_not_named_get_no_preflight(tmp_path: Path) -> None:
    config = SCRIPTED + '[server]\nallowed_origins = ["https://shop.example"]\n'
    async with inside(tmp_path, config, ports=PORTS) as running, running.client() as client:
        for origin, status in (("https://shop.example", 200), ("https://other.example", 400), ("null", 400)):
            asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            response = await client.options(MINT, headers=asked)
            assert response.status_code == status
            assert response.headers.get("Access-Control-Allow-Origin") == (origin if status == 200 else None)

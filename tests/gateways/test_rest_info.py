"""Models, credits, health and readiness, on a whole server inside the test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.gateways.test_rest_edge import error_of
from tests.inside import Inside, inside
from tests.serving import SCRIPTED
from voxgate.errors import MisuseError, StoreError
from voxgate.services.switchboard import Switchboard
from voxgate.store.database import Database

pytestmark = pytest.mark.slow

SCRIPTED_PORTS = frozenset({"stt", "tts", "llm", "vad"})


@pytest.fixture
async def scripted(tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(tmp_path, SCRIPTED, ports=SCRIPTED_PORTS) as running:
        yield running


async def test_models_are_listed_in_openais_shape(scripted: Inside) -> None:
    async with scripted.client() as client:
        listed = (await client.get("/v1/models")).json()
        assert listed["object"] == "list"
        for entry in listed["data"]:
            assert {"id", "object", "created", "owned_by", "task", "available"} <= set(entry)
            assert (await client.get(f"/v1/models/{entry['id']}")).json() == entry


async def test_a_name_that_a_pattern_covers_can_be_looked_up(scripted: Inside) -> None:
    async with scripted.client() as client:
        found = (await client.get("/v1/models/gpt-5")).json()
        assert (found["id"], found["task"], found["answered_by"], found["demo"]) == ("gpt-5", "chat", "scripted", True)


@pytest.mark.parametrize("name", ["nothing", "valsea-klingon-rtt", "valsea-vietnamese-rtt", "%00", "%F0%9F%90%88"])
async def test_a_model_that_is_none(scripted: Inside, name: str) -> None:
    async with scripted.client() as client:
        response = await client.get(f"/v1/models/{name}")
    assert (response.status_code, error_of(response)["code"]) == (404, "model_not_found")


async def test_credits_are_told_to_the_micro_credit(scripted: Inside) -> None:
    key = await scripted.new_key("exact", "123456789.000001")
    async with scripted.client(key) as client:
        response = await client.get("/v1/credits")
    assert response.text == '{"balance":123456789.000001,"held":0,"org":"exact","tier":"free"}'


async def test_a_server_that_loads_says_so_and_is_alive(tmp_path: Path) -> None:
    async with inside(tmp_path, SCRIPTED, ports=frozenset()) as running, running.client("") as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        response = await client.get("/readyz")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.json()["status"] == "not ready"
    scripted = {"scripted_stt", "scripted_tts", "scripted_llm", "scripted_vad", "scripted_turn"}
    assert set(response.json()["loading"]) == {*scripted, "pyav"}


async def test_missing_models_are_listed_and_do_not_keep_a_server_from_being_ready(tmp_path: Path) -> None:
    config = '[routing]\nstt = ["moonshine"]\nllm = ["llama"]'
    async with inside(tmp_path, config, ports=frozenset({"stt", "llm"})) as running:
        async with running.client("") as client:
            response = await client.get("/readyz")
        assert response.status_code == 200
        body = response.json()
        assert body["missing"] == ["moonshine-base-en", "smollm2-135m-instruct-q4_1"]
        assert any("run: voxgate models pull moonshine-base-en" in problem for problem in body["problems"])
        async with running.client() as client:
            form = {"model": "whisper-1"}
            heard = await client.post("/v1/audio/transcriptions", data=form, files={"file": b"x"})
            answered = await client.post(
                "/v1/chat/completions", json={"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}]}
            )
            listed = (await client.get("/v1/models")).json()["data"]
    for refused, command in ((heard, "moonshine-base-en"), (answered, "smollm2-135m-instruct-q4_1")):
        assert (refused.status_code, error_of(refused)["code"]) == (503, "engine_unavailable")
        assert f"voxgate models pull {command}" in error_of(refused)["message"]
        assert refused.headers["Retry-After"] == "5"
    assert not any(entry["available"] for entry in listed)


async def test_a_store_that_does_not_answer_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ping(self: Database) -> None:
        if down:
            raise StoreError("the database does not answer")

    down = False
    monkeypatch.setattr(Database, "ping", ping)
    async with inside(tmp_path, SCRIPTED, ports=SCRIPTED_PORTS) as running, running.client("") as client:
        assert (await client.get("/readyz")).status_code == 200
        down = True
        response = await client.get("/readyz")
    assert (response.status_code, response.json()["store"]) == (503, "the database does not answer")


async def test_requests_are_measured_by_route_not_by_path(scripted: Inside) -> None:
    async with scripted.client() as client:
        await client.get("/v1/models/gpt-5")
        await client.get("/somewhere/else/entirely")
        text = (await client.get("/metrics")).text
    assert 'voxgate_http_request_seconds_count{method="GET",route="/v1/models/{name}",status="200"} 1.0' in text
    assert 'voxgate_http_request_seconds_count{method="GET",route="unmatched",status="404"} 1.0' in text
    assert "gpt-5" not in text
    assert "somewhere" not in text


async def test_a_preflight_has_an_id_too(scripted: Inside) -> None:
    async with scripted.client() as client:
        headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
        response = await client.options("/v1/audio/speech", headers=headers)
    assert response.status_code == 200
    assert response.headers["X-Request-Id"].startswith("req_")


async def test_only_named_origins_where_they_are_named(tmp_path: Path) -> None:
    config = SCRIPTED + '[server]\nallowed_origins = ["https://shop.example"]'
    async with inside(tmp_path, config, ports=SCRIPTED_PORTS) as running, running.client() as client:
        for origin, allowed in (("https://shop.example", "https://shop.example"), ("https://other.example", None)):
            response = await client.get("/v1/models", headers={"Origin": origin})
            assert response.headers.get("Access-Control-Allow-Origin") == allowed


@pytest.mark.parametrize("error", [ZeroDivisionError("a secret"), MisuseError("a secret")])
async def test_what_nobody_expected_is_hidden_from_clients(
    scripted: Inside, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(self: Switchboard) -> None:
        raise error

    monkeypatch.setattr(Switchboard, "models", broken)
    with capture_logs() as logs:
        async with scripted.client() as client:
            response = await client.get("/v1/models")
    assert (response.status_code, error_of(response)["code"]) == (500, "internal_error")
    assert "secret" not in response.text
    assert "X-Request-Id" in response.headers
    failed, request = logs
    assert (failed["event"], failed["exc_info"]) == ("request failed", True)
    assert (request["event"], request["status"]) == ("request", 500)

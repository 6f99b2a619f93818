"""`GET /v1/usage` on a real server."""

from decimal import Decimal

import httpx
import orjson
import pytest

from tests.audio_samples import wav
from tests.serving import Server

pytestmark = pytest.mark.slow

ASK = {"model": "valsea-fast", "messages": [{"role": "user", "content": "x"}]}


@pytest.fixture(scope="module")
def worked(server: Server) -> tuple[str, list[str]]:
    """(key, request ids oldest first) of an organization that had three pieces of work."""
    key = server.new_key("usage", "10")
    with server.client(key) as client:
        answers = [
            client.post("/v1/audio/transcriptions", files={"file": ("a.wav", wav(5))}, data={"model": "whisper-1"}),
            client.post("/v1/audio/speech", json={"model": "tts-1", "voice": "alloy", "input": "One."}),
            client.post(
                "/v1/chat/completions", json={"model": "valsea-fast", "messages": [{"role": "user", "content": "x"}]}
            ),
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    return key, [answer.headers["X-Request-Id"] for answer in answers]


def test_the_newest_comes_first_with_exact_credits(server: Server, worked: tuple[str, list[str]]) -> None:
    key, requests = worked
    with server.client(key) as client:
        response = client.get("/v1/usage")
    body = response.json(parse_float=Decimal)
    assert set(body) == {"data", "has_more"}
    assert body["has_more"] is False
    assert [row["request_id"] for row in body["data"]] == requests[::-1]
    chat, speech, transcription = body["data"]
    assert (transcription["surface"], transcription["units"]) == ("transcription", {"audio_ms": 5000})
    assert transcription["credits"] == Decimal("0.083333")
    assert (speech["surface"], speech["credits"]) == ("speech", 1)
    assert (chat["surface"], chat["credits"]) == ("chat", 0)
    assert {"id", "at"} <= set(transcription)


def test_pages_join(server: Server, worked: tuple[str, list[str]]) -> None:
    key, requests = worked
    with server.client(key) as client:
        first = client.get("/v1/usage", params={"limit": 2}).json()
        rest = client.get("/v1/usage", params={"limit": 2, "after": first["data"][-1]["id"]}).json()
        by_request = client.get("/v1/usage", params={"after": first["data"][-1]["request_id"]}).json()
    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert [row["request_id"] for row in first["data"] + rest["data"]] == requests[::-1]
    assert by_request["data"] == rest["data"]


def test_one_request_and_a_span_can_be_asked_for(server: Server, worked: tuple[str, list[str]]) -> None:
    key, requests = worked
    with server.client(key) as client:
        one = client.get("/v1/usage", params={"request_id": requests[1]}).json()["data"]
        assert [row["request_id"] for row in one] == [requests[1]]
        since = client.get("/v1/usage", params={"from": one[0]["at"]}).json()["data"]
        assert [row["request_id"] for row in since] == requests[:0:-1]
        until = client.get("/v1/usage", params={"to": one[0]["at"]}).json()["data"]
        assert [row["request_id"] for row in until] == requests[:1]
        assert client.get("/v1/usage", params={"request_id": "req_unknown"}).json() == {"data": [], "has_more": False}


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=ten", "limit"),
        ("from=yesterday", "from"),
        ("to=2026-13-01", "to"),
        ("from=2026-11-22&to=2026-11-21", "to"),
        ("after=use_unknown", "after"),
        ("request_id=%00", "request_id"),
        ("offset=3", "offset"),
    ],
)
def test_wrong_values_are_refused_by_name(client: httpx.Client, query: str, param: str) -> None:
    response = client.get(f"/v1/usage?{query}")
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["code"], error["param"]) == ("invalid_value", param)


def test_rows_of_others_are_not_shown(server: Server, worked: tuple[str, list[str]]) -> None:
    with server.client(server.new_key("stranger", "1")) as client:
        assert client.get("/v1/usage").json() == {"data": [], "has_more": False}
        assert client.get("/v1/usage", params={"after": worked[1][0]}).status_code == 400
    assert httpx.get(f"{server.url}/v1/usage", trust_env=False).status_code == 401


def test_the_parameters_are_documented(client: httpx.Client) -> None:
    schema = orjson.loads(client.get("/openapi.json").content)
    names = [parameter["name"] for parameter in schema["paths"]["/v1/usage"]["get"]["parameters"]]
    assert names == ["request_id", "from", "to", "after", "limit"]

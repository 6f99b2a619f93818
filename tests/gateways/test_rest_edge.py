"""Keys, ids, limits, errors and CORS of the REST surface, on a real server with scripted engines."""

import re
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.audio_samples import wav
from tests.serving import Server

pytestmark = pytest.mark.slow

ENVELOPE = {"message", "type", "code", "param"}


def error_of(response: httpx.Response) -> dict[str, str]:
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == ENVELOPE
    assert body["error"]["message"]
    assert body["error"]["code"]
    found: dict[str, str] = body["error"]
    return found


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"Authorization": "Bearer vg_" + "x" * 43},
        {"X-API-Key": "vg_short"},
        {"X-API-Key": "sk-something-else"},
    ],
)
def test_without_a_valid_key_nothing_is_answered(server: Server, headers: dict[str, str]) -> None:
    response = httpx.get(f"{server.url}/v1/models", headers=headers, trust_env=False)
    assert response.status_code == 401
    assert error_of(response)["code"] == "invalid_api_key"
    assert error_of(response)["type"] == "authentication_error"
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_a_key_in_the_query_is_no_key(server: Server) -> None:
    assert httpx.get(f"{server.url}/v1/models?api_key={server.key}", trust_env=False).status_code == 401


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_both_headers_carry_a_key(server: Server, header: str) -> None:
    value = f"bearer {server.key}" if header == "Authorization" else server.key
    assert httpx.get(f"{server.url}/v1/models", headers={header: value}, trust_env=False).status_code == 200


def test_a_revoked_key_stops_working(server: Server) -> None:
    key = server.new_key("revoked", "1")
    with server.client(key) as client:
        assert client.get("/v1/credits").status_code == 200
        server.voxgate("keys", "revoke", key[:11])
        for _ in range(60):  # a running server notices within five seconds
            if client.get("/v1/credits").status_code == 401:
                break
            time.sleep(0.1)
        assert client.get("/v1/credits").status_code == 401


def test_every_answer_has_an_id_of_its_own(client: httpx.Client) -> None:
    ids = {client.get(path).headers["X-Request-Id"] for path in ("/healthz", "/v1/models", "/nowhere", "/v1/nothing")}
    assert len(ids) == 4
    assert all(re.fullmatch(r"req_[0-9a-f]{24}", request_id) for request_id in ids)


def test_unknown_paths_and_methods_use_the_envelope(client: httpx.Client) -> None:
    missing, wrong = client.get("/v1/nothing"), client.get("/v1/audio/speech")
    assert (missing.status_code, error_of(missing)["code"]) == (404, "not_found")
    assert (wrong.status_code, error_of(wrong)["code"]) == (405, "method_not_allowed")


def test_any_origin_may_ask_and_read_our_headers(server: Server, client: httpx.Client) -> None:
    asked = httpx.options(
        f"{server.url}/v1/audio/speech",
        headers={
            "Origin": "https://shop.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
        trust_env=False,
    )
    assert asked.status_code == 200
    assert asked.headers["Access-Control-Allow-Origin"] == "*"
    for answer in (
        client.get("/v1/models", headers={"Origin": "https://shop.example"}),
        httpx.get(f"{server.url}/v1/models", headers={"Origin": "https://shop.example"}, trust_env=False),
    ):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        exposed = answer.headers["Access-Control-Expose-Headers"]
        assert {h.strip() for h in exposed.split(",")} == {
            "X-Request-Id",
            "X-Credits-Used",
            "X-Credits-Remaining",
            "Retry-After",
        }


def test_a_json_body_is_allowed_up_to_its_limit_and_no_byte_more(client: httpx.Client) -> None:
    def body(size: int) -> bytes:
        head = b'{"model":"tts-1","voice":"alloy","input":"hi","pad":"'
        return head + b"x" * (size - len(head) - 2) + b'"}'

    headers = {"Content-Type": "application/json"}
    assert client.post("/v1/audio/speech", content=body(20_000), headers=headers).status_code == 200
    over = client.post("/v1/audio/speech", content=body(20_001), headers=headers)
    assert (over.status_code, error_of(over)["code"]) == (413, "too_large")

    def chunks() -> Iterator[bytes]:  # no Content-Length: the limit counts
        yield body(20_001)

    counted = client.post("/v1/audio/speech", content=chunks(), headers=headers)
    assert (counted.status_code, error_of(counted)["code"]) == (413, "too_large")


def test_an_upload_is_allowed_up_to_its_limit_and_no_byte_more(client: httpx.Client) -> None:
    sound = wav(1.0)

    def upload(size: int) -> httpx.Response:
        padded = sound + b"\0" * (size - len(sound))
        return client.post("/v1/audio/transcriptions", files={"file": ("a.wav", padded)}, data={"model": "whisper-1"})

    assert upload(400_000).status_code == 200
    over = upload(400_001)
    assert (over.status_code, error_of(over)["code"], error_of(over)["param"]) == (413, "too_large", "file")
    far_over = upload(2_000_000)
    assert (far_over.status_code, error_of(far_over)["code"]) == (413, "too_large")


def test_a_body_that_does_not_arrive_is_given_up(server: Server) -> None:
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as peer:
        peer.sendall(
            f"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nX-API-Key: {server.key}\r\n"
            "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{".encode()
        )
        answer = ""
        while "}}" not in answer and (more := peer.recv(4096)):
            answer += more.decode()
    assert answer.startswith("HTTP/1.1 408")
    assert '"request_timeout"' in answer


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"null", b"\xff\xfe", b"[" * 5000])
@pytest.mark.parametrize("path", ["/v1/audio/speech", "/v1/chat/completions"])
def test_a_body_that_is_no_object_is_refused(client: httpx.Client, path: str, body: bytes) -> None:
    response = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert error_of(response)["code"] in {"invalid_json", "invalid_value", "missing_field"}


def test_openapi_documents_every_route(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {
        "/v1/audio/transcriptions",
        "/v1/audio/speech",
        "/v1/audio/voices",
        "/v1/chat/completions",
        "/v1/models",
        "/v1/credits",
        "/healthz",
        "/readyz",
        "/metrics",
    } <= set(paths)
    assert client.get("/docs").status_code == 200


def test_health_readiness_and_metrics_need_no_key(server: Server) -> None:
    with httpx.Client(base_url=server.url, trust_env=False) as anyone:
        assert anyone.get("/healthz").json() == {"status": "ok"}
        ready = anyone.get("/readyz")
        assert (ready.status_code, ready.json()["store"], ready.json()["missing"]) == (200, "ok", [])
        text = anyone.get("/metrics").text
    assert "voxgate_http_request_seconds" in text
    assert "voxgate_event_loop_lag_seconds" in text
    assert server.key not in text

"""Nothing that opens a door is ever written down: logs, metrics, errors, output, database files, reprs."""

import re
import uuid

import httpx
import pytest

from tests.serving import Server

pytestmark = pytest.mark.slow

SPEECH = {"model": "tts-1", "voice": "alloy", "input": "hello"}


def test_no_credential_is_written_down_anywhere(server: Server) -> None:
    marked = "mark" + uuid.uuid4().hex  # part of every credential that is made up here
    key = server.new_key(f"secretive-{marked[:12]}", "5")
    rotated = server.voxgate("keys", "rotate", key[:11], "--grace", "1").stdout.strip()
    answers: list[str] = []
    with server.client(rotated) as client, httpx.Client(base_url=server.url, trust_env=False, timeout=30) as anyone:
        minted = client.post("/v1/realtime/client_secrets", json={"session": {"instructions": marked}})
        secret = minted.json()["value"]
        forged = [f"vg_{marked}{'x' * 10}", f"ek_{marked}{'x' * 10}", f"vg_{marked}\u00e9".encode("latin-1")]
        for credential in (key, rotated, secret, *forged):
            text = credential if isinstance(credential, str) else credential.decode("latin-1")
            as_header = credential if isinstance(credential, bytes) else credential.encode()
            for headers in (
                {b"Authorization": b"Bearer " + as_header},
                {b"X-API-Key": as_header},
                {b"Authorization": b"Basic " + as_header, b"Idempotency-Key": as_header[:64]},
            ):
                for method, path in (
                    ("GET", "/v1/models"),
                    ("GET", f"/v1/models/{text}"),
                    ("GET", f"/v1/models?api_key={text}"),
                    ("GET", f"/v1/{text}"),
                    ("GET", f"/{text}?api_key={text}&token={text}"),
                    ("GET", f"/v1/usage?request_id={text}&after={text}"),
                    ("POST", "/v1/audio/speech"),
                    ("POST", "/v1/realtime/client_secrets"),
                ):
                    body = SPEECH | {"voice": text, "scopes": [text]} if method == "POST" else None
                    answer = anyone.request(method, path, headers=headers, json=body)
                    if answer.status_code >= 400:
                        answers.append(answer.text)
    with server.client() as client:
        metrics = client.get("/metrics").text
    shown = server.voxgate("keys", "list").stdout
    database = b"".join(path.read_bytes() for path in server.data.glob("voxgate.db*")).decode("latin-1")
    written = {
        "the log": server.log,
        "the server's output": server.out,
        "metrics": metrics,
        "errors": "\n".join(answers),
        "the command line": shown,
        "the database": database,
    }
    assert len(answers) > 50
    assert '"path":"/v1/models/vg_**********"' in server.log.replace(" ", "")
    for credential in (key, rotated, secret):
        tail = credential[11:]
        assert [where for where, text in written.items() if tail in text] == []
    session = written.pop("the database")
    assert marked in session, "what a secret is for is kept"
    assert [where for where, text in written.items() if f"_{marked}" in text] == []
    assert not re.search(r"[?&](api_key|token)=", written["the log"]), "no query string is logged"

"""A server that is killed with sessions open, and the next one: they are closed, billed, and told to the operator."""

import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving import SCRIPTED, Server
from voxgate.services.webhooks import SIGNATURE, sign

pytestmark = pytest.mark.slow

SECRET = "a secret of the tests"
SESSIONS = "/v1/voicebot-livekit/session"
_PATIENCE_S = 30

CONFIG = """
[ledger]
heartbeat_s = 0.2
orphaned_after_s = 1
[webhooks]
url = "{url}"
secret = "{secret}"
"""


class Receiver:
    """The operator's server, which takes what is signed."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                signature = self.headers[SIGNATURE]
                seconds = int(signature.partition(",")[0].removeprefix("t="))
                genuine = signature == sign(SECRET, seconds, body) and abs(time.time() - seconds) < 60
                if genuine:
                    receiver.told.append(json.loads(body))
                self.send_response(204 if genuine else 403)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def wait_for(self, count: int) -> None:
        """Until so much was taken."""
        end = time.monotonic() + _PATIENCE_S
        while len(self.told) < count:
            assert time.monotonic() < end, self.told
            time.sleep(0.05)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever)
    thread.start()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()
    thread.join()


def test_sessions_outlive_the_death_of_their_server_on_record_and_are_told(receiver: Receiver, tmp_path: Path) -> None:
    config = SCRIPTED + CONFIG.format(url=receiver.url, secret=SECRET)
    first = Server(tmp_path / "server", config)
    key = first.new_key("acme", "5")
    with first.client(key) as client:
        bot = client.post("/v1/voicebots", json={"name": "Mai", "voice": "alloy"}).json()["id"]
        made = [client.post(SESSIONS, json={"voicebotId": bot}) for _ in range(2)]
        assert [each.status_code for each in made] == [201, 201], made[0].text
        cut, ended = [each.json()["roomName"] for each in made]
        bill = client.delete(f"{SESSIONS}/{ended}").json()
        assert (bill["billedMinutes"], bill["creditsUsed"]) == (1, 1)
        receiver.wait_for(3)  # the end is told once both beginnings are known to have been taken
    first.process.kill()
    first.process.wait(10)

    second = Server(tmp_path / "server", config)
    with second.client(key) as client:
        again = client.post(SESSIONS, json={"voicebotId": bot})
        assert again.status_code == 201, "another session can be created at once"
        end = time.monotonic() + _PATIENCE_S
        while (session := client.get(f"{SESSIONS}/{cut}").json())["status"] == "active":
            assert time.monotonic() < end
            time.sleep(0.1)
        assert (session["endReason"], session["durationSeconds"], session["billedMinutes"]) == ("crashed", 0, 1)
        assert client.delete(f"{SESSIONS}/{ended}").json() == bill
        assert client.delete(f"{SESSIONS}/{cut}").json()["creditsUsed"] == 1
        left = client.get("/v1/credits").json()
        assert (left["balance"], left["held"]) == (2, 1)
        receiver.wait_for(5)
    assert second.stop() == 0
    newest = json.loads(second.voxgate("rooms", "list", "--json").stdout)[0]
    assert (newest["room"], newest["end_reason"]) == (again.json()["roomName"], "shutdown")
    told: dict[str, list[str]] = {}
    for event in receiver.told:
        told.setdefault(event["data"]["roomName"], []).append(event["type"])
    assert told[cut] == told[ended] == ["session.started", "session.ended"]
    reasons = {event["data"]["roomName"]: event["data"].get("endReason") for event in receiver.told}
    assert (reasons[cut], reasons[ended]) == ("crashed", "requested")
    assert len({event["id"] for event in receiver.told}) == len(receiver.told)
    logs = first.log + second.log
    assert SECRET not in logs
    assert key not in logs
    assert second.voxgate("credits", "audit", check=False).returncode == 0

import asyncio
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from structlog.testing import capture_logs

from tests.conftest import ROOT
from voxgate.clock import FakeClock
from voxgate.errors import StoreError
from voxgate.rooms import Due, Happened, RoomEnd, RoomPlan, RoomSession
from voxgate.services.webhooks import SIGNATURE, Webhooks, WebhookSettings, message, pause_s, posting, sign

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ROOM = "ext-vb-665f5aa613e4fe2f12ab34cd-a1b2c3d4e5f6"
SESSION = RoomSession(
    plan=RoomPlan("sess_1", ROOM, "user-1", "", "Guide", NOON),
    org_id="org_1",
    key_id="key_1",
    voicebot_id="665f5aa613e4fe2f12ab34cd",
    started_at=NOON,
    ended_at=NOON + timedelta(seconds=61, microseconds=500),
    reason=RoomEnd.LEFT,
    duration_s=61,
    billed_minutes=2,
    charged=2_000_001,
)
STARTED = Due(7, Happened.STARTED, NOON, 1, "acme", replace(SESSION, ended_at=None, reason=None))
ENDED = Due(8, Happened.ENDED, NOON, 1, "acme", SESSION)
SECRET = "sixteen letters!"
SETTINGS = WebhookSettings.model_validate({"url": "https://example.com/hook", "secret": SECRET})


class Box:
    """An outbox in memory."""

    def __init__(self, *due: Due) -> None:
        self.due = list(due)
        self.told_: list[int] = []
        self.late: list[tuple[int, datetime]] = []
        self.old: list[str] = []
        self.asked: list[timedelta] = []
        self.away = False

    async def claim(self, now: datetime, *, until: datetime, limit: int) -> Sequence[Due]:
        if self.away:
            raise StoreError("away")
        assert until - now == timedelta(seconds=40)
        taken, self.due = self.due[:limit], self.due[limit:]
        return taken

    async def told(self, event: int) -> None:
        self.told_.append(event)

    async def put_off(self, event: int, until: datetime) -> None:
        self.late.append((event, until))

    async def give_up(self, now: datetime, *, after: timedelta) -> Sequence[str]:
        self.asked.append(after)
        return self.old

    async def waiting(self) -> int:
        return len(self.due)


class Receiver:
    """The operator's server."""

    def __init__(self, answer: int | OSError = 204) -> None:
        self.answer = answer
        self.got: list[tuple[str, bytes, Mapping[str, str]]] = []

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        self.got.append((url, body, headers))
        if isinstance(self.answer, OSError):
            raise self.answer
        return self.answer


def webhooks(box: Box, receiver: Receiver, clock: FakeClock) -> Webhooks:
    return Webhooks(box, clock, SETTINGS, receiver.post, public_url="https://voice.example.com")


def test_the_messages() -> None:
    started, ended = json.loads(message(STARTED, "")), json.loads(message(ENDED, "https://voice.example.com"))
    assert started == {
        "id": "evt_1_started",
        "type": "session.started",
        "createdAt": "2026-01-01T12:00:00.000Z",
        "data": {
            "sessionId": "sess_1",
            "roomName": ROOM,
            "voicebotId": "665f5aa613e4fe2f12ab34cd",
            "org": "acme",
            "startedAt": "2026-01-01T12:00:00.000Z",
        },
    }
    assert (ended["id"], ended["type"]) == ("evt_1_ended", "session.ended")
    assert ended["data"] == started["data"] | {
        "endedAt": "2026-01-01T12:01:01.000Z",
        "endReason": "left",
        "durationSeconds": 61,
        "billedMinutes": 2,
        "creditsUsed": 2.000001,
        "messagesUrl": f"https://voice.example.com/v1/voicebot-livekit/session/{ROOM}/messages",
    }


async def test_what_is_taken_is_told_once_and_signed() -> None:
    box, receiver, clock = Box(STARTED, ENDED), Receiver(), FakeClock()
    assert await webhooks(box, receiver, clock).tick() == 2
    assert box.told_ == [7, 8]
    url, body, headers = receiver.got[0]
    assert url == "https://example.com/hook"
    seconds = int(clock.now().timestamp())
    digest = hmac.new(SECRET.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers[SIGNATURE] == f"t={seconds},v1={digest}" == sign(SECRET, seconds, body)


@pytest.mark.parametrize("answer", [301, 404, 500, OSError("ConnectError")])
async def test_what_is_not_taken_is_told_again_later(answer: int | OSError) -> None:
    box, receiver, clock = Box(replace(STARTED, attempts=3)), Receiver(answer), FakeClock()
    with capture_logs() as logs:
        assert await webhooks(box, receiver, clock).tick() == 0
    assert box.told_ == []
    assert box.late == [(7, clock.now() + timedelta(seconds=20))]
    assert [(line["event"], line["attempts"], line["session_id"]) for line in logs] == [
        ("webhook_not_taken", 3, "sess_1")
    ]
    assert SECRET not in str(logs)
    assert "example.com" not in str(logs), "an address may hold a secret"


async def test_what_nobody_takes_for_days_is_given_up() -> None:
    box, clock = Box(), FakeClock()
    box.old = ["sess_1"]
    hooks = webhooks(box, Receiver(), clock)
    with capture_logs() as logs:
        await hooks.tick()
        await hooks.tick()
        assert len(logs) == 1
        clock.advance(60)
        await hooks.tick()
    assert box.asked == [timedelta(days=3)] * 2
    assert {line["event"] for line in logs} == {"webhook_given_up"}


async def test_a_database_that_is_away_is_asked_again() -> None:
    box, receiver = Box(STARTED), Receiver()
    box.away = True
    hooks = webhooks(box, receiver, FakeClock())
    with capture_logs() as logs:
        assert await hooks.tick() == 0
    assert [line["event"] for line in logs] == ["webhooks_not_looked_after"]
    box.away = False
    running = asyncio.create_task(hooks.run())
    while not box.told_:
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@given(st.integers(1, 10_000))
def test_pauses_grow_up_to_an_hour(attempts: int) -> None:
    assert 5 <= pause_s(attempts) <= pause_s(attempts + 1) <= 3600
    assert pause_s(attempts + 1) in (2 * pause_s(attempts), 3600)


@pytest.mark.parametrize(
    ("url", "secret", "problem"),
    [
        ("https://example.com", "", "needs a webhooks.secret of at least 16"),
        ("https://example.com", "fifteen letters", "needs a webhooks.secret"),
        ("example.com", SECRET, "must be an address"),
        ("ftp://example.com", SECRET, "must be an address"),
    ],
)
def test_settings_that_cannot_be_used(url: str, secret: str, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        WebhookSettings.model_validate({"url": url, "secret": secret})


async def test_messages_go_over_http_and_follow_nobody() -> None:
    seen: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(re.findall(rb"(?i)content-length: (\d+)", head)[0])
        seen.append(head + await reader.readexactly(length))
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, posting(5) as post:
        assert await post(f"http://127.0.0.1:{port}/hook", b"{}", {"X-A": "b"}) == 302
    assert len(seen) == 1
    assert seen[0].startswith(b"POST /hook ")
    assert seen[0].endswith(b"{}")
    async with posting(5) as post:
        with pytest.raises(OSError, match="ConnectError"):
            await post(f"http://127.0.0.1:{port}/hook?token=hidden", b"{}", {})


def test_the_documented_check_accepts_what_is_signed_and_nothing_else() -> None:
    page = (ROOT / "docs" / "webhooks.md").read_text()
    (snippet,) = re.findall(r"```python\n(import hashlib.*?)```", page, re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(compile(snippet, "webhooks.md", "exec"), namespace)
    body, now = message(ENDED, ""), 1_767_268_800
    good = sign(SECRET, now, body)
    genuine = namespace["genuine"]
    assert genuine(SECRET, good, body, now=now + 299)
    for secret, header, content, at in (
        ("another secret!!", good, body, now),
        (SECRET, good, body + b" ", now),
        (SECRET, good, body, now + 301),
        (SECRET, good.replace(f"t={now}", f"t={now + 1}"), body, now),
        (SECRET, "", body, now),
        (SECRET, "t=x,v1=y", body, now),
    ):
        assert not genuine(secret, header, content, now=at)

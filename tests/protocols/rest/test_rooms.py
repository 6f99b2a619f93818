from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from voxgate.protocols.rest.rooms import GUEST, RoomRequest, created, ended, page_of, shown
from voxgate.rooms import Grant, Message, RoomEnd, RoomPlan, RoomSession, Voicebot

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BOT = "665f5aa613e4fe2f12ab34cd"
PLAN = RoomPlan("sess_1", f"ext-vb-{BOT}-a1b2c3d4e5f6", "user-1", "Ada", "Guide", NOON + timedelta(minutes=15))
SESSION = RoomSession(PLAN, "org_1", "key_1", BOT, NOON, None, None, 61, 2, 2_000_000)
VOICEBOT = Voicebot(BOT, "org_1", "Guide", None, "", None, "alloy", "", "valsea-fast", (), NOON, NOON)


def test_a_request_names_its_voicebot_and_maybe_a_person() -> None:
    assert RoomRequest.model_validate({"voicebotId": BOT, "more": 1}).name == GUEST
    assert RoomRequest.model_validate({"voicebotId": BOT, "participantName": " Ada  "}).name == "Ada"
    assert RoomRequest.model_validate({"voicebotId": BOT, "participantName": " "}).name == GUEST
    assert RoomRequest.model_validate({"voicebotId": BOT, "participantName": "x" * 100}).name == "x" * 100


@pytest.mark.parametrize("name", ["x" * 101, "a\nb", "a\u202eb", "\ud800", 7])
def test_names_that_cannot_be_shown_are_refused(name: object) -> None:
    with pytest.raises(ValidationError):
        RoomRequest.model_validate({"voicebotId": BOT, "participantName": name})


def test_a_created_session() -> None:
    mappings = [{"key": "map", "url": "https://here/map.png"}]
    assert created(PLAN, Grant("wss://here", "secret"), VOICEBOT, mappings) == {
        "sessionId": "sess_1",
        "participantToken": "secret",
        "livekitUrl": "wss://here",
        "roomName": PLAN.room,
        "voicebotName": "Guide",
        "voicebotAvatarUrl": None,
        "imageMappings": mappings,
        "expiresAt": "2026-01-01T12:15:00.000Z",
    }


def test_a_session_as_it_stands_and_as_it_ended() -> None:
    over = replace(SESSION, ended_at=NOON + timedelta(seconds=61), reason=RoomEnd.LEFT)
    bill = {
        "sessionId": "sess_1",
        "roomName": PLAN.room,
        "status": "ended",
        "durationSeconds": 61,
        "billedMinutes": 2,
        "creditsUsed": "2",
    }
    assert ended(over, "2") == bill
    about = {"voicebotId": BOT, "startedAt": "2026-01-01T12:00:00.000Z", "expiresAt": "2026-01-01T12:15:00.000Z"}
    assert shown(over, "2") == bill | about | {"endedAt": "2026-01-01T12:01:01.000Z", "endReason": "left"}
    assert shown(SESSION, "2") == bill | about | {"status": "active", "endedAt": None, "endReason": None}


def test_a_page_of_messages() -> None:
    lines = [Message("1", "user", "Hello", NOON, False), Message("2", "assistant", "Hi", NOON, True)]
    at = "2026-01-01T12:00:00.000Z"
    assert page_of(lines, 7, 2, 3) == {
        "messages": [
            {"id": "1", "role": "user", "content": "Hello", "createdAt": at},
            {"id": "2", "role": "assistant", "content": "Hi", "createdAt": at, "interrupted": True},
        ],
        "total": 7,
        "limit": 2,
        "offset": 3,
    }

"""`/v1/voicebot-livekit/session`: bodies, and sessions and their messages as JSON."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from voxgate.protocols.rest.voicebots import moment
from voxgate.rooms import Grant, Message, RoomPlan, RoomSession, Voicebot

NAME_CHARACTERS = 100
"""Longest name of a participant."""

GUEST = "Guest"
"""What a participant without a name is called."""


def _plain(value: str) -> str:
    value = value.strip()
    if not all(letter.isprintable() for letter in value):
        raise ValueError("holds characters that cannot be shown")
    return value


class RoomRequest(BaseModel):
    """`POST /v1/voicebot-livekit/session`."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True, use_attribute_docstrings=True)

    voicebot_id: str = Field(alias="voicebotId")
    """Of a voicebot of this organization: 24 hex digits."""
    participant_name: Annotated[str, Field(max_length=NAME_CHARACTERS), AfterValidator(_plain)] | None = Field(
        default=None, alias="participantName"
    )
    """What the person is called in the room."""

    @property
    def name(self) -> str:
        """What the person is called in the room."""
        return self.participant_name or GUEST


def created(plan: RoomPlan, grant: Grant, voicebot: Voicebot, mappings: Sequence[dict[str, str]]) -> dict[str, Any]:
    """A session that was created, with what its person joins with."""
    return {
        "sessionId": plan.session,
        "participantToken": grant.token,
        "livekitUrl": grant.url,
        "roomName": plan.room,
        "voicebotName": voicebot.name,
        "voicebotAvatarUrl": voicebot.avatar_url,
        "imageMappings": list(mappings),
        "expiresAt": moment(plan.expires_at),
    }


def ended(session: RoomSession, credits_used: Any) -> dict[str, Any]:
    """A session that has ended, and its bill. `credits_used`: decimal credits, as JSON is to hold them."""
    return {
        "sessionId": session.plan.session,
        "roomName": session.plan.room,
        "status": "ended",
        "durationSeconds": session.duration_s,
        "billedMinutes": session.billed_minutes,
        "creditsUsed": credits_used,
    }


def shown(session: RoomSession, credits_used: Any) -> dict[str, Any]:
    """A session as it stands, with its bill so far."""
    over = session.ended_at is not None
    return ended(session, credits_used) | {
        "status": "ended" if over else "active",
        "voicebotId": session.voicebot_id,
        "startedAt": moment(session.started_at),
        "expiresAt": moment(session.plan.expires_at),
        "endedAt": None if session.ended_at is None else moment(session.ended_at),
        "endReason": session.reason,
    }


def page_of(messages: Sequence[Message], total: int, limit: int, offset: int) -> dict[str, Any]:
    """A page of a transcript."""
    return {"messages": [_line(line) for line in messages], "total": total, "limit": limit, "offset": offset}


def _line(line: Message) -> dict[str, Any]:
    shown_line = {"id": line.id, "role": line.role, "content": line.content, "createdAt": moment(line.created_at)}
    return shown_line | ({"interrupted": True} if line.interrupted else {})

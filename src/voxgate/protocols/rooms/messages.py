"""What a bot tells the people's clients in a room, beside its voice. Pure.

Transcripts go out twice. As text streams on `lk.transcription`, which LiveKit's own components show: each update is a
stream of its own with the whole text of its segment so far, and takes the place of the one before. And as JSON packets:

    transcript   {"type": "transcript", "role", "text", "isFinal", "segmentId", "timestampMs"}
    image        {"type": "image", "key", "url", "description"?}
    session      {"type": "session.expiring", "reason", "secondsLeft"}
    error        {"type": "error", "code", "message"}
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from voxgate.errors import VoxgateError

TRANSCRIPTION = "lk.transcription"
"""The topic of transcripts as text streams (LiveKit's agents and components)."""
STATE = "lk.agent.state"
"""The attribute of the bot that says what it does."""
TRANSCRIPT, IMAGE, SESSION, ERROR = "transcript", "image", "session", "error"
"""Topics of packets."""

LARGEST = 15_000
"""Bytes of the largest packet (gateways/rooms/media.Packet)."""

_STATES = {"hearing": "listening", "paused": "listening"}  # LiveKit has no word for these


@dataclass(frozen=True, slots=True)
class Segment:
    """One turn or reply, as far as it goes."""

    id: str
    """The same for every update of it."""
    role: str
    """`user` or `assistant`."""
    text: str = field(repr=False)
    """From its beginning; empty where a turn came to nothing."""
    final: bool


def turn_segment(turn: int, text: str, *, final: bool) -> Segment:
    """What the person says."""
    return Segment(f"turn_{turn}", "user", text, final)


def reply_segment(reply: int, text: str, *, final: bool) -> Segment:
    """What the bot says."""
    return Segment(f"resp_{reply}", "assistant", text, final)


def agent_state(state: str) -> str:
    """`StateOut.state` as LiveKit's clients know it: `listening`, `thinking` or `speaking`."""
    return _STATES.get(state, state)


def stream_attributes(segment: Segment, track: str) -> dict[str, str]:
    """Attributes of the text stream of a segment. `track`: sid of the track it was spoken on; empty: none."""
    attributes = {"lk.segment_id": segment.id, "lk.transcription_final": "true" if segment.final else "false"}
    return attributes | ({"lk.transcribed_track_id": track} if track else {})


def transcript_packet(segment: Segment, at: datetime) -> bytes:
    """A `transcript` packet. `at`: now. A text that is too long for a packet loses its end, marked by `…`."""
    told = {
        "type": "transcript",
        "role": segment.role,
        "text": segment.text,
        "isFinal": segment.final,
        "segmentId": segment.id,
        "timestampMs": round(at.timestamp() * 1000),
    }
    return _fitting(told, "text")


def image_packet(image: Mapping[str, str]) -> bytes:
    """An `image` packet. `image`: `key`, `url` and maybe `description`."""
    return orjson.dumps({"type": "image", **image})


def expiring_packet(reason: str, seconds_left: int) -> bytes:
    """A `session` packet: which limit is about to end the session."""
    return orjson.dumps({"type": "session.expiring", "reason": reason, "secondsLeft": seconds_left})


def error_packet(error: VoxgateError) -> bytes:
    """An `error` packet: something failed, and the call goes on."""
    return _fitting({"type": "error", "code": error.code.value, "message": error.message}, "message")


def _fitting(told: dict[str, Any], name: str) -> bytes:
    """The packet, with as much of the field `name` as fits into it."""
    packet = orjson.dumps(told)
    while len(packet) > LARGEST:
        text: str = told[name]
        told[name] = text[: len(text) * LARGEST // len(packet) - 10] + "…"
        packet = orjson.dumps(told)
    return packet

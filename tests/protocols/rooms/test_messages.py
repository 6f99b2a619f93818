import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.errors import Code, PeerError
from voxgate.protocols.rooms.messages import (
    LARGEST,
    Segment,
    agent_state,
    error_packet,
    expiring_packet,
    image_packet,
    reply_segment,
    stream_attributes,
    transcript_packet,
    turn_segment,
)

NOON = datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC)


def test_a_transcript_is_told_as_the_contract_says() -> None:
    told = json.loads(transcript_packet(turn_segment(3, "Hello there", final=False), NOON))
    assert told == {
        "type": "transcript",
        "role": "user",
        "text": "Hello there",
        "isFinal": False,
        "segmentId": "turn_3",
        "timestampMs": 1795262400250,
    }
    assert json.loads(transcript_packet(reply_segment(2, "", final=True), NOON)) | {"timestampMs": 0} == {
        "type": "transcript",
        "role": "assistant",
        "text": "",
        "isFinal": True,
        "segmentId": "resp_2",
        "timestampMs": 0,
    }


def test_streams_name_their_segment_and_track() -> None:
    assert stream_attributes(turn_segment(3, "x", final=True), "TR_1") == {
        "lk.segment_id": "turn_3",
        "lk.transcription_final": "true",
        "lk.transcribed_track_id": "TR_1",
    }
    assert stream_attributes(turn_segment(3, "x", final=False), "") == {
        "lk.segment_id": "turn_3",
        "lk.transcription_final": "false",
    }


def test_what_is_said_is_in_no_repr() -> None:
    assert "secret" not in repr(Segment("turn_1", "user", "a secret", final=True))


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("listening", "listening"),
        ("hearing", "listening"),
        ("thinking", "thinking"),
        ("speaking", "speaking"),
        ("paused", "listening"),
    ],
)
def test_states_are_those_of_livekit(state: str, told: str) -> None:
    assert agent_state(state) == told


def test_images_limits_and_errors() -> None:
    assert json.loads(image_packet({"key": "menu", "url": "https://x/y.png"})) == {
        "type": "image",
        "key": "menu",
        "url": "https://x/y.png",
    }
    assert json.loads(expiring_packet("credits", 18)) == {
        "type": "session.expiring",
        "reason": "credits",
        "secondsLeft": 18,
    }
    assert json.loads(error_packet(PeerError("too long", code=Code.INPUT_TOO_LONG))) == {
        "type": "error",
        "code": "input_too_long",
        "message": "too long",
    }


@given(st.text(alphabet=st.sampled_from('ab"\\\n\x01éあ😀'), max_size=200), st.integers(1, 300))
def test_every_text_fits_into_a_packet(text: str, times: int) -> None:
    packet = transcript_packet(turn_segment(1, text * times, final=True), NOON)
    told = json.loads(packet)["text"]
    assert len(packet) <= LARGEST
    assert told == text * times or (told[-1] == "…" and (text * times).startswith(told[:-1]) and len(packet) > 7000)

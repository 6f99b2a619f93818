from typing import Any

import pytest

from voxgate.errors import Code, PeerError
from voxgate.protocols.minted import LIVE, SPEECH, check_minted, defaults


@pytest.mark.parametrize("session", [None, {}, {"model": "x"}, {"type": "realtime", "model": "gpt-realtime"}])
def test_what_is_of_no_type_of_ours_is_no_default(session: dict[str, Any] | None) -> None:
    assert defaults(session, LIVE) == defaults(session, SPEECH) == {}
    check_minted(session or {})


def test_each_socket_takes_its_own_type() -> None:
    session = {"type": "speech", "voice": "nova", "speed": 1.5}
    assert defaults(session, SPEECH) == {"voice": "nova", "speed": 1.5}
    assert defaults(session, LIVE) == {}


@pytest.mark.parametrize(
    "session",
    [
        {"type": "transcription", "language": "vi", "turn_detection": None, "hint_text": "Voxgate", "x": 1},
        {"type": "transcription", "audio": {"input": {"transcription": {"model": "whisper-1"}}}},
        {"type": "speech", "voice": "nova", "response_format": "opus"},
    ],
)
def test_what_can_be_kept(session: dict[str, Any]) -> None:
    check_minted(session)


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({"type": "transcription", "words": "yes"}, Code.INVALID_VALUE, "session.words"),
        ({"type": "transcription", "turn_detection": {"silence_ms": 9}}, None, "session.turn_detection.silence_ms"),
        ({"type": "speech", "speed": 9}, Code.INVALID_VALUE, "session.speed"),
        ({"type": "speech", "response_format": "mp5"}, Code.UNSUPPORTED_FORMAT, "session.response_format"),
    ],
)
def test_what_is_wrong_is_named(session: dict[str, Any], code: Code | None, param: str) -> None:
    with pytest.raises(PeerError) as refused:
        check_minted(session)
    assert refused.value.param == param
    assert refused.value.code is (code or Code.INVALID_VALUE)

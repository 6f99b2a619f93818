import pytest
from engineio.packet import Packet as EnginePacket
from hypothesis import given
from hypothesis import strategies as st

from voxgate.errors import PeerError
from voxgate.protocols.socketio import MOST_ATTACHMENTS, Screen


@pytest.mark.parametrize(
    "message",
    [
        "40/v1/audio/agent,",
        '40/v1/audio/agent,{"api_key":"x"}',
        '42/v1/audio/agent,["control",{"action":"pause"}]',
        '42/v1/audio/agent,7["end_session"]',
        "41/v1/audio/agent,",
        "43/v1/audio/agent,1[]",
        "2probe",
        "3",
        "5",
        "1",
        "6",
    ],
)
def test_what_clients_send_passes(message: str) -> None:
    Screen().look(message)


@pytest.mark.parametrize(
    "message",
    [
        *("", "x", "0", "7", "b", "bAAAA", "4", "4x", "4[[[[", '4{"a":1}', "44", "47", "45", "45-", "450-", "46"),
        *(f"45{MOST_ATTACHMENTS + 1}-/x,[]", "45999999999-[]", "4512345678901-[]", "2" + "x" * 100, "²"),
    ],
)
def test_what_the_libraries_cannot_take_does_not(message: str) -> None:
    screen = Screen()
    with pytest.raises(PeerError):
        screen.look(message)
    assert not screen.missing()


def test_attachments_are_announced() -> None:
    screen = Screen()
    with pytest.raises(PeerError):
        screen.look(b"audio")
    screen.look('452-/x,["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]')
    screen.look(b"one")
    with pytest.raises(PeerError, match="missing"):
        screen.look("3")
    screen.look(b"two")
    with pytest.raises(PeerError):
        screen.look(b"three")
    screen.look("3")


def test_an_attachment_that_was_too_large_counts_as_come() -> None:
    screen = Screen()
    assert not screen.missing()
    screen.look('451-/x,["a",{"_placeholder":true,"num":0}]')
    assert screen.missing()
    assert not screen.missing()
    screen.look("3")


@given(st.lists(st.text(alphabet='0123456789-b/,[]{}"ax²', max_size=30) | st.binary(max_size=5), max_size=6))
def test_what_passes_is_read_by_the_library_below(messages: list[str | bytes]) -> None:
    screen = Screen()
    for message in messages:
        try:
            screen.look(message)
        except PeerError:
            continue
        packet = EnginePacket(encoded_packet=message)
        assert isinstance(packet.data, str | bytes)

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models

from voxgate.protocols.livekit.data import CHAT, CHUNK_BYTES, Answer, Inbox, Sender, Text, text_stream, user_packet

BOT, ANN = Sender("agent", "PA_bot"), Sender("ann", "PA_ann")


def stream(text: str, topic: str = CHAT, stream_id: str = "s") -> list[bytes]:
    return text_stream(ANN, topic, text, {"a": "b"}, stream_id=stream_id, timestamp_ms=5)


def read(packet: bytes) -> models.DataPacket:
    return models.DataPacket.FromString(packet)


def receive(inbox: Inbox, packets: list[bytes]) -> list[Text | Answer]:
    return [what for packet in packets if (what := inbox.receive(packet)) is not None]


def test_a_packet_says_who_sent_it_twice() -> None:
    packet = read(user_packet(BOT, "transcript", b"{}"))
    assert (packet.user.topic, packet.user.payload) == ("transcript", b"{}")
    assert (packet.participant_identity, packet.participant_sid) == ("agent", "PA_bot")
    assert (packet.user.participant_identity, packet.user.participant_sid) == ("agent", "PA_bot")
    assert packet.sequence == 0  # clients that find numbers leave out what they think came twice


def test_a_text_is_a_header_its_chunks_and_a_trailer() -> None:
    header, chunk, trailer = map(read, stream("héllo"))
    head = header.stream_header
    assert (head.stream_id, head.topic, head.mime_type, head.timestamp) == ("s", CHAT, "text/plain", 5)
    assert (dict(head.attributes), head.total_length) == ({"a": "b"}, 6)
    assert head.WhichOneof("content_header") == "text_header"
    assert (chunk.stream_chunk.chunk_index, chunk.stream_chunk.content.decode()) == (0, "héllo")
    assert trailer.stream_trailer.stream_id == "s"
    assert {packet.participant_identity for packet in (header, chunk, trailer)} == {"ann"}


@given(st.text(alphabet="aé€😀", max_size=200), st.integers(0, 3))
def test_every_chunk_is_whole_characters(text: str, long: int) -> None:
    text += "x€" * (long * 6_000)
    chunks = [read(packet).stream_chunk.content for packet in stream(text)[1:-1]]
    assert "".join(chunk.decode() for chunk in chunks) == text
    assert all(0 < len(chunk) <= CHUNK_BYTES for chunk in chunks)


@pytest.mark.parametrize("text", ["", "hello", "€" * 12_000])
def test_what_was_typed_is_put_together(text: str) -> None:
    inbox = Inbox(BOT)
    assert receive(inbox, stream(text)) == [Text(text)]
    assert inbox.dropped == 0


def test_texts_may_come_at_once() -> None:
    inbox = Inbox(BOT)
    one, two = stream("one", stream_id="1"), stream("two", stream_id="2")
    mixed = [packet for pair in zip(one, two, strict=True) for packet in pair]
    assert receive(inbox, mixed) == [Text("one"), Text("two")]


def test_other_topics_are_nobodys() -> None:
    assert receive(Inbox(BOT), stream("hello", topic="files")) == []


def test_too_long_a_text_is_dropped_where_it_says_so_and_where_it_does_not() -> None:
    inbox = Inbox(BOT)
    packets = stream("x" * 70_000)
    assert receive(inbox, packets) == []
    assert inbox.dropped == 1
    header = read(packets[0])
    header.stream_header.total_length = 0
    assert receive(inbox, [header.SerializeToString(), *packets[1:]]) == []
    assert inbox.dropped == 2


def test_a_text_with_a_piece_missing_is_dropped() -> None:
    inbox = Inbox(BOT)
    packets = stream("x" * 40_000)
    assert receive(inbox, packets[:1] + packets[2:]) == []
    assert inbox.dropped == 1


def test_texts_that_are_never_finished_are_given_up() -> None:
    inbox = Inbox(BOT)
    for number in range(1_000):
        receive(inbox, stream("x", stream_id=str(number))[:-1])
    assert inbox.dropped == 1_000 - 8


def test_bytes_that_are_no_text_are_dropped() -> None:
    inbox = Inbox(BOT)
    packets = stream("x")
    chunk = read(packets[1])
    chunk.stream_chunk.content = b"\xff"
    assert receive(inbox, [packets[0], chunk.SerializeToString(), packets[2]]) == []
    assert inbox.dropped == 1


def test_who_calls_a_procedure_is_told_that_there_is_none() -> None:
    call = models.DataPacket(participant_identity="ann", rpc_request=models.RpcRequest(id="7", method="dance"))
    [answer] = receive(Inbox(BOT), [call.SerializeToString()])
    assert isinstance(answer, Answer)
    ack, response = map(read, answer.packets)
    assert ack.rpc_ack.request_id == response.rpc_response.request_id == "7"
    assert response.rpc_response.error.code == 1400
    assert list(response.destination_identities) == ["ann"]
    assert response.participant_identity == "agent"


def test_what_is_too_large_or_nonsense_is_counted() -> None:
    inbox = Inbox(BOT)
    assert receive(inbox, [user_packet(ANN, "t", b"x" * 70_000), b"\xff\xff", b"\0"]) == []
    assert inbox.dropped == 3
    assert receive(inbox, [b"", user_packet(ANN, "t", b"x")]) == []
    assert inbox.dropped == 3


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_nothing_breaks_it(packets: list[bytes]) -> None:
    receive(Inbox(BOT), packets)

"""Data packets: what goes over the data channels of a room, both ways.

A text stream is a header, chunks of at most CHUNK_BYTES and a trailer, each a `DataPacket` of its own. Of what comes
in, texts on `lk.chat` are put together again; calls of procedures are answered, that there are none; everything else
is nobody's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError
from livekit.protocol import models

CHUNK_BYTES = 15_000
"""Of a stream, in one packet: LiveKit's own chunks are as large, so that a packet stays below the 16 KiB that every
SCTP of a browser takes in one piece."""
CHAT = "lk.chat"
"""The topic of what people type."""

_PACKET_BYTES = 65_536
"""Largest packet that is read. Chunks have 15,000, and packets of `publishData` may not have more either."""
_TEXT_BYTES = 65_536
"""Longest text that is put together."""
_STREAMS = 8
"""How many texts may be under way at once; of more, the oldest is given up."""
_UNSUPPORTED = 1400
"""LiveKit's code for a procedure that the destination does not have."""


@dataclass(frozen=True, slots=True)
class Sender:
    """From whom a packet is."""

    identity: str
    sid: str
    """`PA_…`"""


@dataclass(frozen=True, slots=True)
class Text:
    """A text that somebody typed, whole."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """Packets that go back at once."""

    packets: tuple[bytes, ...]


def user_packet(sender: Sender, topic: str, payload: bytes) -> bytes:
    """A packet as `publishData` sends it."""
    packet = _packet(sender)
    packet.user.topic = topic
    packet.user.payload = payload
    packet.user.participant_identity, packet.user.participant_sid = sender.identity, sender.sid
    return packet.SerializeToString()


def text_stream(
    sender: Sender, topic: str, text: str, attributes: Mapping[str, str], *, stream_id: str, timestamp_ms: int
) -> list[bytes]:
    """The packets of one whole text stream, in order. `timestamp_ms`: since 1970, UTC."""
    header = _packet(sender)
    head = header.stream_header
    head.stream_id, head.topic, head.timestamp, head.mime_type = stream_id, topic, timestamp_ms, "text/plain"
    head.attributes.update(attributes)
    head.text_header.SetInParent()
    content = text.encode()
    head.total_length = len(content)
    packets = [header]
    for index, piece in enumerate(_pieces(content)):
        chunk = _packet(sender)
        chunk.stream_chunk.stream_id, chunk.stream_chunk.chunk_index = stream_id, index
        chunk.stream_chunk.content = piece
        packets.append(chunk)
    trailer = _packet(sender)
    trailer.stream_trailer.stream_id = stream_id
    packets.append(trailer)
    return [packet.SerializeToString() for packet in packets]


@dataclass(slots=True)
class _Open:
    """A text that is under way."""

    content: bytearray = field(default_factory=bytearray)
    chunks: int = 0


class Inbox:
    """What one person sends over the reliable channel."""

    def __init__(self, me: Sender) -> None:
        """`me`: whom answers are from."""
        self.dropped = 0
        """Packets, and texts, that were too large, out of order or not readable."""
        self._me = me
        self._open: dict[str, _Open] = {}

    def receive(self, data: bytes) -> Text | Answer | None:
        """What a packet means to us; None: nothing, or not yet. Never raises: what cannot be read is counted."""
        packet = _read(data)
        kind = packet.WhichOneof("value") if packet is not None else None
        if packet is None:
            self.dropped += 1
        elif kind == "stream_header":
            self._begin(packet.stream_header)
        elif kind == "stream_chunk":
            self._add(packet.stream_chunk)
        elif kind == "stream_trailer":
            return self._end(packet.stream_trailer.stream_id)
        elif kind == "rpc_request":
            return self._refusal(packet)
        return None

    def _begin(self, header: models.DataStream.Header) -> None:
        if header.topic != CHAT or header.WhichOneof("content_header") != "text_header":
            return
        if header.total_length > _TEXT_BYTES:
            self.dropped += 1
            return
        if len(self._open) >= _STREAMS:
            del self._open[next(iter(self._open))]
            self.dropped += 1
        self._open[header.stream_id] = _Open()

    def _add(self, chunk: models.DataStream.Chunk) -> None:
        text = self._open.get(chunk.stream_id)
        if text is None:
            return
        text.content += chunk.content
        text.chunks += 1
        if chunk.chunk_index != text.chunks - 1 or len(text.content) > _TEXT_BYTES:
            del self._open[chunk.stream_id]
            self.dropped += 1

    def _end(self, stream_id: str) -> Text | None:
        text = self._open.pop(stream_id, None)
        if text is None:
            return None
        try:
            return Text(text.content.decode())
        except UnicodeDecodeError:
            self.dropped += 1
            return None

    def _refusal(self, packet: models.DataPacket) -> Answer:
        ack, response = _packet(self._me), _packet(self._me)
        for answer in (ack, response):
            answer.destination_identities.append(packet.participant_identity)
        ack.rpc_ack.request_id = packet.rpc_request.id
        response.rpc_response.request_id = packet.rpc_request.id
        response.rpc_response.error.code = _UNSUPPORTED
        response.rpc_response.error.message = "Method not supported at destination"
        return Answer((ack.SerializeToString(), response.SerializeToString()))


def _read(data: bytes) -> models.DataPacket | None:
    if len(data) > _PACKET_BYTES:
        return None
    try:
        return models.DataPacket.FromString(data)
    except DecodeError:
        return None


def _packet(sender: Sender) -> models.DataPacket:
    return models.DataPacket(participant_identity=sender.identity, participant_sid=sender.sid)


def _pieces(content: bytes) -> list[bytes]:
    """Cut between characters: clients decode each chunk on its own."""
    pieces, begin = [], 0
    while begin < len(content):
        end = min(begin + CHUNK_BYTES, len(content))
        while end < len(content) and content[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(content[begin:end])
        begin = end
    return pieces

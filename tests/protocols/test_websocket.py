import os
import struct
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from voxgate.protocols.websocket import (
    BINARY,
    CLOSE,
    NO_CODE,
    PING,
    PONG,
    TEXT,
    BadHandshake,
    Closed,
    Event,
    Failed,
    Handshake,
    Oversized,
    Ping,
    Quiet,
    Reader,
    close_payload,
    read_handshake,
    write_frame,
)

KIB = 1024


def sent(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """A client's frame, as another implementation writes it."""
    return Frame(Opcode(opcode), payload, fin).serialize(mask=True)


def read(data: bytes, *, message_bytes: int = KIB, frame_bytes: int = 8 * KIB, piece: int = 0) -> list[Event]:
    """What comes out of these bytes, fed at once or in pieces."""
    reader = Reader(message_bytes=message_bytes, frame_bytes=frame_bytes)
    events: list[Event] = []
    step = piece or max(1, len(data))
    for start in range(0, len(data), step):
        reader.feed(data[start : start + step])
        while (event := reader.next()) is not None:
            if event is not Quiet.QUIET:
                events.append(event)
    return events


MESSAGES = st.lists(st.one_of(st.text(max_size=300), st.binary(max_size=1500)), max_size=8)


@given(messages=MESSAGES, cuts=st.integers(1, 5), piece=st.integers(1, 400), pings=st.booleans())
def test_messages_arrive_however_they_are_cut(messages: list[str | bytes], cuts: int, piece: int, pings: bool) -> None:
    wire, wanted = b"", []
    for message in messages:
        payload = message.encode() if isinstance(message, str) else message
        step = max(1, -(-len(payload) // cuts))
        parts = [payload[at : at + step] for at in range(0, len(payload), step)] or [b""]
        for number, part in enumerate(parts):
            opcode = 0 if number else TEXT if isinstance(message, str) else BINARY
            wire += sent(opcode, part, fin=number == len(parts) - 1)
            if pings and number == 0:
                wire += sent(PING, b"there?")
                wanted.append(Ping(b"there?"))
        wanted.append(Oversized(len(payload)) if len(payload) > KIB else message)  # type: ignore[arg-type]
        if pings and len(parts) == 1:  # the message comes before the ping that follows it
            wanted[-2:] = reversed(wanted[-2:])
    assert read(wire, piece=piece) == wanted


@given(data=st.binary(max_size=400), piece=st.integers(1, 50))
def test_junk_fails_or_waits_and_never_raises(data: bytes, piece: int) -> None:
    events = read(data, piece=piece)
    assert not [event for event in events[:-1] if isinstance(event, Failed | Closed)]
    assert events == read(data)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 100_000])
def test_what_we_write_another_implementation_reads(size: int) -> None:
    client = ClientProtocol(parse_uri("ws://localhost"), state=OPEN, max_size=None)
    payload = os.urandom(size)
    client.receive_data(write_frame(BINARY, payload) + write_frame(TEXT, "ß".encode()) + write_frame(PING, b"x"))
    frames = [event for event in client.events_received() if isinstance(event, Frame)]
    assert [(frame.opcode, bytes(frame.data)) for frame in frames] == [
        (Opcode.BINARY, payload),
        (Opcode.TEXT, "ß".encode()),
        (Opcode.PING, b"x"),
    ]


@pytest.mark.parametrize("size", [125, 126, 127, 65_535, 65_536, 100_000])
def test_every_way_to_write_a_length_is_read(size: int) -> None:
    payload = os.urandom(size)
    assert read(sent(BINARY, payload), message_bytes=size, frame_bytes=size, piece=1009) == [payload]


def test_the_largest_message_passes_and_one_byte_more_is_dropped() -> None:
    fits, longer = b"x" * KIB, b"x" * (KIB + 1)
    assert read(sent(BINARY, fits) + sent(BINARY, longer) + sent(TEXT, b"next")) == [fits, Oversized(KIB + 1), "next"]
    parts = sent(TEXT, fits, fin=False) + sent(0, b"y", fin=False) + sent(PING) + sent(0, b"z") + sent(TEXT, b"next")
    assert read(parts) == [Ping(b""), Oversized(KIB + 2), "next"]


def test_above_the_largest_frame_reading_ends() -> None:
    most = sent(BINARY, b"x" * 8 * KIB)
    assert read(most) == [Oversized(8 * KIB)]
    head = sent(BINARY, b"x" * (8 * KIB + 1))[:14]  # its header is enough: nothing of it is waited for
    assert read(head)[0] == Failed(1009, "a message has more than 8,192 bytes")
    parts = sent(BINARY, b"x" * 5000, fin=False) + sent(0, b"x" * 5000)
    assert [event.code for event in read(parts) if isinstance(event, Failed)] == [1009]
    assert read(struct.pack("!BBQ", 0x82, 0xFF, 2**63) + b"mask")[0] == Failed(
        1009, "a message has more than 8,192 bytes"
    )


def test_what_is_dropped_is_never_kept() -> None:
    reader = Reader(message_bytes=KIB, frame_bytes=8 * KIB * KIB)
    wire = sent(BINARY, bytes(4 * KIB * KIB))
    for start in range(0, len(wire), 64 * KIB):
        reader.feed(wire[start : start + 64 * KIB])
        while reader.next() is not None:
            pass
        assert len(reader._data) + len(reader._parts) <= 64 * KIB


def test_an_idle_connection_keeps_nothing_of_what_came() -> None:
    reader = Reader(message_bytes=KIB * KIB, frame_bytes=8 * KIB * KIB)
    reader.feed(sent(BINARY, bytes(200 * KIB)))
    assert reader.next() == bytes(200 * KIB)
    assert reader.next() is None
    assert len(reader._data) == 0


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (write_frame(TEXT, b"not masked"), 1002),
        (b"\xc1\x80\x00\x00\x00\x00", 1002),  # a reserved bit: compression nobody agreed on
        (b"\x83\x80\x00\x00\x00\x00", 1002),  # no such opcode
        (b"\x8b\x80\x00\x00\x00\x00", 1002),
        (b"\x09\x80\x00\x00\x00\x00", 1002),  # half a ping
        (b"\x89\xfe\x00\x7e\x00\x00\x00\x00" + bytes(126), 1002),  # a ping of 126 bytes
        (b"\x80\x80\x00\x00\x00\x00", 1002),  # a continuation of nothing
        (sent(TEXT, b"a", fin=False) + sent(TEXT, b"b"), 1002),
        (sent(TEXT, b"a", fin=False) + sent(BINARY, b"b"), 1002),
        (sent(TEXT, b"\xff"), 1007),
        (sent(TEXT, "ß".encode()[:1], fin=False) + sent(0, b""), 1007),
        (sent(TEXT, b"\xed\xa0\x80"), 1007),  # half a surrogate pair
        (sent(CLOSE, b"\x03"), 1002),
        (sent(CLOSE, struct.pack("!H", 999)), 1002),
        (sent(CLOSE, struct.pack("!H", 1005)), 1002),
        (sent(CLOSE, struct.pack("!H", 1006)), 1002),
        (sent(CLOSE, struct.pack("!H", 1015)), 1002),
        (sent(CLOSE, struct.pack("!H", 2999)), 1002),
        (sent(CLOSE, struct.pack("!H", 5000)), 1002),
        (sent(CLOSE, struct.pack("!H", 1000) + b"\xff"), 1007),
    ],
    ids=count(),  # masks are random, and names of tests are not
)
def test_who_breaks_the_protocol_is_told_how_and_read_no_further(wire: bytes, code: int) -> None:
    for piece in (0, 1):
        *before, last = read(wire + sent(TEXT, b"more"), piece=piece)
        assert isinstance(last, Failed)
        assert last.code == code
        assert before == []


def test_text_that_is_cut_within_a_character_is_whole_again() -> None:
    euro = "€".encode()
    assert read(sent(TEXT, euro[:1], fin=False) + sent(0, euro[1:2], fin=False) + sent(0, euro[2:])) == ["€"]


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1014, 3000, 4999])
def test_a_close_frame_ends_the_reading(code: int) -> None:
    payload = close_payload(code, "bye")
    assert read(sent(CLOSE, payload) + sent(TEXT, b"more")) == [Closed(code, payload)]


def test_a_close_frame_may_say_nothing() -> None:
    assert read(sent(CLOSE)) == [Closed(NO_CODE, b"")]


def test_pongs_and_parts_say_nothing_but_count_as_something_read() -> None:
    reader = Reader(message_bytes=KIB, frame_bytes=KIB)
    reader.feed(sent(PONG, b"x") + sent(TEXT, b"a", fin=False) + sent(0, b"", fin=False))
    assert [reader.next() for _ in range(4)] == [Quiet.QUIET, Quiet.QUIET, Quiet.QUIET, None]


def test_a_long_reason_is_cut_between_characters() -> None:
    payload = close_payload(1008, "ß" * 100)
    assert len(payload) == 2 + 122
    assert payload[2:].decode() == "ß" * 61


def request(target: str = "/v1/realtime?api_key=x", method: str = "GET", **changes: str | None) -> bytes:
    """An upgrade request as uvicorn hands it over; a header of None is left out."""
    headers: dict[str, str | None] = {
        "host": "localhost",
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-version": "13",
    }
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items() if value)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def test_a_handshake_is_answered_with_its_hash() -> None:
    made = read_handshake(request("/v1/real%74ime?api_key=x&y=%20", x_name=" Zoë "))
    assert isinstance(made, Handshake)
    assert (made.path, made.query) == ("/v1/realtime", b"api_key=x&y=%20")
    assert made.accept == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # the example of RFC 6455, 1.3
    assert (b"x-name", "Zoë".encode("latin-1")) in made.headers


def test_subprotocols_are_offered_in_order_in_one_field_or_several() -> None:
    made = read_handshake(request(sec_websocket_protocol="realtime, x.y-1 ,,"))
    assert isinstance(made, Handshake)
    assert made.subprotocols == ("realtime", "x.y-1")
    twice = request(sec_websocket_protocol="a").replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: b\r\n\r\n")
    made = read_handshake(twice)
    assert isinstance(made, Handshake)
    assert made.subprotocols == ("a", "b")


def test_another_implementation_takes_our_answer() -> None:
    client = ClientProtocol(parse_uri("ws://localhost/x"))
    client.send_request(client.connect())
    made = read_handshake(b"".join(client.data_to_send()))
    assert isinstance(made, Handshake)
    client.receive_data(
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        b"sec-websocket-accept: " + made.accept + b"\r\n\r\n"
    )
    (answer,) = client.events_received()
    assert isinstance(answer, Response)
    assert client.handshake_exc is None


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (request(method="POST"), 405),
        (request(sec_websocket_version=None), 426),
        (request(sec_websocket_version="8"), 426),
        (request(sec_websocket_key=None), 400),
        (request(sec_websocket_key="dGhlIHNhbXBsZQ=="), 400),
        (request(sec_websocket_key="no base64!"), 400),
        (request(sec_websocket_key="\xff" * 24), 400),
    ],
)
def test_a_request_that_opens_no_websocket(head: bytes, status: int) -> None:
    refused = read_handshake(head)
    assert isinstance(refused, BadHandshake)
    assert refused.status == status


@given(st.binary(max_size=200))
def test_any_head_is_read_or_refused(head: bytes) -> None:
    assert isinstance(read_handshake(head), Handshake | BadHandshake)

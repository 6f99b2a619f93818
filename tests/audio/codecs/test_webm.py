import itertools
import struct
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings

from tests.recordings import (
    CHANGES,
    FIXTURES,
    PLACES,
    cut,
    cut_at,
    heard,
    likeness,
    mutated,
    opus_packets,
    packed,
    spoken,
    survived,
)
from voxgate.audio.codecs import webm
from voxgate.audio.codecs.packets import ContainerDecoder
from voxgate.domain import SPEECH_RATE
from voxgate.errors import Code, PeerError

HEAD = struct.pack("<8sBBHIhB", b"OpusHead", 1, 1, 0, 48_000, 0, 0)
UNKNOWN = b"\x01\xff\xff\xff\xff\xff\xff\xff"
CLUSTER = b"\x1f\x43\xb6\x75" + UNKNOWN
RECORDED = (FIXTURES / "recorded-by-chromium.webm").read_bytes()
CHUNKS = [int(size) for size in (FIXTURES / "recorded-by-chromium.webm.chunks").read_text().split()]


def decoder() -> ContainerDecoder:
    return ContainerDecoder(webm.parse)


def element(name: str, content: bytes) -> bytes:
    return bytes.fromhex(name) + struct.pack(">I", len(content) | 0x10000000) + content


def track(
    number: int = 1, kind: int = 2, codec: bytes = b"A_OPUS", private: bytes | None = HEAD, more: bytes = b""
) -> bytes:
    fields = element("d7", bytes([number])) + element("83", bytes([kind])) + element("86", codec) + more
    return element("ae", fields + (element("63a2", private) if private is not None else b""))


def opening(*tracks: bytes) -> bytes:
    """The first chunk of a recording: everything before the sound."""
    info = element("1549a966", element("2ad7b1", b"\x0f\x42\x40"))
    segment = bytes.fromhex("18538067") + UNKNOWN
    return (
        webm.MAGIC
        + b"\x84"
        + b"\x42\x86\x81\x01"
        + segment
        + info
        + element("1654ae6b", b"".join(tracks or (track(),)))
    )


def block(*packets: bytes, number: int = 1, lacing: int = 0, sizes: bytes = b"", name: str = "a3") -> bytes:
    count = bytes([len(packets) - 1]) if lacing else b""
    return element(name, bytes([0x80 | number, 0, 0, lacing << 1]) + count + sizes + b"".join(packets))


def length_of(data: Sequence[bytes]) -> int:
    return len(heard(decoder(), data))


def test_what_chromium_recorded_is_the_sentence() -> None:
    sound = heard(decoder(), [RECORDED])
    assert len(sound) == 66 * 960  # 66 packets of 60 ms
    alike, late = likeness(sound, spoken())
    assert alike > 0.98
    assert 0 < late < SPEECH_RATE


def test_chromiums_chunks_are_heard_as_they_come() -> None:
    begun, places, come = decoder(), np.cumsum([0, *CHUNKS]), 0
    each = 66 * 0.06 / len(CHUNKS)  # Chromium gives out what is complete every 100 ms, in packets of 60 ms
    for number, (start, end) in enumerate(itertools.pairwise(places), 1):
        come += len(begun.feed(RECORDED[start:end]))
        assert abs(come / SPEECH_RATE - number * each) < 0.18


@settings(max_examples=40)
@given(PLACES)
def test_where_the_pieces_are_cut_does_not_matter(places: list[int]) -> None:
    assert np.allclose(heard(decoder(), cut_at(RECORDED, places)), heard(decoder(), [RECORDED]), atol=1e-6)


def test_byte_by_byte() -> None:
    assert np.allclose(heard(decoder(), cut(RECORDED[:9000], 1)), heard(decoder(), [RECORDED[:9000]]), atol=1e-6)


@pytest.mark.parametrize("options", [(), (("live", "1"),), (("cluster_time_limit", "100"),)])
@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_what_ffmpeg_packed_sounds_as_it_did(options: tuple[tuple[str, str], ...], layout: str) -> None:
    sound = heard(decoder(), cut(packed("webm", "libopus", options, layout=layout), 333))
    assert len(spoken()) <= len(sound) <= len(spoken()) + 320  # what fills the last packet is not cut off
    alike, late = likeness(sound, spoken())
    assert alike > 0.97
    assert late == 0


@pytest.mark.parametrize(
    ("lacing", "sizes"),
    [
        (1, [bytes([255, 45]), bytes([50])]),
        (3, [bytes([0x41, 0x2C]), struct.pack(">H", 50 - 300 + 0x1FFF | 0x4000)]),
    ],
)
def test_packets_of_different_sizes_in_one_block(lacing: int, sizes: list[bytes]) -> None:
    toc = opus_packets()[5][:1]
    packets = [toc + bytes(size - 1) for size in (300, 50, 77)]
    data = opening() + CLUSTER + block(*packets, lacing=lacing, sizes=b"".join(sizes))
    assert length_of([data]) == 3 * 320
    apart = opening() + CLUSTER + b"".join(map(block, packets))
    assert np.array_equal(heard(decoder(), [data]), heard(decoder(), [apart]))


def test_packets_of_one_size_in_one_block() -> None:
    packets = [opus_packets()[5][:1] + bytes(59)] * 4
    assert length_of([opening() + CLUSTER + block(*packets, lacing=2)]) == 4 * 320


def test_blocks_in_groups() -> None:
    group = element("a0", block(opus_packets()[0], name="a1") + element("9b", b"\x14") + element("75a2", b"\0"))
    assert length_of([opening() + CLUSTER + group * 3]) == 3 * 320


def test_other_tracks_are_passed_over() -> None:
    video = track(number=2, kind=1, codec=b"V_VP8", private=None)
    blocks = block(bytes(200_000), number=2) + block(opus_packets()[0]) + block(b"x", number=2)
    assert length_of([opening(video, track()) + CLUSTER + blocks]) == 320


def test_without_a_header_of_its_own_opus_is_mono_and_whole() -> None:
    assert length_of([opening(track(private=None)) + CLUSTER + block(opus_packets()[0])]) == 320


def test_a_second_recording_may_follow() -> None:
    once = opening() + CLUSTER + block(opus_packets()[0]) * 5
    assert length_of([once, once]) == 2 * 5 * 320


def test_a_lost_chunk_costs_what_lies_before_the_next_cluster() -> None:
    places = np.cumsum([0, *CHUNKS])
    pieces = [RECORDED[start:end] for start, end in itertools.pairwise(places)]
    del pieces[12]
    sound, errors = survived(decoder(), pieces)
    assert len(errors) <= 1
    assert 66 * 960 - len(sound) <= 0.3 * SPEECH_RATE


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"hello, this is no recording", "no element is called"),
        (bytes(10), "an element has no name"),
        (b"\xec\0" * 9, "has no size"),
        (webm.MAGIC + b"\x01" + bytes(6) + b"\xff", None),
        (webm.MAGIC + struct.pack(">Q", 1 << 56 | 1 << 55), "claims"),
        (webm.MAGIC + UNKNOWN, "does not say how long"),
        (opening().replace(b"OpusHead", b"OpusHeat"), "header is damaged"),
        (opening() + bytes.fromhex("1254c367") + struct.pack(">Q", 1 << 56 | 1 << 55), "claims"),
        (opening() + CLUSTER + b"\xa3" + struct.pack(">Q", 1 << 56 | 1 << 50) + b"\x81\0\0\0", "claims"),
        (opening() + CLUSTER + b"\xa3\x81\x81", "ends before its header"),
        (opening() + CLUSTER + b"\xa3\x84\x81\0\0\x02", "ends before its sizes"),
        (opening() + CLUSTER + b"\xa3\x86\x81\0\0\x02\x01\xff", "ends before its sizes"),
        (opening() + CLUSTER + b"\xa3\x87\x81\0\0\x02\x01\x09\x09", "shorter than what is in it"),
        (opening() + CLUSTER + b"\xa3\x88\x81\0\0\x04\x01\x09\x09\x09", "cannot be divided"),
        (opening() + CLUSTER + b"\xa3\x87\x81\0\0\x06\x02\xff\x80", "ends before its sizes"),
        (opening() + CLUSTER + block(b""), "empty"),
        (CLUSTER + block(b"abc"), "first chunk is missing"),
        (opening(track(kind=1)), "no audio track"),
        (opening(track(codec=b"A_VORBIS")), "A_VORBIS"),
        (opening(track(more=element("6d80", b""))), "encrypted"),
        (opening(track(private=b"")[:-1] + b"\x85"), "cut off"),
    ],
)
def test_damage_is_refused_in_plain_words(data: bytes, message: str | None) -> None:
    if message is None:
        assert len(decoder().feed(data)) == 0
        return
    with pytest.raises(PeerError, match=message) as refused:
        decoder().feed(data)
    assert refused.value.code is Code.INVALID_AUDIO


def test_after_damage_the_next_recording_is_heard() -> None:
    begun = decoder()
    with pytest.raises(PeerError):
        begun.feed(b"hello, this is no recording")
    begun.feed(opening() + CLUSTER)
    assert len(begun.feed(block(*opus_packets()[:1]) * 20)) > 0


@settings(max_examples=150)
@given(CHANGES, PLACES)
def test_damage_is_refused_or_heard_and_nothing_else(changes: list[tuple[int, int]], places: list[int]) -> None:
    sound, errors = survived(decoder(), cut_at(mutated(RECORDED[:12_000], changes), places))
    assert all(error.code is Code.INVALID_AUDIO for error in errors)
    assert len(sound) <= 20 * SPEECH_RATE

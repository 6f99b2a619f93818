import struct
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings

from tests.recordings import (
    CHANGES,
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
from voxgate.audio.codecs import ogg
from voxgate.audio.codecs.ogg import crc
from voxgate.audio.codecs.opus import packet_samples
from voxgate.audio.codecs.packets import ContainerDecoder
from voxgate.domain import SPEECH_RATE, Samples
from voxgate.errors import Code, PeerError

SHORT_PAGES = (("page_duration", "20000"),)
HEAD = struct.pack("<8sBBHIhB", b"OpusHead", 1, 1, 312, 48_000, 0, 0)
TAGS = b"OpusTags" + struct.pack("<I4sI", 4, b"test", 0)
FIRST, LAST, CONTINUED = 2, 4, 1


def decoder() -> ContainerDecoder:
    return ContainerDecoder(ogg.parse)


def page(number: int, lengths: Sequence[int], body: bytes, granule: int, *, flags: int = 0, serial: int = 7) -> bytes:
    """One page, with these lacing values as they are."""
    start = struct.pack("<4sBBqII", b"OggS", 0, flags, granule, serial, number)
    end = bytes([len(lengths), *lengths]) + body
    return start + struct.pack("<I", crc(start + bytes(4) + end)) + end


def lacing(packet: bytes) -> list[int]:
    return [255] * (len(packet) // 255) + [len(packet) % 255]


def stream(packets: Sequence[bytes], *, serial: int = 7, start: int = 0, head: bytes = HEAD) -> list[bytes]:
    """A page a packet, the headers' pages in front; the last page does not say that it is the last."""
    pages = [page(0, lacing(head), head, 0, flags=FIRST, serial=serial), page(1, lacing(TAGS), TAGS, 0, serial=serial)]
    granule = start
    for number, packet in enumerate(packets, 2):
        granule += packet_samples(packet)
        pages.append(page(number, lacing(packet), packet, granule, serial=serial))
    return pages


def test_the_checksum_is_oggs() -> None:
    # A page that libogg wrote: its checksum stands at 22.
    data = packed("ogg", "libopus")
    size = 27 + data[26] + sum(data[27 : 27 + data[26]])
    assert crc(data[:22] + bytes(4) + data[26:size]) == struct.unpack_from("<I", data, 22)[0]
    assert crc(b"") == 0


@pytest.mark.parametrize("options", [(), SHORT_PAGES, (("frame_duration", "60"),), (("frame_duration", "2.5"),)])
@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_a_recording_sounds_as_it_did_to_the_sample(options: tuple[tuple[str, str], ...], layout: str) -> None:
    sound = heard(decoder(), cut(packed("ogg", "libopus", options, layout=layout), 100))
    assert len(sound) == len(spoken())
    alike, late = likeness(sound, spoken())
    assert alike > 0.97
    assert late == 0


@settings(max_examples=40)
@given(PLACES)
def test_where_the_pieces_are_cut_does_not_matter(places: list[int]) -> None:
    data = packed("ogg", "libopus", SHORT_PAGES)
    assert np.allclose(heard(decoder(), cut_at(data, places)), whole(), atol=1e-6)


def whole() -> Samples:
    return heard(decoder(), [packed("ogg", "libopus", SHORT_PAGES)])


def test_a_page_is_heard_as_soon_as_it_is_complete() -> None:
    begun = decoder()
    come = sum(len(begun.feed(page)) for page in stream(opus_packets())[:50])
    assert (48 * 960 - 312) / 3 - come < 0.04 * SPEECH_RATE  # what soxr holds back


def test_a_packet_that_goes_on_over_pages() -> None:
    packets = [max(opus_packets(), key=len), *opus_packets()[:3]]
    big = packets[0] + bytes(600 - len(packets[0]))  # padded: code 0 packets end where they end
    pages = stream([])
    parts = [big[:255], big[255:510], big[510:]]
    pages.append(page(2, [255], parts[0], -1))
    pages.append(page(3, [255], parts[1], -1, flags=CONTINUED))
    pages.append(page(4, [len(parts[2]), *lacing(packets[1])], parts[2] + packets[1], 1920, flags=CONTINUED))
    assert len(heard(decoder(), pages)) == (1920 - 312) // 3


def test_the_middle_of_a_packet_whose_beginning_was_lost_is_no_packet() -> None:
    packets = opus_packets()
    pages = stream(packets[:2])
    pages.append(page(5, [3, *lacing(packets[2])], b"end" + packets[2], 4 * 960, flags=CONTINUED))
    assert len(heard(decoder(), pages)) == (4 * 960 - 312) // 3


@pytest.mark.parametrize("lost", [1, 4, 40])
def test_lost_pages_are_filled_to_their_length(lost: int) -> None:
    pages = stream(opus_packets())
    sound = heard(decoder(), pages[:20] + pages[20 + lost :])
    assert len(sound) == len(heard(decoder(), pages))
    alike, late = likeness(sound[18 * 320 + lost * 320 :], heard(decoder(), pages)[18 * 320 + lost * 320 :])
    assert alike > 0.9
    assert late == 0


def test_a_damaged_page_counts_as_lost() -> None:
    pages = stream(opus_packets())
    pages[30] = mutated(pages[30], [(40, pages[30][40] ^ 1)])
    assert len(heard(decoder(), pages)) == len(heard(decoder(), stream(opus_packets())))


def test_a_jump_of_the_clock_is_no_gap_and_a_gap_has_its_limit() -> None:
    packets = opus_packets()
    pages = stream(packets[:10])
    for number in range(200):  # each says that nine seconds were lost before it
        pages.append(page(100 + 2 * number, lacing(packets[10]), packets[10], (number + 2) * 9 * 48_000))
    pages.append(page(900, lacing(packets[11]), packets[11], (1 << 63) - 1))
    sound = heard(decoder(), pages)
    assert len(sound) / SPEECH_RATE < 20


def test_the_clock_may_begin_anywhere() -> None:
    assert len(heard(decoder(), stream(opus_packets(), start=1 << 40))) == len(heard(decoder(), stream(opus_packets())))


def test_chained_streams_follow_each_other() -> None:
    first, second = stream(opus_packets()), stream(opus_packets(), serial=8)
    once = len(heard(decoder(), first))
    assert len(heard(decoder(), [*first, *second])) == pytest.approx(2 * once, abs=2)


def test_other_tracks_are_passed_over() -> None:
    pages = stream(opus_packets())
    other = [page(number, [9], b"something", 5, serial=9, flags=FIRST if number == 0 else 0) for number in range(9)]
    second = stream(opus_packets(), serial=10)
    mixed = [other[0], pages[0], second[0], other[1], second[1], *pages[1:10], *other[2:], *second[2:], *pages[10:]]
    assert np.array_equal(heard(decoder(), mixed), heard(decoder(), pages))


def test_long_tags_are_passed_over() -> None:
    packets = opus_packets()
    pages = [stream([])[0], page(1, [255] * 255, b"OpusTags" + bytes(255 * 255 - 8), -1)]
    pages.append(page(2, [255] * 255, bytes(255 * 255), -1, flags=CONTINUED))
    pages.append(page(3, [4], b"last", 0, flags=CONTINUED))
    pages.append(page(4, lacing(packets[0]), packets[0], 960))
    assert len(heard(decoder(), pages)) == (960 - 312) // 3


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"hello world", "does not begin with a page"),
        (b"\x1a\x45\xdf\xa3", "does not begin with a page"),
        (page(0, [8], b"\x01vorbis1", 0, flags=FIRST) + page(1, [4], b"more", 0), "no Opus track"),
        (page(0, [8], b"OpusHead", 0, flags=FIRST), "header is damaged"),
        (stream([], head=HEAD[:9] + b"\x06" + HEAD[10:])[0], "6 channels"),
    ],
)
def test_what_is_no_opus_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(PeerError, match=message) as refused:
        decoder().feed(data)
    assert refused.value.code is Code.INVALID_AUDIO


def test_junk_is_refused_again_and_again_and_holds_no_memory() -> None:
    sound, errors = survived(decoder(), [bytes(8192)] * 41)
    assert len(sound) == 0
    assert len(errors) == 1 + 41 * 8192 // 65_536


def test_a_damaged_packet_is_told_and_keeps_its_time() -> None:
    packets = [*opus_packets()[:10], b"\xff\xff\xff", *opus_packets()[10:20]]
    packets[10] = b"\xfa\xff"  # two frames of 20 ms whose first is cut off
    sound, errors = survived(decoder(), stream(packets))
    assert [error.message for error in errors] == ["An Opus packet is damaged."]
    assert len(sound) == (22 * 960 - 312) // 3


@settings(max_examples=150)
@given(CHANGES, PLACES)
def test_damage_is_refused_or_heard_and_nothing_else(changes: list[tuple[int, int]], places: list[int]) -> None:
    data = mutated(packed("ogg", "libopus", SHORT_PAGES), changes)
    sound, errors = survived(decoder(), cut_at(data, places))
    assert all(error.code is Code.INVALID_AUDIO for error in errors)
    assert len(sound) <= len(spoken()) + 11 * SPEECH_RATE

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
from voxgate.audio.codecs import fmp4
from voxgate.audio.codecs.packets import ContainerDecoder
from voxgate.domain import SPEECH_RATE
from voxgate.errors import Code, PeerError

RECORDED = (FIXTURES / "recorded-by-chromium.mp4").read_bytes()
CHUNKS = [int(size) for size in (FIXTURES / "recorded-by-chromium.mp4.chunks").read_text().split()]
FRAGMENTED = (("movflags", "empty_moov+default_base_moof"), ("frag_duration", "200000"))


def decoder() -> ContainerDecoder:
    return ContainerDecoder(fmp4.parse)


def box(kind: str, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind.encode()) + content


def full(kind: str, content: bytes, flags: int = 0, version: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags) + content)


OPUS = box("Opus", bytes(8 + 20) + box("dOps", struct.pack(">BBHIhB", 0, 1, 0, 48_000, 0, 0)))


def movie(
    entry: bytes = OPUS, *, handler: bytes = b"soun", edits: bytes = b"", extends: bool = True, size: int = 0
) -> bytes:
    """The first chunk of a recording; `size` is what a packet has that no list tells the size of."""
    media = full("mdhd", struct.pack(">IIIII", 0, 0, 48_000, 0, 0))
    media += full("hdlr", bytes(4) + handler + bytes(13))
    media += box("minf", box("stbl", full("stsd", struct.pack(">I", 1) + entry)))
    header = full("tkhd", struct.pack(">III", 0, 0, 1) + bytes(68))
    more = box("mvex", full("trex", struct.pack(">IIIII", 1, 1, 0, size, 0))) if extends else b""
    return box("ftyp", b"isom") + box("moov", box("trak", header + edits + box("mdia", media)) + more)


def fragment(packets: Sequence[bytes], *, track: int = 1, offset: int = 0, base: int | None = None) -> bytes:
    """`moof` and `mdat`; `offset` misplaces the packets, `base` is the position of the fragment in the file."""
    flags = 0x20000 if base is None else 0x1
    header = struct.pack(">I", track) + (b"" if base is None else struct.pack(">Q", base))
    sizes = b"".join(struct.pack(">I", len(packet)) for packet in packets)

    def moof(data_offset: int) -> bytes:
        run = full("trun", struct.pack(">Ii", len(packets), data_offset) + sizes, 0x201)
        return box("moof", full("mfhd", bytes(4)) + box("traf", full("tfhd", header, flags) + run))

    return moof(len(moof(0)) + 8 + offset) + box("mdat", b"".join(packets))


PACKETS = opus_packets()[10:20]
SAMPLES = 10 * 320


@pytest.mark.parametrize(
    ("codec", "options", "rate", "layout", "extra"),
    [
        ("aac", FRAGMENTED, 48_000, "mono", 1024 / 48_000),
        ("aac", FRAGMENTED, 44_100, "stereo", 1024 / 44_100),
        ("aac", (("movflags", "empty_moov"), ("frag_duration", "200000")), 48_000, "mono", 1024 / 48_000),
        ("aac", (("movflags", "delay_moov+frag_every_frame"),), 48_000, "mono", 0),
        ("libopus", FRAGMENTED, 48_000, "mono", 0),
        ("libopus", (("movflags", "delay_moov"), ("frag_duration", "100000")), 48_000, "stereo", 0),
    ],
)
def test_what_ffmpeg_packed_sounds_as_it_did(
    codec: str, options: tuple[tuple[str, str], ...], rate: int, layout: str, extra: float
) -> None:
    sound = heard(decoder(), cut(packed("mp4", codec, options, rate=rate, layout=layout), 777))
    late_by = round(extra * SPEECH_RATE)  # without an edit list, nobody says how long AAC's delay was
    assert 0 <= len(sound) - len(spoken()) - late_by <= 1024 * SPEECH_RATE / rate
    alike, late = likeness(sound, spoken())
    assert alike > 0.97
    assert abs(late - late_by) <= 1


def test_what_chromium_recorded_is_the_sentence() -> None:
    sound = heard(decoder(), [RECORDED])
    alike, late = likeness(sound, spoken())
    assert alike > 0.98
    assert 0 < late < SPEECH_RATE


def test_chromiums_chunks_are_heard_as_they_come() -> None:
    begun, places, come = decoder(), np.cumsum([0, *CHUNKS]), 0
    each = len(heard(decoder(), [RECORDED])) / len(CHUNKS)
    for number, (start, end) in enumerate(itertools.pairwise(places), 1):
        come += len(begun.feed(RECORDED[start:end]))
        assert abs(come - number * each) < 0.18 * SPEECH_RATE


@settings(max_examples=30)
@given(PLACES)
def test_where_the_pieces_are_cut_does_not_matter(places: list[int]) -> None:
    data = packed("mp4", "aac", FRAGMENTED)
    assert np.allclose(heard(decoder(), cut_at(data, places)), heard(decoder(), [data]), atol=1e-6)


def test_byte_by_byte() -> None:
    assert np.allclose(heard(decoder(), cut(RECORDED[:9000], 1)), heard(decoder(), [RECORDED[:9000]]), atol=1e-6)


def test_fragments_of_our_own() -> None:
    assert len(heard(decoder(), [movie() + fragment(PACKETS)])) == SAMPLES


def test_positions_in_the_file_and_in_the_fragment_mean_the_same() -> None:
    start = movie()
    assert len(heard(decoder(), [start + fragment(PACKETS, base=len(start))])) == SAMPLES


def test_other_tracks_and_what_lies_between_are_passed_over() -> None:
    data = movie() + fragment([b"picture"], track=2) + box("free", bytes(99)) + fragment(PACKETS)
    assert len(heard(decoder(), [data])) == SAMPLES


def test_packets_of_one_size_need_no_list() -> None:
    packets = [PACKETS[0][:1] + bytes(59)] * 4
    run = full("trun", struct.pack(">I", 4))
    moof = box("moof", box("traf", full("tfhd", struct.pack(">IQ", 1, 0), 0x1) + run))
    start = movie(size=60)
    # Without an offset the run begins at the base, which is here where the `mdat` has its content.
    moof = moof.replace(struct.pack(">IQ", 1, 0), struct.pack(">IQ", 1, len(start) + len(moof) + 8))
    assert len(heard(decoder(), [start + moof + box("mdat", b"".join(packets))])) == 4 * 320


def test_long_sizes_and_a_last_box_without_end() -> None:
    data = fragment(PACKETS)
    at = data.index(b"mdat") - 4
    long = struct.pack(">I4sQ", 1, b"mdat", len(data) - at + 8)
    # The packets come 8 bytes later than the fragment says where the box has a long size.
    moved = fragment(PACKETS, offset=8)
    assert len(heard(decoder(), [movie() + moved[:at] + long + data[at + 8 :]])) == SAMPLES
    assert len(heard(decoder(), [movie() + data[:at] + bytes(4) + data[at + 4 :]])) == SAMPLES


@pytest.mark.parametrize("version", [0, 1])
def test_what_the_edit_list_cuts_is_cut(version: int) -> None:
    layout = ">Qqi" if version else ">Iii"
    edits = struct.pack(">I", 2) + struct.pack(layout, 9, -1, 1) + struct.pack(layout, 9, 960, 1)
    data = movie(edits=box("edts", full("elst", edits, version=version))) + fragment(PACKETS)
    assert len(heard(decoder(), [data])) == SAMPLES - 320


def test_an_edit_that_is_no_delay_is_left_alone() -> None:
    edits = struct.pack(">I", 1) + struct.pack(">Iii", 9, 48_001, 1)
    data = movie(edits=box("edts", full("elst", edits))) + fragment(PACKETS)
    assert len(heard(decoder(), [data])) == SAMPLES


def test_a_second_recording_may_follow() -> None:
    once = movie() + fragment(PACKETS)
    assert len(heard(decoder(), [once + once])) == pytest.approx(2 * SAMPLES, abs=2)


def test_a_lost_chunk_costs_no_more_than_its_fragment_and_the_next() -> None:
    places = np.cumsum([0, *CHUNKS])
    pieces = [RECORDED[start:end] for start, end in itertools.pairwise(places)]
    pieces[12] = pieces[12][200:]
    sound, errors = survived(decoder(), pieces)
    assert 1 <= len(errors) <= 2
    assert len(heard(decoder(), [RECORDED])) - len(sound) <= 0.4 * SPEECH_RATE


def mp4a(config: bytes = b"\x11\x88", kind: int = 0x40, flags: int = 0) -> bytes:
    specific = b"\x05" + bytes([len(config)]) + config
    decoding = b"\x04" + bytes([13 + len(specific), kind]) + bytes(12) + specific
    stream = b"\x03\x80\x80\x80" + bytes([3 + len(decoding), 0, 1, flags]) + decoding
    return box("mp4a", bytes(28) + full("esds", stream))


def moof(run: bytes) -> bytes:
    return box("moof", box("traf", full("tfhd", b"\0\0\0\1") + run))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"hello, this is no recording", "claims"),
        (struct.pack(">I4s", 40, b"what") + bytes(32), "no box is called 'what'"),
        (struct.pack(">I4sQ", 1, b"mdat", 1 << 60), "claims"),
        (struct.pack(">I4s", 4, b"free"), "claims -4 bytes"),
        (struct.pack(">I4s", 0xFFFFFFFF, b"moov"), "claims"),
        (struct.pack(">I4s", 0, b"moov"), "claims -8 bytes"),
        (box("mdat", b"x"), "list of tracks comes last"),
        (fragment(PACKETS), "first chunk is missing"),
        (movie(extends=False), "not fragmented"),
        (movie(handler=b"vide"), "no audio track"),
        (movie(box("alac", bytes(28))), "'alac'"),
        (movie(b""), "no description"),
        (movie(box("Opus", bytes(28))), "ends before its fields"),
        (movie(box("Opus", bytes(28) + box("dOps", b"\0\x06" + bytes(9)))), "6 channels"),
        (movie(mp4a(kind=0x6B)), "of type 0x6b"),
        (movie(mp4a(flags=0x80)), "depends on another stream"),
        (movie(mp4a(config=b"\x0a")), "AAC-LC and HE-AAC"),
        (movie(box("mp4a", bytes(28))), "ends before its fields"),
        (box("moov", box("trak", struct.pack(">I4s", 1 << 30, b"mdia"))), "cut off"),
        (movie() + fragment(PACKETS, offset=-4), "lies outside"),
        (movie() + fragment(PACKETS[:1], offset=4), "lies outside"),
        (movie() + fragment([bytes(65_537)]), "too long"),
        (movie() + moof(full("trun", b"\xff\xff\xff\xff")), "4294967295 packets"),
        (movie() + moof(full("trun", b"\0\0\0\x02", 0x200)), "ends before its fields"),
        (movie() + fragment([b"", *PACKETS]), "empty"),
    ],
)
def test_damage_is_refused_in_plain_words(data: bytes, message: str) -> None:
    with pytest.raises(PeerError, match=message) as refused:
        decoder().feed(data)
    assert refused.value.code is Code.INVALID_AUDIO


def test_after_damage_the_next_recording_is_heard() -> None:
    begun = decoder()
    with pytest.raises(PeerError):
        begun.feed(b"hello, this is no recording")
    begun.feed(movie())
    assert len(begun.feed(fragment(PACKETS))) > 0


@settings(max_examples=150)
@given(CHANGES, PLACES)
def test_damage_is_refused_or_heard_and_nothing_else(changes: list[tuple[int, int]], places: list[int]) -> None:
    for data in (RECORDED[:9_000], packed("mp4", "aac", FRAGMENTED)[:6_000]):
        sound, errors = survived(decoder(), cut_at(mutated(data, changes), places))
        assert all(error.code is Code.INVALID_AUDIO for error in errors)
        assert len(sound) <= 10 * SPEECH_RATE

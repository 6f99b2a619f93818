import struct

import numpy as np
import pytest
from hypothesis import given, settings

from tests.recordings import CHANGES, PLACES, cut, cut_at, heard, likeness, mutated, packed, spoken, survived
from voxgate.audio.codecs import riff
from voxgate.audio.codecs.packets import ContainerDecoder
from voxgate.audio.codecs.riff import pcm_codec
from voxgate.audio.codecs.wav import wav_header
from voxgate.audio.framing import to_pcm16
from voxgate.domain import SPEECH_RATE
from voxgate.errors import Code, PeerError


def decoder() -> ContainerDecoder:
    return ContainerDecoder(riff.parse)


def fmt(form: int = 1, bits: int = 16, *, rate: int = SPEECH_RATE, channels: int = 1, more: bytes = b"") -> bytes:
    return struct.pack("<HHIIHH", form, channels, rate & 0xFFFFFFFF, 0, 0, bits) + more


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    length = len(content) if size is None else size
    return name + struct.pack("<I", length) + content + (bytes(length % 2) if size is None else b"")


def wav(*chunks: bytes) -> bytes:
    return b"RIFF\xff\xff\xff\xffWAVE" + b"".join(chunks)


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_mulaw"])
@pytest.mark.parametrize(("rate", "layout"), [(16_000, "mono"), (48_000, "stereo")])
def test_what_ffmpeg_packed_sounds_as_it_did(codec: str, rate: int, layout: str) -> None:
    sound = heard(decoder(), cut(packed("wav", codec, rate=rate, layout=layout), 1001))
    assert len(sound) == len(spoken())
    alike, late = likeness(sound, spoken())
    assert alike > 0.99
    assert late == 0


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_stream_whose_length_nobody_knows_yet(size: int) -> None:
    header = wav(chunk(b"fmt ", fmt()), chunk(b"data", b"", size))
    begun = decoder()
    assert len(begun.feed(header)) == 0
    for _ in range(5):
        assert np.array_equal(begun.feed(to_pcm16(spoken())), spoken())


def test_our_own_header_is_read() -> None:
    begun = decoder()
    begun.feed(wav_header(SPEECH_RATE))
    assert np.array_equal(begun.feed(to_pcm16(spoken())), spoken())


def test_full_scale_is_one() -> None:
    data = wav(chunk(b"fmt ", fmt(bits=24)), chunk(b"data", b"\x00\x00\x40\x00\x00\xc0"))
    assert heard(decoder(), [data]).tolist() == [0.5, -0.5]


def test_what_is_no_number_is_silence() -> None:
    values = np.array([np.nan, np.inf, 7.0, 0.25], "<f4").tobytes()
    assert heard(decoder(), [wav(chunk(b"fmt ", fmt(3, 32)), chunk(b"data", values))]).tolist() == [0, 0, 1, 0.25]


def test_other_chunks_and_what_follows_the_sound_are_passed_over() -> None:
    data = wav(chunk(b"LIST", b"odd"), chunk(b"fmt ", fmt()), chunk(b"fact", bytes(4)), chunk(b"data", b"\0\x40\0\xc0"))
    assert heard(decoder(), [data + chunk(b"LIST", bytes(99)) + chunk(b"id3 ", bytes(9))]).tolist() == [0.5, -0.5]


@settings(max_examples=40)
@given(PLACES)
def test_where_the_pieces_are_cut_does_not_matter(places: list[int]) -> None:
    data = packed("wav", "pcm_s24le", rate=16_000, layout="stereo")
    assert np.array_equal(heard(decoder(), cut_at(data, places)), heard(decoder(), [data]))


@pytest.mark.parametrize(
    "unusable",
    [
        b"",
        fmt()[:15],
        fmt(form=2),
        fmt(bits=12),
        fmt(channels=0),
        fmt(channels=9),
        fmt(rate=7_999),
        fmt(rate=1 << 31),
        fmt(0xFFFE, more=bytes(8)),
        fmt(0xFFFE, more=bytes(8) + b"\x55\0"),
    ],
)
def test_what_cannot_be_decoded_is_refused_once(unusable: bytes) -> None:
    assert pcm_codec(unusable) is None
    data = wav(chunk(b"fmt ", unusable), chunk(b"data", bytes(5000)))
    sound, errors = survived(decoder(), cut(data, 100))
    assert len(sound) == 0
    assert [error.code for error in errors] == [Code.INVALID_AUDIO]


def test_the_extensible_header_names_the_real_format_later() -> None:
    assert pcm_codec(fmt(0xFFFE, more=bytes(8) + b"\1\0" + bytes(14))) is not None


@pytest.mark.parametrize(
    "data",
    [
        wav(chunk(b"fmt ", b"", 1025)),
        wav(chunk(b"fmt ", fmt()), chunk(b"junk", b"", 1 << 31)),
        wav(chunk(b"data", bytes(40))),
    ],
)
def test_damage_is_refused_in_plain_words(data: bytes) -> None:
    with pytest.raises(PeerError, match="damaged at its chunk"):
        decoder().feed(data)


@settings(max_examples=100)
@given(CHANGES, PLACES)
def test_damage_is_refused_or_heard_and_nothing_else(changes: list[tuple[int, int]], places: list[int]) -> None:
    data = mutated(packed("wav", "pcm_s16le", rate=16_000)[:4000], changes)
    sound, errors = survived(decoder(), cut_at(data, places))
    assert all(error.code is Code.INVALID_AUDIO for error in errors)
    assert len(sound) <= 2 * len(data)

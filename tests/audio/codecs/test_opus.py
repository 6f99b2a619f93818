import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.recordings import CHANGES, likeness, mutated, opus_packets, spoken
from voxgate.audio.codecs.opus import (
    MAX_PACKET_BYTES,
    MAX_PACKET_SAMPLES,
    OPUS_RATE,
    OpusCodec,
    OpusHead,
    packet_samples,
    parse_opus_head,
)
from voxgate.audio.resample import Resampler
from voxgate.domain import SPEECH_RATE, Samples
from voxgate.errors import Code, PeerError


def head(version: int = 1, channels: int = 1, pre_skip: int = 312, gain: int = 0, family: int = 0) -> bytes:
    return struct.pack("<8sBBHIhB", b"OpusHead", version, channels, pre_skip, 44_100, gain, family)


def decoded(codec: OpusCodec, packets: list[bytes]) -> Samples:
    return np.concatenate([codec.decode(packet) for packet in packets])


def test_a_header_says_channels_pre_skip_and_gain() -> None:
    assert parse_opus_head(head(channels=2, pre_skip=3840, gain=-256)) == OpusHead(2, 3840, -256)
    assert parse_opus_head(head(version=15, family=1)) == OpusHead(1, 312, 0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "damaged"),
        (head()[:18], "damaged"),
        (b"OpusTags" + bytes(20), "damaged"),
        (head(version=16), "version 16"),
        (head(channels=0), "0 channels"),
        (head(channels=6, family=1), "6 channels"),
        (head(family=255), "family 255"),
    ],
)
def test_headers_that_cannot_be_decoded_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(PeerError, match=message) as refused:
        parse_opus_head(data)
    assert refused.value.code is Code.INVALID_AUDIO
    assert refused.value.param == "audio"


@pytest.mark.parametrize(
    ("first", "samples"),
    # Configurations of RFC 6716, table 2: SILK 0 to 11, hybrid to 15, CELT to 31.
    [(0, 480), (3, 2880), (11, 2880), (12, 480), (15, 960), (16, 120), (19, 960), (28, 120), (31, 960)],
)
def test_a_packet_says_how_long_it_plays(first: int, samples: int) -> None:
    assert packet_samples(bytes([first << 3])) == samples
    assert packet_samples(bytes([first << 3 | 1])) == 2 * samples
    assert packet_samples(bytes([first << 3 | 2, 0])) == 2 * samples
    assert packet_samples(bytes([first << 3 | 3, 0x82])) == 2 * samples  # the upper bits of the count are flags


@pytest.mark.parametrize("packet", [b"", b"\x03", b"\x03\x00", b"\x1b\x03", b"\xfb\x3f"])
def test_a_packet_that_says_nothing_sensible_is_refused(packet: bytes) -> None:
    with pytest.raises(PeerError):
        packet_samples(packet)


@given(st.binary(min_size=1, max_size=8))
def test_no_packet_plays_longer_than_120_ms(packet: bytes) -> None:
    try:
        assert 120 <= packet_samples(packet) <= MAX_PACKET_SAMPLES
    except PeerError as refused:
        assert refused.code is Code.INVALID_AUDIO


@pytest.mark.parametrize("layout", ["mono", "stereo"])
@pytest.mark.parametrize("frame_duration", ["2.5", "20", "60"])
def test_packets_sound_as_they_did(layout: str, frame_duration: str) -> None:
    packets = opus_packets(layout, frame_duration=frame_duration)
    sound = decoded(OpusCodec(), packets)
    assert len(sound) == sum(map(packet_samples, packets))
    resampler = Resampler(OPUS_RATE, SPEECH_RATE)
    alike, late = likeness(np.concatenate([resampler.feed(sound), resampler.flush()]), spoken())
    assert alike > 0.97
    assert late == 104  # the encoder's delay, 312 samples at 48 kHz, which nobody took away


def test_stereo_is_averaged() -> None:
    packets = opus_packets("stereo")
    mono, stereo = decoded(OpusCodec(), packets), decoded(OpusCodec(OpusHead(channels=2)), packets)
    assert np.array_equal(mono, stereo)
    # FFmpeg makes two channels of one by giving each 3 dB less; their sum would be louder than the one was.
    assert float(np.std(mono) / np.std(decoded(OpusCodec(), opus_packets()))) == pytest.approx(0.707, rel=0.02)


def test_the_headers_gain_is_applied() -> None:
    packets = opus_packets()
    plain, quiet = decoded(OpusCodec(), packets), decoded(OpusCodec(OpusHead(gain=-6 * 256)), packets)
    assert float(np.std(plain) / np.std(quiet)) == pytest.approx(10 ** (6 / 20), rel=0.01)


def test_nothing_is_louder_than_full_scale() -> None:
    loud = decoded(OpusCodec(OpusHead(gain=32_767)), opus_packets())
    assert float(np.max(np.abs(loud))) == 1.0


@pytest.mark.parametrize("packet", [b"", b"\xff\xff\xff", b"\x02\xff", bytes(MAX_PACKET_BYTES + 1)])
def test_after_a_bad_packet_the_next_one_is_heard(packet: bytes) -> None:
    packets = opus_packets()
    codec = OpusCodec()
    decoded(codec, packets[:20])
    with pytest.raises(PeerError) as refused:
        codec.decode(packet)
    assert refused.value.code is Code.INVALID_AUDIO
    assert len(codec.decode(packets[20])) == 960


@pytest.mark.parametrize("samples", [1, 960, 1000, 48_000])
def test_what_was_lost_is_filled_to_its_length(samples: int) -> None:
    packets = opus_packets()
    codec = OpusCodec()
    loud = max(range(10, len(packets)), key=lambda number: len(packets[number]))
    decoded(codec, packets[:loud])
    filled = codec.conceal(samples)
    assert len(filled) == samples
    assert np.any(filled[:960]) == (samples >= 960)  # carried on
    assert not np.any(filled[OPUS_RATE // 10 :])  # then silent


def test_before_the_first_packet_what_was_lost_is_silence() -> None:
    assert not np.any(OpusCodec().conceal(500))


@settings(max_examples=200)
@given(st.integers(0, 90), CHANGES)
def test_damage_gives_sound_or_a_refusal(number: int, changes: list[tuple[int, int]]) -> None:
    packets = opus_packets()
    packet = mutated(packets[number % len(packets)], changes)
    codec = OpusCodec()
    try:
        sound = codec.decode(packet)
    except PeerError as refused:
        assert refused.code is Code.INVALID_AUDIO
    else:
        assert len(sound) == packet_samples(packet)
        assert np.all(np.abs(sound) <= 1)
    assert len(codec.decode(packets[0])) == 960

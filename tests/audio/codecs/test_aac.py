import io
import struct

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.recordings import CHANGES, likeness, mutated, packed, spoken
from voxgate.audio.codecs.aac import AacCodec
from voxgate.audio.resample import Resampler
from voxgate.domain import SPEECH_RATE
from voxgate.errors import Code, PeerError


def adts(rate: int = 48_000, layout: str = "mono") -> list[bytes]:
    """The packets of an ADTS stream, without their headers."""
    with av.open(io.BytesIO(packed("adts", "aac", rate=rate, layout=layout)), "r") as file:
        return [bytes(packet)[7:] for packet in file.demux(audio=0) if packet.size]


def config(kind: int = 2, index: int = 3, channels: int = 1) -> bytes:
    return struct.pack(">H", kind << 11 | index << 7 | channels << 3)


@pytest.mark.parametrize(("rate", "index"), [(48_000, 3), (44_100, 4), (16_000, 8)])
@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_packets_sound_as_they_did(rate: int, index: int, layout: str) -> None:
    packets = adts(rate, layout)
    codec = AacCodec(config(index=index, channels=1 if layout == "mono" else 2))
    assert codec.rate == rate
    resampler = Resampler(rate, SPEECH_RATE)
    pieces = [resampler.feed(codec.decode(packet)) for packet in packets]
    alike, late = likeness(np.concatenate([*pieces, resampler.flush()]), spoken())
    assert alike > 0.97
    assert late == pytest.approx(1024 * SPEECH_RATE / rate, abs=1)  # the encoder's delay
    assert sum(map(len, pieces)) == pytest.approx(len(packets) * 1024 * SPEECH_RATE / rate, abs=700)


@pytest.mark.parametrize(
    ("data", "rate"),
    [
        (config(), 48_000),
        (config(index=11, channels=2), 8_000),
        (bytes.fromhex("17800bb808"), None),  # 24 bits of a rate that no table has
        ((2 << 123 | 15 << 119 | 16_000 << 95 | 1 << 91).to_bytes(16, "big"), 16_000),
        ((5 << 123 | 6 << 119 | 2 << 115 | 3 << 111).to_bytes(16, "big"), 48_000),  # HE-AAC: 24 kHz, comes out as 48
        (b"", None),
        (config(kind=1), None),
        (config(kind=31), None),
        (config(channels=0), None),
        (config(channels=7), None),
        (config(index=13), None),
    ],
)
def test_only_what_voices_are_recorded_in_is_decoded(data: bytes, rate: int | None) -> None:
    if rate:
        assert AacCodec(data).rate == rate
        return
    with pytest.raises(PeerError, match="AAC-LC and HE-AAC") as refused:
        AacCodec(data)
    assert refused.value.code is Code.INVALID_AUDIO


@pytest.mark.parametrize("packet", [b"", b"\xff" * 30, bytes(8193)])
def test_after_a_bad_packet_the_next_one_is_heard(packet: bytes) -> None:
    packets = adts()
    codec = AacCodec(config())
    with pytest.raises(PeerError) as refused:
        codec.decode(packet)
    assert refused.value.code is Code.INVALID_AUDIO
    assert len(codec.decode(packets[3])) == 1024


def test_a_packet_with_channels_of_its_own_is_refused_before_it_is_read() -> None:
    # ADTS packets of 5.1: more channels than were said, which is what PyAV cannot read safely.
    with av.open(io.BytesIO(packed("adts", "aac", layout="5.1")), "r") as file:
        surround = [bytes(packet)[7:] for packet in file.demux(audio=0) if packet.size]
    codec = AacCodec(config())
    for packet in surround[:20]:
        with pytest.raises(PeerError):
            codec.decode(packet)


@settings(max_examples=200)
@given(st.integers(0, 80), CHANGES)
def test_damage_gives_sound_or_a_refusal(number: int, changes: list[tuple[int, int]]) -> None:
    packets = adts()
    codec = AacCodec(config())
    try:
        sound = codec.decode(mutated(packets[number % len(packets)], changes))
    except PeerError as refused:
        assert refused.code is Code.INVALID_AUDIO
    else:
        assert len(sound) in (0, 1024, 2048)
        assert np.all(np.abs(sound) <= 1)

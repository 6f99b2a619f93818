import numpy as np
import pytest

from voxgate.audio.codecs.opus import invalid
from voxgate.audio.codecs.packets import ContainerDecoder, Outlet, Track, bounded
from voxgate.audio.codecs.pull import Parser, Take
from voxgate.domain import SPEECH_RATE, Samples
from voxgate.errors import PeerError


class Bytes:
    """A codec whose packets are 8-bit samples; an empty packet is damaged, 255 changes the rate to twice as many."""

    def __init__(self, rate: int = SPEECH_RATE) -> None:
        self.rate = rate

    def decode(self, packet: bytes) -> Samples:
        if not packet:
            raise invalid("empty")
        if packet[0] == 255:
            self.rate *= 2
        return np.frombuffer(packet, np.uint8).astype(np.float32) / np.float32(255)


def test_the_encoders_delay_is_thrown_away_wherever_packets_end() -> None:
    track = Track(Bytes(), skip=5)
    assert [len(track.decode(bytes(3))) for _ in range(4)] == [0, 1, 3, 3]


def test_samples_come_at_speech_rate_and_keep_their_length() -> None:
    track = Track(Bytes(48_000))
    got = [track.decode(bytes([100]) * 960) for _ in range(50)]
    assert sum(map(len, [*got, track.flush()])) == SPEECH_RATE


def test_a_rate_that_changes_keeps_what_came_before() -> None:
    track = Track(Bytes(SPEECH_RATE))
    before = track.decode(bytes([100]) * 1600)
    after = [track.decode(bytes([255]) * 3200), track.flush()]
    assert len(before) == 1600
    assert sum(map(len, after)) == 1600


def test_what_is_no_sample_becomes_one() -> None:
    assert bounded(np.array([np.nan, np.inf, -7, 0.5], np.float32)).tolist() == [0, 1, -1, 0.5]


def parser(outlet: Outlet) -> Parser:
    """Every byte is a packet, but 0 is a damaged one and 9 begins a new track."""
    outlet.begin(Track(Bytes()))
    while True:
        byte = yield Take(1)
        if byte == b"\x09":
            outlet.begin(Track(Bytes()))
        else:
            outlet.decode(byte.strip(b"\0"))


def test_what_lies_around_damage_comes_with_the_next_call() -> None:
    decoder = ContainerDecoder(parser)
    with pytest.raises(PeerError, match="empty"):
        decoder.feed(b"\x01\x00\x02\x00\x03")
    assert (decoder.feed(b"\x04") * 255).tolist() == [1, 2, 3, 4]
    assert len(decoder.feed(b"")) == 0


def test_the_end_gives_out_what_the_last_call_could_not() -> None:
    decoder = ContainerDecoder(parser)
    with pytest.raises(PeerError, match="empty"):
        decoder.feed(b"\x01\x00")
    assert (decoder.flush() * 255).tolist() == [1]


def test_a_new_track_keeps_the_end_of_the_one_before() -> None:
    outlet = Outlet()
    outlet.begin(Track(Bytes(48_000)))
    outlet.decode(bytes(4800))
    outlet.begin(Track(Bytes(48_000)))
    outlet.add(np.zeros(4800, np.float32))
    outlet.begin(None)
    assert len(outlet.take()) == 3200

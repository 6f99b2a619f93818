"""Packets of one codec to speech: decoded, cut where the encoder's delay was, resampled; and the parsers of containers
run over what arrives."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from voxgate.audio.codecs.pull import Parser, Puller
from voxgate.audio.resample import Resampler
from voxgate.domain import SPEECH_RATE, Samples
from voxgate.errors import PeerError


def bounded(values: Samples) -> Samples:
    """Decoded floats as samples: damaged packets make numbers of any size, or none at all."""
    return np.asarray(np.clip(np.nan_to_num(values, nan=0.0), -1, 1), np.float32)


class PacketCodec(Protocol):
    """What decodes packets."""

    @property
    def rate(self) -> int:
        """Samples per second of what `decode` gives; it may change from one packet to the next."""
        ...

    def decode(self, packet: bytes) -> Samples:
        """The mono samples of one packet. Raises PeerError `invalid_audio`; the next packet may be fine again."""
        ...


class Track:
    """One stream of packets on its way to SPEECH_RATE."""

    def __init__(self, codec: PacketCodec, skip: int = 0) -> None:
        """`skip`: samples of the codec's rate that are thrown away at the beginning."""
        self._codec = codec
        self._skip = skip
        self._rate = SPEECH_RATE
        self._resampler = Resampler(SPEECH_RATE, SPEECH_RATE)

    def decode(self, packet: bytes) -> Samples:
        """What is certain with this packet, at SPEECH_RATE. Raises PeerError `invalid_audio` and goes on."""
        return self.add(self._codec.decode(packet))

    def add(self, samples: Samples) -> Samples:
        """Samples of the codec's rate that somebody else has decoded, as `decode` would give them."""
        if self._skip:
            cut = min(self._skip, len(samples))
            self._skip -= cut
            samples = samples[cut:]
        if self._codec.rate == self._rate:
            return self._resampler.feed(samples)
        rest = self._resampler.flush()
        self._rate = self._codec.rate
        self._resampler = Resampler(self._rate, SPEECH_RATE, prompt=True)
        return np.concatenate([rest, self._resampler.feed(samples)])

    def drain(self) -> Samples:
        """What the resampler still holds; the track goes on."""
        return self._resampler.drain()

    def flush(self) -> Samples:
        """What the resampler still holds; the track is used up."""
        return self._resampler.flush()


class Outlet:
    """Where the parser of a container puts what it finds, and where its decoder takes it from."""

    def __init__(self) -> None:
        self._samples: list[Samples] = []
        self._refused: PeerError | None = None
        self._track: Track | None = None

    def begin(self, track: Track | None) -> None:
        """What comes now belongs to `track`; what the one before it still held goes out."""
        if self._track is not None:
            self._samples.append(self._track.flush())
        self._track = track

    def decode(self, packet: bytes) -> None:
        """One packet of the track that has begun. A damaged one is told, and the next may be fine again."""
        try:
            self._samples.append(self._begun().decode(packet))
        except PeerError as error:
            self.refuse(error)

    def add(self, samples: Samples) -> None:
        """Samples of the codec's rate that the parser itself had decoded."""
        self._samples.append(self._begun().add(samples))

    def drain(self) -> None:
        """What the track still holds goes out; it goes on."""
        if self._track is not None:
            self._samples.append(self._track.drain())

    def refuse(self, error: PeerError) -> None:
        """Something is wrong; the parser goes on. The first such error is told when the piece has been read."""
        self._refused = self._refused or error

    def take(self) -> Samples:
        """What was put here since the last call. Raises what was refused; the samples then come with the next call."""
        refused, self._refused = self._refused, None
        if refused:
            raise refused
        samples, self._samples = self._samples, []
        return np.concatenate(samples) if samples else np.zeros(0, np.float32)

    def _begun(self) -> Track:
        assert self._track is not None, "a parser begins a track before it puts packets into it"
        return self._track


class ContainerDecoder:
    """A StreamDecoder (see stream.py) for a container: its parser is run over the pieces as they come."""

    step: int | None = 1_024
    """A packet may claim 120 ms with two bytes: so many bytes hold no more than about a minute."""

    def __init__(self, parser: Callable[[Outlet], Parser]) -> None:
        self._outlet = Outlet()
        self._puller = Puller(parser(self._outlet))

    def feed(self, data: bytes) -> Samples:
        self._puller.feed(data)
        return self._outlet.take()

    def drain(self) -> Samples:
        self._outlet.drain()
        return self._outlet.take()

    def flush(self) -> Samples:
        self._outlet.begin(None)
        return self._outlet.take()

"""Audio that arrives in pieces, cut anywhere, as speech at SPEECH_RATE: what a live session's `encoding` names.

A decoder is synchronous and holds little: what is incomplete of the input, and the tail of a resampling filter. The
filter makes audio late by 3 ms at 8 kHz and 1.5 ms at 48 kHz (it is a short one: soxr's does so by up to 115 and 37 ms,
and words are recognized no better for it); not at all at 16 kHz.
"""

from collections.abc import Callable, Iterator
from typing import Literal, Protocol

from voxgate.audio.codecs import ogg
from voxgate.audio.codecs.g711 import from_mulaw
from voxgate.audio.codecs.opus import OpusCodec
from voxgate.audio.codecs.packets import ContainerDecoder, Track
from voxgate.audio.framing import Pcm16Reader
from voxgate.audio.resample import Resampler
from voxgate.domain import SPEECH_RATE, Samples
from voxgate.errors import PeerError

Encoding = Literal["pcm16", "mulaw", "opus", "opus_packets"]
"""`opus` is an Ogg stream; `opus_packets` has no container: one packet a message."""

MIN_RATE, MAX_RATE = 8_000, 48_000
"""Sample rates that may be asked for, in samples per second (contract 3)."""
MULAW_RATE = 8_000
"""The rate of μ-law where none is given: a telephone's."""


class StreamDecoder(Protocol):
    """One stream of bytes on its way to speech."""

    @property
    def step(self) -> int | None:
        """How many bytes may be fed at once where nothing may wait for long (about a millisecond of work).

        None: every call takes one whole message.
        """
        ...

    def feed(self, data: bytes) -> Samples:
        """The samples that are certain with `data`, mono at SPEECH_RATE; may be empty.

        Raises PeerError `invalid_audio` (about `audio`), after which the stream goes on: what was decoded before and
        behind the damage comes with the next call.
        """
        ...

    def drain(self) -> Samples:
        """What the resampling filter holds back, because speech is over at this point; the stream goes on."""
        ...

    def flush(self) -> Samples:
        """What was held back; the stream has ended."""
        ...


def open_stream(encoding: Encoding, sample_rate: int | None = None) -> StreamDecoder:
    """A decoder for `encoding`. Opus brings its rate along; `sample_rate` is then looked at and not needed.

    Without one, `pcm16` has SPEECH_RATE and `mulaw` MULAW_RATE. Raises PeerError `invalid_value` about `sample_rate`.
    """
    check_rate(sample_rate)
    match encoding:
        case "pcm16":
            return PcmDecoder(Pcm16Reader().feed, sample_rate or SPEECH_RATE)
        case "mulaw":
            return PcmDecoder(from_mulaw, sample_rate or MULAW_RATE)
        case "opus":
            return ContainerDecoder(ogg.parse)
        case "opus_packets":
            return PacketDecoder()


def check_rate(sample_rate: int | None) -> None:
    """Raises PeerError `invalid_value` for a rate that speech is not sent at."""
    if sample_rate is not None and not MIN_RATE <= sample_rate <= MAX_RATE:
        raise PeerError(f"'sample_rate' is between {MIN_RATE} and {MAX_RATE}, not {sample_rate}", param="sample_rate")


def in_steps(decoder: StreamDecoder, data: bytes) -> Iterator[Samples]:
    """`data` fed in steps of the decoder's size, for whoever must let others run in between.

    A message of 1 MiB of Opus can be hours of audio: decoded at once, it would hold everyone up and fill the memory.
    Raises the first error that `feed` raised, once everything has been fed.
    """
    step = decoder.step or max(len(data), 1)
    refused: PeerError | None = None
    for at in range(0, max(len(data), 1), step):
        try:
            yield decoder.feed(data[at : at + step])
        except PeerError as error:
            refused = refused or error
    if refused:
        raise refused


class PcmDecoder:
    """Bytes of which every one or two are a sample."""

    step: int | None = 4_000

    def __init__(self, read: Callable[[bytes], Samples], rate: int) -> None:
        self._read = read
        self._resampler = Resampler(rate, SPEECH_RATE, prompt=True)

    def feed(self, data: bytes) -> Samples:
        return self._resampler.feed(self._read(data))

    def drain(self) -> Samples:
        return self._resampler.drain()

    def flush(self) -> Samples:
        return self._resampler.flush()


class PacketDecoder:
    """Opus packets without a container. Nobody says how long the encoder's delay was, so it is kept: about 6.5 ms."""

    step: int | None = None

    def __init__(self) -> None:
        self._track = Track(OpusCodec())

    def feed(self, data: bytes) -> Samples:
        return self._track.decode(data)

    def drain(self) -> Samples:
        return self._track.drain()

    def flush(self) -> Samples:
        return self._track.flush()

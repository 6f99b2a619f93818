"""Recordings of the committed sentences in every container, and the ways to cut them."""

import functools
import io
import itertools
from collections.abc import Iterable, Sequence

import av
import numpy as np
from hypothesis import strategies as st

from tests.conftest import ROOT
from voxgate.audio.codecs.container import decode
from voxgate.audio.codecs.stream import StreamDecoder
from voxgate.domain import SPEECH_RATE, Samples
from voxgate.errors import PeerError

FIXTURES = ROOT / "tests" / "fixtures"


@functools.cache
def spoken(name: str = "question") -> Samples:
    """A committed sentence at SPEECH_RATE."""
    with (FIXTURES / f"{name}.flac").open("rb") as file:
        return np.concatenate(list(decode(file, max_seconds=60)))


@functools.cache
def packed(
    container: str, codec: str, options: tuple[tuple[str, str], ...] = (), *, rate: int = 48_000, layout: str = "mono"
) -> bytes:
    """`spoken()` in a container, as FFmpeg makes it; stereo has the sentence on both sides."""
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=dict(options)) as out:
        track = out.add_stream(codec, rate=rate)
        assert isinstance(track, av.AudioStream)
        track.layout = layout
        resampler = av.AudioResampler(format=track.format or "fltp", layout=layout, rate=rate, frame_size=960)
        frame = av.AudioFrame.from_ndarray(spoken()[None, :], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = SPEECH_RATE, 0
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            out.mux(track.encode(piece))
        out.mux(track.encode(None))
    return file.getvalue()


@functools.cache
def opus_packets(layout: str = "mono", **options: str) -> list[bytes]:
    """`spoken()` as bare Opus packets."""
    ogg = packed("ogg", "libopus", tuple(options.items()), layout=layout)
    with av.open(io.BytesIO(ogg), "r") as file:
        return [bytes(packet) for packet in file.demux(audio=0) if packet.size]


def heard(decoder: StreamDecoder, pieces: Iterable[bytes]) -> Samples:
    """All that comes out for `pieces`, the end included."""
    return np.concatenate([*map(decoder.feed, pieces), decoder.flush()])


def survived(decoder: StreamDecoder, pieces: Iterable[bytes]) -> tuple[Samples, list[PeerError]]:
    """What comes out in spite of damage, and what was refused; anything but a PeerError comes out of here."""
    sounds: list[Samples] = []
    errors: list[PeerError] = []
    for piece in pieces:
        try:
            sounds.append(decoder.feed(piece))
        except PeerError as error:
            errors.append(error)
    sounds.append(decoder.flush())
    return np.concatenate(sounds), errors


def cut(data: bytes, size: int) -> list[bytes]:
    """`data` in pieces of `size`."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def cut_at(data: bytes, places: Sequence[int]) -> list[bytes]:
    """`data` cut at `places`."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def mutated(data: bytes, changes: Sequence[tuple[int, int]]) -> bytes:
    """`data` with bytes replaced: (place, value); a value above 255 removes the byte and the 40 after it."""
    damaged = bytearray(data)
    for place, value in changes:
        at = place % max(len(damaged), 1)
        if value > 255:
            del damaged[at : at + 41]
        else:
            damaged[at : at + 1] = bytes([value])
    return bytes(damaged)


PLACES = st.lists(st.integers(0, 1 << 20), max_size=12)
"""For `cut_at`."""
CHANGES = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 257)), min_size=1, max_size=8)
"""For `mutated`."""


def likeness(sound: Samples, original: Samples) -> tuple[float, int]:
    """How much of `sound` is the original (correlation, 1: all of it), and by how many samples it comes late."""
    size = len(sound) + len(original)
    spectrum = np.fft.rfft(sound, size) * np.conj(np.fft.rfft(original, size))
    lag = int(np.fft.irfft(spectrum, size).argmax())
    lag = lag if lag < len(sound) else lag - size
    ours = sound[max(lag, 0) : max(lag, 0) + len(original)]
    theirs = original[max(-lag, 0) : max(-lag, 0) + len(ours)]
    ours = ours[: len(theirs)]
    return float(ours @ theirs / np.sqrt((ours @ ours) * (theirs @ theirs) + 1e-12)), lag

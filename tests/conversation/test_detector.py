import wave
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conversation.ears import LoudIsSpeech, W, silence, voice
from voxgate.audio.framing import from_pcm16
from voxgate.conversation.detector import Detector, Judged
from voxgate.conversation.endpoint import Endpointer, SpeechEnded, SpeechStarted
from voxgate.conversation.gate import EnergyGate
from voxgate.domain import SPEECH_RATE, Samples
from voxgate.engines import silero_vad
from voxgate.ports import EngineContext


class Remembers(LoudIsSpeech):
    """A voice detector that remembers what it was asked about."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Samples] = []

    def open(self) -> "Remembers":
        return self

    def probability(self, window: Samples) -> float:
        self.seen.append(window.copy())
        return super().probability(window)


def judge(detector: Detector, *audio: Samples) -> list[Judged]:
    return [each for piece in audio for each in detector.judge(detector.windows(piece))]


@given(st.lists(st.integers(0, 3000), max_size=20))
def test_whatever_the_pieces_the_windows_are_the_same(sizes: Sequence[int]) -> None:
    audio = (np.arange(sum(sizes)) / 100_000).astype(np.float32)
    detector, edges = Detector(LoudIsSpeech()), np.cumsum([0, *sizes])
    judged = judge(detector, *(audio[begin:end] for begin, end in pairwise(edges)))
    assert [len(window) for window, _ in judged] == [W] * (len(audio) // W)
    assert detector.pending == len(audio) % W
    judged += detector.flush()
    assert detector.pending == 0
    assert np.array_equal(np.concatenate([np.zeros(0, np.float32), *(window for window, _ in judged)]), audio)
    assert [p for _, p in judged] == [0.9 if float(window.max()) > 0.05 else 0.0 for window, _ in judged]


def test_a_flushed_window_is_judged_with_silence_behind_it_and_given_back_without() -> None:
    vad = Remembers()
    detector = Detector(vad)
    assert judge(detector, np.full(100, 0.3, np.float32)) == []
    ((window, probability),) = detector.flush()
    assert (window.shape, probability) == ((100,), 0.9)
    assert not vad.seen[0][100:].any()
    assert detector.flush() == []


def test_behind_a_closed_gate_the_detector_is_not_asked() -> None:
    vad = Remembers()
    detector = Detector(vad, EnergyGate(W))
    judged = judge(detector, silence(10))
    assert len(judged) == 10 * SPEECH_RATE // W
    assert vad.asked == 31
    assert {p for _, p in judged} == {0.0}


def test_it_is_shown_the_quarter_of_a_second_before_the_gate_opened() -> None:
    vad = Remembers()
    detector = Detector(vad, EnergyGate(W))
    room = (np.arange(100 * W) % 97 / 97 / 1000).astype(np.float32)
    judge(detector, room)
    before = vad.asked
    ((_, probability),) = judge(detector, np.full(W, 0.3, np.float32))
    assert probability == 0.9
    assert vad.asked == before + 8 + 1
    assert np.array_equal(np.concatenate(vad.seen[before:-1]), room[-8 * W :])


def test_nothing_is_asked_twice_and_speech_never_skipped() -> None:
    vad = Remembers()
    detector = Detector(vad, EnergyGate(W))
    judged = judge(detector, silence(5), voice(30, 40, pause=3), silence(5), voice(20))
    assert sum(p == 0.9 for _, p in judged) == sum(float(window.max()) > 0.05 for window, _ in judged)
    assert sum(float(window.max()) > 0.05 for window in vad.seen) == sum(p == 0.9 for _, p in judged)


class Silent:
    def observe(self, stage: str, seconds: float, *, engine: str) -> None: ...

    def count(self, event: str, *, engine: str, times: int = 1) -> None: ...

    def gauge(self, name: str, value: float, *, engine: str) -> None: ...


def recorded(folder: Path) -> list[Samples]:
    clips: list[Samples] = []
    for path in sorted(folder.glob("*.wav")):
        if path.stem != "noise_office":
            with wave.open(str(path)) as clip:
                clips.append(from_pcm16(clip.readframes(clip.getnframes())))
    return clips


def spoken(judged: list[Judged]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Sample by sample, whether it belongs to speech, leads and tails included."""
    endpointer, begin = Endpointer(), 0
    found = np.zeros(sum(len(window) for window, _ in judged), bool)
    edges = [edge for window, p in judged for edge in endpointer.feed(p, len(window))] + endpointer.end_now()
    for edge in edges:
        if isinstance(edge, SpeechStarted):
            begin = edge.at
        elif isinstance(edge, SpeechEnded):
            found[begin : edge.at] = True
    return found


@pytest.mark.parametrize(("level", "room"), [(-40, None), (-40, -80), (-20, -65)])
async def test_recorded_speech_however_quiet_loses_nothing_to_the_gate(
    shared: Path, level: float, room: float | None
) -> None:
    """With Silero itself: `level` dB below the recording, in a room of `room` dBFS of white noise."""
    silero = await silero_vad.create(EngineContext("silero", {}, Silent(), cores=1), silero_vad.Settings())
    pieces = [
        np.concatenate([silence(3), clip * np.float32(10 ** (level / 20))]) for clip in recorded(shared / "audio")
    ]
    audio = np.concatenate([*pieces, silence(3)])
    if room is not None:
        audio += (np.random.default_rng(1).standard_normal(len(audio)) * 10 ** (room / 20)).astype(np.float32)
    always, gated = (judge(Detector(silero, gate), audio) for gate in (None, EnergyGate(W)))
    lost = spoken(always) & ~spoken(gated)
    assert int(lost.sum()) == 0

"""Long audio cut into utterances a recognizer can take: at pauses, else at the quietest point. Pure."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from voxgate.conversation.endpoint import Endpointer, EndpointSettings, SpeechStarted
from voxgate.domain import SPEECH_RATE, Samples


@dataclass(frozen=True, slots=True)
class SegmentSettings:
    """How long a segment may get."""

    endpoint: EndpointSettings = field(default_factory=EndpointSettings)
    soft_s: float = 15.0
    """From here on the next short pause ends the segment."""
    hard_s: float = 30.0
    """Here it ends whatever happens: the longest audio Moonshine was trained on; at 64 s it drops most words."""
    pause_ms: int = 96
    """The short pause: three windows."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Audio that holds speech."""

    start: int
    """Its first sample, counted from the beginning of the stream."""
    audio: Samples

    @property
    def end(self) -> int:
        """The first sample behind it."""
        return self.start + len(self.audio)


class Segmenter:
    """Windows with their probability of speech in, segments out. Holds at most one segment of audio."""

    def __init__(self, settings: SegmentSettings | None = None, *, max_seconds: float | None = None) -> None:
        settings = settings or SegmentSettings()
        longest = settings.hard_s if max_seconds is None else min(settings.hard_s, max_seconds)
        self._hard = int(longest * SPEECH_RATE)
        self._soft = int(min(settings.soft_s, longest / 2) * SPEECH_RATE)
        self._pause = settings.pause_ms * SPEECH_RATE // 1000
        self._lead = (settings.endpoint.lead_ms + settings.endpoint.min_speech_ms) * SPEECH_RATE // 1000
        self._endpointer = Endpointer(settings.endpoint)
        self._windows: deque[Samples] = deque()
        self._first = 0  # position of the first sample in `_windows`
        self._start: int | None = None  # of the open segment

    def feed(self, window: Samples, probability: float) -> list[Segment]:
        """The segments that this window completes; the last window of a stream may be a short one."""
        self._windows.append(window)
        done: list[Segment] = []
        for edge in self._endpointer.feed(probability, len(window)):
            if isinstance(edge, SpeechStarted):
                self._start = max(edge.at, self._first)
            else:
                done += self._finish(edge.at, edge.voiced_until)
        if self._start is None:
            self._forget(self._endpointer.position - self._lead)
        else:
            done += self._too_long(self._start, len(window))
        return done

    def flush(self) -> list[Segment]:
        """The stream has ended: the open segment, if any."""
        done: list[Segment] = []
        for edge in self._endpointer.end_now():
            if not isinstance(edge, SpeechStarted):
                done += self._finish(edge.at, edge.voiced_until)
        return done

    def _finish(self, end: int, voiced_until: int) -> list[Segment]:
        start, self._start = self._start, None
        if start is None or voiced_until <= start:
            return []  # a cut came after the last word: nothing is left to recognize
        return [self._take(start, end)]

    def _too_long(self, start: int, window: int) -> list[Segment]:
        now = self._endpointer.position
        if now - start >= self._soft and self._endpointer.pause >= self._pause:
            cut = self._quietest(now - self._endpointer.pause, now)
        elif now - start + window > self._hard:
            cut = self._quietest(start + self._soft, now)
        else:
            return []
        self._start = cut
        return [self._take(start, cut)]

    def _quietest(self, begin: int, end: int) -> int:
        """The middle of the quietest window that lies within `begin` to `end`; smoothed over three windows."""
        at = self._first
        middles: list[int] = []
        energies: list[float] = []
        for window in self._windows:
            if begin <= at and at + len(window) <= end:
                middles.append(at + len(window) // 2)
                energies.append(float(np.dot(window, window)))
            at += len(window)
        if not middles:
            return end
        smooth = np.convolve(np.pad(energies, 1, mode="edge"), np.full(3, 1 / 3), mode="valid")
        return middles[int(np.argmin(smooth))]

    def _take(self, start: int, end: int) -> Segment:
        """The audio from `start` to `end`, and forgets what lies before `end`."""
        held = np.concatenate(list(self._windows))
        size = len(self._windows[0])
        rest = held[end - self._first :].copy()
        audio = held[start - self._first : end - self._first].copy()
        self._windows = deque(rest[at : at + size] for at in range(0, len(rest), size))
        self._first = end
        return Segment(start, audio)

    def _forget(self, before: int) -> None:
        while self._windows and self._first + len(self._windows[0]) <= before:
            self._first += len(self._windows.popleft())

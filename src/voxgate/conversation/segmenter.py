"""Long audio cut into utterances a recognizer can take: at pauses, else at the quietest point. Pure.

`Cutter` decides, for files and for live audio alike; `Segmenter` makes pieces of a recording of what it decides.
"""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from voxgate.conversation.endpoint import Edge, Endpointer, EndpointSettings, SpeechEnded, SpeechStarted
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


@dataclass(frozen=True, slots=True)
class Opened:
    """A segment has begun; it goes on until it is `Closed`."""

    start: int
    """Its first sample: that of the speech, lead included, or of what a cut left over."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The open segment is complete: at the end of its speech, or because it grew too long."""

    start: int
    end: int
    """The first sample behind it; at most the position."""


Mark = Edge | Opened | Closed


class Cutter:
    """Where segments begin and end. Windows with their probability of speech in, marks out, in order.

    Speech that goes on too long is cut and goes on: the next segment opens where the last one was closed, or, if the
    cut fell into a pause, where somebody speaks again. Every segment holds speech, so a cut behind the last word opens
    nothing. Segments do not overlap.
    """

    def __init__(self, settings: SegmentSettings | None = None, *, max_seconds: float | None = None) -> None:
        """`max_seconds`: the longest audio the recognizer takes, where that is less than `settings.hard_s`."""
        settings = settings or SegmentSettings()
        longest = settings.hard_s if max_seconds is None else min(settings.hard_s, max_seconds)
        self._hard = int(longest * SPEECH_RATE)
        self._soft = int(min(settings.soft_s, longest / 2) * SPEECH_RATE)
        self._pause = settings.pause_ms * SPEECH_RATE // 1000
        self._lead = settings.endpoint.lead_ms * SPEECH_RATE // 1000
        self._kept = self._lead + settings.endpoint.min_speech_ms * SPEECH_RATE // 1000
        self._endpointer = Endpointer(settings.endpoint)
        self._windows: deque[Samples] = deque()
        self._longest = 0  # samples of the longest window so far
        self._first = 0  # position of the first sample in `_windows`
        self._start: int | None = None  # of the segment; None while nobody speaks
        self._opened = False  # whether it was told: not before it holds speech

    @property
    def position(self) -> int:
        """Samples seen so far."""
        return self._endpointer.position

    @property
    def is_open(self) -> bool:
        """Whether speech has started and not ended."""
        return self._start is not None

    @property
    def silence(self) -> int:
        """Samples since the last speech window; all of them where nobody has spoken."""
        return self._endpointer.position - self._endpointer.voiced_until

    def feed(self, window: Samples, probability: float) -> list[Mark]:
        """What this window makes known; it may be a short one, before a commit or at the end of the stream."""
        self._forget()
        self._windows.append(window)
        self._longest = max(self._longest, len(window))
        marks: list[Mark] = []
        for edge in self._endpointer.feed(probability, len(window)):
            marks.append(edge)
            marks += self._begin(edge) if isinstance(edge, SpeechStarted) else self._finish(edge)
        if self._start is not None:
            self._resume(len(window))
            marks += self._told()
            marks += self._too_long()
        return marks

    def end_now(self) -> list[Mark]:
        """The stream ends here, has stalled or is told to: what is open is closed behind its last word."""
        marks: list[Mark] = []
        for edge in self._endpointer.end_now():
            marks.append(edge)
            if isinstance(edge, SpeechEnded):
                marks += self._finish(edge)
        return marks

    def wall(self) -> None:
        """After `end_now`: no later segment takes in what came before here."""
        self._endpointer.wall()

    def audio(self, start: int, end: int) -> Samples:
        """From `start` to `end`: any part of the segments that the last `feed` opened, closed or left open."""
        parts: list[Samples] = []
        at = self.position
        for window in reversed(self._windows):  # mostly the newest are wanted
            at -= len(window)
            if at < end and at + len(window) > start:
                parts.append(window[max(0, start - at) : end - at])
            if at <= start:
                break
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts[::-1]) if parts else np.zeros(0, np.float32)

    def _begin(self, edge: SpeechStarted) -> list[Mark]:
        self._start, self._opened = max(edge.at, self._first), False
        return self._told()

    def _finish(self, edge: SpeechEnded) -> list[Mark]:
        start, opened = self._start, self._opened
        self._start, self._opened = None, False
        return [Closed(start, edge.at)] if start is not None and opened else []

    def _resume(self, window: int) -> None:
        """Somebody speaks again in this window, after a cut in a pause: no more of the pause than a lead is kept."""
        if not self._opened and self._start is not None and self.silence == 0:
            self._start = max(self._start, self.position - window - self._lead)

    def _told(self) -> list[Mark]:
        if self._opened or self._start is None or self._endpointer.voiced_until <= self._start:
            return []
        self._opened = True
        return [Opened(self._start)]

    def _too_long(self) -> list[Mark]:
        start, now = self._start, self.position
        if start is None or not self._opened:
            return []
        if now - start >= self._soft and self._endpointer.pause >= self._pause:
            cut = self._quietest(now - self._endpointer.pause, now)
        elif now - start + self._longest > self._hard:
            cut = self._quietest(start + self._soft, now)
        else:
            return []
        self._start, self._opened = cut, False
        return [Closed(start, cut), *self._told()]

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

    def _forget(self) -> None:
        """What no segment can hold any more: before the open one, or before the lead of one that may be beginning."""
        before = self.position - self._kept
        if self._start is not None:
            before = self._start if self._opened else max(self._start, before)
        while self._windows and self._first + len(self._windows[0]) <= before:
            self._first += len(self._windows.popleft())


class Segmenter:
    """The segments of a recording. Holds at most one of them."""

    def __init__(self, settings: SegmentSettings | None = None, *, max_seconds: float | None = None) -> None:
        self._cutter = Cutter(settings, max_seconds=max_seconds)

    def feed(self, window: Samples, probability: float) -> list[Segment]:
        """The segments that this window completes; the last window of a stream may be a short one."""
        return self._made(self._cutter.feed(window, probability))

    def flush(self) -> list[Segment]:
        """The stream has ended: the open segment, if any."""
        return self._made(self._cutter.end_now())

    def _made(self, marks: list[Mark]) -> list[Segment]:
        cutter = self._cutter
        return [Segment(mark.start, cutter.audio(mark.start, mark.end)) for mark in marks if isinstance(mark, Closed)]

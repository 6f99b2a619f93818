"""What is to be done with the audio of a live session: which of it is speech, and where segments begin and end. Pure.

A *segment* is what gets one final; a *piece* is what a recognizer hears at once. Where silence ends segments, each is
one piece. Where only commits do, a segment is all the speech between two commits, and the pieces it is heard in are
nobody's business: they end where speech pauses for a second, or where they grow too long.
"""

from dataclasses import dataclass

from voxgate.conversation.endpoint import EndpointSettings, SpeechEnded, SpeechStarted
from voxgate.conversation.segmenter import Closed, Cutter, Mark, Opened, SegmentSettings
from voxgate.domain import Samples, SpeechEdge

_WITHIN_COMMITS = EndpointSettings(silence_ms=1000)
"""Ends pieces where only commits end segments: a recognizer is not asked about long silence, and what was said before
it is final when the commit comes. A shorter pause would put full stops into sentences."""


@dataclass(frozen=True, slots=True)
class Begin:
    """A piece begins, of this segment."""

    segment: int
    """Counts the segments of a session from 0."""
    start: int
    """Its first sample, in samples since the session began, as all positions here."""


@dataclass(frozen=True, slots=True)
class More:
    """The next audio of the piece that has begun."""

    audio: Samples
    silence: int
    """Samples at the end of what came so far that hold no speech; 0 while somebody speaks."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The piece ends here; audio that came behind it does not belong to it."""

    end: int


@dataclass(frozen=True, slots=True)
class Complete:
    """No more pieces come of this segment, which may have none."""

    segment: int
    at: int
    """How far the session was."""
    owed: bool
    """Whether somebody waits for its final, and gets one even if nothing was said."""


Step = SpeechEdge | Begin | More | Cut | Complete
"""In order: a piece is begun, gets its audio without a gap, and is cut before the next one begins."""


class LiveSegments:
    """The steps of one session."""

    def __init__(self, endpoint: EndpointSettings | None, *, max_seconds: float) -> None:
        """`endpoint`: the silence that ends segments; None: commits alone do. `max_seconds`: of a piece."""
        self._by_silence = endpoint is not None
        self._cutter = Cutter(SegmentSettings(endpoint or _WITHIN_COMMITS), max_seconds=max_seconds)
        self._segment: int | None = None  # the one that has begun
        self._next = 0  # its number, or that of the next
        self._start = 0  # of the piece that has begun
        self._heard: int | None = None  # how far it has got its audio; None: none has begun

    @property
    def is_open(self) -> bool:
        """Whether somebody speaks, or has just paused."""
        return self._cutter.is_open

    def feed(self, window: Samples, probability: float) -> list[Step]:
        """What follows from the next window; a shorter one only before `commit`, `stalled` or `stop`."""
        return self._steps(self._cutter.feed(window, probability))

    def commit(self) -> list[Step]:
        """The segment ends here, and its final is owed, whatever was said; the next one begins no earlier than here."""
        steps = self._steps(self._cutter.end_now(), owed=True)
        if not any(isinstance(step, Complete) for step in steps):
            self._cutter.wall()
            steps.append(self._complete(self._cutter.position, owed=True))
        return steps

    def stalled(self) -> list[Step]:
        """Audio has stopped arriving: what silence does, at once."""
        return self._steps(self._cutter.end_now())

    def stop(self) -> list[Step]:
        """The session ends: what was begun is completed."""
        steps = self._steps(self._cutter.end_now())
        if self._segment is not None:
            steps.append(self._complete(self._cutter.position, owed=False))
        return steps

    def _steps(self, marks: list[Mark], *, owed: bool = False) -> list[Step]:
        cutter, steps = self._cutter, list[Step]()
        if self._heard is not None and cutter.position > self._heard:
            steps.append(self._more(self._heard))
        for mark in marks:
            match mark:
                case SpeechStarted(at=at):
                    steps.append(SpeechEdge(started=True, at=at))
                case SpeechEnded(at=at):
                    steps.append(SpeechEdge(started=False, at=at))
                case Opened(start=start):
                    if self._segment is None:
                        self._segment = self._next
                    self._start = start
                    steps += [Begin(self._segment, start), self._more(start)]
                case Closed(end=end):
                    self._heard = None
                    steps.append(Cut(end))
                    if self._by_silence:
                        steps.append(self._complete(end, owed=owed))
        return steps

    def _more(self, start: int) -> More:
        cutter = self._cutter
        self._heard = cutter.position
        return More(cutter.audio(start, cutter.position), min(cutter.silence, cutter.position - self._start))

    def _complete(self, at: int, *, owed: bool) -> Complete:
        number, self._segment, self._next = self._next, None, self._next + 1
        return Complete(number, at, owed)

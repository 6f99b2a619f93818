"""Where speech begins and ends: a voice detector's probabilities turned into edges, counted in samples.

Pure: no clock, no model. A caller that stops sending sees no edge; who wants one after a stall asks `end_now`.
"""

from dataclasses import dataclass

from voxgate.domain import SPEECH_RATE


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """When a rise of the probability is speech, and when a fall is its end."""

    threshold: float = 0.5
    """Probability from which a window counts as speech."""
    release: float | None = None
    """Probability below which speech, once begun, pauses; between the two nothing changes (hysteresis).

    None: seven tenths of the threshold; Silero's own iterator falls from 0.5 to 0.35.
    """
    min_speech_ms: int = 64
    """Shorter bursts are not speech: clicks, breath. Two windows: \"no\" alone lasts 130 ms."""
    silence_ms: int = 500
    """Pause that ends the speech."""
    lead_ms: int = 250
    """Audio before the first speech window that still belongs to it: soft first sounds (200-300 ms, measured)."""
    tail_ms: int = 200
    """Audio behind the last speech window that still belongs to it; no more than `silence_ms` takes effect."""

    @property
    def released_below(self) -> float:
        """The probability that `release` stands for."""
        return 0.7 * self.threshold if self.release is None else self.release


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Somebody speaks."""

    at: int
    """First sample that belongs to the speech, lead included; never before the end of the speech before it."""
    known_at: int
    """The sample at which this was certain."""


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The speech that last started is over."""

    at: int
    """First sample that does not belong to it any more, tail included."""
    voiced_until: int
    """End of the last window that was speech."""
    known_at: int
    """The sample at which this was certain."""


Edge = SpeechStarted | SpeechEnded


class Endpointer:
    """The edges of one stream. Positions are samples since its beginning, at `rate`."""

    def __init__(self, settings: EndpointSettings | None = None, *, rate: int = SPEECH_RATE) -> None:
        settings = settings or EndpointSettings()
        if not 0 <= settings.released_below <= settings.threshold <= 1:
            raise ValueError("0 <= release <= threshold <= 1 does not hold")
        self._threshold = settings.threshold
        self._release = settings.released_below
        self._min_speech = settings.min_speech_ms * rate // 1000
        self._silence = settings.silence_ms * rate // 1000
        self._lead = settings.lead_ms * rate // 1000
        self._tail = settings.tail_ms * rate // 1000
        self._position = 0
        self._floor = 0  # end of the previous speech: a lead reaches no further back
        self._onset: int | None = None  # where the speech that may be beginning, or has begun, begins
        self._voiced = 0  # voiced samples since the onset
        self._voiced_until = 0
        self._open = False

    @property
    def position(self) -> int:
        """Samples seen so far."""
        return self._position

    @property
    def is_open(self) -> bool:
        """Whether speech has started and not ended."""
        return self._open

    @property
    def voiced_until(self) -> int:
        """End of the last speech window; 0 before anybody has spoken."""
        return self._voiced_until

    @property
    def pause(self) -> int:
        """Samples since the last speech window; 0 while somebody speaks, and before anybody has."""
        return self._position - self._voiced_until if self._open else 0

    def feed(self, probability: float, samples: int) -> list[Edge]:
        """The edges that a window of `samples` with this probability of speech makes known, in order."""
        begin, self._position = self._position, self._position + samples
        holding = self._onset is not None and self._voiced_until == begin and probability >= self._release
        if probability >= self._threshold or holding:
            return self._speech(begin, samples)
        return self._quiet()

    def end_now(self) -> list[Edge]:
        """The stream ends here, or has stalled: the end of open speech, if any."""
        self._onset = None
        return [self._close()] if self._open else []

    def wall(self) -> None:
        """What came so far has been answered: speech that starts later has no lead that reaches back over it."""
        self._floor = self._position

    def _speech(self, begin: int, samples: int) -> list[Edge]:
        if self._onset is None:
            self._onset, self._voiced = begin, 0
        self._voiced += samples
        self._voiced_until = self._position
        if self._open or self._voiced < self._min_speech:
            return []
        self._open = True
        return [SpeechStarted(max(self._floor, self._onset - self._lead), self._position)]

    def _quiet(self) -> list[Edge]:
        if self._onset is None:
            return []
        if not self._open:
            self._onset = None  # too short to be speech
            return []
        return [self._close()] if self._position - self._voiced_until >= self._silence else []

    def _close(self) -> SpeechEnded:
        end = min(self._position, self._voiced_until + self._tail)
        self._open = False
        self._onset = None
        self._floor = end
        return SpeechEnded(end, self._voiced_until, self._position)

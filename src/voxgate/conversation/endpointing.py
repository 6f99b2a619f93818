"""When a turn is over: how long a pause must last, by the speaker's habits, the words and the sound. Pure.

`endpoint.py` finds where speech stops; this decides whether the speaker has finished. Pauses are counted in samples of
the audio that was fed. What cannot be counted, audio that stops arriving, is the caller's (a stall ends every turn).
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

from voxgate.conversation.turn_table import EndedBy
from voxgate.domain import SPEECH_RATE
from voxgate.text.ending import Ending


@dataclass(frozen=True, slots=True)
class TurnEndSettings:
    """How long a pause must last before it ends the turn, in milliseconds of silence."""

    silence_ms: int | None = None
    """The exact silence; turns everything below off. None: it is judged."""
    ask_ms: int = 200
    """From here on the words and the sound are asked, and what is surely complete ends. Pauses inside a phrase (stop
    consonants, breath) are shorter; a listener answers about 200 ms after the end (Stivers et al., PNAS 2009)."""
    min_silence_ms: int = 300
    """The shortest pause that ends a turn nothing is known about, of a speaker who never pauses."""
    usual_ms: int = 700
    """The same of a speaker nothing is known about. 500 saves 75 ms of the mean and cuts off 7 of 95 pauses more
    (docs/decisions/0012-when-a-turn-is-over.md)."""
    max_silence_ms: int = 1200
    """The longest: surely incomplete turns end here too."""
    sound_complete: float = 0.95
    """Probability from which the sound says that the turn is over."""
    sound_open: float = 0.05
    """Probability up to which it says that the turn goes on. Between the two it says nothing: with .20 and .80 there
    are 55 cut-offs of 95 pauses by the sound alone, with these 51 (the same decision)."""


COUNTED_ENDS = {
    EndedBy.SILENCE: "turn_ended_by_silence",
    EndedBy.CUE: "turn_ended_by_cue",
    EndedBy.STALL: "turn_ended_by_stall",
    EndedBy.CONTROL: "turn_ended_by_control",
}
"""Who ended a spoken turn -> event in the metrics."""

_MARGIN = 1.25
"""How much longer than nearly all of a speaker's pauses the one that ends a turn is."""
_NEARLY_ALL = 0.9
_REMEMBERED = 16
"""Pauses that are remembered: two or three minutes of talking."""
_ASSUMED = 3
"""Pauses of a usual speaker that are remembered at the beginning, until his own have taken their place."""


class _Says(Enum):
    OVER = auto()
    LIKELY_OVER = auto()
    NOTHING = auto()
    GOES_ON = auto()


class TurnEnd:
    """Judges the pauses of one speaker, turn after turn. Not used while nobody has the floor."""

    def __init__(self, settings: TurnEndSettings | None = None, *, rate: int = SPEECH_RATE) -> None:
        """Raises ValueError where `ask_ms <= min <= usual <= max` does not hold."""
        settings = settings or TurnEndSettings()
        if not 0 < settings.ask_ms <= settings.min_silence_ms <= settings.usual_ms <= settings.max_silence_ms:
            raise ValueError("0 < ask_ms <= min_silence_ms <= usual_ms <= max_silence_ms does not hold")
        self._settings = settings
        self._rate = rate
        self._pauses: deque[float] = deque([settings.usual_ms / _MARGIN] * _ASSUMED, maxlen=_REMEMBERED)  # ms
        self._paused = False  # within this turn, long enough to be asked about
        self._words = Ending.UNKNOWN
        self._sound: float | None = None

    def begin(self) -> None:
        """A turn begins."""
        self._paused = False
        self._forget()

    def spoke(self, pause: int) -> None:
        """Speech again after `pause` samples of silence within the turn, or behind an end that came too early."""
        if pause >= self._samples(self._settings.ask_ms):
            self._pauses.append(min(pause * 1000 / self._rate, self._settings.max_silence_ms))
            self._paused = True
        self._forget()

    def words(self, ending: Ending) -> None:
        """How the words up to this pause end."""
        self._words = ending

    def sound(self, probability: float) -> None:
        """How likely the turn is over by its sound (ports.TurnDetector), about this pause."""
        self._sound = probability

    def asks(self, pause: int) -> bool:
        """Whether a pause of so many samples is worth asking about: the transcript so far, and the turn detector."""
        return self._settings.silence_ms is None and pause >= self._samples(self._settings.ask_ms)

    def ended(self, pause: int) -> EndedBy | None:
        """Who ends the turn after a pause of so many samples; None: nobody yet. Asking changes nothing."""
        if pause < self.delay:
            return None
        if self._settings.silence_ms is not None or pause >= self._samples(self.usual_ms):
            return EndedBy.SILENCE
        return EndedBy.CUE

    def over(self) -> None:
        """The turn has ended. One without a pause tells something about the speaker, too."""
        if not self._paused:
            self._pauses.append(self._settings.ask_ms)
        self.begin()

    @property
    def usual_ms(self) -> float:
        """The pause that ends a turn of this speaker when neither words nor sound say anything."""
        ordered = sorted(self._pauses)
        longest = ordered[min(len(ordered) - 1, int(_NEARLY_ALL * len(ordered)))]
        return min(max(longest * _MARGIN, self._settings.min_silence_ms), self._settings.max_silence_ms)

    @property
    def delay(self) -> int:
        """Samples of silence that end the turn, as things stand."""
        settings, usual = self._settings, self.usual_ms
        if settings.silence_ms is not None:
            return self._samples(settings.silence_ms)
        return self._samples(
            {
                _Says.OVER: settings.ask_ms,
                _Says.LIKELY_OVER: (settings.ask_ms + usual) / 2,
                _Says.NOTHING: usual,
                _Says.GOES_ON: settings.max_silence_ms,
            }[self._cues()]
        )

    def _cues(self) -> "_Says":
        """What words and sound say together; the table of docs/turn-taking.md.

        Open words wait whatever it sounds like: 34 of 105 pauses have them, and 2 of 80 ends. Complete words come as
        often in a pause as at an end, so that they need the sound to be sure.
        """
        goes_on = self._sound is not None and self._sound <= self._settings.sound_open
        over = self._sound is not None and self._sound >= self._settings.sound_complete
        if self._words is Ending.OPEN:
            return _Says.GOES_ON
        if over:
            return _Says.OVER
        if self._words is Ending.COMPLETE:
            return _Says.NOTHING if goes_on else _Says.LIKELY_OVER
        return _Says.GOES_ON if goes_on else _Says.NOTHING

    def _forget(self) -> None:
        self._words, self._sound = Ending.UNKNOWN, None

    def _samples(self, milliseconds: float) -> int:
        return round(milliseconds * self._rate / 1000)

"""Hearing while one speaks, with engines that only hear whole utterances: when to hear again, what to show. Pure.

Such an engine hears everything from the beginning each time. What that costs, and how often the readings of one
utterance contradict each other, differs; `Constants` hold what is different. redecoder.py carries the decisions out.
docs/decisions/0010-hearing-while-one-speaks.md gives the reasons.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from voxgate.domain import SPEECH_RATE, Partials, Transcript

_UNSPACED = frozenset({"zh", "yue", "ja", "th", "lo", "km", "my"})
_PIECE = re.compile(r"\s*(?:[A-Za-z0-9]+|\S)")
_CLOSING = ".,;:?!…。、？！"  # models close every text with one of them, whether or not the speaker has


@dataclass(frozen=True, slots=True)
class Constants:
    """How an engine is made to hear while one speaks."""

    first_ms: int
    """Audio before the first partial."""
    every_ms: int
    """New audio between one partial and the next, where the load allows it."""
    share: float
    """The most that partials of one speaker may take of a core: the next begins cost / share after the last."""
    all_share: float
    """The most all speakers' partials together may take of each core."""
    agreed_only: bool
    """Whether a partial shows only what two readings agree on; for engines whose whole readings contradict each other
    too often."""
    forced: bool
    """Whether a partial may begin with the tokens that the last two readings agree on, less one word."""
    early_ms: int | None
    """Silence after which the final is begun before anybody asks for it; None: never."""
    tail_ms: int = 200
    """Silence that audio is given behind the speech where a final is begun early: the rest of it has not come yet. The
    final begun so at 100 ms had the words of the real one for 11 of 11 clips (Moonshine)."""


CAUTIOUS = Constants(
    first_ms=2_000, every_ms=2_000, share=0.25, all_share=0.5, agreed_only=True, forced=False, early_ms=200
)
"""For engines nobody has measured: what costs little and promises little."""

_AGAIN = 4
"""Pieces that a text must say twice to be doubted; people say fewer twice all the time ("no no", "very, very")."""
_QUIET_MS = 100
"""Silence from which on nothing is said that a partial could add; for engines that begin no final early."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What an engine made of the beginning of an utterance."""

    transcript: Transcript
    seconds: float
    """What it cost, in seconds of one core; where that is not known, how long it took."""
    doubted: bool = False
    """A guard of the engine acted: good enough for nothing but a final."""
    tokens: tuple[int, ...] = ()
    cuts: tuple[int, ...] = ()
    """For each word of the text, how many tokens are sure to hold no more than the words up to and with this one."""


class Step(StrEnum):
    """What to do after more audio has come."""

    PARTIAL = "partial"
    """Ask for a partial: as soon as there is room for one, of all the audio there is then."""
    EARLY = "early"
    """Begin the final. A partial that still waits is needed no more."""
    DISCARD = "discard"
    """Give up the final that was begun: the speaker has gone on."""


def share(constants: Constants, speakers: int, cores: int) -> float:
    """What each of so many speakers may take of a core for partials."""
    return min(constants.share, constants.all_share * max(1, cores) / max(1, speakers))


def pieces(text: str, language: str) -> list[str]:
    """The text cut into what can be shown or withheld alone: words, or characters where no spaces are written.

    Joined they make the text again, white space at its ends left out; marks stay with the character they belong to.
    """
    text = text.strip()
    if language.split("-")[0] not in _UNSPACED:
        return re.findall(r"\s*\S+", text)
    found: list[str] = []
    for piece in _PIECE.findall(text):
        if found and unicodedata.category(piece[0]).startswith("M"):
            found[-1] += piece
        else:
            found.append(piece)
    return found


def agreed(one: Sequence[str], other: Sequence[str]) -> int:
    """How many pieces two readings begin with alike, whatever the case and the punctuation."""
    count = 0
    for mine, yours in zip(one, other, strict=False):
        if _bare(mine) != _bare(yours):
            break
        count += 1
    return count


def said_again(words: Sequence[str]) -> bool:
    """Whether the text ends by saying its beginning again: seen of decoders on which agreed words were forced.

    At least _AGAIN pieces of it. People say a sentence twice too: its final has it.
    """
    bare = [_bare(word) for word in words]
    return any(bare[at:] == bare[: len(bare) - at] for at in range((len(bare) + 1) // 2, len(bare) - _AGAIN + 1))


def _bare(piece: str) -> str:
    """What is compared: `"Hello,` and `hello` are one word; `-` and `…` are themselves."""
    plain = "".join(char for char in piece.casefold() if unicodedata.category(char)[0] in "LMN")
    return plain or piece.strip()


def _samples(milliseconds: int) -> int:
    return milliseconds * SPEECH_RATE // 1000


class Redecoding:
    """The state of one utterance. Lengths are samples from its beginning; `now` is any clock, in seconds."""

    def __init__(self, constants: Constants, partials: Partials, language: str) -> None:
        self._constants = constants
        self._partials = partials
        self._language = language
        self._fed = 0
        self._silence = 0
        self._partial_out = False
        self._covered = 0  # how much the last partial that was begun holds
        self._began: float | None = None  # when it began
        self._cost = 0.0
        self._known = 0  # how much the newest reading holds
        self._early: tuple[int, int] | None = None  # what the final begun early holds, and how much of that is voiced
        self._newest: list[str] = []
        self._agreed = 0  # how many pieces of the newest reading the one before it has too
        self._reading: Reading | None = None  # the newest, where it may be forced
        self._shown = ""
        self._finished = False

    @property
    def voiced(self) -> int:
        """The end of what was said so far."""
        return self._fed - self._silence

    def feed(self, count: int, silence: int, now: float, share: float) -> tuple[Step, ...]:
        """`count` samples have come, the last `silence` of all of them without speech; `share`: see `share`."""
        self._fed += count
        self._silence = min(silence, self._fed)
        steps: list[Step] = []
        if self._early is not None and not self._is_the_same_speech():
            self._early = None
            steps.append(Step.DISCARD)
        early = self._constants.early_ms
        if self._silence >= _samples(_QUIET_MS if early is None else early):
            if early is not None and self._early is None and self.voiced > 0:
                self._early = (self._fed, self.voiced)
                self._began = now
                steps.append(Step.EARLY)
        elif self._partial_is_due(now, share):
            self._partial_out = True
            steps.append(Step.PARTIAL)
        return tuple(steps)

    def _is_the_same_speech(self) -> bool:
        """Whether nothing was said since the final was begun early.

        Speech that goes on ends behind all that was silent then; where exactly speech ended may be told anew.
        """
        assert self._early is not None
        length, voiced = self._early
        return self.voiced <= (length + voiced) // 2

    def _partial_is_due(self, now: float, share: float) -> bool:
        if self._partials is Partials.OFF or self._partial_out or self.voiced <= 0:
            return False
        if self._fed < _samples(self._constants.first_ms):
            return False
        if self._began is None:
            return True
        rested = now - self._began >= self._cost / share
        return rested and self._fed - self._covered >= _samples(self._constants.every_ms)

    def begin(self, now: float) -> tuple[int, tuple[int, ...]]:
        """A partial begins: how much audio it is to hold, and the tokens to force on its text."""
        self._began, self._covered = now, self._fed
        return self._fed, self._prefix()

    def _prefix(self) -> tuple[int, ...]:
        """The agreed words less one: the last one of a reading is often cut short by the end of the audio."""
        reading, words = self._reading, self._agreed - 1
        if reading is None or words < 1 or len(reading.cuts) != len(self._newest):
            return ()
        return reading.tokens[: reading.cuts[words - 1]]

    def gave_up(self, now: float) -> None:
        """The partial that was asked for will not come; the next may be asked for after the usual time."""
        self._partial_out = False
        self._began, self._covered = now, self._fed

    def heard(self, reading: Reading, length: int) -> str | None:
        """A partial of `length` samples has come; the text to show now, None where it is to stay as it is."""
        self._partial_out = False
        self._cost = reading.seconds
        return self._take(reading, length, complete=False)

    def heard_early(self, reading: Reading, *, settled: bool = False) -> str | None:
        """The final that was begun early has come; the text to show now, None where it is to stay as it is.

        `settled`: all of its text is to be shown in any case, even if it is empty.
        """
        if self._early is None or self._finished or self._partials is Partials.OFF:
            return None
        shown = self._take(reading, self._early[0], complete=True)
        if settled:
            self._shown = shown = reading.transcript.text
        return shown

    def _take(self, reading: Reading, length: int, *, complete: bool) -> str | None:
        """A new reading; `complete`: the speaker has paused, and its last word is whole."""
        if self._finished or length <= self._known:
            return None
        newest = pieces(reading.transcript.text, self._language)
        if reading.doubted or not newest or (not complete and said_again(newest)):
            self._reading = None  # perhaps because of what was forced on it
            return None
        self._known = length
        before, self._newest = self._newest, newest
        self._agreed = agreed(before, self._newest)
        self._reading = reading if self._constants.forced else None
        shown = self._show(complete=complete)
        if not shown or shown == self._shown:
            return None
        self._shown = shown
        return shown

    def _show(self, *, complete: bool) -> str:
        """What of the newest reading is to be seen."""
        if self._constants.agreed_only:
            sure = self._newest[: self._agreed]
            if agreed(pieces(self._shown, self._language), sure) == len(sure):
                return self._shown  # nothing contradicts what is shown: it is not taken back
            return "".join(sure)
        if complete:
            return "".join(self._newest)
        known = len(self._newest)
        if self._partials is Partials.CALM:
            known = max(self._agreed, known - 1)  # the last one too, once it has been heard twice
        return "".join(self._newest[:known]).rstrip(_CLOSING)

    def serves(self, length: int) -> bool:
        """Whether the final that was begun early is that of the first `length` samples: it holds all that is said."""
        return self._early is not None and self._is_the_same_speech() and length >= self.voiced

    def finish(self) -> None:
        """The utterance is over: nothing is shown any more."""
        self._finished = True

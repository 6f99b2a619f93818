"""Does a person who makes a sound while the bot has something to say want to interrupt it? Pure.

First suspected, which holds the playout, by a run of speech; then confirmed by words or by speech that goes on,
dismissed when the speech is over and was nothing, or lapsed. What it says are events of the turn table.
"""

from dataclasses import dataclass
from enum import Enum, auto

from voxgate.conversation.echo import EchoGuard
from voxgate.conversation.turn_table import Kind
from voxgate.domain import SPEECH_RATE
from voxgate.text.backchannels import is_backchannel
from voxgate.text.words import comparable


@dataclass(frozen=True, slots=True)
class InterruptionSettings:
    """How hard it is to interrupt."""

    windows: int = 8
    """Consecutive windows of speech (32 ms each) that make a suspicion: the client's `interrupt_threshold`, 1 to 15."""
    confirm_ms: int = 600
    """Speech without a pause that needs no words: nobody coughs or agrees for so long."""
    lapse_ms: int = 2000
    """After so long without words the bot speaks on."""
    pause_ms: int = 96
    """What counts as a pause: three windows; stops within words are shorter."""


COUNTED = {
    Kind.SUSPECTED: "interruption_suspected",
    Kind.CONFIRMED: "interruption_confirmed",
    Kind.DISMISSED: "interruption_dismissed",
    Kind.LAPSED: "interruption_lapsed",
}
"""Verdict -> event in the metrics."""


class _Stage(Enum):
    IDLE = auto()
    """Nobody speaks, or no reply lives."""
    BELOW = auto()
    """A sound, so far too short."""
    SUSPECTED = auto()
    LAPSED = auto()
    """Two seconds without words: sound does not count any more, words still do."""


class Judge:
    """Judges the sounds of one person, over a whole call. Times are samples at SPEECH_RATE on the call's clock."""

    def __init__(self, settings: InterruptionSettings | None = None, *, guard: EchoGuard | None = None) -> None:
        """`guard`: for clients without echo cancellation. Raises ValueError for `windows` out of 1 to 15."""
        self._settings = settings or InterruptionSettings()
        if not 1 <= self._settings.windows <= 15:
            raise ValueError("windows must lie in 1 to 15")
        self._guard = guard
        self._stage = _Stage.IDLE
        self._run = 0  # consecutive windows of speech
        self._speech = 0  # samples of speech since the last pause
        self._quiet = 0  # samples since the last window of speech
        self._meant = False  # words for the bot were heard in a sound that is too short so far
        self._began = 0
        self._since = 0  # of the suspicion

    @property
    def suspects(self) -> bool:
        """Whether an interruption is suspected, and neither confirmed nor dismissed nor lapsed."""
        return self._stage is _Stage.SUSPECTED

    def begin(self, at: int, *, speaking: bool) -> None:
        """A turn opens while a reply lives. `speaking`: some of it was played; else the table suspects at once."""
        self._stage = _Stage.BELOW if speaking else _Stage.SUSPECTED
        self._meant = False
        self._began = self._since = at

    def close(self) -> None:
        """The turn was dropped, or the reply is gone: there is nothing to judge. Idempotent."""
        self._stage = _Stage.IDLE

    def window(self, speech: bool, samples: int, at: int) -> list[Kind]:
        """One window of the detector, told whether it held speech; all windows of a call are to be shown.

        A window that opens a turn is shown after `begin`.
        """
        self._count(speech, samples, at)
        said: list[Kind] = []
        if self._stage is _Stage.BELOW and self._run >= self._settings.windows:
            self._stage, self._since = _Stage.SUSPECTED, at
            said.append(Kind.SUSPECTED)
        long = self._speech * 1000 >= self._settings.confirm_ms * SPEECH_RATE
        if self._stage is _Stage.SUSPECTED and (self._meant or long):
            said += self._confirmed()
        return said

    def words(self, text: str, language: str, at: int) -> list[Kind]:
        """A partial transcript of the open turn. Words within a sound that is too short so far are only remembered."""
        if self._stage is _Stage.IDLE or not self.is_for_the_bot(text, language, at):
            return []
        if self._stage is _Stage.BELOW and self._guard is None:
            self._meant = True
            return []
        return self._confirmed()

    def heard_out(self, text: str, language: str, at: int, *, unclear: bool = False) -> list[Kind]:
        """What the speech says, now that it is over (Act.HEAR_SO_FAR). `unclear`: the engine doubts it."""
        if self._stage is _Stage.IDLE:
            return []
        if not unclear and self.is_for_the_bot(text, language, at):
            return self._confirmed()
        if self._guard is not None:
            self._guard.spend(text, self._began, at)
        self.close()
        return [Kind.DISMISSED]

    def is_for_the_bot(self, text: str, language: str, at: int) -> bool:
        """Whether words of a turn that lies beside a reply are more than backchannels and echoes.

        Of its final transcript it tells FINAL_WORDS from FINAL_BACKCHANNEL.
        """
        if not comparable(text) or is_backchannel(text, language):
            return False
        return self._guard is None or not self._guard.is_echo(text, self._began, at)

    def elapsed(self, at: int) -> list[Kind]:
        """The call's clock shows `at`; to be asked from time to time while `suspects`."""
        if not self.suspects or (at - self._since) * 1000 < self._settings.lapse_ms * SPEECH_RATE:
            return []
        self._stage = _Stage.LAPSED
        return [Kind.LAPSED]

    def _count(self, speech: bool, samples: int, at: int) -> None:
        if self._guard is not None and self._guard.may_echo(at):
            speech = False  # sound alone says nothing while it may be our own: bot and echo would hold each other up
        if speech:
            self._run += 1
            self._speech += samples
            self._quiet = 0
            return
        self._run = 0
        self._quiet += samples
        if self._quiet * 1000 >= self._settings.pause_ms * SPEECH_RATE:
            self._speech = 0

    def _confirmed(self) -> list[Kind]:
        self.close()
        return [Kind.CONFIRMED]

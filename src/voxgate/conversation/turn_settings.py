"""`[turns]`: how conversations go, for people who configure them; each part gets its own settings from here."""

from typing import Self

from pydantic import Field, model_validator

from voxgate.config import Settings
from voxgate.conversation.echo import EchoSettings
from voxgate.conversation.endpointing import TurnEndSettings
from voxgate.conversation.history import HistorySettings
from voxgate.conversation.interruption import InterruptionSettings
from voxgate.conversation.speculation import Speculate

_END, _CUT, _ECHO, _HISTORY = TurnEndSettings(), InterruptionSettings(), EchoSettings(), HistorySettings()


class TurnSettings(Settings):
    """`[turns]`"""

    ask_ms: int = Field(default=_END.ask_ms, ge=100, le=1000)
    """Silence from which the words and the sound are asked whether a turn is over; the shortest that ends one."""
    min_silence_ms: int = Field(default=_END.min_silence_ms, ge=100, le=5000)
    """The shortest silence that ends a turn of which neither says anything, of a speaker who never pauses."""
    usual_silence_ms: int = Field(default=_END.usual_ms, ge=100, le=5000)
    """The same of a speaker nothing is known about."""
    max_silence_ms: int = Field(default=_END.max_silence_ms, ge=100, le=5000)
    """The longest silence: turns that are surely incomplete end here too."""
    sound_complete: float = Field(default=_END.sound_complete, ge=0, le=1)
    """Probability from which the sound of a turn says that it is over."""
    sound_open: float = Field(default=_END.sound_open, ge=0, le=1)
    """Probability up to which it says that the turn goes on."""
    speculate: Speculate = Speculate.AUTO
    """Whether a reply is begun in a pause, before the turn is sure to be over, and held until it is: `auto` (with a
    model of this machine while a core is idle; with a remote one once a turn, when it sounds over), `on`, `off`."""
    interrupt_confirm_ms: int = Field(default=_CUT.confirm_ms, ge=200, le=5000)
    """Speech without a pause that interrupts the bot without any words being understood."""
    interrupt_lapse_ms: int = Field(default=_CUT.lapse_ms, ge=500, le=10_000)
    """How long the bot stays silent for a sound in which no words are found."""
    echo_reach_ms: int = Field(default=_ECHO.reach_ms, ge=0, le=5000)
    """How long after it was played a word of the bot may come back, for clients without echo cancellation."""
    history_characters: int = Field(default=_HISTORY.max_characters, ge=500)
    """How much of a conversation a language model is told, in characters beside its instructions; oldest turns are left
    out first."""
    history_messages: int = Field(default=_HISTORY.max_messages, ge=2)
    """The same in messages."""
    reply_tokens: int = Field(default=512, ge=16)
    """Longest reply, in tokens."""
    translator: str = ""
    """The model (a name as clients use them) that says answers, clause by clause, in the language they are to be in:
    for a language model that follows no instruction to. Empty: the one that answers is told which language."""
    grace_s: float = Field(default=30.0, ge=0, le=600)
    """How long a call whose connection broke waits for its client."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.ask_ms <= self.min_silence_ms <= self.usual_silence_ms <= self.max_silence_ms:
            raise ValueError("ask_ms <= min_silence_ms <= usual_silence_ms <= max_silence_ms does not hold")
        if self.sound_open > self.sound_complete:
            raise ValueError("sound_open must not be more than sound_complete")
        return self

    def end(self, silence_ms: int | None) -> TurnEndSettings:
        """When turns end; `silence_ms`: the exact silence a client asked for."""
        return TurnEndSettings(
            silence_ms=silence_ms,
            ask_ms=self.ask_ms,
            min_silence_ms=self.min_silence_ms,
            usual_ms=self.usual_silence_ms,
            max_silence_ms=self.max_silence_ms,
            sound_complete=self.sound_complete,
            sound_open=self.sound_open,
        )

    def interruption(self, windows: int) -> InterruptionSettings:
        """How hard it is to interrupt; `windows`: the client's threshold."""
        return InterruptionSettings(
            windows=windows, confirm_ms=self.interrupt_confirm_ms, lapse_ms=self.interrupt_lapse_ms
        )

    @property
    def echo(self) -> EchoSettings:
        """How an echo comes back."""
        return EchoSettings(reach_ms=self.echo_reach_ms)

    @property
    def history(self) -> HistorySettings:
        """How much a model is told."""
        return HistorySettings(self.history_characters, self.history_messages)

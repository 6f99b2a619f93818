"""One exchange of a call as it happens: the person's turn, and what is remembered of it with the reply. Pure."""

from dataclasses import dataclass, field
from datetime import datetime

from voxgate.calls import Latency, Outcome, TurnRecord
from voxgate.conversation.finals import together
from voxgate.conversation.latency import HeardAt, latency
from voxgate.conversation.reply import Reply
from voxgate.conversation.turn_table import EndedBy, Purpose
from voxgate.domain import SPEECH_RATE


@dataclass(slots=True)
class Turn:
    """A spoken turn that is open, or whose final is awaited."""

    number: int
    start: int
    """Its first sample, in samples since the call began."""
    language: str
    """BCP-47 tag, as far as it is known."""
    said: list[tuple[str, str]] = field(default_factory=list)
    """Finals of it with their languages: of what came before it was reopened, and the last one."""
    raw: list[tuple[str, str]] = field(default_factory=list)
    """The same as the recognizer wrote them: partials are not corrected."""
    shown: str = ""
    """What its last partial said, `said` included."""
    told: bool = False
    """Whether a partial of it was told."""
    settled: str | None = None
    """What its final would say if only silence followed; None while that is not known, or somebody speaks."""
    settled_at: float = 0.0
    """When that became known, in seconds."""
    paused: bool = False
    """Whether the transcript so far is wanted (Act.HEAR_SO_FAR)."""
    guess: str | None = None
    """What the reply is made on that is being prepared."""
    tried: str | None = None
    """What was guessed last in this pause: where that reply failed, the next is made when the turn is over."""
    awaited: int = 0
    """Finals of it that are under way."""
    unclear: bool = False
    """Whether the recognizer doubts its final."""
    run: int = 0
    """Windows of speech in a row."""
    discarded: int = 0
    """Guesses that were thrown away."""
    at: HeardAt | None = None
    """When it was over; None before."""
    by: EndedBy | None = None
    """Who ended it."""
    speech: int = 0
    """Samples from its first sound to its last."""

    def text(self, more: str = "") -> str:
        """What was said, with `more` of what is being said."""
        return together([*self.said, (more, self.language)])

    def written(self, more: str = "") -> str:
        """The same, as the recognizer wrote it."""
        return together([*self.raw, (more, self.language)])


@dataclass(slots=True)
class Exchange:
    """What the person said or wrote since the reply before, and when."""

    at: HeardAt
    ended_at: datetime
    turn: int = 0
    said: list[str] = field(default_factory=list)
    language: str = ""
    by: EndedBy | None = None
    speech: int = 0
    """Samples at SPEECH_RATE from the first sound to the last."""
    discarded: int = 0


@dataclass(slots=True)
class Telling:
    """A reply, and what will be told of it."""

    reply: Reply
    exchange: Exchange
    guessed: bool = False
    """Whether it was begun before the turn was over."""
    released: bool = False
    """Whether it is told and played; else it is prepared on a guess."""
    suspected: int = 0
    """How often an interruption was suspected."""
    spoken: str = ""
    """What was heard of it, once it is over."""

    def latency(self) -> Latency:
        """How long the answer took; nothing where it answers nothing."""
        return latency(self.exchange.at, self.reply.made) if self.answers else Latency()

    @property
    def answers(self) -> bool:
        """Whether it is the first answer to something that was said."""
        return self.reply.purpose is Purpose.ANSWER and bool(self.exchange.said)

    def record(self, call: str, outcome: Outcome, heard: int, rate: int) -> TurnRecord:
        """The record of the exchange. `heard`: samples of the reply, at `rate`."""
        exchange, reply = self.exchange, self.reply
        return TurnRecord(
            call=call,
            turn=exchange.turn,
            reply=reply.number,
            ended_at=exchange.ended_at,
            ended_by=exchange.by.value if exchange.by else None,
            heard="\n".join(exchange.said),
            language=exchange.language,
            purpose=reply.purpose.value,
            text=reply.script.text,
            spoken=self.spoken,
            reply_language=reply.language,
            outcome=outcome,
            latency=self.latency(),
            speech_ms=exchange.speech * 1000 // SPEECH_RATE,
            played_ms=heard * 1000 // rate,
            suspected=self.suspected,
            guessed=self.guessed,
            discarded=exchange.discarded,
        )

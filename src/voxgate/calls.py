"""The nouns of a call: what comes from the caller, what goes to him, and what is remembered of a turn.

One set for every wire that carries a call. A gateway translates its wire into `CallInput` and `CallOutput` and carries
out `ports.CallTransport`; conversation/conversation.py runs the call between them. Turns and replies are numbered from
1 within a call, as turns.Standing numbers them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from voxgate.domain import Samples
from voxgate.errors import VoxgateError
from voxgate.text.phrases import Phrase


@dataclass(frozen=True, slots=True)
class CallRequest:
    """What a caller asks for; validated at the wire."""

    call: str
    """The id of the session."""
    language: str | None = None
    """BCP-47 tag that replies are in, whatever is spoken; None: the language that is spoken."""
    instructions: str = field(default="", repr=False)
    """The system prompt."""
    greeting: str = field(default="", repr=False)
    """What the bot says first, word for word; empty: it waits."""
    pieces: bool = False
    """How the client plays. True: each chunk on arrival, over whatever still plays, so that chunks are cut at quiet
    points and sent one after the other; False: it queues them, and they come 100 ms long with 200 ms of lead."""
    loudness_gate: int = 600
    """RMS on the 16-bit scale under which nothing is speech; 0: the detector alone decides. 0 to 32767."""
    interrupt_windows: int = 8
    """Consecutive 32 ms windows of speech that make an interruption likely, 1 to 15."""
    silence_ms: int | None = None
    """The exact silence that ends a turn; None: it is judged."""
    stall_ms: int = 700
    """Audio that does not arrive for so long ends the turn."""
    rate: int = 24_000
    """Samples per second of all audio that is sent."""
    echo_guard: bool = False
    """Whether the client has no echo cancellation, so that the bot may hear itself."""
    grace_s: float | None = None
    """How long the call waits for a client whose connection broke; None: `turns.grace_s`."""
    images: Mapping[str, str] = field(default_factory=dict)
    """Pictures that replies may show: key -> description, which may be empty."""
    captions: bool = False
    """Whether replies are told word by word as they are heard (SpokenOut), too."""


# in


@dataclass(frozen=True, slots=True)
class AudioIn:
    """What the microphone heard next."""

    samples: Samples
    """At SPEECH_RATE, any number."""


@dataclass(frozen=True, slots=True)
class RecordingEnded:
    """The recording is known to be over; a turn that is open ends, as it would after a stall."""


@dataclass(frozen=True, slots=True)
class TextIn:
    """A turn that was written."""

    text: str
    """Not empty."""


class Control(StrEnum):
    """What a client may ask of a call."""

    INTERRUPT = "interrupt"
    START_LISTENING = "start_listening"
    STOP_LISTENING = "stop_listening"
    PAUSE = "pause"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class ControlIn:
    """The client asks for it; exactly one `ControlDone` answers."""

    action: Control


@dataclass(frozen=True, slots=True)
class PlayedIn:
    """The client says how much of a reply it has played; a wire that knows may tell it as often as it likes."""

    reply: int
    samples: int
    """From the beginning of the reply, at the rate of its `AudioOut`."""


@dataclass(frozen=True, slots=True)
class OnWire:
    """The first audio of a reply has been handed to the network. Told once a reply, by wires that can tell."""

    reply: int
    at_s: float
    """On the clock of the event loop."""


@dataclass(frozen=True, slots=True)
class AnnounceIn:
    """The server has something to say, now."""

    what: Phrase


@dataclass(frozen=True, slots=True)
class Dropped:
    """The connection broke, and may come back: the call waits for `Returned` for as long as its grace lasts."""


@dataclass(frozen=True, slots=True)
class Returned:
    """The client is back; what it had not been sent yet goes on from the exact sample."""


class EndReason(StrEnum):
    """Why a call is over."""

    CLIENT = "client"
    """It was asked for."""
    LOST = "lost"
    """The connection broke and did not come back."""
    SERVER = "server"
    """The server ended it: credits, limits, a revoked key, a shutdown. The wire has told which."""
    FAILED = "failed"
    """We broke our own rules, and logged it."""


@dataclass(frozen=True, slots=True)
class EndIn:
    """The call is over."""

    reason: EndReason = EndReason.CLIENT


CallInput = AudioIn | RecordingEnded | TextIn | ControlIn | PlayedIn | OnWire | AnnounceIn | Dropped | Returned | EndIn
"""What comes from a caller, or from the server on his behalf; in order."""


# out


@dataclass(frozen=True, slots=True)
class SpeechOut:
    """The detector's edges in the audio of the session."""

    started: bool
    at: int
    """Samples at SPEECH_RATE since the call began."""


@dataclass(frozen=True, slots=True)
class TranscriptOut:
    """What a turn says: any number of partials, then one final. A turn that came to nothing has a final without text if
    partials of it were told, and none otherwise."""

    turn: int
    text: str
    final: bool
    language: str
    """BCP-47 tag."""


@dataclass(frozen=True, slots=True)
class StateOut:
    """Who has the floor now."""

    state: str
    """`listening`, `hearing`, `thinking`, `speaking` or `paused`."""


@dataclass(frozen=True, slots=True)
class ReplyText:
    """More text of a reply, as it forms."""

    reply: int
    text: str


@dataclass(frozen=True, slots=True)
class ReplyWhole:
    """The text of a reply, once: when it is complete, or when the reply is cut."""

    reply: int
    text: str
    interrupted: bool
    """Whether it was cut before its text was complete."""
    language: str
    """BCP-47 tag it is spoken in."""


@dataclass(frozen=True, slots=True)
class SpokenOut:
    """What was heard of a reply so far, while it is played, for a call with `captions`; then once for good, unless
    nothing was heard of it at all. Runs ahead of the ear by as much as was sent ahead (`turns`: 200 ms)."""

    reply: int
    text: str
    """From the beginning of the reply."""
    final: bool


@dataclass(frozen=True, slots=True)
class ImageOut:
    """The reply shows a picture, where it speaks of it: the clause is about to be heard."""

    reply: int
    key: str
    """One of `CallRequest.images`."""


@dataclass(frozen=True, slots=True)
class AudioOut:
    """The next audio of a reply, to be sent at once: it is due."""

    reply: int
    index: int
    """Counts the chunks of a reply from 0."""
    samples: Samples
    rate: int
    """Samples per second; the same for all chunks of a reply."""


@dataclass(frozen=True, slots=True)
class ReplyInterrupted:
    """The reply was cut: the client is to fall silent. Nothing of it follows but its `AudioEnd`."""

    reply: int
    spoken: str
    """What was heard of it; the history keeps that."""


@dataclass(frozen=True, slots=True)
class AudioEnd:
    """No more audio of the reply comes: it was played to its end, or cut, or its voice failed."""

    reply: int
    chunks: int
    """How many there were."""


@dataclass(frozen=True, slots=True)
class ControlDone:
    """The answer to a `ControlIn`."""

    action: Control
    ignored: str = ""
    """Why it had no effect; empty where it had one."""


@dataclass(frozen=True, slots=True)
class CallProblem:
    """Something failed; the call goes on, unless `CallEnded` follows."""

    error: VoxgateError


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage on the way to an answer, in milliseconds after the person stopped speaking (or wrote)."""

    start_ms: float
    """Negative where it began before."""
    end_ms: float

    @property
    def ms(self) -> float:
        """How long it took."""
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True)
class Latency:
    """Where the milliseconds between a person's last sound and the first sound of the answer went.

    Stages overlap where work began on a guess. None: there was no such stage, or it did not come to its end.
    """

    endpointing: Stage | None = None
    """From the last sound to the decision that the turn is over."""
    stt_final: Stage | None = None
    """From the decision to the final transcript; from the last sound, where it was known in the pause already."""
    first_token: Stage | None = None
    """From the question to the model to its first text."""
    first_clause: Stage | None = None
    """From there to the first clause that can be spoken."""
    first_audio: Stage | None = None
    """From there to the first audio of the voice."""
    wire: Stage | None = None
    """From there, or from the end of the turn if that was later, to the first audio on the wire."""

    @property
    def total_ms(self) -> float | None:
        """From the last sound to the first audio on the wire."""
        return None if self.wire is None else self.wire.end_ms


@dataclass(frozen=True, slots=True)
class LatencyOut:
    """How long the answer to a turn took; after each reply that answers one."""

    reply: int
    latency: Latency


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The last thing that is sent."""

    reason: EndReason


CallOutput = (
    SpeechOut
    | TranscriptOut
    | StateOut
    | ReplyText
    | ReplyWhole
    | SpokenOut
    | ImageOut
    | AudioOut
    | ReplyInterrupted
    | AudioEnd
    | ControlDone
    | CallProblem
    | LatencyOut
    | CallEnded
)
"""What goes to a caller, in order."""


# what is remembered


class Outcome(StrEnum):
    """What became of a reply."""

    HEARD = "heard"
    """It was played to its end."""
    CUT = "cut"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """One exchange, told when its reply is over: for the record, traces and metrics. Never for logs."""

    call: str
    turn: int
    """Of the person's last turn; 0 where the bot spoke first."""
    reply: int
    ended_at: datetime
    """When the person stopped speaking, or wrote; when the reply began, where it answers nothing. The zero of
    `latency`, in UTC."""
    ended_by: str | None
    """Who ended the turn: `silence`, `cue`, `stall`, `control` or `typed`; None where the reply answers nothing."""
    heard: str = field(repr=False)
    """What the person said or wrote since the reply before; empty where the reply answers nothing."""
    language: str
    """BCP-47 tag the person's turn was in."""
    purpose: str
    """What the reply was for: turn_table.Purpose."""
    text: str = field(repr=False)
    """The reply, as far as it was made."""
    spoken: str = field(repr=False)
    """What was heard of it."""
    reply_language: str
    outcome: Outcome
    latency: Latency
    speech_ms: int
    """How long the person's turn was, from its first sound to its last; 0 of a written one."""
    played_ms: int
    """How much of the reply was heard."""
    suspected: int
    """How often an interruption of the reply was suspected; one that was confirmed ended it."""
    guessed: bool
    """Whether the reply was begun before the turn was over."""
    discarded: int
    """Guesses at this turn that were thrown away before."""

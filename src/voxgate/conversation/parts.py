"""Who takes part in a call, beside the caller."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from voxgate.conversation.finals import TranscriptionRequest
from voxgate.conversation.reply import Thinking, Voicing
from voxgate.conversation.speculation import Load
from voxgate.ports import CallObserver, LanguageIdentifier, Metrics, Recognizer, TurnDetector, Vad


@dataclass(frozen=True, slots=True)
class Parts:
    """Who takes part in a call, beside the caller."""

    vad: Vad
    stt: Recognizer
    hearing: TranscriptionRequest
    """What is heard, and what is told apart."""
    identifier: LanguageIdentifier | None
    turn: TurnDetector | None
    """Who tells by the sound whether a turn is over; None: pauses and words decide."""
    thinking: Thinking
    remote: bool
    """Whether the model is paid for by the token."""
    voices: Mapping[str, Voicing]
    """BCP-47 tag -> how it is spoken; at least one."""
    spoken: str
    """The tag of `voices` for what is heard in a language that none of them speaks."""
    load: Load
    """How busy this process is; shared by its calls."""
    metrics: Metrics
    observers: Sequence[CallObserver] = ()

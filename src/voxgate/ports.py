"""What can be plugged in, on one page.

A port is one verb. Extras (metering, retries, fallbacks) are wrappers around a port, never a base class.
Streams are opened with `async with`, so that leaving early cancels the work behind them.
Engine packages name an `EnginePlugin` in the entry-point group `voxgate.engines`; ours do the same.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel

from voxgate.calls import CallInput, CallOutput, TurnRecord
from voxgate.domain import (
    Balance,
    Guess,
    LiveRecognition,
    Partial,
    Principal,
    Recognition,
    Samples,
    Speech,
    Transcript,
    Usage,
    Utterance,
    Voice,
)

ENTRY_POINT_GROUP = "voxgate.engines"
"""Where engines, ours and strangers', are found."""


@runtime_checkable
class SpeechToText(Protocol):
    """Hears one utterance."""

    languages: Mapping[str, str]
    """BCP-47 tag -> how well it is heard: `good`, `fair`, `weak`."""
    max_seconds: float
    """Longest utterance one call takes; longer audio is cut at pauses by the caller."""

    async def recognize(self, request: Recognition) -> Transcript:
        """Turn one utterance into text. Raises EngineError."""
        ...


class LiveUtterance(Protocol):
    """One utterance that is heard while it is spoken. Used from one task; both verbs are for its own beginning."""

    def feed(self, audio: Samples, silence: int) -> None:
        """More of it, at SPEECH_RATE. Returns at once; costs well under a millisecond.

        `silence`: how many samples at the end of everything fed so far hold no speech; 0 while somebody speaks. From it
        an engine tells that the utterance may be over, and may begin to make the final before it is asked for.
        """
        ...

    async def finish(self, length: int) -> Transcript:
        """What the first `length` samples that were fed say. Once, and last: no partial is told from now on.

        Raises EngineError, RefusedError `busy`.
        """
        ...


@runtime_checkable
class LiveSpeechToText(Protocol):
    """Hears utterances while they are spoken; `engines/redecoding.py` makes this of what hears whole ones."""

    languages: Mapping[str, str]
    max_seconds: float

    def open(
        self, request: LiveRecognition, told: Callable[[Partial], None]
    ) -> AbstractAsyncContextManager[LiveUtterance]:
        """One utterance. `told` is called on the event loop with each partial; leaving the block cancels all work."""
        ...


class Recognizer(SpeechToText, LiveSpeechToText, Protocol):
    """Both: what every engine of the port `stt` is once it runs."""


@runtime_checkable
class LanguageIdentifier(Protocol):
    """Tells which language is spoken; a recognizer that can tell carries out both ports."""

    async def identify(self, audio: Samples, among: Sequence[str]) -> Sequence[Guess]:
        """Guesses at the language of one utterance (SPEECH_RATE, at most 30 s), best first. Raises EngineError.

        `among`: BCP-47 tags; those the engine does not know are left out, and so is everything where nobody speaks.
        """
        ...


@runtime_checkable
class TextToSpeech(Protocol):
    """Says one piece of text."""

    voices: Sequence[Voice]

    def open(self, utterance: Utterance) -> AbstractAsyncContextManager[AsyncIterator[Speech]]:
        """Pieces of audio as they are made, all at one rate; leaving the block stops the engine. Raises EngineError."""
        ...


class ChatAnswer(Protocol):
    """An answer, piece by piece, in OpenAI's objects."""

    usage: Mapping[str, Any] | None
    """OpenAI's `usage` object, once the last piece was taken; None from models that do not count."""

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]: ...

    async def __anext__(self) -> dict[str, Any]: ...


@runtime_checkable
class LanguageModel(Protocol):
    """Answers in OpenAI's chat dialect.

    One that is somebody else's, who charges for each token, says so by an attribute `remote` that is true.
    """

    model: str
    """The name `response.model` carries."""
    demo: bool
    """True for a model too small to be useful in production; shown wherever the model is named."""

    def open(self, body: Mapping[str, Any]) -> AbstractAsyncContextManager[ChatAnswer]:
        """The answer to a `POST /v1/chat/completions` body.

        With `stream` true: one `chat.completion.chunk` after another; else exactly one `chat.completion`.
        Leaving the block cancels the work. Raises EngineError, or UpstreamError with the upstream's own status.
        """
        ...


class VadStream(Protocol):
    """One caller's voice activity."""

    def probability(self, window: Samples) -> float:
        """How likely this window of exactly `Vad.window` samples holds speech, 0 to 1. Inline: at most 1 ms."""
        ...


@runtime_checkable
class Vad(Protocol):
    """Tells speech from everything else."""

    window: int
    """Samples a window, at SPEECH_RATE."""

    def open(self) -> VadStream:
        """A fresh state for one caller."""
        ...


@runtime_checkable
class TurnDetector(Protocol):
    """Tells by the sound whether a speaker has finished, or only pauses."""

    async def complete(self, audio: Samples) -> float:
        """How likely it is, 0 to 1, that the turn which this audio ends is over.

        `audio`: at SPEECH_RATE, the turn so far with the pause behind it; only its last 8 s count.
        Raises EngineError, RefusedError `busy`: whoever asks then judges the pause without.
        """
        ...


@runtime_checkable
class Translator(Protocol):
    """Says a text in another language, for language models that cannot be told which one to answer in."""

    async def translate(self, text: str, language: str) -> str:
        """`text`, one clause of a reply in whatever language, in `language` (a BCP-47 tag). Raises EngineError."""
        ...


class CallTransport(Protocol):
    """The caller's end of one call, over any wire. It belongs to the call and outlives its connections."""

    def inputs(self) -> AsyncIterator[CallInput]:
        """What comes from the caller, in order, from a bounded buffer; its end is the end of the call. Asked once."""
        ...

    def send(self, output: CallOutput) -> None:
        """To be sent, in order. Returns at once; what cannot be sent while the connection is broken is for the wire to
        keep or to drop. A client too slow to take what it is sent is for the wire to close."""
        ...


class CallObserver(Protocol):
    """Who is told of each exchange: the store, the tracer."""

    def turn(self, record: TurnRecord) -> None:
        """A reply is over. Returns at once, and does not raise; what takes time is put off."""
        ...


@runtime_checkable
class AudioDecoder(Protocol):
    """Reads a whole audio file of any container."""

    def open(self, path: Path) -> AbstractAsyncContextManager[AsyncIterator[Samples]]:
        """The file's first audio track as blocks at SPEECH_RATE. Raises PeerError `invalid_audio`, EngineError."""
        ...


class Hold(Protocol):
    """Credits set aside for work that is about to be done.

    A step that was begun is finished even if its caller is cancelled: no step is ever half-done.
    """

    amount: int
    """Micro-credits held so far."""
    balance: Balance
    """What the organization had after the last step."""

    def progress(self, earned: int, units: Mapping[str, int]) -> None:
        """Remember what was delivered so far (micro-credits, units): the next heartbeat writes it down.

        What a crash is billed: never more than was delivered, and what was delivered after the last heartbeat is free.
        """
        ...

    async def extend(self, total: int, *, earned: int = 0, units: Mapping[str, int] | None = None) -> None:
        """Hold `total` micro-credits altogether. Raises RefusedError `insufficient_credits`, changing nothing.

        `earned` (micro-credits) and `units` say what was delivered so far: what a crash from here on will be billed.
        """
        ...

    async def settle(self, charge: int, usage: Usage | None) -> Balance:
        """Charge `charge` (at most `amount`), release the rest, write the usage; one transaction, only once.

        The same call again changes nothing; another charge raises MisuseError. None: nothing was delivered.
        """
        ...


class Ledger(Protocol):
    """Who has how much, append-only. Every method raises StoreError where the database does not answer."""

    async def hold(self, principal: Principal, amount: int, *, request_id: str, surface: str) -> Hold:
        """Set `amount` (> 0) micro-credits aside. Raises RefusedError `insufficient_credits`.

        A caller that is cancelled meanwhile has nothing held.
        """
        ...

    async def record(self, principal: Principal, usage: Usage) -> Balance:
        """Write down work that costs nothing."""
        ...

    async def balance(self, org_id: str) -> Balance:
        """What the organization has now."""
        ...


class Keys(Protocol):
    """Who is who."""

    async def find(self, key: str) -> Principal | None:
        """The owner of an API key or of a client secret; None for one that is unknown, revoked or expired."""
        ...

    async def ended(self, key_ids: Collection[str]) -> frozenset[str]:
        """Those of the keys with these ids that are revoked or expired by now. One query. Raises StoreError."""
        ...


class Metrics(Protocol):
    """Where stages report their times and counts; never what was said."""

    def observe(self, stage: str, seconds: float, *, engine: str) -> None:
        """A stage (`queue_wait`, `decode`, `first_audio`, `first_token`) took this long."""
        ...

    def count(self, event: str, *, engine: str, times: int = 1) -> None:
        """Something happened once, or so many times (`worker_restart`, `refused_busy`, `guard_a` …)."""
        ...

    def gauge(self, name: str, value: float, *, engine: str) -> None:
        """A level (`active`, `queued`, `workers`) is now this."""
        ...


@dataclass(frozen=True, slots=True)
class EngineContext:
    """What an engine is handed when it is created. It never downloads and never reads the environment."""

    name: str
    """The engine's name in configuration, metrics and errors."""
    folders: Mapping[str, Path]
    """Catalogue name -> folder of the verified model; holds every name of `EnginePlugin.models`."""
    metrics: Metrics
    cores: int
    """Processor cores the engines of this server may use."""


PortName = Literal["stt", "tts", "llm", "vad", "turn", "decoder"]


@dataclass(frozen=True, slots=True)
class EnginePlugin:
    """What an entry point of `voxgate.engines` names. Importing it must be cheap: heavy imports belong in `create`."""

    port: PortName
    settings: type[BaseModel]
    """The schema of `[engines.NAME]` in the configuration."""
    create: Callable[[EngineContext, Any], Awaitable[Any]]
    """Loads the model and answers an object of the port, with `async def aclose()` beside the port's verb."""
    models: Callable[[Any], tuple[str, ...]] = lambda _settings: ()
    """Catalogue names of the models it needs with these settings."""
    requires: tuple[tuple[str, str], ...] = ()
    """Importable modules it needs beyond the base install, each with the command that adds it."""

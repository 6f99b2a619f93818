"""The nouns: plain, frozen values that travel between the rooms."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Mono audio, one float32 a sample, full scale at -1 and 1. Shape [n]."""

SPEECH_RATE = 16_000
"""Samples per second of everything a recognizer or a voice detector hears."""

_UNSPACED = frozenset({"zh", "yue", "ja", "th"})  # written without a space between sentences

MICRO = 1_000_000
"""Micro-credits in one credit. All arithmetic on money is on whole micro-credits."""


def glue_of(language: str) -> str:
    """What stands between two sentences of this language (a BCP-47 tag): a space, or nothing where none is written."""
    return "" if language.split("-")[0] in _UNSPACED else " "


class Tier(StrEnum):
    """What an organization has subscribed to, lowest first."""

    FREE = "free"
    BETA = "beta"
    PRO = "pro"
    OWNER = "owner"


@dataclass(frozen=True, slots=True)
class Word:
    """One word and where it lies in the audio."""

    text: str
    start: int
    """First sample of the word, counted from the start of the audio it belongs to, at the rate of that audio."""
    end: int
    """First sample after the word."""
    confidence: float | None = None
    """Probability of the least likely token of the word, 0 to 1; None from engines that do not say."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a recognizer made of one piece of audio."""

    text: str
    """Empty where nothing was said."""
    language: str
    """BCP-47 tag."""
    words: tuple[Word, ...] = ()
    """At SPEECH_RATE; empty unless asked for."""
    confidence: float | None = None
    """exp(mean log-probability of the tokens), 0 to 1; None from engines that do not say."""
    unclear: bool = False
    """The engine itself doubts the text (noise, another language); see the engine's guards."""


@dataclass(frozen=True, slots=True)
class Guess:
    """A language some audio may be in."""

    language: str
    """BCP-47 tag."""
    probability: float
    """0 to 1, among the languages that were asked about."""


@dataclass(frozen=True, slots=True)
class Correction:
    """One change to what a recognizer wrote. Offsets count Unicode code points of the raw text in NFC."""

    original: str
    """Never empty: `raw[start:end]`."""
    corrected: str
    """What stands there instead; empty where something was left out."""
    start: int
    end: int
    """First code point after the original."""
    type: str
    """`filler`, `repetition`, `number`, `spelling`, `casing` or `punctuation`."""


@dataclass(frozen=True, slots=True)
class FileSegment:
    """One recognized stretch of a recording. Positions are samples at SPEECH_RATE from the beginning of the audio."""

    start: int
    end: int
    text: str
    """Never empty in a file."""
    language: str
    words: tuple[Word, ...]
    """Counted from the beginning of the audio too; empty unless asked for."""
    confidence: float | None
    unclear: bool
    """The engine itself doubts the text."""
    raw: str
    """What the engine wrote, in NFC; `text` is this with `corrections` carried out."""
    corrections: tuple[Correction, ...] = ()
    """Offsets into `raw`; empty where nothing was corrected."""

    @property
    def glue(self) -> str:
        """What stands between this segment's text and the one before it: a space, or nothing where none is written."""
        return glue_of(self.language)


@dataclass(frozen=True, slots=True)
class FileTranscript:
    """What a whole recording says."""

    text: str
    """Empty where nobody speaks."""
    segments: tuple[FileSegment, ...]
    language: str
    """BCP-47 tag; of most of the speech, where there are several."""
    duration: int
    """Samples at SPEECH_RATE, silence included."""
    mismatch: Guess | None = None
    """The language that is spoken instead of the one the client named."""
    raw: str = ""
    """What the engine wrote, joined as `text` is."""
    corrections: tuple[Correction, ...] = ()
    """Offsets into `raw`; carried out they make `text` of it."""


@dataclass(frozen=True, slots=True)
class Recognition:
    """What is asked of a recognizer."""

    audio: Samples
    """One utterance at SPEECH_RATE, at most the engine's `max_seconds` long."""
    language: str = "en"
    hints: tuple[str, ...] = ()
    """Words or short phrases that are likely to occur, spelled as they should come out."""
    words: bool = False
    """Whether word times are wanted."""
    speech_certain: bool = True
    """Whether a voice detector heard speech in this audio (an empty answer is then checked once more)."""


class Partials(StrEnum):
    """How soon words are shown while somebody still speaks, against how often they are taken back."""

    FAST = "fast"
    """Every word as soon as it is heard."""
    CALM = "calm"
    """The last word is held back until another follows or it is heard again: later, and taken back a third as often."""
    OFF = "off"
    """None: an utterance is heard when it is over, and costs half the work."""


@dataclass(frozen=True, slots=True)
class LiveRecognition:
    """What is asked of a recognizer about an utterance that is still being spoken."""

    language: str = "en"
    hints: tuple[str, ...] = ()
    words: bool = False
    partials: Partials = Partials.FAST
    settled: bool = False
    """Whether it is told in a pause what the final would be (Partial.settled), by engines that begin it early."""


@dataclass(frozen=True, slots=True)
class Partial:
    """What an utterance says so far; the next one may say otherwise."""

    text: str
    """Never empty, unless it is `settled`."""
    end: int
    """Samples from the beginning of the utterance that the text covers."""
    settled: bool = False
    """Whether the final would say just this if only silence followed; told where it is asked for, once a pause."""


@dataclass(frozen=True, slots=True)
class SpeechEdge:
    """Somebody began to speak, or stopped. Positions of these are samples at SPEECH_RATE since the session began."""

    started: bool
    at: int


@dataclass(frozen=True, slots=True)
class PartialHeard:
    """What a segment that is still being spoken says so far."""

    segment: int
    """Counts the segments of a session from 0; its final has the same number, and comes last."""
    start: int
    end: int
    """The first sample behind what the text covers."""
    text: str
    language: str
    settled: bool = False
    """Whether the final would say just this if only silence followed; told in each pause, even if nothing is new."""


@dataclass(frozen=True, slots=True)
class FinalHeard:
    """What a segment says, for good. Its text is empty only where a commit was answered and nothing was said."""

    segment: int
    heard: "FileSegment"


@dataclass(frozen=True, slots=True)
class LanguageContradicted:
    """Another language is spoken than the one that was named; told once a session."""

    guess: Guess


LiveEvent = SpeechEdge | PartialHeard | FinalHeard | LanguageContradicted
"""What live transcription tells, in order."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """What is asked of a voice: one piece of text to say."""

    text: str
    voice: str
    """The engine's own name of the voice."""
    language: str = "en"
    speed: float = 1.0
    """Pace, not pitch: 2 is twice as fast. 0.25 to 4."""


@dataclass(frozen=True, slots=True)
class Speech:
    """A piece of spoken audio, as soon as it exists."""

    samples: Samples
    rate: int
    """Samples per second; the same for every piece of one utterance."""
    words: tuple[Word, ...] = ()
    """Words told with this piece, counted from the start of the utterance, at `rate`: a word comes with the piece it
    begins in or with a later one, but no later than the piece it ends in."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice an engine can speak with."""

    id: str
    engine: str
    languages: tuple[str, ...]
    gender: str
    """`female`, `male` or `neutral`."""
    licence: str = ""
    commercial: bool = True
    """False where the licence of the voice is unclear for commercial use."""
    quality: str = "natural"
    """`natural`, or `plain` for a voice that is understood but sounds synthetic."""


class Scope(StrEnum):
    """What a client secret may be used for."""

    TRANSCRIPTION = "transcription"
    SPEECH = "speech"
    AGENT = "agent"
    """Conversations: agent sessions, and chat."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: the key that was shown, and whose it is. A client secret stands for the key that minted it."""

    key_id: str
    org_id: str
    org_name: str
    tier: Tier
    max_concurrent: int | None = None
    """How many requests of this key may run at once; None: as many as the configuration allows any key."""
    daily_limit: int | None = None
    """Micro-credits this key may spend a day (UTC); None: whatever the organization has."""
    scopes: frozenset[Scope] | None = None
    """What a client secret may be used for; None for an API key, which may do everything."""
    session: Mapping[str, Any] | None = field(default=None, repr=False)
    """What a client secret was minted for, as its minter said it; None for an API key. Kept out of repr: it may hold
    instructions."""
    expires_at: datetime | None = None
    """When the key ends, and whatever is done for it then; of a client secret, the key that minted it. None: never."""


@dataclass(frozen=True, slots=True)
class Balance:
    """An organization's credits, in micro-credits."""

    available: int
    """What can still be spent: everything granted, less everything charged and everything held."""
    held: int


@dataclass(frozen=True, slots=True)
class Organization:
    """Who pays: a name, a tier and what is left."""

    id: str
    name: str
    tier: Tier
    balance: Balance


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as anyone may see it; the key itself is shown once, when it is made, and kept nowhere."""

    id: str
    org_name: str
    prefix: str
    """The first characters of the key: enough to tell keys apart, not enough to guess one."""
    label: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    """Right to the minute; None for a key that was never used."""
    max_concurrent: int | None = None
    """How many of its requests may run at once; None: as many as the configuration allows any key."""
    daily_limit: int | None = None
    """Micro-credits it may spend a day (UTC); None: whatever the organization has."""
    replaced_by: str | None = None
    """The id of the key that took its place when it was rotated."""


@dataclass(frozen=True, slots=True)
class Usage:
    """One metered piece of work, as the ledger remembers it."""

    request_id: str
    surface: str
    """Where it was sold: `transcription`, `speech`, `chat`."""
    units: Mapping[str, int] = field(default_factory=dict)
    """What was delivered: `audio_ms`, `prompt_tokens`, `completion_tokens`. Never what was said."""

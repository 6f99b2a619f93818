"""One session of live transcription: what each message asks for where the session stands, and what is answered. Pure.

    message         CREATED               STARTED                  STOPPED
    session.start   Start -> STARTED      already started          not started
    audio.append    not started           Audio                    not started
    a binary frame  not started           Audio                    not started
    audio.commit    not started           Commit                   not started
    session.stop    Stop -> STOPPED       Stop -> STOPPED          not started

A message that is wrong changes nothing. A `Start` that cannot be carried out (nobody hears that language) is taken back
with `refused`, and another may come.
"""

import binascii
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from voxgate.domain import (
    SPEECH_RATE,
    Correction,
    FinalHeard,
    Guess,
    LanguageContradicted,
    LiveEvent,
    PartialHeard,
    SpeechEdge,
    Word,
)
from voxgate.errors import Code, MisuseError, PeerError
from voxgate.protocols.live.messages import (
    CLIENT_MESSAGES,
    NULL_SAYS_SOMETHING,
    Audio,
    Command,
    Commit,
    CorrectionMade,
    SessionCreated,
    SessionReady,
    SessionStart,
    SpeechStarted,
    SpeechStopped,
    Start,
    Stop,
    TranscriptFinal,
    TranscriptPartial,
    Warned,
    WordHeard,
)
from voxgate.protocols.realtime import parse_message, read, text_of, with_defaults
from voxgate.protocols.sockets import closed_message

_PER_MS = SPEECH_RATE // 1000
_WHITE = str.maketrans("", "", " \t\r\n")


class State(StrEnum):
    """Where a session stands."""

    CREATED = "created"
    """Connected; `session.start` is awaited."""
    STARTED = "started"
    """Audio is heard."""
    STOPPED = "stopped"
    """What is pending is told, and nothing else is listened to."""


class LiveSession:
    """The table above, and the words for what happens."""

    def __init__(self, session_id: str, *, hint_characters: int, defaults: Mapping[str, Any] | None = None) -> None:
        """`hint_characters`: the longest `hint_text`, `limits.prompt_characters`. `defaults`: of the fields that
        `session.start` leaves out."""
        self.id = session_id
        self._defaults = defaults or {}
        self.state = State.CREATED
        self._hint_characters = hint_characters
        self._speech_events = True
        self._words = False

    def receive(self, raw: str | bytes) -> Command:
        """What a message asks for: a text frame, or a binary one, which is audio.

        Raises PeerError: `invalid_json`, `missing_field`, `invalid_value` (with the field), `invalid_audio`,
        `session_not_started`, `session_already_started`.
        """
        if isinstance(raw, bytes):
            self._check_started("audio")
            return Audio(raw)
        message = parse_message(raw, CLIENT_MESSAGES)
        match message["type"]:
            case "audio.append":
                data = _audio(message)
                self._check_started("audio.append")
                return Audio(data)
            case "session.start":
                return self._start(message)
            case "audio.commit":
                self._check_started("audio.commit")
                return Commit()
            case _:
                if self.state is State.STOPPED:
                    self._check_started("session.stop")
                self.state = State.STOPPED
                return Stop()

    def refused(self) -> None:
        """The last `Start` could not be carried out: another may come."""
        if self.state is not State.STARTED:
            raise MisuseError(f"a session that is {self.state} has no start to take back")
        self.state = State.CREATED

    def created(self, supported_models: list[str]) -> str:
        """`session.created`."""
        return text_of(SessionCreated(type="session.created", sessionId=self.id, supported_models=supported_models))

    def ready(self) -> str:
        """`session.ready`."""
        return text_of(SessionReady(type="session.ready", sessionId=self.id))

    def told(self, event: LiveEvent) -> str | None:
        """An event as it is sent; None where the client did not ask for its kind."""
        match event:
            case PartialHeard():
                return text_of(_partial(event))
            case FinalHeard():
                return text_of(_final(event, words=self._words))
            case SpeechEdge():
                return self._edge(event)
            case LanguageContradicted(guess):
                return text_of(_warning(guess))

    def closed(self, heard: int, credits_used: str) -> str:
        """`session.closed`. `heard`: samples at SPEECH_RATE; a begun millisecond counts, as in the usage record."""
        return closed_message(self.id, -(-heard // _PER_MS), credits_used)

    def _start(self, message: dict[str, Any]) -> Start:
        whole = with_defaults(message, self._defaults, keep_null=NULL_SAYS_SOMETHING)
        options = read(SessionStart, whole, keep_null=NULL_SAYS_SOMETHING)
        if len(options.hint_text) > self._hint_characters:
            raise PeerError(
                f"'hint_text' has {len(options.hint_text):,} characters; at most {self._hint_characters:,} are allowed "
                "(limits.prompt_characters)",
                param="hint_text",
            )
        if self.state is State.STARTED:
            raise PeerError("the session was started before", code=Code.SESSION_ALREADY_STARTED)
        if self.state is State.STOPPED:
            self._check_started("session.start")
        self.state = State.STARTED
        self._speech_events, self._words = options.speech_events, options.words
        return Start(options)

    def _check_started(self, what: str) -> None:
        if self.state is State.CREATED:
            raise PeerError(f"{what} came before session.start", code=Code.SESSION_NOT_STARTED)
        if self.state is State.STOPPED:
            raise PeerError(f"{what} came after session.stop", code=Code.SESSION_NOT_STARTED)

    def _edge(self, edge: SpeechEdge) -> str | None:
        if not self._speech_events:
            return None
        at = edge.at // _PER_MS
        if edge.started:
            return text_of(SpeechStarted(type="input.speech_started", timestampMs=at))
        return text_of(SpeechStopped(type="input.speech_stopped", timestampMs=at))


def _audio(message: dict[str, Any]) -> bytes:
    """The bytes of an `audio.append`. Written by hand: fifty a second come from every session."""
    encoded = message.get("audio")
    if not isinstance(encoded, str):
        if encoded is None:
            raise PeerError("'audio' is required", code=Code.MISSING_FIELD, param="audio")
        raise PeerError("'audio': input should be a string", param="audio")
    try:
        return binascii.a2b_base64(encoded, strict_mode=True)
    except ValueError:
        pass
    try:  # MIME's base64, which some encoders write by default, has line breaks
        return binascii.a2b_base64(encoded.translate(_WHITE), strict_mode=True)
    except ValueError:
        raise PeerError("'audio' is not base64", code=Code.INVALID_AUDIO, param="audio") from None


def _segment_id(number: int) -> str:
    return f"seg_{number + 1}"


def _partial(event: PartialHeard) -> TranscriptPartial:
    return TranscriptPartial(
        type="transcript.partial",
        text=event.text,
        isFinal=False,
        timestampMs=event.end // _PER_MS,
        segmentId=_segment_id(event.segment),
        startMs=event.start // _PER_MS,
        language=event.language,
    )


def _final(event: FinalHeard, *, words: bool) -> TranscriptFinal:
    heard = event.heard
    final = TranscriptFinal(
        type="transcript.final",
        text=heard.text,
        raw_text=heard.raw,
        isFinal=True,
        timestampMs=heard.end // _PER_MS,
        corrections=[_correction(made) for made in heard.corrections],
        segmentId=_segment_id(event.segment),
        startMs=heard.start // _PER_MS,
        language=heard.language,
    )
    if words:
        final["words"] = [_word(word) for word in heard.words]
    return final


def _correction(made: Correction) -> CorrectionMade:
    return CorrectionMade(
        original=made.original, corrected=made.corrected, start=made.start, end=made.end, type=made.type
    )


def _warning(guess: Guess) -> Warned:
    sure = round(guess.probability, 3)
    return Warned(type="warning", code="LANGUAGE_MISMATCH", detected=guess.language, confidence=sure)


def _word(word: Word) -> WordHeard:
    sure = None if word.confidence is None else round(word.confidence, 3)
    return WordHeard(word=word.text, startMs=word.start // _PER_MS, endMs=word.end // _PER_MS, confidence=sure)

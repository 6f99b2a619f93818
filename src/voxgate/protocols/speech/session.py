"""One session of the speech socket: what each message asks for where the session stands, and what is answered. Pure.

    message             CREATED                 STARTED                 STOPPING
    session.start       Start                   error                   error
    speech.create       error                   Create                  error
    speech.append       error                   Create or Append        error
    speech.commit       error                   Commit                  error
    speak               Start, Create           Create                  error
    speech.cancel       error: nothing          Cancel, or nothing      Cancel, or nothing
    session.stop        Stop                    Stop                    (nothing to do)

`receive` only reads: a message that is wrong, or refused further in, leaves the session as it was. Whoever carries the
commands out says so (`ready`, `queued`, `appended` …), which moves the session on and gives what the client is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import orjson

from voxgate.audio.codecs.formats import parse_format
from voxgate.errors import Code, PeerError, RefusedError
from voxgate.protocols.realtime import parse_message, read, text_of, with_defaults
from voxgate.protocols.sockets import closed_message
from voxgate.protocols.speech.messages import (
    CLIENT_MESSAGES,
    Append,
    Cancel,
    Command,
    Commit,
    Create,
    SessionCreated,
    SessionReady,
    SessionStart,
    SessionStop,
    Speak,
    SpeechAppend,
    SpeechCancel,
    SpeechCancelled,
    SpeechCommit,
    SpeechCreate,
    SpeechFinished,
    SpeechStarted,
    Start,
    Stop,
)


class State(StrEnum):
    """Where a session stands."""

    CREATED = "created"
    STARTED = "started"
    STOPPING = "stopping"


@dataclass(slots=True)
class _Speech:
    """One that waits or is spoken."""

    characters: int
    complete: bool


class SpeechSession:
    """The table above, with the speeches that are alive, oldest first."""

    def __init__(
        self, session_id: str, *, input_characters: int, queue: int, defaults: Mapping[str, Any] | None = None
    ) -> None:
        """`input_characters`: longest text of one speech. `queue`: how many may wait behind the one that is spoken.

        `defaults`: of the fields that `session.start` leaves out, or all of them where `speak` starts the session.
        """
        self.id = session_id
        self._defaults = defaults or {}
        self.state = State.CREATED
        self._input_characters = input_characters
        self._queue = queue
        self._speeches: dict[str, _Speech] = {}
        self._made = 0

    @property
    def open_speech(self) -> str | None:
        """The speech whose text is still being written."""
        return next((name for name, speech in self._speeches.items() if not speech.complete), None)

    def receive(self, raw: str | bytes) -> list[Command]:
        """What a message asks for, in order. Raises PeerError, RefusedError `rate_limited` (too many wait)."""
        if isinstance(raw, bytes):
            raise PeerError("this socket takes text messages; a binary one means nothing here")
        fields = parse_message(raw, CLIENT_MESSAGES)
        if fields["type"] == "session.start":
            fields = with_defaults(fields, self._defaults)
        message = read(CLIENT_MESSAGES[fields["type"]], fields)
        if isinstance(message, SessionStop):
            return [] if self.state is State.STOPPING else [Stop()]
        if isinstance(message, SpeechCancel):
            return [self._cancel(message)]
        if self.state is State.STOPPING:
            raise PeerError("the session is stopping: after session.stop only speech.cancel is heard", param="type")
        if isinstance(message, SessionStart):
            return [self._start(message)]
        if isinstance(message, Speak):
            return self._speak(message)
        if self.state is State.CREATED:
            raise PeerError("send session.start first", code=Code.SESSION_NOT_STARTED, param="type")
        if isinstance(message, SpeechCreate):
            return [self._create(message.speechId, message.input, param="input")]
        if isinstance(message, SpeechAppend):
            return [self._append(message)]
        assert isinstance(message, SpeechCommit)
        return [Commit(self._open_speech(message.speechId))]

    # what has become of it

    def created(self, models: list[str], voices: list[str], languages: list[str]) -> str:
        """The session exists; these are what it can be started with."""
        return text_of(
            SessionCreated(
                type="session.created",
                sessionId=self.id,
                supportedModels=models,
                supportedVoices=voices,
                supportedLanguages=languages,
            )
        )

    def ready(self, model: str) -> str:
        """It was started."""
        self.state = State.STARTED
        return text_of(SessionReady(type="session.ready", sessionId=self.id, model=model))

    def queued(self, speech: Create) -> None:
        """A speech waits for its turn."""
        self._speeches[speech.speech_id] = _Speech(len(speech.text), speech.complete)

    def appended(self, more: Append) -> None:
        """Its text has grown."""
        self._speeches[more.speech_id].characters += len(more.text)

    def committed(self, speech_id: str) -> None:
        """Its text is complete."""
        self._speeches[speech_id].complete = True

    def stopping(self) -> None:
        """Nothing new is taken from here on."""
        self.state = State.STOPPING

    def started(self, speech_id: str) -> str:
        """Its turn has come."""
        return text_of(SpeechStarted(type="speech.started", sessionId=self.id, speechId=speech_id))

    def finished(self, speech_id: str, duration_ms: int, credits_used: str) -> str:
        """All of it was sent."""
        del self._speeches[speech_id]
        return text_of(
            SpeechFinished(
                type="speech.finished",
                sessionId=self.id,
                speechId=speech_id,
                durationMs=duration_ms,
                creditsUsed=orjson.Fragment(credits_used),
            )
        )

    def cancelled(self, speech_id: str, duration_ms: int, credits_used: str) -> str:
        """It was broken off after so much."""
        del self._speeches[speech_id]
        return text_of(
            SpeechCancelled(
                type="speech.cancelled",
                sessionId=self.id,
                speechId=speech_id,
                durationMs=duration_ms,
                creditsUsed=orjson.Fragment(credits_used),
            )
        )

    def closed(self, duration_ms: int, credits_used: str) -> str:
        """It is over."""
        return closed_message(self.id, duration_ms, credits_used)

    # what a message asks for

    def _start(self, message: SessionStart) -> Start:
        if self.state is not State.CREATED:
            raise PeerError("the session was started before", code=Code.SESSION_ALREADY_STARTED, param="type")
        parse_format(message.response_format)
        return Start(message)

    def _speak(self, message: Speak) -> list[Command]:
        if message.audio_format is not None:
            parse_format(message.audio_format, param="audio_format")
        speech = self._create(None, message.text, param="text")
        if self.state is State.STARTED:
            return [replace(speech, voice=message.voice, response_format=message.audio_format)]
        options = read(SessionStart, self._defaults)
        changes = {"voice": message.voice, "response_format": message.audio_format}
        return [Start(options.model_copy(update={k: v for k, v in changes.items() if v is not None})), speech]

    def _create(self, speech_id: str | None, text: str, *, param: str, complete: bool = True) -> Create:
        if speech_id in self._speeches:
            raise PeerError("'speechId': a speech of this name is not over yet", param="speechId")
        if len(self._speeches) > self._queue:
            raise RefusedError(
                f"{self._queue:,} texts wait to be spoken, as many as may (limits.speech_queue)",
                code=Code.RATE_LIMITED,
                param=param,
            )
        self._check_length(len(text), param)
        return Create(speech_id or self._name(), text, complete)

    def _append(self, message: SpeechAppend) -> Create | Append:
        if self.open_speech is None:
            return self._create(message.speechId, message.text, param="text", complete=False)
        name = self._open_speech(message.speechId)
        self._check_length(self._speeches[name].characters + len(message.text), "text")
        return Append(name, message.text)

    def _cancel(self, message: SpeechCancel) -> Cancel:
        if message.speechId is not None and message.speechId not in self._speeches:
            raise PeerError(
                "'speechId': no such speech waits or is spoken", code=Code.NOTHING_TO_CANCEL, param="speechId"
            )
        if not self._speeches:
            raise PeerError("nothing is spoken, and nothing waits", code=Code.NOTHING_TO_CANCEL)
        return Cancel(tuple(self._speeches) if message.speechId is None else (message.speechId,))

    def _open_speech(self, named: str | None) -> str:
        """The speech whose text is being written, which must be the one that is named. Raises PeerError."""
        name = self.open_speech
        if name is None:
            raise PeerError("no text is being written: speech.append begins one", param="type")
        if named is not None and named != name:
            raise PeerError("'speechId': the text of another speech is being written", param="speechId")
        return name

    def _check_length(self, characters: int, param: str) -> None:
        if characters > self._input_characters:
            raise PeerError(
                f"'{param}': a speech of {characters:,} characters; at most {self._input_characters:,} are allowed "
                "(limits.speech_input_characters)",
                code=Code.INPUT_TOO_LONG,
                param=param,
            )

    def _name(self) -> str:
        """A name for a speech, which no other one has that is alive."""
        while True:
            self._made += 1
            if (name := f"speech_{self._made}") not in self._speeches:
                return name

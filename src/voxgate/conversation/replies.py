"""The bot's side of a call: replies begun, on a guess or for good, told and played as they are made, and ended.

At most one lives. What it is to say depends on its purpose: an answer of the model, the rest of a reply that a noise
cut off, or a sentence of our own.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from voxgate import calls
from voxgate.calls import CallRequest, Outcome
from voxgate.clock import Clock
from voxgate.conversation.ahead import ReadingAhead
from voxgate.conversation.call_clock import CallClock
from voxgate.conversation.echo import EchoGuard
from voxgate.conversation.exchange import Exchange, Telling
from voxgate.conversation.floor import Floor
from voxgate.conversation.history import History
from voxgate.conversation.latency import HeardAt
from voxgate.conversation.live import Timers
from voxgate.conversation.parts import Parts
from voxgate.conversation.person import Person
from voxgate.conversation.player import Player
from voxgate.conversation.playout import Chunk, Playout, PlayoutMode, PlayoutSettings
from voxgate.conversation.reply import Reply, Saying, Voicing
from voxgate.conversation.turn_table import Act, Kind, Purpose
from voxgate.conversation.turns import Do
from voxgate.domain import SPEECH_RATE, Word
from voxgate.errors import MisuseError, VoxgateError
from voxgate.languages import parse, serving
from voxgate.text.phrases import Phrase, phrase

_OUTCOMES = {Outcome.HEARD: "reply_heard", Outcome.CUT: "reply_cut", Outcome.FAILED: "reply_failed"}
"""What is counted of each reply that was told."""
_STAGES = {
    "endpointing": "turn_endpointing",
    "stt_final": "turn_stt_final",
    "first_token": "turn_first_token",
    "first_clause": "turn_first_clause",
    "first_audio": "turn_first_audio",
    "wire": "turn_wire",
}
"""Field of calls.Latency -> stage in the metrics."""


class Replies:
    """Carries out what the turn table wants of replies, and `reply.Listening`."""

    def __init__(
        self,
        request: CallRequest,
        parts: Parts,
        floor: Floor,
        person: Person,
        history: History,
        *,
        guard: EchoGuard | None,
        send: Callable[[calls.CallOutput], None],
        spawn: Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"],
        timers: Timers,
        call_clock: CallClock,
        clock: Clock,
    ) -> None:
        self.announcement = Phrase.APOLOGY
        """What is said next for Purpose.ANNOUNCEMENT."""
        self._request, self._parts, self._floor, self._person = request, parts, floor, person
        self._history, self._guard = history, guard
        self._send, self._spawn, self._timers, self._clock = send, spawn, timers, clock
        self._call_clock = call_clock
        self._player = Player(timers, request.rate, due=self._send_chunk, played_out=self._played_out)
        self._ahead = ReadingAhead(parts.thinking, parts.load, spawn=spawn, metrics=parts.metrics)
        self._telling: Telling | None = None  # the reply that lives, or lived last
        self._captioned = ""  # what was told last of the reply that is heard
        self._error: VoxgateError | None = None

    def close(self) -> None:
        """The call is over. Idempotent."""
        self._player.stop()
        self._ahead.stop()
        if self._telling is not None:
            self._telling.reply.cancel()

    def read_ahead(self) -> None:
        """Nothing is being said: the model may read what the next question begins with."""
        if self._floor.standing.reply is None:
            language = self._instructed(self._voicing(Purpose.ANSWER))
            self._ahead.begin(self._history.messages(language=language))

    def played(self, number: int, samples: int) -> None:
        """The client says how much of a reply it has played."""
        if (telling := self._told(number)) is not None:
            telling.reply.playout.report(samples, self._player.now)
            self._player.wake()

    def on_wire(self, number: int, at: float) -> None:
        """The first audio of a reply went to the network, in seconds on the loop's clock."""
        if (telling := self._told(number)) is not None:
            telling.reply.made.sent = at

    def carry_out(self, do: Do) -> None:
        """One action about the reply."""
        match do.act:
            case Act.START_REPLY:
                self._start(self._prepare(do, None), self._person.exchange)
                self._person.judge_from_now()
                return
            case Act.PREPARE_REPLY:
                turn = self._person.turn
                assert turn is not None
                self._prepare(do, turn.guess)
                return
            case Act.TELL_ERROR:
                assert self._error is not None
                self._send(calls.CallProblem(self._error))
                return
        telling = self._alive(do.number)
        reply, number = telling.reply, do.number
        match do.act:
            case Act.RELEASE_REPLY:
                self._parts.metrics.count("guess_used", engine="agent")
                self._start(telling, self._person.exchange)
            case Act.DISCARD_REPLY:
                self._parts.metrics.count("guess_discarded", engine="agent")
                self._parts.metrics.count("guess_tokens", engine="agent", times=reply.tokens)
                reply.cancel()
                self._person.discarded()
            case Act.CANCEL_REPLY:
                reply.cancel()
            case Act.CUT_HISTORY:
                heard = reply.playout.stop(self._player.now)
                telling.spoken = self._history.cut(number, heard)
                self._end(telling, Outcome.CUT, heard)
            case Act.FAIL_REPLY:
                reply.cancel()
                heard = reply.playout.sent  # it plays on
                telling.spoken = self._history.cut(number, heard)
                self._end(telling, Outcome.FAILED, heard)
            case Act.KEEP_REPLY:
                self._history.keep(number)
                telling.spoken = reply.script.text.strip()
                self._show(reply, None)
                self._end(telling, Outcome.HEARD, reply.playout.sent)
            case Act.HOLD_PLAYOUT:
                telling.suspected += not self._floor.standing.paused
                reply.playout.hold()
            case Act.RESUME_PLAYOUT:
                reply.playout.resume()
                self._floor.afterwards(self._player.wake)
            case Act.TELL_RESPONSE:
                self._send(calls.ReplyWhole(number, reply.script.text, interrupted=False, language=reply.language))
            case Act.TELL_RESPONSE_CUT:
                self._send(calls.ReplyWhole(number, reply.script.text, interrupted=True, language=reply.language))
            case Act.TELL_INTERRUPTED:
                self._send(calls.ReplyInterrupted(number, telling.spoken))
            case Act.TELL_AUDIO_END:
                self._send(calls.AudioEnd(number, reply.playout.chunks))
                if telling.answers:
                    self._send(calls.LatencyOut(number, telling.latency()))
            case _:
                raise MisuseError(f"nobody carries out {do.act}")

    # making one

    def _prepare(self, do: Do, guess: str | None) -> Telling:
        """Begin to make a reply; nobody is told."""
        assert do.purpose is not None
        settings = PlayoutSettings(mode=PlayoutMode.PIECES if self._request.pieces else PlayoutMode.STREAM)
        now = self._player.now
        before = self._telling.reply.playout if self._telling is not None else None
        voicing = self._voicing(do.purpose)
        saying = self._saying(do.purpose, voicing, guess)
        if saying.text is None:
            self._ahead.stop()
        reply = Reply(
            do.number,
            do.purpose,
            saying,
            thinking=self._parts.thinking,
            voicing=voicing,
            playout=Playout(settings, self._request.rate, begins_at=before.ends_at(now) if before else now),
            rate=self._request.rate,
            timers=self._timers,
            load=self._parts.load,
            told=self,
            images=self._request.images,
        )
        nothing = Exchange(HeardAt(self._timers.time()), self._clock.now(), self._floor.standing.turn)
        self._telling = Telling(reply, nothing, guessed=guess is not None)
        reply.task = self._spawn(reply.make())
        return self._telling

    def _start(self, telling: Telling, exchange: Exchange | None) -> None:
        """From now on the reply is told and played."""
        reply = telling.reply
        telling.released = True
        if exchange is not None and reply.purpose is Purpose.ANSWER:
            telling.exchange, self._person.exchange = exchange, None
        self._history.answer(reply.number, reply.script)
        if reply.script.text:
            self._send(calls.ReplyText(reply.number, reply.script.text))
        self._floor.afterwards(lambda: self._player.play(reply.playout) if self._told(reply.number) else None)

    def _saying(self, purpose: Purpose, voicing: Voicing, guess: str | None) -> Saying:
        match purpose:
            case Purpose.GREETING:
                return Saying(self._request.greeting)
            case Purpose.ANNOUNCEMENT:
                return Saying(phrase(self.announcement, voicing.language)[0])
            case Purpose.APOLOGY:
                return Saying(phrase(Phrase.APOLOGY, voicing.language)[0])
        rest = self._history.rest() if purpose is Purpose.GO_ON else None
        if purpose is Purpose.ASK_AGAIN or rest == "":
            return Saying(phrase(Phrase.ASK_AGAIN, voicing.language)[0])
        if rest is not None:
            return Saying(rest)
        language = self._instructed(voicing)
        messages = self._history.messages(language=language, guess=guess, go_on=purpose is Purpose.GO_ON)
        return Saying(messages=messages)

    def _instructed(self, voicing: Voicing) -> str | None:
        """The language the model is told to answer in; None where it will by itself, answering what was said in it."""
        spoken = self._person.turn.language if self._person.turn is not None else self._person.language
        if self._request.language is None and parse(spoken).base == parse(voicing.language).base:
            return None
        return self._request.language or voicing.language

    def _voicing(self, purpose: Purpose) -> Voicing:
        """How a reply is spoken: in the language asked for, else in the one that was spoken last."""
        turn, voices = self._person.turn, self._parts.voices
        language = turn.language if turn is not None and purpose is Purpose.ANSWER else self._person.language
        tag = serving(parse(self._request.language or language), voices)
        return voices[tag or self._parts.spoken]

    # what is told of it; see reply.Listening

    def wrote(self, reply: Reply, text: str) -> None:
        """Its next text."""
        if (telling := self._told(reply.number)) is None:
            return
        if telling.released:
            self._send(calls.ReplyText(reply.number, text))
        if reply.script.text == text:
            self._floor.happen(Kind.REPLY_TEXT, reply.number)

    def written(self, reply: Reply) -> None:
        """Its text is whole."""
        self._floor.happen(Kind.REPLY_COMPLETE, reply.number)

    def voiced(self, reply: Reply) -> None:
        """There is more to play."""
        telling = self._told(reply.number)
        if telling is not None and telling.released:
            self._player.wake()

    def failed(self, reply: Reply, error: VoxgateError) -> None:
        """It cannot be finished."""
        if self._told(reply.number) is not None:
            self._error = error
            self._floor.happen(Kind.REPLY_FAILED, reply.number)

    def _told(self, number: int) -> Telling | None:
        """The reply with this number, if it lives."""
        reply, telling = self._floor.standing.reply, self._telling
        alive = reply is not None and reply.number == number
        return telling if alive and telling is not None and telling.reply.number == number else None

    def _alive(self, number: int) -> Telling:
        """The reply that an action is about: it lives, or ends in this step."""
        assert self._telling is not None
        assert self._telling.reply.number == number
        return self._telling

    def _send_chunk(self, chunk: Chunk) -> None:
        assert self._telling is not None
        reply, now = self._telling.reply, self._timers.time()
        if chunk.index == 0:
            reply.made.sent = now
        if self._guard is not None:
            self._remember(chunk, reply)
        self._send(calls.AudioOut(reply.number, chunk.index, chunk.samples, self._request.rate))
        self._show(reply, chunk.start + len(chunk.samples))
        if self._request.captions:
            self._caption(reply, reply.script.heard(chunk.start + len(chunk.samples)))
        reply.sent()
        if chunk.index == 0:
            self._floor.happen(Kind.PLAYOUT_STARTED, reply.number)

    def _show(self, reply: Reply, sent: int | None) -> None:
        for key in reply.shown(sent):
            self._send(calls.ImageOut(reply.number, key))

    def _caption(self, reply: Reply, text: str, *, final: bool = False) -> None:
        before, self._captioned = self._captioned, "" if final else text
        if (text or before) if final else text != before:
            self._send(calls.SpokenOut(reply.number, text, final))

    def _remember(self, chunk: Chunk, reply: Reply) -> None:
        """What the client's microphone may hear of it, on the call's clock."""
        assert self._guard is not None
        rate, end = self._request.rate, chunk.start + len(chunk.samples)
        plays_at = (
            self._call_clock.now + (reply.playout.ends_at(self._player.now) - self._player.now) * SPEECH_RATE // rate
        )

        def at(sample: int) -> int:
            return plays_at - (end - sample) * SPEECH_RATE // rate

        words = reply.script.words_heard(chunk.start, end)
        self._guard.played(Word(w.text, at(w.start), at(w.end)) for w in words if w.start >= chunk.start)

    def _played_out(self) -> None:
        self._floor.happen(Kind.PLAYED_OUT)

    def _end(self, telling: Telling, outcome: Outcome, heard: int) -> None:
        """A reply that was told of is over."""
        self._player.stop()
        self._person.reply_over()
        if self._request.captions:
            self._caption(telling.reply, telling.spoken, final=True)
        self._floor.afterwards(self.read_ahead)
        metrics, latency = self._parts.metrics, telling.latency()
        metrics.count(_OUTCOMES[outcome], engine="agent")
        if telling.answers:
            for field, name in _STAGES.items():
                stage = getattr(latency, field)
                if stage is not None:
                    metrics.observe(name, stage.ms / 1000, engine="agent")
            if latency.total_ms is not None:
                metrics.observe("turn_total", latency.total_ms / 1000, engine="agent")
        record = telling.record(self._request.call, outcome, heard, self._request.rate)
        for observer in self._parts.observers:
            observer.turn(record)

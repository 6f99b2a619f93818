"""The person's side of a call: what the ears and the cues say becomes events of the turn table.

One `Turn` at a time. What it says comes as partials; in a pause the recognizer settles on what the final would be, and
the turn detector is asked how it sounds. Both decide how long the pause must last (endpointing.py), and whether a reply
is begun on a guess (speculation.py).
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from voxgate.calls import CallOutput, CallProblem, SpeechOut, TranscriptOut
from voxgate.clock import Clock
from voxgate.conversation.call_clock import CallClock
from voxgate.conversation.cues import Cues
from voxgate.conversation.echo import EchoGuard
from voxgate.conversation.endpointing import COUNTED_ENDS
from voxgate.conversation.exchange import Exchange, Turn
from voxgate.conversation.floor import Floor
from voxgate.conversation.interruption import COUNTED, Judge
from voxgate.conversation.latency import HeardAt
from voxgate.conversation.listener import Listener
from voxgate.conversation.live import Timer, Timers
from voxgate.conversation.speculation import Speculation
from voxgate.conversation.turn_table import OVER, REPLYING, TALKING, EndedBy, Kind, State
from voxgate.domain import SPEECH_RATE, FileSegment, Samples
from voxgate.errors import VoxgateError
from voxgate.ports import Metrics
from voxgate.text.phrases import Phrase
from voxgate.text.words import comparable, same_words

_BLIP = 2
"""Windows of speech in a row that refute a guess: as many as it takes to begin speech (EndpointSettings)."""


class Person:
    """Carries out `listener.Hearer`."""

    def __init__(
        self,
        floor: Floor,
        *,
        cues: Cues,
        judge: Judge,
        guard: EchoGuard | None,
        speculation: Speculation,
        stall_s: float,
        lapse_s: float,
        language: str,
        send: Callable[[CallOutput], None],
        announce: Callable[[Phrase], None],
        timers: Timers,
        call_clock: CallClock,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """`stall_s`, `lapse_s`: seconds without audio, and without words. `language`: until one is known."""
        self.listener: Listener
        self.turn: Turn | None = None
        self.language = language
        """Of the last turn."""
        self.exchange: Exchange | None = None
        """What was said since the reply before; None: nothing."""
        self._floor, self._cues, self._judge, self._guard = floor, cues, judge, guard
        self._speculation = speculation
        self._stall_s, self._lapse_s = stall_s, lapse_s
        self._send, self._announce = send, announce
        self._timers, self._clock, self._metrics = timers, clock, metrics
        self._call_clock = call_clock
        self._started = 0  # where the last speech began, in samples since the call began
        self._heard_at = timers.time()  # when audio came last
        self._stall: Timer | None = None
        self._lapse: Timer | None = None

    def go_on(self) -> None:
        """The call is paused no more: audio that did not come meanwhile is no stall."""
        self._heard_at = self._timers.time()

    # what is heard

    async def hear(self, audio: Samples) -> None:
        """Audio of the caller, while the call listens."""
        self._heard_at = self._timers.time()
        await self.listener.feed(audio)

    def edge(self, started: bool, at: int, pause: int) -> None:
        """See Hearer."""
        self._send(SpeechOut(started, at))
        if not self._floor.standing.hears:
            return
        if not started:
            self._floor.happen(Kind.SPEECH_ENDED)
            if self._floor.state in TALKING - REPLYING:
                self._cues.ask(self.listener.pause, self.listener.recent, self._sounds)
            return
        if self._floor.state in TALKING | OVER:
            self._cues.goes_on(pause)
            if self.turn is not None:
                self.turn.paused, self.turn.tried = False, None
        self._started = at
        self._floor.happen(Kind.SPEECH_STARTED)
        self.judge_from_now()

    def window(self, speech: bool, samples: int) -> None:
        """See Hearer."""
        if not self._floor.standing.hears:
            return
        turn = self.turn
        if turn is not None:
            turn.run = turn.run + 1 if speech else 0
            if turn.run == _BLIP and turn.settled is not None:
                self._unsettle(turn)
        for kind in self._judge.window(speech, samples, self._call_clock.now):
            self._verdict(kind)
        self._lapsed()
        self._check_end()
        if self._stall is None and self._floor.state in TALKING:
            self._stall = self._timers.call_later(self._stall_s, self._stalled)

    def partial(self, text: str, language: str, *, settled: bool) -> None:
        """See Hearer."""
        turn = self.turn
        if turn is None or self._floor.state not in TALKING:
            return
        turn.language = language
        raw = turn.written(text)
        if self._floor.state is State.PREPARING and turn.guess is not None and not same_words(raw, turn.guess):
            self._floor.happen(Kind.GUESS_REFUTED)
        shown = turn.text(text)
        if shown != turn.shown:
            turn.shown = shown
            self._floor.happen(Kind.WORDS)
        if settled and turn.run < _BLIP:
            turn.settled, turn.settled_at = raw, self._timers.time()
            self._so_far(turn)

    def final(self, turn: int | None, heard: FileSegment) -> None:
        """See Hearer."""
        open_ = self.turn
        if open_ is None or turn != open_.number:
            return
        open_.awaited -= 1
        open_.language = heard.language
        open_.unclear = heard.unclear
        open_.said.append((heard.text, heard.language))
        open_.raw.append((heard.raw, heard.language))
        if open_.awaited == 0 and self._floor.state in OVER:
            self._decide(open_)

    def deafened(self, error: VoxgateError) -> None:
        """See Hearer."""
        self._metrics.count("hearing_failed", engine="agent")
        self._send(CallProblem(error))
        turn, state = self.turn, self._floor.state
        if turn is None or state not in TALKING | OVER:
            return
        turn.awaited = 0
        if state in REPLYING:
            self._floor.happen(Kind.DISMISSED)
            return
        if state in TALKING:
            if self._floor.standing.paused:
                return  # the client will say more after the pause
            self._floor.happen(Kind.TURN_ENDED, by=EndedBy.STALL)
            self.listener.forget()
        self._floor.happen(Kind.FINAL_EMPTY)
        if self._floor.state is State.LISTENING:
            self._announce(Phrase.APOLOGY)

    # what the turn table wants

    def open_turn(self, number: int) -> None:
        """Act.OPEN_TURN"""
        self.turn = Turn(number, self._started, self.language)
        self._cues.begin()
        self._speculation.begin()
        self.listener.begin()

    def hear_so_far(self) -> None:
        """Act.HEAR_SO_FAR"""
        turn = self._open()
        turn.paused = True
        if turn.settled is not None:
            self._so_far(turn)

    def finish_turn(self, by: EndedBy | None) -> None:
        """Act.FINISH_TURN"""
        turn, now = self._open(), self._timers.time()
        silent = (self.listener.received - self.listener.voiced_until) / SPEECH_RATE
        turn.at = HeardAt(min(now, self._heard_at) - max(0.0, silent), now)
        turn.by = by
        turn.speech = max(0, self.listener.voiced_until - turn.start)
        turn.awaited += 1
        self._cues.over()
        assert by is not None
        self._metrics.count(COUNTED_ENDS[by], engine="agent")
        self.listener.finish(turn.number)
        self._disarm()
        if by is EndedBy.CONTROL:
            self.listener.end_speech()

    def reopen_turn(self) -> None:
        """Act.REOPEN_TURN"""
        turn = self._open()
        turn.settled, turn.guess, turn.at, turn.paused = None, None, None, False
        self.listener.begin()

    def keep_turn(self) -> str:
        """Act.KEEP_TURN: what was said."""
        turn = self._open()
        text = turn.text()
        self._send(TranscriptOut(turn.number, text, final=True, language=turn.language))
        assert turn.at is not None
        silent = timedelta(seconds=self._timers.time() - turn.at.ended)
        exchange = self._say(text, turn.number, turn.language, turn.at, self._clock.now() - silent)
        exchange.by, exchange.speech, exchange.discarded = turn.by, turn.speech, turn.discarded
        self._close()
        return text

    def drop_turn(self) -> None:
        """Act.DROP_TURN"""
        turn = self._open()
        if turn.told:
            self._send(TranscriptOut(turn.number, "", final=True, language=turn.language))
        if turn.at is None:
            self.listener.finish(None)
        self._judge.close()
        self._close()

    def keep_typed(self, text: str, number: int, language: str) -> None:
        """Act.KEEP_TYPED"""
        exchange = self._say(text, number, language, HeardAt(self._timers.time()), self._clock.now())
        exchange.by = EndedBy.TYPED

    def tell_words(self) -> None:
        """Act.TELL_WORDS"""
        turn = self._open()
        turn.told = True
        self._send(TranscriptOut(turn.number, turn.shown, final=False, language=turn.language))

    def judge_words(self) -> None:
        """Act.JUDGE_WORDS"""
        turn = self._open()
        for kind in self._judge.words(turn.shown, turn.language, self._call_clock.now):
            self._verdict(kind)

    def discarded(self) -> None:
        """Act.DISCARD_REPLY"""
        if self.turn is not None:
            self.turn.guess = None
            self.turn.discarded += 1

    def judge_from_now(self) -> None:
        """A reply lives while a turn is open: since now, or since one of them began."""
        standing = self._floor.standing
        if standing.reply is not None and standing.state in TALKING & REPLYING:
            self._judge.begin(self._call_clock.now, speaking=standing.reply.played)
            self._watch_lapse()

    def reply_over(self) -> None:
        """There is no reply to interrupt any more."""
        self._judge.close()

    def close(self) -> None:
        """The call is over."""
        self._disarm()
        if self._lapse is not None:
            self._lapse.cancel()
            self._lapse = None

    def recording_ended(self) -> None:
        """No more audio comes for now: a turn that is open is over."""
        if not self._floor.standing.hears:
            return
        self.listener.end_speech()
        if self._floor.state in TALKING:
            self._floor.happen(Kind.TURN_ENDED, by=EndedBy.STALL)

    # inside

    def _open(self) -> Turn:
        assert self.turn is not None
        return self.turn

    def _close(self) -> None:
        self.language = self._open().language
        self.turn = None
        self._disarm()

    def _say(self, text: str, number: int, language: str, at: HeardAt, ended: Any) -> Exchange:
        if self.exchange is None:
            self.exchange = Exchange(at, ended)
        exchange = self.exchange
        exchange.at, exchange.ended_at, exchange.turn, exchange.language = at, ended, number, language
        exchange.said.append(text)
        self.language = language
        return exchange

    def _so_far(self, turn: Turn) -> None:
        """What the turn says so far is known, and nobody speaks."""
        assert turn.settled is not None
        if self._floor.state in REPLYING:
            if turn.paused:
                for kind in self._judge.heard_out(turn.settled, turn.language, self._call_clock.now):
                    self._verdict(kind)
            if turn is not self.turn or self._floor.state is not State.HEARING:
                return
        self._cues.words(turn.settled, turn.language)
        self._guess(turn)
        self._check_end()

    def _guess(self, turn: Turn) -> None:
        if turn.settled in {None, turn.guess, turn.tried} or not comparable(turn.settled or ""):
            return
        standing = self._floor.standing
        if standing.state is not State.HEARING or standing.paused:
            return
        if self._speculation.may(sounds_complete=self._cues.sounds_complete):
            turn.guess = turn.tried = turn.settled
            self._speculation.guessed()
            self._floor.happen(Kind.GUESS)

    def _unsettle(self, turn: Turn) -> None:
        """More is being said, after a pause too short to be one."""
        turn.settled = None
        self._cues.no_words()
        if self._floor.state is State.PREPARING:
            self._floor.happen(Kind.GUESS_REFUTED)

    def _sounds(self) -> None:
        """It is known how the turn sounds."""
        if self.turn is not None and self._floor.state in TALKING - REPLYING:
            self._guess(self.turn)
            self._check_end()

    def _check_end(self) -> None:
        standing = self._floor.standing
        if standing.state not in TALKING or standing.paused or self.listener.speaking:
            return
        by = self._cues.ended(self.listener.pause)
        if by is not None:
            self._floor.happen(Kind.TURN_ENDED, by=by)

    def _decide(self, turn: Turn) -> None:
        """The final of the turn is known."""
        assert turn.at is not None
        text, state, now = turn.text(), self._floor.state, self._timers.time()
        settled = turn.settled is not None and same_words(turn.written(), turn.settled)
        turn.at.asked = turn.at.ended if settled else turn.at.decided
        turn.at.known = turn.settled_at if settled else now
        began = self._call_clock.now - (self.listener.position - turn.start)
        echo = self._guard is not None and self._guard.is_echo(text, began, self._call_clock.now)
        guessed = state is State.CONFIRMING and turn.guess is not None and same_words(turn.written(), turn.guess)
        meant = not turn.unclear and self._judge.is_for_the_bot(text, turn.language, self._call_clock.now)
        if guessed:
            self._floor.happen(Kind.FINAL_SAME)
        elif not comparable(text) or (echo and state not in REPLYING):
            self._floor.happen(Kind.FINAL_EMPTY)
        elif state in REPLYING and not meant:
            self._floor.happen(Kind.FINAL_BACKCHANNEL)
        else:
            self._floor.happen(Kind.FINAL_WORDS)

    def _verdict(self, kind: Kind) -> None:
        self._metrics.count(COUNTED[kind], engine="agent")
        self._floor.happen(kind)
        self._watch_lapse()

    def _watch_lapse(self) -> None:
        """Windows ask the judge too; a timer does where no more audio comes."""
        if self._judge.suspects and self._lapse is None:
            self._lapse = self._timers.call_later(self._lapse_s, self._lapse_due)

    def _lapse_due(self) -> None:
        self._lapse = None
        self._lapsed()
        self._watch_lapse()

    def _lapsed(self) -> None:
        if not self._floor.standing.paused:
            for kind in self._judge.elapsed(self._call_clock.now):
                self._verdict(kind)

    def _stalled(self) -> None:
        """Maybe audio has stopped arriving while a turn is open."""
        self._stall = None
        if self._floor.state not in TALKING:
            return
        left = self._heard_at + self._stall_s - self._timers.time()
        if not self._floor.standing.hears or self.listener.busy:
            left = self._stall_s
        if left > 0:
            self._stall = self._timers.call_later(left, self._stalled)
        else:
            self.recording_ended()

    def _disarm(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

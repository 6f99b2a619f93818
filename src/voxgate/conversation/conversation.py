"""Runs one call: what is heard, said and wished becomes events of the turn table, whose actions are carried out here.

    async with TaskGroup: the caller's inputs | the ears (listener.py) | the reply that is made (reply.py)

All of it is on one event loop, and no step awaits: between an event and its last action nobody else has a turn.
`turns.step` decides; person.py says what the person does, and this what becomes of it.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from voxgate import calls
from voxgate.calls import CallRequest, Control, EndReason
from voxgate.clock import Clock, SystemClock
from voxgate.conversation.call_clock import CallClock
from voxgate.conversation.cues import Cues
from voxgate.conversation.echo import EchoGuard
from voxgate.conversation.endpoint import EndpointSettings
from voxgate.conversation.endpointing import TurnEnd
from voxgate.conversation.floor import Floor
from voxgate.conversation.history import History
from voxgate.conversation.interruption import Judge
from voxgate.conversation.listener import Listener
from voxgate.conversation.live import Timer, Timers
from voxgate.conversation.parts import Parts
from voxgate.conversation.person import Person
from voxgate.conversation.pictures import instructed
from voxgate.conversation.replies import Replies
from voxgate.conversation.speculation import Speculation
from voxgate.conversation.turn_settings import TurnSettings
from voxgate.conversation.turn_table import Act, Kind
from voxgate.conversation.turns import Do
from voxgate.errors import MisuseError
from voxgate.ports import CallTransport
from voxgate.text.identify import identify
from voxgate.text.phrases import Phrase

_log = structlog.get_logger(__name__)

_KINDS = {
    Control.INTERRUPT: Kind.INTERRUPT,
    Control.START_LISTENING: Kind.START_LISTENING,
    Control.STOP_LISTENING: Kind.STOP_LISTENING,
    Control.PAUSE: Kind.PAUSE,
    Control.RESUME: Kind.RESUME,
}


class Conversation:
    """One call. `run` it once."""

    def __init__(
        self,
        request: CallRequest,
        parts: Parts,
        settings: TurnSettings | None = None,
        *,
        timers: Timers | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`timers`: None for those of the running event loop. `clock`: for the date of records."""
        settings = settings or TurnSettings()
        self._request, self._parts, self._settings = request, parts, settings
        self._timers = timers or asyncio.get_running_loop()
        self._clock = clock or SystemClock()
        self._guard = EchoGuard(settings.echo) if request.echo_guard else None
        self._judge = Judge(settings.interruption(request.interrupt_windows), guard=self._guard)
        self._history = History(instructed(request.instructions, request.images), settings.history)
        self._speculation = Speculation(settings.speculate, remote=parts.remote, load=parts.load)
        self._call_clock = CallClock(self._timers)
        self._floor = Floor(self._carry_out)
        self._typed = ""
        self._reason = EndReason.CLIENT
        self._over = asyncio.Event()
        self._grace: Timer | None = None
        self._halted = False  # whether the pause is because the connection broke
        self._transport: CallTransport
        self._tasks: asyncio.TaskGroup
        self._person = self._new_person()
        self._replies = Replies(
            request,
            parts,
            self._floor,
            self._person,
            self._history,
            guard=self._guard,
            send=self._send,
            spawn=self._spawn,
            timers=self._timers,
            call_clock=self._call_clock,
            clock=self._clock,
        )

    async def run(self, transport: CallTransport) -> EndReason:
        """The whole call; `transport` is told `CallEnded` last, and why it is over is answered.

        What we ourselves broke ends this call alone: it is logged, and told as CallProblem. Cancelled, it just ends.
        """
        self._transport = transport
        try:
            async with asyncio.TaskGroup() as self._tasks:
                work = [
                    self._tasks.create_task(self._person.listener.run()),
                    self._tasks.create_task(self._take_inputs(transport)),
                ]
                self._replies.read_ahead()
                if self._request.greeting:
                    self._floor.happen(Kind.GREET)
                await self._over.wait()
                self._replies.close()
                for task in work:
                    task.cancel()
        except* Exception:
            _log.exception("call_failed", call=self._request.call)
            transport.send(calls.CallProblem(MisuseError("this call has failed; please start another")))
            self._reason = EndReason.FAILED
        finally:
            self._leave()
        transport.send(calls.CallEnded(self._reason))
        return self._reason

    def _leave(self) -> None:
        self._replies.close()
        self._person.close()
        if self._grace is not None:
            self._grace.cancel()

    def _new_person(self) -> Person:
        request, parts, settings = self._request, self._parts, self._settings
        end = settings.end(request.silence_ms)
        ask_ms = settings.ask_ms if request.silence_ms is None else min(settings.ask_ms, request.silence_ms)
        person = Person(
            self._floor,
            cues=Cues(
                TurnEnd(end),
                parts.turn,
                sound_complete=end.sound_complete,
                spawn=self._spawn,
                timers=self._timers,
                metrics=parts.metrics,
            ),
            judge=self._judge,
            guard=self._guard,
            speculation=self._speculation,
            stall_s=request.stall_ms / 1000,
            lapse_s=settings.interrupt_lapse_ms / 1000,
            language=request.language or parts.hearing.language,
            send=self._send,
            announce=self._announce,
            timers=self._timers,
            call_clock=self._call_clock,
            clock=self._clock,
            metrics=parts.metrics,
        )
        person.listener = Listener(
            parts.vad,
            parts.stt,
            parts.hearing,
            person,
            identifier=parts.identifier,
            endpoint=EndpointSettings(silence_ms=ask_ms),
            loudness_gate=request.loudness_gate,
            timers=self._timers,
            keeps_audio=parts.turn is not None,
        )
        return person

    # what comes in

    async def _take_inputs(self, transport: CallTransport) -> None:
        async for given in transport.inputs():
            match given:
                case calls.AudioIn(samples=samples):
                    if self._floor.standing.hears:
                        await self._person.hear(samples)
                case calls.RecordingEnded():
                    await self._person.listener.caught_up()
                    self._person.recording_ended()
                case calls.TextIn(text=text):
                    self._typed = text
                    self._floor.happen(Kind.TYPED)
                case calls.ControlIn(action=action):
                    if action in {Control.STOP_LISTENING, Control.PAUSE}:  # what was said before counts
                        await self._person.listener.caught_up()
                    self._control(action)
                case calls.PlayedIn(reply=number, samples=samples):
                    self._replies.played(number, samples)
                case calls.OnWire(reply=number, at_s=at):
                    self._replies.on_wire(number, at)
                case calls.AnnounceIn(what=what):
                    self._announce(what)
                case calls.Dropped():
                    await self._person.listener.caught_up()
                    self._dropped()
                case calls.Returned():
                    self._returned()
                case calls.EndIn(reason=reason):
                    self._reason = reason
                    break
        self._floor.happen(Kind.END)

    def _control(self, action: Control) -> None:
        ignored = self._floor.happen(_KINDS[action])
        self._heed_pause()
        self._send(calls.ControlDone(action, ignored))

    def _dropped(self) -> None:
        self._person.recording_ended()
        if not self._floor.standing.paused:
            self._halted = True
            self._floor.happen(Kind.PAUSE)
            self._heed_pause()
        if self._grace is None:
            grace_s = self._settings.grace_s if self._request.grace_s is None else self._request.grace_s
            self._grace = self._timers.call_later(grace_s, self._lost)

    def _returned(self) -> None:
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None
        if self._halted:
            self._halted = False
            self._floor.happen(Kind.RESUME)
            self._heed_pause()

    def _heed_pause(self) -> None:
        if self._floor.standing.paused:
            self._call_clock.halt()
        else:
            self._call_clock.go_on()
            self._person.go_on()

    def _lost(self) -> None:
        self._grace = None
        self._reason = EndReason.LOST
        self._floor.happen(Kind.END)

    def _announce(self, what: Phrase) -> None:
        self._replies.announcement = what
        self._floor.happen(Kind.ANNOUNCE)

    # what is to be done

    def _carry_out(self, do: Do) -> None:
        person = self._person
        match do.act:
            case Act.OPEN_TURN:
                person.open_turn(do.number)
            case Act.HEAR_SO_FAR:
                person.hear_so_far()
            case Act.FINISH_TURN:
                person.finish_turn(do.by)
            case Act.REOPEN_TURN:
                person.reopen_turn()
            case Act.KEEP_TURN:
                self._history.hear(person.keep_turn(), turn=do.number)
            case Act.DROP_TURN:
                person.drop_turn()
            case Act.KEEP_TYPED:
                self._history.hear(self._typed, turn=do.number, typed=True)
                person.keep_typed(self._typed, do.number, self._written_in(self._typed))
            case Act.TELL_WORDS:
                person.tell_words()
            case Act.JUDGE_WORDS:
                person.judge_words()
            case Act.TELL_STATE:
                self._send(calls.StateOut(self._floor.standing.wire))
            case Act.TELL_ENDED:
                self._over.set()
            case _:
                self._replies.carry_out(do)

    def _written_in(self, text: str) -> str:
        """The language of a text that the caller wrote."""
        return identify(
            text, tuple(dict.fromkeys([*self._parts.voices, *self._parts.hearing.among])), self._person.language
        )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        return self._tasks.create_task(work)

    def _send(self, output: calls.CallOutput) -> None:
        self._transport.send(output)

"""Turn-taking: one step of a call, from what happened to what is to be done. Pure.

The runner of a call holds a `Standing`, asks `stale` about each event and drops those that are, and carries out the
actions of `step` in their order. Turns and replies are numbered; what comes late is known by its number.
"""

from dataclasses import dataclass, field, replace

from voxgate.conversation.turn_table import (
    HELD,
    NEEDS,
    OVER,
    QUIET,
    REPLYING,
    TABLE,
    TALKING,
    Act,
    Cell,
    EndedBy,
    Kind,
    Purpose,
    State,
)
from voxgate.errors import MisuseError

OF_TURN = frozenset(
    {
        *(Kind.SPEECH_ENDED, Kind.WORDS, Kind.GUESS, Kind.GUESS_REFUTED, Kind.TURN_ENDED, Kind.FINAL_WORDS),
        *(Kind.FINAL_SAME, Kind.FINAL_BACKCHANNEL, Kind.FINAL_EMPTY),
        *(Kind.SUSPECTED, Kind.CONFIRMED, Kind.DISMISSED, Kind.LAPSED),
    }
)
"""Events that carry the number of a turn."""
_OF_OPEN = {Kind.WORDS, Kind.GUESS_REFUTED, Kind.SPEECH_ENDED, Kind.TURN_ENDED, Kind.SUSPECTED}
_FINALS = {Kind.FINAL_WORDS, Kind.FINAL_SAME, Kind.FINAL_BACKCHANNEL, Kind.FINAL_EMPTY}
_VERDICTS = {Kind.SUSPECTED, Kind.CONFIRMED, Kind.DISMISSED, Kind.LAPSED}
OF_REPLY = frozenset({Kind.REPLY_TEXT, Kind.REPLY_COMPLETE, Kind.REPLY_FAILED, Kind.PLAYOUT_STARTED, Kind.PLAYED_OUT})
"""Events that carry the number of a reply."""
_CONTROLS = frozenset({Kind.PAUSE, Kind.RESUME, Kind.STOP_LISTENING, Kind.START_LISTENING})
_DEAF = frozenset({Kind.SPEECH_STARTED, Kind.SPEECH_ENDED, Kind.SUSPECTED})
"""What cannot happen while nobody is listened to: the detector is not fed."""
_PAUSED = _DEAF | {Kind.TURN_ENDED, Kind.LAPSED, Kind.PLAYOUT_STARTED}
"""What cannot happen during a pause, which stops listening, playout and the clock of both."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened."""

    kind: Kind
    number: int | None = None
    """Of the turn or the reply it is about (OF_TURN, OF_REPLY); None for all others."""
    by: EndedBy | None = None
    """Who ended the turn; only of TURN_ENDED."""


@dataclass(frozen=True, slots=True)
class Do:
    """One thing the runner is to do."""

    act: Act
    number: int = 0
    """Of the turn or the reply it is about; 0 where it is about neither."""
    purpose: Purpose | None = None
    """Of a reply that is started."""
    by: EndedBy | None = None
    """Who ended the turn; with FINISH_TURN."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply that lives; there is at most one."""

    number: int
    purpose: Purpose
    texted: bool = False
    """Whether it has any text."""
    whole: bool = False
    """Whether its text is complete."""
    played: bool = False
    """Whether any of it was played."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a call stands."""

    state: State = State.LISTENING
    turn: int = 0
    """Number of the person's last turn, spoken or written; 0 before the first."""
    replies: int = 0
    """Number of the last reply."""
    reply: Reply | None = None
    owed: Purpose | None = None
    """What the bot says should the turn turn out empty: who stopped it is not left in silence."""
    paused: bool = False
    deaf: bool = False
    """Whether the client stopped listening."""

    @property
    def wire(self) -> str:
        """The state as clients are told: `listening`, `hearing`, `thinking`, `speaking`, `paused`, or `ended`."""
        if self.paused and self.state is not State.ENDED:
            return "paused"
        if self.reply is not None and self.state in REPLYING:
            return "speaking" if self.reply.played else "thinking"
        return {State.PREPARING: "hearing", State.CLOSING: "thinking", State.CONFIRMING: "thinking"}.get(
            self.state, self.state.value
        )

    @property
    def hears(self) -> bool:
        """Whether audio that arrives goes to the detector."""
        return not self.paused and not self.deaf and self.state is not State.ENDED

    @property
    def plays(self) -> bool:
        """Whether audio of the reply may be sent."""
        return not self.paused and self.state in REPLYING - HELD

    @property
    def open_turn(self) -> int | None:
        """The number of the spoken turn that is open or whose final is awaited; None while there is none."""
        return None if self.state in QUIET or self.state is State.ENDED else self.turn


@dataclass(frozen=True, slots=True)
class Step:
    """What a step comes to."""

    standing: Standing
    actions: tuple[Do, ...] = ()
    ignored: str = ""
    """Why nothing happened, for the one who asked for it; empty where something did."""


def stale(standing: Standing, event: Event) -> bool:
    """Whether the event is about a turn or a reply that is over, and must be dropped without a step."""
    if standing.state is State.ENDED:
        return event.kind is not Kind.END
    if event.kind in OF_TURN:
        late = (
            (event.kind in _OF_OPEN and standing.state in OVER)
            or (event.kind in _FINALS and standing.state in TALKING)  # the turn was reopened
            or (event.kind in _VERDICTS and standing.state not in REPLYING)
        )
        return late or event.number != standing.open_turn
    if event.kind in OF_REPLY:
        return standing.reply is None or event.number != standing.reply.number
    return False


def step(standing: Standing, event: Event) -> Step:
    """The standing after `event`, and what is to be done. Raises MisuseError for an illegal step, changing nothing."""
    kind = event.kind
    cell = TABLE.get((standing.state, kind))
    problem = _illegal(standing, event, cell)
    if problem or cell is None:
        raise MisuseError(f"{kind} while {standing.state}: {problem}")
    if cell.ignored:
        return Step(standing, ignored=cell.ignored)
    draft = _Draft(standing)
    if kind in _CONTROLS:
        ignored = _control(draft, kind)
        if ignored:
            return Step(standing, ignored=ignored)
    elif kind is Kind.GUESS and standing.paused:
        return Step(standing, ignored="the call is paused")
    else:
        draft.carry_out(cell, event)
    draft.settle(standing)
    return Step(draft.now, tuple(draft.actions))


def _illegal(standing: Standing, event: Event, cell: Cell | None) -> str:
    """Why the event cannot happen now; empty if it can."""
    kind = event.kind
    if cell is None:
        return NEEDS[kind][1] if kind in NEEDS else "the call is over"
    if (event.by is not None) != (kind is Kind.TURN_ENDED):
        return "who ended a turn is told with its end, and only then"
    if standing.state is State.ENDED:
        return ""
    if kind in OF_TURN | OF_REPLY and stale(standing, event):
        return f"number {event.number} is over"
    if kind not in OF_TURN | OF_REPLY and event.number is not None:
        return "it carries no number"
    if standing.paused and kind in _PAUSED:
        return "the call is paused"
    if standing.deaf and kind in _DEAF:
        return "nobody is listened to"
    return _premature(standing.reply, kind)


def _premature(reply: Reply | None, kind: Kind) -> str:
    """Why the reply is not as far as the event says."""
    if reply is None:
        return ""
    if kind in {Kind.REPLY_COMPLETE, Kind.PLAYOUT_STARTED} and not reply.texted:
        return "the reply has no text"
    if kind is Kind.PLAYED_OUT and not reply.whole:
        return "the text of the reply is not whole"
    if (kind is Kind.REPLY_TEXT and reply.texted) or (kind is Kind.REPLY_COMPLETE and reply.whole):
        return "that was told before"
    return "it plays already" if kind is Kind.PLAYOUT_STARTED and reply.played else ""


def _control(draft: "_Draft", kind: Kind) -> str:
    """Pause, resume, stop and start listening: flags. Why it has no effect, or an empty text."""
    now = draft.now
    if kind in {Kind.PAUSE, Kind.RESUME}:
        paused = kind is Kind.PAUSE
        if now.paused is paused:
            return "the call is paused already" if paused else "the call is not paused"
        draft.now = replace(now, paused=paused)
        return ""
    deaf = kind is Kind.STOP_LISTENING
    if now.deaf is deaf:
        return "nobody is listened to already" if deaf else "the call is listening already"
    draft.now = replace(now, deaf=deaf)
    if deaf and now.state in TALKING:  # the button was released: what was said is the turn
        ended = Event(Kind.TURN_ENDED, now.turn, EndedBy.CONTROL)
        draft.carry_out(TABLE[now.state, Kind.TURN_ENDED], ended)
    return ""


_ABOUT_REPLY = {
    *(Act.START_REPLY, Act.PREPARE_REPLY, Act.RELEASE_REPLY, Act.DISCARD_REPLY, Act.CANCEL_REPLY, Act.FAIL_REPLY),
    *(Act.KEEP_REPLY, Act.CUT_HISTORY, Act.HOLD_PLAYOUT, Act.RESUME_PLAYOUT),
    *(Act.TELL_RESPONSE, Act.TELL_RESPONSE_CUT, Act.TELL_INTERRUPTED, Act.TELL_AUDIO_END),
}
_ABOUT_TURN = {
    *(Act.OPEN_TURN, Act.HEAR_SO_FAR, Act.FINISH_TURN, Act.REOPEN_TURN, Act.KEEP_TURN, Act.DROP_TURN),
    *(Act.KEEP_TYPED, Act.TELL_WORDS, Act.JUDGE_WORDS),
}


@dataclass(slots=True)
class _Draft:
    """A step that is being taken."""

    now: Standing
    actions: list[Do] = field(default_factory=list)

    def carry_out(self, cell: Cell, event: Event) -> None:
        now = self.now
        purpose = cell.purpose
        if cell.owed is not None and now.owed is not None:
            cell, purpose = cell.owed, now.owed
        if cell.apology is not None and now.reply is not None and now.reply.purpose is Purpose.APOLOGY:
            cell = cell.apology
        owes = self._owed(cell.owes)
        for act in cell.do:
            self._act(act, purpose, event)
        self._remember(event.kind)
        self.now = replace(self.now, state=cell.to, owed=owes or self.now.owed)

    def settle(self, before: Standing) -> None:
        """What follows from where the call came to stand: which kind of speaking it is, what is held, what is told."""
        now = self.now
        if now.state is State.SPEAKING and now.reply is not None and not now.reply.played:
            now = self.now = replace(now, state=State.THINKING)
        if now.reply is not None and now.state in REPLYING:
            same = before.reply is not None and before.reply.number == now.reply.number
            known = same and before.state in REPLYING
            if now.reply.whole and not (known and before.reply is not None and before.reply.whole):
                self._do(Act.TELL_RESPONSE)
            flowed = before.plays if known else True
            if flowed != now.plays:
                self._do(Act.RESUME_PLAYOUT if now.plays else Act.HOLD_PLAYOUT)
        if now.wire != before.wire and now.state is not State.ENDED:
            self._do(Act.TELL_STATE)

    def _owed(self, owes: Purpose | None) -> Purpose | None:
        reply = self.now.reply
        return reply.purpose if owes is Purpose.GO_ON and reply is not None and not reply.played else owes

    def _remember(self, kind: Kind) -> None:
        reply = self.now.reply
        if reply is None:
            return
        if kind is Kind.REPLY_TEXT:
            self.now = replace(self.now, reply=replace(reply, texted=True))
        elif kind is Kind.REPLY_COMPLETE:
            self.now = replace(self.now, reply=replace(reply, whole=True))
        elif kind is Kind.PLAYOUT_STARTED:
            self.now = replace(self.now, reply=replace(reply, played=True))

    def _act(self, act: Act, purpose: Purpose, event: Event) -> None:
        now = self.now
        if act is Act.CUT:
            self._do(Act.CANCEL_REPLY)
            self._do(Act.CUT_HISTORY)
            self._tell_cut(interrupted=True)
        elif act is Act.FAIL_REPLY:
            self._do(Act.TELL_ERROR)
            self._do(act)
            self._tell_cut(interrupted=False)
        elif act in {Act.START_REPLY, Act.PREPARE_REPLY}:
            number = now.replies + 1
            self.now = replace(now, replies=number, reply=Reply(number, purpose))
            if act is Act.START_REPLY and purpose is not Purpose.ANNOUNCEMENT:
                self.now = replace(self.now, owed=None)
            self._do(act, purpose=purpose)
        else:
            if act is Act.OPEN_TURN or (act is Act.KEEP_TYPED and now.state in QUIET):
                self.now = replace(now, turn=now.turn + 1)
            elif act is Act.RELEASE_REPLY:
                self.now = replace(now, owed=None)
            self._do(act, by=event.by if act is Act.FINISH_TURN else None)
            if act in {Act.DISCARD_REPLY, Act.KEEP_REPLY}:
                self._gone()

    def _tell_cut(self, *, interrupted: bool) -> None:
        """The tells of a reply that ends before its time; of one without any text nobody knows."""
        reply = self.now.reply
        if reply is not None and reply.texted:
            if not reply.whole:
                self._do(Act.TELL_RESPONSE_CUT)
            if interrupted:
                self._do(Act.TELL_INTERRUPTED)
            self._do(Act.TELL_AUDIO_END)
        self._gone()

    def _gone(self) -> None:
        self.now = replace(self.now, reply=None)

    def _do(self, act: Act, *, purpose: Purpose | None = None, by: EndedBy | None = None) -> None:
        number = self.now.replies if act in _ABOUT_REPLY else self.now.turn if act in _ABOUT_TURN else 0
        self.actions.append(Do(act, number, purpose, by))

"""The turn table as data: what happens in a call, in which state, and what is then to be done. Pure.

`turns.py` takes the steps; docs/turn-taking.md shows the table, drawn from here. A cell that is missing is an illegal
step: `NEEDS` says for each kind of event why it cannot happen there, and a test holds the two against each other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """Who has the floor, and what has become of the bot's reply. Pausing is a flag beside it (`turns.Standing`)."""

    LISTENING = "listening"
    """Nobody speaks, nothing is being answered."""
    HEARING = "hearing"
    """A person has the floor: speaks, or pauses within the turn."""
    PREPARING = "preparing"
    """The same, in a pause; a reply to what was said so far is made on a guess, unheard."""
    CLOSING = "closing"
    """The turn is over, its final transcript is awaited."""
    CONFIRMING = "confirming"
    """The same, and the guessed reply waits for it."""
    THINKING = "thinking"
    """A reply is being made, none of it was played."""
    SPEAKING = "speaking"
    """A reply is being played."""
    OVERHEARING = "overhearing"
    """The reply goes on while a person makes a sound, so far too short to mean anything, or without any words."""
    SUSPECTING = "suspecting"
    """A person seems to interrupt: the reply lives on, its playout is held."""
    WEIGHING = "weighing"
    """The person's turn is over while the reply goes on; its final transcript tells whether it interrupts."""
    JUDGING = "judging"
    """The same, with the playout held."""
    ENDED = "ended"
    """The call is over, for good."""


class Kind(StrEnum):
    """What can happen."""

    # what the detector, the endpointing and the recognizer say of the person
    SPEECH_STARTED = "speech_started"
    SPEECH_ENDED = "speech_ended"
    """A pause; the turn may go on."""
    WORDS = "words"
    """A partial transcript of the open turn."""
    GUESS = "guess"
    """What was said so far may be all: a reply to it may be prepared."""
    GUESS_REFUTED = "guess_refuted"
    """More was said than the guess knew."""
    TURN_ENDED = "turn_ended"
    """The turn is over; `Event.by` says who decided it."""
    FINAL_WORDS = "final_words"
    """The transcript of the turn, with words in it that are for the bot."""
    FINAL_SAME = "final_same"
    """The same, and it says what the guess was made on (text.words.same_words)."""
    FINAL_BACKCHANNEL = "final_backchannel"
    """The same, and it is nothing but backchannels, or the bot's own voice."""
    FINAL_EMPTY = "final_empty"
    """Nothing was said."""
    # what interruption.py says of a person who speaks while a reply lives
    SUSPECTED = "suspected"
    """Speech for as long as `interrupt_threshold` asks."""
    CONFIRMED = "confirmed"
    """Words that are no backchannel, or 600 ms of speech without a pause."""
    DISMISSED = "dismissed"
    """The speech is over and was none: a cough, a backchannel, an echo."""
    LAPSED = "lapsed"
    """Two seconds without words."""
    # what becomes of the reply
    REPLY_TEXT = "reply_text"
    """Its first text."""
    REPLY_COMPLETE = "reply_complete"
    """Its text is whole."""
    REPLY_FAILED = "reply_failed"
    """An engine failed, or the model answered nothing."""
    PLAYOUT_STARTED = "playout_started"
    """The first of its audio was sent."""
    PLAYED_OUT = "played_out"
    """All of its audio was made, sent and played; sent audio plays on while playout is held."""
    # what else a client or the server wants
    TYPED = "typed"
    """A turn that was written."""
    GREET = "greet"
    """The bot is to speak first."""
    ANNOUNCE = "announce"
    """The bot must say something now: that credits end."""
    INTERRUPT = "interrupt"
    PAUSE = "pause"
    RESUME = "resume"
    STOP_LISTENING = "stop_listening"
    START_LISTENING = "start_listening"
    END = "end"


class EndedBy(StrEnum):
    """Who ended a turn: recorded with it."""

    SILENCE = "silence"
    """A pause as long as the speaker's habits, or the client's `silence_ms`, ask."""
    CUE = "cue"
    """A shorter one, behind words or a melody that were complete."""
    STALL = "stall"
    """Audio stopped arriving."""
    CONTROL = "control"
    """The client stopped listening."""
    TYPED = "typed"
    """It was written."""


class Purpose(StrEnum):
    """What a reply is for."""

    ANSWER = "answer"
    """Answers what was said last."""
    GO_ON = "go_on"
    """Says what was not heard of the reply before (history.rest): a noise had interrupted it."""
    ASK_AGAIN = "ask_again"
    """Says that nothing was understood: a person had stopped the bot to speak, and no word came through."""
    APOLOGY = "apology"
    """Says that something failed; in writing where speech is what failed."""
    GREETING = "greeting"
    ANNOUNCEMENT = "announcement"


class Act(StrEnum):
    """What the runner is to do, in the order it is told."""

    OPEN_TURN = "open_turn"
    """Begin to recognize, from the lead of the speech on."""
    HEAR_SO_FAR = "hear_so_far"
    """Ask for a transcript of the turn so far, for the guess and the judge of interruptions; the turn stays open."""
    FINISH_TURN = "finish_turn"
    """Ask for the final transcript."""
    REOPEN_TURN = "reopen_turn"
    """The turn goes on: what was recognized stays its beginning, its final is not awaited any more."""
    KEEP_TURN = "keep_turn"
    """Tell the final transcript; put it into the history and the record of turns."""
    DROP_TURN = "drop_turn"
    """Forget the turn; where partials were told, tell an empty final."""
    KEEP_TYPED = "keep_typed"
    """Put the written text into the history."""
    TELL_WORDS = "tell_words"
    """Tell the partial transcript."""
    JUDGE_WORDS = "judge_words"
    """Show it to the judge of interruptions, and keep it to oneself."""
    START_REPLY = "start_reply"
    """Begin a reply, for `Do.purpose`."""
    PREPARE_REPLY = "prepare_reply"
    """Begin a reply on a guess: nothing of it is told, sent or charged."""
    RELEASE_REPLY = "release_reply"
    """The guess was right: what there is of the reply is told and played, the rest as it comes."""
    DISCARD_REPLY = "discard_reply"
    """The guess was wrong: as if it had never been. The end of a reply."""
    CANCEL_REPLY = "cancel_reply"
    """Stop making, sending and charging the reply. The end of a reply."""
    FAIL_REPLY = "fail_reply"
    """It cannot be finished; what was sent plays on, and the history keeps that. The end of a reply."""
    KEEP_REPLY = "keep_reply"
    """It was heard to its end. The end of a reply."""
    CUT_HISTORY = "cut_history"
    """The history keeps what was heard of the reply (history.cut)."""
    HOLD_PLAYOUT = "hold_playout"
    """Send no more of it."""
    RESUME_PLAYOUT = "resume_playout"
    """Send on from the sample where it was held."""
    TELL_RESPONSE = "tell_response"
    """The `response` event: the whole text."""
    TELL_RESPONSE_CUT = "tell_response_cut"
    """The same of a reply that is cut before its text was whole, `interrupted` true."""
    TELL_INTERRUPTED = "tell_interrupted"
    """The `interrupted` event; nothing of the reply but its `audio_end` follows."""
    TELL_AUDIO_END = "tell_audio_end"
    TELL_ERROR = "tell_error"
    """That an engine failed."""
    TELL_STATE = "tell_state"
    """The `state` event: `Standing.wire`."""
    TELL_ENDED = "tell_ended"
    """The session is over; leave the call."""
    # only inside the table
    CUT = "cut"
    """CANCEL_REPLY, CUT_HISTORY, and the tells of a reply that was told of."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What an event does in a state."""

    to: State
    """SPEAKING stands for THINKING too: a reply of which nothing was played is thought about."""
    do: tuple[Act, ...] = ()
    purpose: Purpose = Purpose.ANSWER
    """Of a reply that is started."""
    owes: Purpose | None = None
    """What the bot owes the person from now on, should the turn turn out empty. GO_ON of a reply of which nothing was
    played is what that reply was for."""
    owed: "Cell | None" = None
    """What happens instead where something is owed; the reply is then for that."""
    apology: "Cell | None" = None
    """What happens instead where the reply is an apology: nobody apologizes for that."""
    ignored: str = ""
    """Nothing happens, for this reason."""


STATES = tuple(state for state in State if state is not State.ENDED)
QUIET = frozenset({State.LISTENING, State.THINKING, State.SPEAKING})
"""No turn of the person is open."""
TALKING = frozenset({State.HEARING, State.PREPARING, State.OVERHEARING, State.SUSPECTING})
"""The person's turn is open."""
OVER = frozenset({State.CLOSING, State.CONFIRMING, State.WEIGHING, State.JUDGING})
"""It is over, and its words are awaited."""
GUESSING = frozenset({State.PREPARING, State.CONFIRMING})
"""A reply is prepared."""
HELD = frozenset({State.SUSPECTING, State.JUDGING})
"""A reply lives, its playout is held."""
REPLYING = frozenset({State.THINKING, State.SPEAKING, State.OVERHEARING, State.WEIGHING}) | HELD
"""A reply lives that the person may hear."""

NEEDS: Mapping[Kind, tuple[frozenset[State], str]] = MappingProxyType(
    {
        Kind.SPEECH_ENDED: (TALKING, "no speech has started"),
        Kind.WORDS: (TALKING, "no turn is open"),
        Kind.GUESS: (TALKING | OVER, "no turn is open"),
        Kind.GUESS_REFUTED: (frozenset({State.PREPARING}), "nothing was guessed"),
        Kind.TURN_ENDED: (TALKING, "no turn is open"),
        Kind.FINAL_WORDS: (OVER, "no final is awaited"),
        Kind.FINAL_SAME: (frozenset({State.CONFIRMING}), "nothing was guessed"),
        Kind.FINAL_BACKCHANNEL: (OVER, "no final is awaited"),
        Kind.FINAL_EMPTY: (OVER, "no final is awaited"),
        Kind.SUSPECTED: (TALKING & REPLYING, "nobody speaks while a reply lives"),
        Kind.CONFIRMED: ((TALKING | OVER) & REPLYING, "nobody has spoken while a reply lives"),
        Kind.DISMISSED: ((TALKING | OVER) & REPLYING, "nobody has spoken while a reply lives"),
        Kind.LAPSED: (HELD, "no interruption is suspected"),
        Kind.REPLY_TEXT: (REPLYING | GUESSING, "no reply lives"),
        Kind.REPLY_COMPLETE: (REPLYING | GUESSING, "no reply lives"),
        Kind.REPLY_FAILED: (REPLYING | GUESSING, "no reply lives"),
        Kind.PLAYOUT_STARTED: (REPLYING - HELD - {State.SPEAKING}, "no reply may begin to play"),
        Kind.PLAYED_OUT: (REPLYING, "no reply lives"),
    }
)
"""Where a kind of event can happen at all, and why it is illegal elsewhere; the others can happen anywhere."""


@dataclass(slots=True)
class _Table:
    cells: dict[tuple[State, Kind], Cell] = field(default_factory=dict)

    def on(self, kind: Kind, *states: State) -> Callable[..., None]:
        """Fill the cells of these states; `None` as the target leaves each as it is."""

        def fill(to: State | None, *do: Act, **more: Purpose | Cell | str | None) -> None:
            for state in states:
                if (state, kind) in self.cells:
                    raise ValueError(f"two cells for {kind} in {state}")
                self.cells[state, kind] = Cell(to or state, do, **more)  # type: ignore[arg-type]

        return fill


def _fill() -> Mapping[tuple[State, Kind], Cell]:
    table = _Table()
    _person(table)
    _verdicts(table)
    _reply(table)
    _wishes(table)
    return MappingProxyType(table.cells)


_S, _K, _A, _P = State, Kind, Act, Purpose


def _person(table: _Table) -> None:
    on = table.on
    on(_K.SPEECH_STARTED, _S.LISTENING)(_S.HEARING, _A.OPEN_TURN)
    on(_K.SPEECH_STARTED, _S.HEARING, _S.OVERHEARING, _S.SUSPECTING)(None)
    on(_K.SPEECH_STARTED, _S.PREPARING)(_S.HEARING, _A.DISCARD_REPLY)
    on(_K.SPEECH_STARTED, _S.CLOSING)(_S.HEARING, _A.REOPEN_TURN)
    on(_K.SPEECH_STARTED, _S.CONFIRMING)(_S.HEARING, _A.DISCARD_REPLY, _A.REOPEN_TURN)
    # A reply that has not begun to play must not begin over somebody who goes on speaking.
    on(_K.SPEECH_STARTED, _S.THINKING)(_S.SUSPECTING, _A.OPEN_TURN)
    on(_K.SPEECH_STARTED, _S.SPEAKING)(_S.OVERHEARING, _A.OPEN_TURN)
    on(_K.SPEECH_STARTED, _S.WEIGHING, _S.JUDGING)(_S.SUSPECTING, _A.REOPEN_TURN)

    on(_K.SPEECH_ENDED, _S.HEARING, _S.SUSPECTING)(None, _A.HEAR_SO_FAR)
    on(_K.SPEECH_ENDED, _S.PREPARING)(None)
    on(_K.SPEECH_ENDED, _S.OVERHEARING)(_S.SPEAKING, _A.DROP_TURN)

    on(_K.WORDS, _S.HEARING, _S.PREPARING)(None, _A.TELL_WORDS)
    on(_K.WORDS, _S.OVERHEARING, _S.SUSPECTING)(None, _A.JUDGE_WORDS)

    on(_K.GUESS, _S.HEARING)(_S.PREPARING, _A.PREPARE_REPLY)
    on(_K.GUESS, _S.PREPARING, _S.CONFIRMING)(None, ignored="a reply is prepared already")
    on(_K.GUESS, _S.CLOSING)(None, ignored="the final is about to come")
    on(_K.GUESS, _S.OVERHEARING, _S.SUSPECTING, _S.WEIGHING, _S.JUDGING)(None, ignored="another reply lives")
    on(_K.GUESS_REFUTED, _S.PREPARING)(_S.HEARING, _A.DISCARD_REPLY)

    on(_K.TURN_ENDED, _S.HEARING)(_S.CLOSING, _A.FINISH_TURN)
    on(_K.TURN_ENDED, _S.PREPARING)(_S.CONFIRMING, _A.FINISH_TURN)
    on(_K.TURN_ENDED, _S.OVERHEARING)(_S.WEIGHING, _A.FINISH_TURN)
    on(_K.TURN_ENDED, _S.SUSPECTING)(_S.JUDGING, _A.FINISH_TURN)

    answer = (_A.KEEP_TURN, _A.START_REPLY)
    empty = Cell(_S.THINKING, (_A.DROP_TURN, _A.START_REPLY))
    on(_K.FINAL_SAME, _S.CONFIRMING)(_S.THINKING, _A.KEEP_TURN, _A.RELEASE_REPLY)
    for said in (_K.FINAL_WORDS, _K.FINAL_BACKCHANNEL):  # to a question of the bot, `yes` is an answer
        on(said, _S.CLOSING)(_S.THINKING, *answer)
        on(said, _S.CONFIRMING)(_S.THINKING, _A.DISCARD_REPLY, *answer)
    on(_K.FINAL_EMPTY, _S.CLOSING)(_S.LISTENING, _A.DROP_TURN, owed=empty)
    on(_K.FINAL_EMPTY, _S.CONFIRMING)(
        _S.LISTENING,
        _A.DISCARD_REPLY,
        _A.DROP_TURN,
        owed=Cell(_S.THINKING, (_A.DISCARD_REPLY, *empty.do)),
    )
    on(_K.FINAL_WORDS, _S.WEIGHING, _S.JUDGING)(_S.THINKING, _A.CUT, *answer)
    for nothing in (_K.FINAL_BACKCHANNEL, _K.FINAL_EMPTY):
        on(nothing, _S.WEIGHING, _S.JUDGING)(_S.SPEAKING, _A.DROP_TURN)


def _verdicts(table: _Table) -> None:
    on = table.on
    on(_K.SUSPECTED, _S.OVERHEARING, _S.SUSPECTING)(_S.SUSPECTING)
    on(_K.CONFIRMED, _S.OVERHEARING, _S.SUSPECTING)(_S.HEARING, _A.CUT, owes=_P.GO_ON)
    on(_K.CONFIRMED, _S.WEIGHING, _S.JUDGING)(_S.CLOSING, _A.CUT, owes=_P.GO_ON)
    on(_K.DISMISSED, _S.OVERHEARING, _S.SUSPECTING, _S.WEIGHING, _S.JUDGING)(_S.SPEAKING, _A.DROP_TURN)
    on(_K.LAPSED, _S.SUSPECTING)(_S.OVERHEARING)
    on(_K.LAPSED, _S.JUDGING)(_S.WEIGHING)


_WITHOUT = {  # who has the floor, once the reply is gone
    **dict.fromkeys((_S.THINKING, _S.SPEAKING), _S.LISTENING),
    **dict.fromkeys((_S.OVERHEARING, _S.SUSPECTING, _S.PREPARING), _S.HEARING),
    **dict.fromkeys((_S.WEIGHING, _S.JUDGING, _S.CONFIRMING), _S.CLOSING),
}


def _reply(table: _Table) -> None:
    on = table.on
    for kind in (_K.REPLY_TEXT, _K.REPLY_COMPLETE):  # `turns.step` remembers them, and tells what is whole
        on(kind, *(state for state in STATES if state in REPLYING | GUESSING))(None)
    on(_K.PLAYOUT_STARTED, _S.THINKING)(_S.SPEAKING)
    on(_K.PLAYOUT_STARTED, _S.OVERHEARING, _S.WEIGHING)(None)
    for state, without in _WITHOUT.items():
        if state in GUESSING:
            on(_K.REPLY_FAILED, state)(without, _A.DISCARD_REPLY)  # tried once more, should the turn be over
            continue
        on(_K.PLAYED_OUT, state)(without, _A.KEEP_REPLY, _A.TELL_AUDIO_END)
        to = _S.THINKING if state is _S.SPEAKING else state
        alone = Cell(without, (_A.FAIL_REPLY,))
        on(_K.REPLY_FAILED, state)(to, _A.FAIL_REPLY, _A.START_REPLY, purpose=_P.APOLOGY, apology=alone)


def _wishes(table: _Table) -> None:
    on = table.on
    on(_K.TYPED, _S.LISTENING)(_S.THINKING, _A.KEEP_TYPED, _A.START_REPLY)
    on(_K.TYPED, _S.THINKING, _S.SPEAKING)(_S.THINKING, _A.CUT, _A.KEEP_TYPED, _A.START_REPLY)
    # Who writes while somebody speaks gets one answer to both, when the spoken turn is over.
    on(_K.TYPED, _S.HEARING, _S.CLOSING)(None, _A.KEEP_TYPED, owes=_P.ANSWER)
    for state in (_S.PREPARING, _S.CONFIRMING):
        on(_K.TYPED, state)(_WITHOUT[state], _A.DISCARD_REPLY, _A.KEEP_TYPED, owes=_P.ANSWER)
    for state in (_S.OVERHEARING, _S.SUSPECTING, _S.WEIGHING, _S.JUDGING):
        on(_K.TYPED, state)(_WITHOUT[state], _A.CUT, _A.KEEP_TYPED, owes=_P.ANSWER)

    on(_K.GREET, _S.LISTENING)(_S.THINKING, _A.START_REPLY, purpose=_P.GREETING)
    on(_K.GREET, *STATES[1:])(None, ignored="the conversation has begun")

    for state in STATES:
        first = (_A.DISCARD_REPLY,) if state in GUESSING else (_A.CUT,) if state in REPLYING else ()
        to = _S.THINKING if state in QUIET else _S.OVERHEARING if state in TALKING else _S.WEIGHING
        on(_K.ANNOUNCE, state)(to, *first, _A.START_REPLY, purpose=_P.ANNOUNCEMENT)

    for state in STATES:
        if state in REPLYING:
            on(_K.INTERRUPT, state)(_WITHOUT[state], _A.CUT, owes=_P.ASK_AGAIN)
        else:
            on(_K.INTERRUPT, state)(None, ignored="nothing is being said")
    for kind in (_K.PAUSE, _K.RESUME, _K.STOP_LISTENING, _K.START_LISTENING):  # flags beside the state: turns.step
        on(kind, *STATES)(None)
    for state in STATES:
        first = (_A.DISCARD_REPLY,) if state in GUESSING else (_A.CUT,) if state in REPLYING else ()
        rest = () if state in QUIET else (_A.DROP_TURN,)
        on(_K.END, state)(_S.ENDED, *first, *rest, _A.TELL_ENDED)
    on(_K.END, _S.ENDED)(None, ignored="the call is over")


TABLE = _fill()
"""Every legal step: (state, kind of event) -> cell."""

import pytest

from voxgate.conversation.turn_table import (
    GUESSING,
    HELD,
    NEEDS,
    OVER,
    QUIET,
    REPLYING,
    STATES,
    TABLE,
    TALKING,
    Act,
    Cell,
    Kind,
    State,
)


def test_states_say_who_has_the_floor_and_what_became_of_the_reply() -> None:
    assert set(STATES) == QUIET | TALKING | OVER
    assert len(QUIET) + len(TALKING) + len(OVER) == len(STATES)
    assert not GUESSING & REPLYING
    assert not QUIET & (GUESSING | HELD)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("state", State)
def test_every_event_in_every_state_is_defined_or_illegal_on_purpose(state: State, kind: Kind) -> None:
    legal = kind is Kind.END if state is State.ENDED else kind not in NEEDS or state in NEEDS[kind][0]
    assert ((state, kind) in TABLE) is legal


def reply_of(state: State) -> str:
    return "guessed" if state in GUESSING else "told" if state in REPLYING else ""


BEGUN = {Act.START_REPLY: "told", Act.PREPARE_REPLY: "guessed"}
ENDS = {Act.CUT: "told", Act.FAIL_REPLY: "told", Act.KEEP_REPLY: "told", Act.DISCARD_REPLY: "guessed"}


def after(state: State, cell: Cell) -> tuple[str, str]:
    """(floor, reply) that the acts of a cell lead to."""
    floor = "quiet" if state in QUIET else "talking" if state in TALKING else "over"
    reply = reply_of(state)
    for act in cell.do:
        if act in BEGUN:
            assert reply == "", "one reply at a time"
            reply = BEGUN[act]
        elif act in ENDS:
            assert reply == ENDS[act]
            reply = ""
        elif act is Act.RELEASE_REPLY:
            assert reply == "guessed"
            reply = "told"
        elif act is Act.OPEN_TURN:
            assert floor == "quiet"
            floor = "talking"
        elif act is Act.REOPEN_TURN:
            assert floor == "over"
            floor = "talking"
        elif act is Act.FINISH_TURN:
            assert floor == "talking"
            floor = "over"
        elif act in {Act.KEEP_TURN, Act.DROP_TURN}:
            assert floor != "quiet"
            floor = "quiet"
    return floor, reply


def test_acts_lead_where_the_cell_says() -> None:
    floors = {"quiet": QUIET, "talking": TALKING, "over": OVER}
    for (state, kind), first in TABLE.items():
        for cell in (first, first.owed, first.apology):
            if cell is None or state is State.ENDED:
                continue
            floor, reply = after(state, cell)
            if cell.to is State.ENDED:
                assert (floor, reply) == ("quiet", ""), (state, kind)
            else:
                assert cell.to in floors[floor], (state, kind)
                assert reply_of(cell.to) == reply, (state, kind)


def test_what_is_ignored_changes_nothing_and_says_why() -> None:
    ignored = {at: cell for at, cell in TABLE.items() if cell.ignored}
    assert len(ignored) > 10
    assert all(cell.to is state and not cell.do for (state, _), cell in ignored.items())

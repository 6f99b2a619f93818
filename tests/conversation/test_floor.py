import pytest

from voxgate.conversation.floor import Floor
from voxgate.conversation.turn_table import Act, EndedBy, Kind, State
from voxgate.conversation.turns import Do
from voxgate.errors import MisuseError


def test_what_an_action_brings_about_comes_after_the_last_action() -> None:
    done: list[Act] = []

    def carry_out(do: Do) -> None:
        done.append(do.act)
        if do.act is Act.OPEN_TURN:
            floor.happen(Kind.TURN_ENDED, by=EndedBy.CONTROL)
            floor.afterwards(lambda: done.append(Act.TELL_ENDED))

    floor = Floor(carry_out)
    floor.happen(Kind.SPEECH_STARTED)
    assert done == [Act.OPEN_TURN, Act.TELL_STATE, Act.FINISH_TURN, Act.TELL_STATE, Act.TELL_ENDED]
    assert floor.state is State.CLOSING


def test_what_is_about_an_old_turn_is_dropped() -> None:
    done: list[Act] = []
    floor = Floor(lambda do: done.append(do.act))
    floor.happen(Kind.SPEECH_STARTED)
    done.clear()
    floor.happen(Kind.WORDS, 7)
    floor.happen(Kind.REPLY_TEXT)
    assert done == []
    floor.happen(Kind.WORDS)
    assert done == [Act.TELL_WORDS]


def test_why_a_wish_had_no_effect_is_answered() -> None:
    floor = Floor(lambda do: None)
    assert floor.happen(Kind.INTERRUPT) == "nothing is being said"
    assert floor.happen(Kind.PAUSE) == ""
    assert floor.standing.paused


def test_an_illegal_step_changes_nothing_and_stops_nothing() -> None:
    floor = Floor(lambda do: None)
    floor.happen(Kind.PAUSE)
    before = floor.standing
    with pytest.raises(MisuseError):
        floor.happen(Kind.SPEECH_STARTED)
    assert floor.standing == before
    floor.happen(Kind.RESUME)
    assert not floor.standing.paused

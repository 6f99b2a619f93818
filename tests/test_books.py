from dataclasses import FrozenInstanceError

import pytest

from voxgate.books import KeptAnswer, Owner, State, UsageQuery


def test_answers_that_are_kept_are_not_shown() -> None:
    assert "said" not in repr(KeptAnswer(200, {}, b"said in confidence"))


def test_states_are_what_the_database_knows() -> None:
    assert [state.value for state in State] == ["running", "interrupted", "done"]


def test_values_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Owner("srv_1", 1, False).beats = 2  # type: ignore[misc]


def test_a_query_asks_for_everything_unless_told() -> None:
    assert UsageQuery() == UsageQuery(org_id=None, request_id=None, since=None, until=None)

import dataclasses
from datetime import UTC, datetime

import pytest
from sqlalchemy import String

from voxgate.rooms import Due, Grant, Happened, Message, RoomEnd, RoomPlan, RoomSession, Voicebot
from voxgate.store.schema import outbox, room_sessions

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BOT = Voicebot("6" * 24, "org_1", "Mai", None, "spill no beans", None, "alloy", "good day", "m", (), NOON, NOON)
PLAN = RoomPlan("sess_1", f"ext-vb-{BOT.id}-{'a' * 12}", "user-1", "Ada", "Mai", NOON)
SESSION = RoomSession(PLAN, "org_1", "key_1", BOT.id, NOON, None, None, 0, 1, 0)


@pytest.mark.parametrize("value", [BOT, Grant("wss://here", "token"), Message("1", "user", "beans", NOON, False)])
def test_what_is_secret_or_was_said_is_not_shown_in_logs(value: object) -> None:
    assert not any(hidden in repr(value) for hidden in ("beans", "good day", "'token'"))


def test_values_do_not_change() -> None:
    for value in (BOT, PLAN, SESSION, Due(1, Happened.STARTED, NOON, 1, "acme", SESSION)):
        with pytest.raises(dataclasses.FrozenInstanceError):
            value.__setattr__(dataclasses.fields(value)[0].name, "other")


def test_words_of_the_record_fit_their_columns() -> None:
    for words, column in ((RoomEnd, room_sessions.c.reason), (Happened, outbox.c.kind)):
        assert isinstance(column.type, String)
        assert column.type.length is not None
        assert max(map(len, words)) <= column.type.length

from datetime import UTC, datetime

import pytest

from voxgate.records import KeptSession, SessionOpened


def test_records_are_frozen() -> None:
    opened = SessionOpened("sess_1", "org_1", "key_1", "agent", "aria", "en", datetime(2026, 1, 1, tzinfo=UTC))
    kept = KeptSession(opened, "acme", None, None, 0)
    with pytest.raises(AttributeError):
        kept.turns = 1  # type: ignore[misc]
    with pytest.raises(AttributeError):
        opened.voice = "andrew"  # type: ignore[misc]

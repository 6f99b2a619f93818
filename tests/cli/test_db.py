import json
from pathlib import Path

from tests.cli.conftest import Voxgate
from voxgate.store.schema import REVISION


def test_a_new_database_is_upgraded_once(voxgate: Voxgate) -> None:
    first, again = voxgate("db", "upgrade"), voxgate("db", "upgrade")
    assert (first.exit_code, first.stdout) == (0, f"upgraded the schema from nothing to {REVISION}\n")
    assert (again.exit_code, again.stdout) == (0, f"the schema is at {REVISION} already\n")


def test_check_says_what_is_missing_and_changes_nothing(voxgate: Voxgate) -> None:
    for _ in range(2):
        checked = voxgate("db", "check")
        assert checked.exit_code == 1
        assert "voxgate db upgrade" in checked.stdout
    voxgate("db", "upgrade")
    assert voxgate("db", "check").exit_code == 0
    told = json.loads(voxgate("db", "check", "--json").stdout)
    assert told == {"database": "sqlite", "revision": REVISION, "problems": []}


def test_a_file_that_is_no_database_is_told_in_one_line(voxgate: Voxgate, here: Path) -> None:
    (here / "data").mkdir()
    (here / "data" / "voxgate.db").write_bytes(b"not a database at all" * 100)
    for verb in ("check", "upgrade"):
        told = voxgate("db", verb)
        assert (told.exit_code, told.stdout) == (1, "")
        assert told.stderr.count("\n") == 1
        assert "damaged" in told.stderr

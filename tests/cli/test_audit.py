import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import Voxgate
from tests.cli.test_usage import worked

__all__ = ["worked"]


@pytest.mark.usefixtures("worked")
def test_right_books_are_told_and_exit_with_zero(voxgate: Voxgate) -> None:
    audited = voxgate("credits", "audit")
    assert audited.exit_code == 0
    assert audited.stdout.splitlines() == [
        "acme\t4\t0.001\t0.000007\t0.000993\t0",
        "other\t4\t0.001\t0.000007\t0.000993\t0",
    ]
    assert "agrees" in audited.stderr


def test_a_wrong_balance_is_named_and_exits_with_one(voxgate: Voxgate, worked: Path) -> None:
    with closing(sqlite3.connect(worked / "data" / "voxgate.db")) as database:
        database.execute("UPDATE organizations SET available = 1, held = 5 WHERE name = 'acme'")
        database.commit()
    audited = voxgate("credits", "audit")
    assert audited.exit_code == 1
    assert audited.stderr.splitlines() == [
        "acme: available is 1, the postings add up to 993",
        "acme: held is 5, the postings add up to 0",
    ]
    told = json.loads(voxgate("credits", "audit", "--json").stdout)
    assert len(told["differences"]) == 2
    assert told["organizations"][0]["balance"] == "0.000993"


@pytest.mark.usefixtures("worked")
def test_every_posting_is_listed_with_its_usage(voxgate: Voxgate) -> None:
    listed = voxgate("credits", "audit", "--postings", "--org", "acme")
    rows = [line.split("\t") for line in listed.stdout.splitlines()]
    assert [(row[2], row[3], row[4], row[6]) for row in rows] == [
        ("acme", "grant", "0.001", ""),
        ("acme", "hold", "0.00001", "req_acme"),
        ("acme", "charge", "0.000007", "req_acme"),
        ("acme", "release", "0.000003", "req_acme"),
    ]
    assert rows[0][7] == ""
    assert len({row[7] for row in rows[1:]}) == 1
    assert rows[1][7].startswith("use_")
    assert voxgate("credits", "audit", "--postings", "--org", "nobody").exit_code == 2

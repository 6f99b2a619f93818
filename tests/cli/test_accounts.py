import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Voxgate

KEY = re.compile(r"vg_[\w-]{43}\n")


def test_a_key_is_one_line_for_scripts(voxgate: Voxgate) -> None:
    made = voxgate("keys", "create", "--org", "acme")
    assert made.exit_code == 0
    assert KEY.fullmatch(made.stdout)
    assert made.stderr == ""


def test_a_key_as_json(voxgate: Voxgate) -> None:
    made = json.loads(voxgate("keys", "create", "--org", "acme", "--tier", "pro", "--credits", "12.5", "--json").stdout)
    assert KEY.fullmatch(made.pop("key") + "\n")
    assert made.pop("id").startswith("key_")
    assert made == {"org": "acme", "tier": "pro", "balance": "12.5", "held": "0"}


def test_on_an_existing_organization_tier_and_credits_stay(voxgate: Voxgate) -> None:
    voxgate("keys", "create", "--org", "acme", "--tier", "pro", "--credits", "12.5")
    again = voxgate("keys", "create", "--org", "acme", "--tier", "owner", "--credits", "99", "--json")
    made = json.loads(again.stdout)
    assert (made["tier"], made["balance"]) == ("pro", "12.5")
    assert len(voxgate("keys", "list").stdout.splitlines()) == 2


def test_keys_are_listed_by_their_beginnings_and_end_when_revoked(voxgate: Voxgate) -> None:
    key = voxgate("keys", "create", "--org", "acme", "--label", "shop", "--expires-days", "30").stdout.strip()
    voxgate("keys", "create", "--org", "other")
    (row,) = (line.split("\t") for line in voxgate("keys", "list", "--org", "acme").stdout.splitlines())
    assert key not in voxgate("keys", "list").output
    assert key.startswith(row[1].removesuffix("…"))
    assert row[2:4] == ["acme", "shop"]
    assert row[4].startswith("expires ")
    assert row[6] == "never"
    revoked = voxgate("keys", "revoke", row[1])
    assert (revoked.exit_code, revoked.stdout) == (0, f"revoked {row[1]} of acme\n")
    (listed,) = json.loads(voxgate("keys", "list", "--org", "acme", "--json").stdout)
    assert listed["state"].startswith("revoked ")
    assert listed["id"] == row[0]
    assert voxgate("keys", "revoke", row[0]).exit_code == 0, "by its id, and again"


def test_credits_are_added_once_a_grant(voxgate: Voxgate) -> None:
    voxgate("keys", "create", "--org", "acme", "--credits", "1")
    for _ in range(2):
        added = voxgate("credits", "add", "acme", "0.000001", "--grant", "order-1")
        assert added.stdout == "acme\tfree\t1.000001\t0\n"
    voxgate("keys", "create", "--org", "beta")
    assert voxgate("credits", "show").stdout == "acme\tfree\t1.000001\t0\nbeta\tfree\t0\t0\n"
    (shown,) = json.loads(voxgate("credits", "show", "beta", "--json").stdout)
    assert shown == {"org": "beta", "tier": "free", "balance": "0", "held": "0"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("keys", "create"), "Missing option '--org'"),
        (("keys", "create", "--org", " "), "an organization's name has 1 to 100"),
        (("keys", "create", "--org", "a", "--tier", "gold"), "'gold' is not one of"),
        (("keys", "create", "--org", "a", "--credits", "many"), "'many' is no amount of credits"),
        (("keys", "create", "--org", "a", "--credits", "NaN"), "credits must be between"),
        (("keys", "create", "--org", "a", "--credits", "-1"), "credits must be between"),
        (("keys", "create", "--org", "a", "--credits", "0.0000001"), "at most six decimals"),
        (("keys", "create", "--org", "a", "--expires-days", "0"), "greater than or equal to 1"),
        (("keys", "revoke", "vg_nothing"), "no key has this id or prefix"),
        (("credits", "add", "nobody", "1"), "there is no organization named 'nobody'"),
        (("credits", "add", "nobody", "0"), "must be more than 0"),
        (("credits", "show", "nobody"), "there is no organization named 'nobody'"),
    ],
)
def test_a_wrong_command_says_what_is_wrong_and_exits_with_2(
    voxgate: Voxgate, arguments: tuple[str, ...], told: str
) -> None:
    failed = voxgate(*arguments)
    assert failed.exit_code == 2
    assert told in failed.stderr
    assert failed.stdout == ""


def test_a_whole_key_that_is_pasted_is_not_repeated(voxgate: Voxgate) -> None:
    key = voxgate("keys", "create", "--org", "acme").stdout.strip()
    failed = voxgate("keys", "revoke", key)
    assert failed.exit_code == 2
    assert key not in failed.output


def test_a_data_directory_that_cannot_be_made(voxgate: Voxgate, here: Path) -> None:
    (here / "file").write_text("")
    failed = voxgate("keys", "list", "--data-dir", str(here / "file" / "data"))
    assert failed.exit_code == 2
    assert "cannot be made: Not a directory" in failed.stderr


def test_an_engine_that_is_badly_configured_keeps_no_one_from_their_keys(voxgate: Voxgate, here: Path) -> None:
    (here / "voxgate.toml").write_text('[routing]\nstt = ["no_such_engine"]')
    assert voxgate("keys", "create", "--org", "acme").exit_code == 0
    assert voxgate("check").exit_code == 2


def test_a_key_is_rotated_and_the_new_one_printed_alone(voxgate: Voxgate) -> None:
    voxgate("keys", "create", "--org", "acme", "--label", "shop", "--max-concurrent", "2", "--daily-credits", "1.5")
    (row,) = (line.split("\t") for line in voxgate("keys", "list").stdout.splitlines())
    assert row[7:] == ["2", "1.5"]
    rotated = voxgate("keys", "rotate", row[0], "--grace", "48")
    assert rotated.exit_code == 0
    assert KEY.fullmatch(rotated.stdout)
    assert rotated.stderr.startswith(f"{row[1]} of acme ends ")
    old, new = (line.split("\t") for line in voxgate("keys", "list").stdout.splitlines())
    assert old[4].startswith("rotated, ends ")
    assert (new[3], new[4], new[7:]) == ("shop", "active", ["2", "1.5"])
    assert voxgate("keys", "rotate", old[0]).exit_code == 2
    again = json.loads(voxgate("keys", "rotate", new[1], "--grace", "0", "--json").stdout)
    assert KEY.fullmatch(again["key"] + "\n")
    assert again["replaces"] == new[0]
    assert again["old_ends"].endswith("+00:00")


def test_a_key_is_limited_and_let_go(voxgate: Voxgate) -> None:
    voxgate("keys", "create", "--org", "acme")
    (row,) = (line.split("\t") for line in voxgate("keys", "list").stdout.splitlines())
    limited = voxgate("keys", "limit", row[1], "--max-concurrent", "3", "--daily-credits", "0.25")
    assert (limited.exit_code, limited.stdout) == (0, f"{row[1]} of acme: at once 3, credits a day 0.25\n")
    let_go = voxgate("keys", "limit", row[0], "--daily-credits", "none")
    assert let_go.stdout == f"{row[1]} of acme: at once 3, credits a day no own limit\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--max-concurrent", "0"],
        ["--max-concurrent", "many"],
        ["--daily-credits", "-1"],
        ["--daily-credits", "lots"],
    ],
)
def test_a_limit_that_is_none(voxgate: Voxgate, arguments: list[str]) -> None:
    voxgate("keys", "create", "--org", "acme")
    (row,) = (line.split("\t") for line in voxgate("keys", "list").stdout.splitlines())
    assert voxgate("keys", "limit", row[0], *arguments).exit_code == 2
    assert voxgate("keys", "list").stdout.rstrip("\n").endswith("never\t\t")

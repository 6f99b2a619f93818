import json
from pathlib import Path

import pytest

from tests.cli.conftest import Voxgate
from voxgate.cli.models import _plain_progress
from voxgate.models.fetching import Stage, Step


def test_every_model_is_listed_and_none_is_here(voxgate: Voxgate) -> None:
    rows = [line.split("\t") for line in voxgate("models", "list").stdout.splitlines()]
    states = {row[0]: row[3] for row in rows}
    assert states["moonshine-base-en"] == "missing"
    assert set(states.values()) == {"missing"}
    listed = json.loads(voxgate("models", "list", "--json").stdout)
    assert [entry["name"] for entry in listed] == [row[0] for row in rows]
    assert "unclear for commercial use" in next(e["licence"] for e in listed if "joe" in e["name"])


def test_the_folder_of_all_models(voxgate: Voxgate, here: Path) -> None:
    assert voxgate("models", "path").stdout == f"{here / 'models'}\n"


def test_the_folder_of_a_model_that_is_not_here(voxgate: Voxgate) -> None:
    failed = voxgate("models", "path", "moonshine-base-en")
    assert failed.exit_code == 1
    assert "voxgate models pull moonshine-base-en" in failed.stderr


@pytest.mark.parametrize("command", ["pull", "verify", "remove", "path"])
def test_a_model_nobody_knows(voxgate: Voxgate, command: str) -> None:
    failed = voxgate("models", command, "moonshin")
    assert failed.exit_code in (1, 2)
    assert "'moonshin'" in failed.stderr
    assert failed.stdout == ""


def test_nothing_to_verify_and_nothing_to_remove(voxgate: Voxgate) -> None:
    assert (voxgate("models", "verify").exit_code, voxgate("models", "verify").stdout) == (0, "")
    assert voxgate("models", "verify", "moonshine-base-en").exit_code == 1
    assert voxgate("models", "remove", "moonshine-base-en").stdout == "0 MB freed\n"


def test_a_pull_from_an_empty_mirror_fails_in_one_line_a_model(
    voxgate: Voxgate, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voxgate.errors import Code, ModelError
    from voxgate.models.store import ModelStore

    def unreachable(self: ModelStore, *arguments: object, **options: object) -> None:
        raise ModelError("no source has moonshine-base-en", code=Code.MODEL_UNREACHABLE)

    monkeypatch.setattr(ModelStore, "pull", unreachable)
    failed = voxgate("models", "pull", "moonshine-base-en")
    assert (failed.exit_code, failed.stderr) == (1, "voxgate: no source has moonshine-base-en\n")


def test_progress_without_a_terminal_is_a_line_a_stage(capsys: pytest.CaptureFixture[str]) -> None:
    told = _plain_progress()
    stages = list(Stage)
    for done in range(0, 100_000_000, 1_000_000):
        told(Step("moonshine", stages[0], done, 100_000_000))
    told(Step("moonshine", stages[1], 0, 0))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"moonshine: {stages[0].value}", f"moonshine: {stages[1].value}"]

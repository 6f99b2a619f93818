"""Conversions in a process of their own, played by small scripts."""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from voxgate.errors import Code, ModelError
from voxgate.models import conversion
from voxgate.models.catalog import Model

pytestmark = pytest.mark.slow

Play = Callable[[str], None]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Put a script in the place of the real command; it finds `selftest`, `source` and `target` set."""

    def put(body: str) -> None:
        script = tmp_path / "converter.py"
        script.write_text(
            "import sys, pathlib, time\n"
            "selftest = '--selftest' in sys.argv\n"
            "target = pathlib.Path(sys.argv[-1])\n"
            "source = pathlib.Path(sys.argv[-2])\n" + body
        )
        monkeypatch.setattr(conversion, "COMMAND", (sys.executable, str(script)))

    return put


def _convert(
    make_model: Callable[..., dict[str, Any]], tmp_path: Path, expected: str | None = "made of raw"
) -> tuple[str, ...]:
    made = {"name": "made"}
    if expected is not None:
        made["sha256"] = hashlib.sha256(expected.encode()).hexdigest()
    entry = make_model({"raw": b"raw"}, convert={"name": "piper", "version": 1, "files": [made]})
    model = Model.model_validate({"name": "one", **entry})
    assert model.convert is not None
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    (source / "raw").write_text("raw")
    return conversion.convert(model, model.convert, source, target)


MAKE = "if not selftest: (target / 'made').write_text('made of ' + (source / 'raw').read_text())\n"


def test_what_was_measured_comes_out_without_a_word(
    play: Play, make_model: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    play(MAKE + "if selftest: sys.exit('not needed')")
    assert _convert(make_model, tmp_path) == ()
    assert (tmp_path / "target" / "made").read_text() == "made of raw"


def test_a_difference_that_passes_the_self_test_is_a_warning(
    play: Play, make_model: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    play(MAKE)
    (warning,) = _convert(make_model, tmp_path, expected="something else")
    assert "made came out differently" in warning
    assert "self-test passed" in warning


def test_a_difference_that_fails_the_self_test_is_refused(
    play: Play, make_model: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    play(MAKE + "if selftest: sys.exit('it does not speak')")
    with pytest.raises(ModelError, match="it does not speak") as caught:
        _convert(make_model, tmp_path, expected="something else")
    assert caught.value.code is Code.MODEL_BROKEN


def test_what_nobody_measured_is_self_tested_without_a_warning(
    play: Play, make_model: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    play(MAKE + "if selftest: (target.parent / 'tested').touch()")
    assert _convert(make_model, tmp_path, expected=None) == ()
    assert (tmp_path / "tested").exists()


@pytest.mark.parametrize("body", ["", "(target / 'other').touch()", MAKE + "(target / 'more').touch()"])
def test_other_files_than_promised_are_refused(
    play: Play, make_model: Callable[..., dict[str, Any]], tmp_path: Path, body: str
) -> None:
    play(body)
    with pytest.raises(ModelError, match="instead of made"):
        _convert(make_model, tmp_path)


def test_a_traceback_is_told_by_its_last_line(
    play: Play, make_model: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    play("raise ValueError('no graph in here')")
    with pytest.raises(ModelError, match=r"^one: its conversion failed: ValueError: no graph in here$"):
        _convert(make_model, tmp_path)


def test_a_killed_converter_is_told_by_its_exit_code(
    play: Play, make_model: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    play("import os; os.kill(os.getpid(), 9)")
    with pytest.raises(ModelError, match="exit code -9"):
        _convert(make_model, tmp_path)


def test_a_full_disk_is_told_as_one(play: Play, make_model: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    play("sys.exit(28)")
    with pytest.raises(ModelError, match="disk is full") as caught:
        _convert(make_model, tmp_path)
    assert caught.value.code is Code.DISK_FULL


def test_one_that_hangs_is_ended(
    play: Play, make_model: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion, "TIMEOUT_S", 0.5)
    play("time.sleep(60)")
    with pytest.raises(ModelError, match="did not end"):
        _convert(make_model, tmp_path)


def test_the_real_command_names_an_unknown_converter(make_model: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    entry = make_model({"raw": b"raw"}, convert={"name": "unheard_of", "version": 1, "files": [{"name": "made"}]})
    model = Model.model_validate({"name": "one", **entry})
    assert model.convert is not None
    with pytest.raises(ModelError, match="unheard_of"):
        conversion.convert(model, model.convert, tmp_path, tmp_path)

"""`python -m voxgate.models.convert`, called in this process with converters made up here."""

import errno
import sys
from pathlib import Path
from types import ModuleType

import pytest

from voxgate.errors import ModelError
from voxgate.models.convert import __main__ as command


@pytest.fixture
def converter(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A converter named `tiny` that copies."""
    module = ModuleType("voxgate.models.convert.tiny")

    def convert(source: Path, target: Path) -> None:
        (target / "made").write_bytes((source / "raw").read_bytes())

    def selftest(target: Path) -> None:
        if not (target / "made").exists():
            raise ModelError("nothing was made")

    module.convert = convert  # type: ignore[attr-defined]
    module.selftest = selftest  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_it_converts_and_tries_out(converter: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(b"w")
    assert command.main(["tiny", str(tmp_path), str(tmp_path)]) == 0
    assert (tmp_path / "made").read_bytes() == b"w"
    assert command.main(["--selftest", "tiny", str(tmp_path)]) == 0


def test_what_a_converter_says_is_one_line(
    converter: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--selftest", "tiny", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "nothing was made\n"


def test_a_converter_without_a_self_test_cannot_judge(
    converter: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(converter, "selftest")
    assert command.main(["--selftest", "tiny", str(tmp_path)]) == 1
    assert "no self-test" in capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_has_its_own_exit_code(
    converter: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(number, "full")

    monkeypatch.setattr(converter, "convert", full)
    assert command.main(["tiny", str(tmp_path), str(tmp_path)]) == errno.ENOSPC


def test_other_trouble_keeps_its_traceback(converter: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        command.main(["tiny", str(tmp_path), str(tmp_path)])


@pytest.mark.parametrize("arguments", [[], ["tiny"], ["tiny", "a"], ["--selftest", "tiny", "a", "b"]])
def test_wrong_arguments_are_refused(
    converter: ModuleType, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(arguments)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err

"""The house stands as docs/house.md says."""

import re
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from tests.conftest import ROOT
from tests.tree import committed

PACKAGE = ROOT / "src" / "voxgate"
FILES = [path.relative_to(PACKAGE) for path in committed() if path.is_relative_to(PACKAGE)]
SOURCES = [path for path in FILES if path.suffix == ".py"]

LONG = {
    "models/catalog.toml": "data: a paragraph for every model",
}
"""Files over 400 lines, each with its reason."""

TESTED_ELSEWHERE = {
    "__main__.py": "tests/serving.py starts every server with it",
    "conversation/parts.py": "names only; tests/conversation/talks.py puts them together for every call",
    "engines/processes.py": "tests/engines/test_pool.py",
    "engines/worker.py": "tests/engines/test_pool.py",
    "gateways/rest/context.py": "names only; every test of a route goes through it",
    "gateways/rest/speech.py": "tests/gateways/test_rest_audio.py",
    "gateways/rest/transcriptions.py": "tests/gateways/test_rest_audio.py",
    "gateways/rest/answers.py": "tests/gateways/test_answers.py",
    "gateways/rest/api.py": "tests/gateways/test_rest_edge.py",
    "gateways/rooms/media.py": "names only; tests/conformance/test_rooms.py runs what carries them out",
    "models/convert/__main__.py": "tests/models/test_convert_main.py",
    "models/convert/protobuf.py": "tests/models/test_convert_onnx_file.py",
    "store/schema.py": "tests/store/test_migrations.py",
    "store/stores.py": "names only; tests/test_app.py starts a server over them",
    "ports.py": "names only; tests/conformance runs what carries them out",
}
"""Files whose test does not bear their name, and where they are tested."""

RULES = {
    "a path of somebody's machine": re.compile(r"(?<![\w.~}])/(?:work|root|home/\w+|Users/\w+|tmp/w)/\w"),
    "a note to oneself": re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b"),
    "a package index by address": re.compile(r"(?:index-url|index_url|registry)\s*[=:]\s*\"?https?://", re.IGNORECASE),
}


def test_imports_run_down_only(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    status = lint_imports(no_cache=True)
    assert status == 0, capsys.readouterr().out


def names_of_test(source: Path) -> list[Path]:
    """Where the test of a file may be: in its room's folder or, for a room within a room, in that of the outer one."""
    room, name = source.parent, source.stem
    places = [room / f"test_{name}.py"]
    if len(room.parts) == 2:
        places.append(Path(room.parts[0]) / f"test_{room.parts[1]}_{name}.py")
    return places


@pytest.mark.parametrize("source", [path for path in SOURCES if path.name != "__init__.py"], ids=str)
def test_every_source_file_has_its_test(source: Path) -> None:
    if "migrations" in source.parts:
        assert (ROOT / "tests" / "store" / "test_migrations.py").exists()
    elif source.as_posix() not in TESTED_ELSEWHERE:
        assert any((ROOT / "tests" / place).exists() for place in names_of_test(source)), names_of_test(source)[0]


def test_what_is_tested_elsewhere_exists_and_has_no_test_of_its_name() -> None:
    for name in TESTED_ELSEWHERE:
        assert (PACKAGE / name).exists()
        assert (ROOT / "tests" / names_of_test(Path(name))[0]).exists() is False


def test_rooms_that_only_mark_a_folder_hold_no_code() -> None:
    for source in SOURCES:
        if source.name == "__init__.py" and source.as_posix() != "store/migrations/__init__.py":
            assert len((PACKAGE / source).read_text().splitlines()) <= 60, source


def test_no_file_is_long_without_a_reason() -> None:
    lengths = {
        path.as_posix(): len((PACKAGE / path).read_text(encoding="utf-8").splitlines())
        for path in FILES
        if path.suffix in {".py", ".toml"}
    }
    assert {name: length for name, length in lengths.items() if length > 400 and name not in LONG} == {}


@pytest.mark.parametrize("rule", RULES)
def test_the_tree_holds_none_of(rule: str) -> None:
    found = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in committed()
        if file.name != "test_layout.py"
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if RULES[rule].search(line)
    ]
    assert found == []

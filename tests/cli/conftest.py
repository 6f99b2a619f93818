import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner, Result

from tests.serving import SCRIPTED
from voxgate.cli.main import app

Voxgate = Callable[..., Result]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own to stand in, with scripted engines configured, no models and no data."""
    import os

    for name in list(os.environ):
        if name.startswith(("VOXGATE_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("VOXGATE_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "voxgate.toml").write_text(SCRIPTED)
    return tmp_path


@pytest.fixture
def voxgate(here: Path) -> Iterator[Voxgate]:
    """Runs the command line, not on a terminal, inside this process."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level

    def run(*arguments: str, stdin: str | bytes | None = None) -> Result:
        result = CliRunner().invoke(app, list(arguments), input=stdin)
        assert "Traceback" not in result.output
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    yield run
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()

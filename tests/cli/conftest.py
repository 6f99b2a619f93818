import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner, Result

from tests.serving import SCRIPTED, Server
from voxgate.cli.main import app

Voxgate = Callable[..., Result]
Piped = Callable[..., tuple[int, str, str]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own to stand in, with scripted engines configured, no models and no data."""
    for name in list(os.environ):
        if name.startswith(("VOXGATE_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("VOXGATE_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "voxgate.toml").write_text(SCRIPTED)
    return tmp_path


@pytest.fixture
def quiet() -> Iterator[None]:
    """Logging is afterwards as it was before."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
def voxgate(here: Path, quiet: None) -> Voxgate:
    """Runs the command line, not on a terminal, inside this process."""

    def run(*arguments: str, stdin: str | bytes | None = None) -> Result:
        result = CliRunner().invoke(app, list(arguments), input=stdin)
        assert "Traceback" not in result.output
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def piped(here: Path, quiet: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Piped:
    """Runs the command line inside this process, with a real pipe for its standard input; (status, out, err)."""

    def run(*arguments: str, stdin: bytes) -> tuple[int, str, str]:
        reading, writing = os.pipe()

        def write() -> None:
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(stdin)

        writer = threading.Thread(target=write)
        writer.start()
        with os.fdopen(reading) as pipe, monkeypatch.context() as patch, pytest.raises(SystemExit) as left:
            patch.setattr(sys, "stdin", pipe)
            app(list(arguments))
        writer.join()
        told = capfd.readouterr()
        return int(left.value.code or 0), told.out, told.err

    return run


@pytest.fixture(scope="session")
def scripted_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all commands that talk to one."""
    server = Server(tmp_path_factory.mktemp("scripted"), SCRIPTED)
    yield server
    assert server.stop() == 0
    assert "Traceback" not in server.log


@pytest.fixture
def served(scripted_server: Server, here: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, named by the environment."""
    monkeypatch.setenv("VOXGATE_URL", scripted_server.url)
    monkeypatch.setenv("VOXGATE_API_KEY", scripted_server.key)
    return scripted_server

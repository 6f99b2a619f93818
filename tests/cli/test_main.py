import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Voxgate
from tests.serving import SCRIPTED
from voxgate import __version__


def test_the_version(voxgate: Voxgate) -> None:
    assert voxgate("--version").stdout == f"voxgate {__version__}\n"


def test_help_that_teaches(voxgate: Voxgate) -> None:
    shown = voxgate("--help")
    assert shown.exit_code == 0
    for line in ("voxgate models pull default", "voxgate serve", "voxgate check", "voxgate transcribe question.wav"):
        assert line in shown.stdout
    assert "..." not in shown.stdout.partition("Commands:")[2], "what a command does fits its line"


def test_without_a_command_the_help_is_shown(voxgate: Voxgate) -> None:
    assert "First steps:" in voxgate().output
    assert "Make, list and revoke" in voxgate("keys").output


@pytest.mark.parametrize("arguments", [("frobnicate",), ("serve", "--prot", "1"), ("serve", "--port", "x")])
def test_a_slip_of_the_keyboard(voxgate: Voxgate, arguments: tuple[str, ...]) -> None:
    failed = voxgate(*arguments)
    assert failed.exit_code == 2
    assert failed.stdout == ""


def test_check_shows_the_tree_with_sources_and_what_runs(voxgate: Voxgate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXGATE__LIMITS__HINT_TERMS", "8")
    monkeypatch.setenv("VOXGATE_PORT", "9000")
    shown = voxgate("check")
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert "limits.hint_terms = 8   [environment VOXGATE__LIMITS__HINT_TERMS]" in lines
    assert "server.port = 9000   [environment VOXGATE_PORT]" in lines
    assert "routing.stt = [scripted_stt]   [voxgate.toml]" in lines
    assert "prices.speech_credits_per_minute = 1" in lines
    assert "engines.scripted_tts.word_ms = 250.0" in lines
    assert any(re.fullmatch(r"stt +scripted_stt +runs +en", line) for line in lines)
    assert any(re.fullmatch(r"decoder pyav +runs", line) for line in lines)
    assert "hears English (good)" in lines
    assert "hears Singlish as English" in lines
    assert "speaks English (plain)" in lines
    assert any(line.startswith("answers with scripted") and "demo model" in line for line in lines)


def test_check_says_what_is_missing_and_the_command_that_adds_it(voxgate: Voxgate, here: Path) -> None:
    (here / "voxgate.toml").write_text(SCRIPTED.replace("scripted_llm", "llama"))
    shown = voxgate("check")
    assert shown.exit_code == 1
    assert "voxgate models pull smollm2-135m-instruct-q4_1" in shown.stdout
    found = json.loads(voxgate("check", "--json").stdout)
    (llama,) = (engine for engine in found["engines"] if engine["name"] == "llama")
    assert (llama["running"], llama["remedy"]) == (False, "voxgate models pull smollm2-135m-instruct-q4_1")
    assert len(found["problems"]) == 1
    assert {"key": "routing.llm", "value": "[llama]", "from": "voxgate.toml"} in found["settings"]


def test_an_optional_engine_is_offered_and_not_missed(voxgate: Voxgate, here: Path) -> None:
    (here / "voxgate.toml").write_text(SCRIPTED.replace('tts = ["scripted_tts"]', 'tts = ["scripted_tts", "kokoro"]'))
    shown = voxgate("check")
    assert shown.exit_code == 0
    command = "voxgate models pull kokoro-82m-v1.0-int8 kokoro-voices"
    assert any(
        re.fullmatch(rf"tts +kokoro +optional; to add it: {command}", line) for line in shown.stdout.splitlines()
    )
    assert json.loads(voxgate("check", "--json").stdout)["problems"] == []
    missed = voxgate("check", "--config", str(_without_optional(here)))
    assert missed.exit_code == 1
    assert f"run: {command}" in missed.stdout


def _without_optional(here: Path) -> Path:
    path = here / "strict.toml"
    path.write_text((here / "voxgate.toml").read_text().replace("[routing]", "[routing]\noptional = []"))
    return path


def test_check_shows_no_secret(voxgate: Voxgate, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-1")
    monkeypatch.setenv("VOXGATE__STORE__URL", "postgresql://voxgate:secret-2@db/voxgate")
    monkeypatch.setenv("VOXGATE__MODELS__MIRROR", "https://voxgate:secret-3@mirror.example/models")
    (here / "voxgate.toml").write_text(
        SCRIPTED.replace("scripted_llm", "openai") + '[engines.openai.headers]\nX-Key = "secret-4"'
    )
    for shown in (voxgate("check"), voxgate("check", "--json")):
        assert "secret-" not in shown.output
        assert "environment OPENAI_API_KEY" in shown.stdout
        assert "mirror.example" in shown.stdout


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ("[sever]\nport = 1", "voxgate.toml: there is no setting 'sever'; did you mean 'server'?"),
        ("[server]\nprot = 1", "did you mean 'server.port'?"),
        ("[engines.scripted_stt]\ntxt = 'a'", "did you mean 'engines.scripted_stt.text'?"),
        ("[engines.nobody]", "nothing uses it"),
        ("[server]\nport = 70000", "voxgate.toml: server.port: "),
        ("server = 1\n", "must be a table"),
    ],
)
@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_mistake_in_the_configuration_is_told_before_anything_runs(
    voxgate: Voxgate, here: Path, command: str, toml: str, told: str
) -> None:
    (here / "voxgate.toml").write_text(toml + "\n" if toml.startswith("server =") else SCRIPTED + toml)
    failed = voxgate(command)
    assert failed.exit_code == 2
    assert told in failed.stderr
    assert failed.stdout == ""
    assert not (here / "data").exists()


def test_an_engine_in_the_wrong_place(voxgate: Voxgate, here: Path) -> None:
    (here / "voxgate.toml").write_text(SCRIPTED.replace('stt = ["scripted_stt"]', 'stt = ["scripted_tts"]'))
    failed = voxgate("check")
    assert failed.exit_code == 2
    assert "routing.stt names the engine 'scripted_tts', which is tts, not stt" in failed.stderr


def test_a_configuration_that_is_not_there(voxgate: Voxgate) -> None:
    failed = voxgate("check", "--config", "other.toml")
    assert (failed.exit_code, failed.stderr) == (2, "voxgate: the configuration file other.toml does not exist\n")

"""The documentation keeps up with the code."""

import re
import runpy
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from pydantic import BaseModel

from tests.conftest import ROOT
from tests.tree import committed
from voxgate.conversation.turn_settings import TurnSettings
from voxgate.engines.registry import discover
from voxgate.errors import Code
from voxgate.gateways.agent_settings import AgentSettings
from voxgate.gateways.limits import MIB, LimitSettings
from voxgate.planning import VoxgateSettings
from voxgate.protocols.agent import messages as agent_messages
from voxgate.protocols.live import messages as live_messages
from voxgate.protocols.rest.voicebots import VoicebotRequest
from voxgate.protocols.speech import messages as speech_messages
from voxgate.protocols.status import STATUS
from voxgate.services.casting import ANSWERS
from voxgate.services.voicebots import VOICE, VoicebotSettings

SOURCES = [file for file in committed() if file.is_relative_to(ROOT / "src") and file.suffix == ".py"]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
REFERENCE = runpy.run_path(str(ROOT / "scripts" / "make-reference"))
PAGES: dict[str, Any] = REFERENCE["PAGES"]


def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PAGES)
def test_pages_made_from_the_code_are_as_the_code_is(path: str) -> None:
    assert text_of(path) == PAGES[path](), "run scripts/make-reference"


def schemas() -> dict[str, type[BaseModel]]:
    found: dict[str, type[BaseModel]] = {"": VoxgateSettings}
    for name, entry in discover().items():
        if entry.value.startswith("voxgate."):
            found[f"engines.{name}."] = entry.load().settings
    return found


@pytest.mark.parametrize(("at", "schema"), schemas().items(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_setting_says_what_it_means(at: str, schema: type[BaseModel]) -> None:
    assert [at + key for key, info in REFERENCE["keys_of"](schema) if not info.description] == []


def test_every_variable_of_the_environment_is_documented() -> None:
    pattern = re.compile(r'"((?:VOXGATE|OPENAI|XDG)_[A-Z_]*[A-Z])"')
    used = {name for source in SOURCES for name in pattern.findall(source.read_text())}
    assert "VOXGATE_MODELS_DIR" in used
    assert used == set(REFERENCE["VARIABLES"])


def test_every_command_says_what_it_does() -> None:
    shown = dict(REFERENCE["commands"]())
    assert {"voxgate serve", "voxgate keys create", "voxgate credits add", "voxgate models pull"} <= set(shown)
    for words, page in shown.items():
        assert re.match(r"Usage: .*\n\n  \w", page), f"{words} has no description"


@pytest.mark.parametrize("code", Code)
def test_every_error_code_is_documented(code: Code) -> None:
    assert f"`{code.value}`" in text_of("docs/protocols/rest.md")


@pytest.mark.parametrize(("verb", "names"), [("observe", "STAGES"), ("count", "EVENTS"), ("gauge", "LEVELS")])
def test_every_stage_event_and_level_is_documented(verb: str, names: str) -> None:
    pattern = re.compile(rf'metrics\.{verb}\(\s*"(\w+)"')
    used = {name for source in SOURCES for name in pattern.findall(source.read_text())}
    assert used <= set(REFERENCE[names])
    everything = "".join(source.read_text() for source in SOURCES)
    assert [name for name in REFERENCE[names] if f'"{name}"' not in everything] == [], "documented and gone"


def test_every_route_is_documented() -> None:
    pattern = re.compile(r'@routes\.(?:get|post|patch|delete)\(\s*"([^"]+)"')
    gateways = [source.read_text() for source in SOURCES if "gateways/rest" in source.as_posix()]
    routes = {path for source in gateways for path in pattern.findall(source)}
    assert "/v1/models" in routes
    page = text_of("docs/protocols/rest.md")
    assert [path for path in routes if path.partition("{")[0].rstrip("/") not in page] == []


def test_every_field_and_limit_of_a_voicebot_is_documented_as_it_is() -> None:
    page, limits = text_of("docs/protocols/rooms.md"), VoicebotSettings()
    for name, field in VoicebotRequest.model_fields.items():
        assert f"| `{field.alias or name}` |" in page
    for name in VoicebotSettings.model_fields:
        assert re.search(rf"(?<!\d){getattr(limits, name):,}\b[^|]{{0,80}}`voicebots\.{name}`", page), name
    assert f"{AgentSettings().instructions_characters:,} characters (`agent.instructions_characters`)" in page
    assert f"| `{VOICE}` |" in page
    assert f"| `{ANSWERS}` |" in page


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_pages_that_the_code_names_exist() -> None:
    named = {name for source in SOURCES for name in re.findall(r"docs/[\w/-]+\.md", source.read_text())}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_message_of_the_speech_socket_is_documented() -> None:
    page = text_of("docs/protocols/speech.md")
    kinds = [message.__annotations__["type"].__args__[0] for message in speech_messages.SERVER_MESSAGES]
    fields = {name for message in speech_messages.SERVER_MESSAGES for name in message.__annotations__}
    fields |= {name for message in speech_messages.CLIENT_MESSAGES.values() for name in message.model_fields}
    assert [name for name in [*kinds, *speech_messages.CLIENT_MESSAGES, *fields] if f"`{name}`" not in page] == []


def test_every_error_of_the_speech_socket_is_documented() -> None:
    page = text_of("docs/protocols/speech.md")
    listed = set(re.findall(r"^\| `([A-Z_]+)`", page, re.MULTILINE))
    assert listed == {status.socket for status in STATUS.values()} - {"INVALID_AUDIO"}
    assert {close for status in STATUS.values() if (close := status.close)} <= {
        int(code) for code in re.findall(r"\b10\d\d\b", page)
    }
    ends = {status.socket for status in STATUS.values() if status.close}
    for row in re.findall(r"^\| `([A-Z_]+)`(.*)", page, re.MULTILINE):
        assert row[0] in ends or "| no |" in row[1]


def test_the_limits_that_the_speech_socket_s_page_gives_are_the_ones_there_are() -> None:
    page, limits = text_of("docs/protocols/speech.md"), LimitSettings()
    named = set(re.findall(r"`limits\.(\w+)`", page))
    assert named <= set(LimitSettings.model_fields)
    for name in ("speech_input_characters", "speech_queue", "speech_ahead_s", "slow_reader_s", "session_expiring_s"):
        assert name in named
        assert re.search(rf"{getattr(limits, name):,g}\b[^.|]*`limits\.{name}`", page), name


def test_every_message_of_live_transcription_is_documented() -> None:
    page = text_of("docs/protocols/live.md")
    told = [get_type_hints(message) for message in live_messages.SERVER_MESSAGES]
    kinds = [*live_messages.CLIENT_MESSAGES, *(hints["type"].__args__[0] for hints in told)]
    assert [kind for kind in kinds if f"`{kind}`" not in page] == []
    fields = {name for hints in told for name in hints} | set(live_messages.SessionStart.model_fields)
    fields |= {f"turn_detection.{name}" for name in live_messages.TurnDetection.model_fields}
    assert [name for name in fields if f"`{name}`" not in page] == []
    for inner in (live_messages.CorrectionMade, live_messages.WordHeard):
        assert "{" + ", ".join(f'"{name}"' for name in get_type_hints(inner)) + "}" in page


def test_every_error_of_live_transcription_is_documented() -> None:
    page = text_of("docs/protocols/live.md")
    rows = set(re.findall(r"^\| `([A-Z_]+)` \| (\d{4}|–) \|", page, re.MULTILINE))
    of_speech = {"INPUT_TOO_LONG", "UNSUPPORTED_VOICE", "UNSUPPORTED_FORMAT", "NOTHING_TO_CANCEL"}
    assert rows == {
        (status.socket, str(status.close or "–")) for status in STATUS.values() if status.socket not in of_speech
    }


def test_the_limits_of_live_transcription_are_documented_as_they_are() -> None:
    page, limits = text_of("docs/protocols/live.md"), LimitSettings()
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d,]+(?: MiB)?) \|", page.partition("## Limits")[2], re.MULTILINE))
    sockets = {name for name in LimitSettings.model_fields if name.startswith(("socket_", "session_"))}
    assert (sockets - {"socket_unauthenticated_s"}) | {"audio_ahead_s", "hint_terms", "prompt_characters"} <= set(rows)
    for name, value in rows.items():
        number, _, unit = value.partition(" ")
        assert int(number.replace(",", "")) * (MIB if unit else 1) == getattr(limits, name), name
    named = set(re.findall(r"`limits\.(\w+)`", page))
    assert named <= set(rows)
    start = live_messages.SessionStart.model_fields
    assert f"| `stall_ms` | integer, 200–5000 | {start['stall_ms'].default} |" in page


NOT_OF_THE_AGENT = {
    *(Code.INVALID_JSON, Code.IDEMPOTENCY_MISMATCH, Code.IDEMPOTENCY_IN_PROGRESS, Code.NOT_FOUND),
    *(Code.METHOD_NOT_ALLOWED, Code.REQUEST_TIMEOUT, Code.NOTHING_TO_CANCEL, Code.MODEL_NOT_FOUND),
    *(Code.INVALID_CONFIG, Code.MODEL_MISSING, Code.MODEL_BROKEN, Code.MODEL_UNREACHABLE, Code.DISK_FULL),
}
"""Of requests, of files to transcribe, of models that clients name, and of the operator's side."""


def test_every_event_of_the_voice_agent_is_documented() -> None:
    page = text_of("docs/protocols/agent.md")
    assert set(re.findall(r"^### `(\w+)`", page, re.MULTILINE)) == set(agent_messages.CLIENT_EVENTS)
    told = page.partition("## What a client is told")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| ([^|]+) \| (.+)", told, re.MULTILINE))
    named = {name: rest for names, rest in rows.items() for name in re.findall(r"`(\w+)`", names)}
    assert set(named) == set(agent_messages.SERVER_EVENTS)
    for event, shape in agent_messages.SERVER_EVENTS.items():
        assert [field for field in get_type_hints(shape) if f"`{field}`" not in named[event]] == [], event


def test_every_field_of_the_voice_agent_is_documented_with_its_range() -> None:
    page = text_of("docs/protocols/agent.md")
    for event, message in agent_messages.CLIENT_EVENTS.items():
        section = page.partition(f"### `{event}`")[2].partition("\n##")[0]
        assert [field for field in message.model_fields if f"`{field}`" not in section] == [], event
    start = agent_messages.StartSession.model_json_schema()["properties"]
    for field, told in start.items():
        for kind in told.get("anyOf", [told]):
            if "maximum" in kind:
                default = "" if told.get("default") is None else f"{told['default']} "
                assert f"| `{field}` | integer, {kind['minimum']} to {kind['maximum']} | {default}|" in page
    assert f"{agent_messages.TextEvent.model_json_schema()['properties']['text']['maxLength']:,} characters" in page
    actions = re.findall(r"`(\w+)` \|", page.partition("### `control`")[2].partition("\n##")[0])
    assert sorted(actions[1:]) == sorted(
        agent_messages.ControlEvent.model_json_schema()["properties"]["action"]["enum"]
    )
    assert all(f"`{output}`" in page for output in agent_messages.OutputFormat)


def test_every_error_of_the_voice_agent_is_documented() -> None:
    page = text_of("docs/protocols/agent.md").partition("## Errors")[2]
    listed: set[Code] = set()
    for kind, codes in re.findall(r"^\| `(\w+_error)` \| ([^|]+) \|", page, re.MULTILINE):
        for code in re.findall(r"`(\w+)`", codes):
            assert STATUS[Code(code)].agent == kind
            assert Code(code) not in listed, code
            listed.add(Code(code))
    assert listed == set(Code) - NOT_OF_THE_AGENT


def test_the_limits_that_the_voice_agent_s_page_gives_are_the_ones_there_are() -> None:
    page = text_of("docs/protocols/agent.md")
    groups = {"limits": LimitSettings(), "turns": TurnSettings(), "agent": AgentSettings()}
    for group, name in set(re.findall(r"`(limits|turns|agent)\.(\w+)`", page)):
        value = getattr(groups[group], name)
        if isinstance(value, str):
            continue
        if name.endswith("_bytes"):
            said = f"{value // MIB} MiB"
        elif name.endswith("_s"):
            said = f"{value:g} s|{value / 60:g} min|{value / 3600:g} h"
        else:
            said = f"{value:,}"
        assert re.search(rf"\b(?:{said})\b[^.|]*`{group}\.{name}`", page), name

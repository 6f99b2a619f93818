from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from tests.conftest import Recorder
from voxgate.config import Settings
from voxgate.domain import LiveRecognition, Recognition, Transcript
from voxgate.engines import registry
from voxgate.engines.registry import Configured, absent, bring_up, configure, discover, usable_cores
from voxgate.errors import Code, ConfigError, EngineError, ModelError
from voxgate.ports import EngineContext, EnginePlugin, LiveSpeechToText


class BellSettings(Settings):
    """`[engines.bell]`"""

    rings: int = 1
    key: SecretStr | None = None


class Bell:
    """An engine for nothing."""

    def __init__(self, context: EngineContext, settings: BellSettings) -> None:
        self.context = context
        self.settings = settings


async def create_bell(context: EngineContext, settings: BellSettings) -> Bell:
    return Bell(context, settings)


BELL = EnginePlugin(port="vad", settings=BellSettings, create=create_bell)
NO_PLUGIN = object()


def plugin(create: Any = create_bell, **more: Any) -> Configured:
    return Configured("bell", EnginePlugin(port="vad", settings=BellSettings, create=create, **more), BellSettings())


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two plugins that are installed, one that cannot be imported and one that is none."""
    entries = {
        name: EntryPoint(name, value, "voxgate.engines")
        for name, value in {
            "bell": "fake_bells:BELL",
            "gong": "fake_bells:BELL",
            "broken": "fake_bells_that_are_not_there:BELL",
            "none": "fake_bells:NO_PLUGIN",
        }.items()
    }
    module = type(registry)("fake_bells")
    vars(module).update(BELL=BELL, NO_PLUGIN=NO_PLUGIN)
    monkeypatch.setitem(__import__("sys").modules, "fake_bells", module)
    monkeypatch.setattr(registry, "discover", lambda: entries)
    yield


def folder_of(name: str) -> Path:
    if name.startswith("missing"):
        raise ModelError(f"{name} is not here")
    return Path("/models") / name


async def start(wanted: Configured) -> registry.Outcome:
    return await bring_up(wanted, folder=folder_of, metrics=Recorder(), cores=3)


def test_our_own_engines_are_found_as_a_strangers_are() -> None:
    found = discover()
    assert {"moonshine", "piper", "espeak", "llama", "openai", "silero", "pyav"} <= set(found)
    assert all(isinstance(entry.load(), EnginePlugin) for entry in found.values())


@pytest.mark.usefixtures("installed")
def test_engines_come_with_their_settings_in_the_order_asked_for() -> None:
    found = configure(["gong", "bell", "gong"], {"bell": {"rings": "3"}}, {})
    assert [(engine.name, engine.plugin, engine.settings.model_dump()["rings"]) for engine in found] == [
        ("gong", BELL, 1),
        ("bell", BELL, 3),
    ]


@pytest.mark.usefixtures("installed")
def test_one_plugin_may_run_twice_under_names_of_its_own() -> None:
    sections: dict[str, dict[str, Any]] = {"front": {"plugin": "bell", "rings": 2}, "back": {"plugin": "bell"}}
    found = configure(["front", "back"], sections, {})
    assert [(engine.name, engine.settings.model_dump()["rings"]) for engine in found] == [("front", 2), ("back", 1)]
    assert sections["front"] == {"plugin": "bell", "rings": 2}


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("names", "sections", "param", "told"),
    [
        (["bel"], {}, "engines.bel.plugin", "there is no engine 'bel'; installed: bell, broken, gong, none"),
        (["x"], {"x": {"plugin": "y"}}, "engines.x.plugin", "there is no engine 'y'"),
        (["bell"], {"gong": {}}, "engines.gong", "nothing uses it: name it in routing.stt"),
        (["bell"], {"bell": {"ring": 1}}, "engines.bell.ring", "did you mean 'engines.bell.rings'?"),
        (["bell"], {"bell": {"rings": "x"}}, "engines.bell.rings", "valid integer"),
        (["broken"], {}, "engines.broken", "cannot be imported: ModuleNotFoundError"),
        (["none"], {}, "engines.none", "fake_bells:NO_PLUGIN is no engine"),
    ],
)
def test_what_cannot_be_configured_names_its_key(
    names: list[str], sections: dict[str, dict[str, Any]], param: str, told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        configure(names, sections, {})
    assert caught.value.param == param
    assert told in caught.value.message


async def test_an_engine_is_handed_its_folders_and_its_share_of_the_machine() -> None:
    outcome = await start(plugin(models=lambda _: ("a", "b")))
    context = outcome.engine.context  # type: ignore[union-attr]
    assert (context.name, context.cores) == ("bell", 3)
    assert context.folders == {"a": Path("/models/a"), "b": Path("/models/b")}
    assert (outcome.problem, outcome.remedy, outcome.missing) == ("", "", ())


async def test_a_recognizer_of_whole_utterances_is_made_to_hear_while_one_speaks() -> None:
    class Hears:
        languages: Mapping[str, str] = {"en": "good"}
        max_seconds = 30.0

        async def recognize(self, request: Recognition) -> Transcript:
            return Transcript("heard", request.language)

        async def aclose(self) -> None: ...

    async def create(context: EngineContext, settings: BellSettings) -> Hears:
        return Hears()

    wanted = Configured("ears", EnginePlugin(port="stt", settings=BellSettings, create=create), BellSettings())
    engine = (await start(wanted)).engine
    assert isinstance(engine, LiveSpeechToText)
    async with engine.open(LiveRecognition(), lambda _: None) as utterance:
        utterance.feed(np.full(16_000, 0.5, np.float32), 0)
        assert (await utterance.finish(16_000)).text == "heard"


async def test_missing_models_are_an_answer_with_one_command() -> None:
    outcome = await start(plugin(models=lambda _: ("a", "missing-1", "missing-2")))
    assert outcome.engine is None
    assert outcome.missing == ("missing-1", "missing-2")
    assert outcome.problem == "missing-1 is not here; missing-2 is not here"
    assert outcome.remedy == "voxgate models pull missing-1 missing-2"


async def test_a_missing_module_is_an_answer_with_its_command() -> None:
    requires = (("json", "never shown"), ("no_such_module", "pip install it"))
    outcome = await start(plugin(requires=requires))
    assert outcome.engine is None
    assert "'no_such_module' is not installed" in outcome.problem
    assert (outcome.remedy, outcome.missing) == ("pip install it", ())


async def test_an_engine_that_refuses_says_why() -> None:
    async def create(context: EngineContext, settings: BellSettings) -> Bell:
        raise EngineError("the clapper fell off", engine="bell")

    with capture_logs() as logs:
        outcome = await start(plugin(create))
    assert (outcome.engine, outcome.problem) == (None, "the clapper fell off")
    assert logs[0]["engine"] == "bell"


async def test_an_engine_that_breaks_unforeseen_says_it_in_the_log() -> None:
    async def create(context: EngineContext, settings: BellSettings) -> Bell:
        raise ZeroDivisionError("inside")

    with capture_logs() as logs:
        outcome = await start(plugin(create))
    assert outcome.problem == "ZeroDivisionError while it was started; see the log"
    assert logs[0]["exc_info"]


def test_a_port_nobody_serves() -> None:
    error = absent("voice detection")
    assert error.code is Code.ENGINE_UNAVAILABLE
    assert "voxgate check" in error.message


def test_there_is_a_core_to_work_on() -> None:
    assert usable_cores() >= 1

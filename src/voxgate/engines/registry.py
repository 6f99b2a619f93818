"""Finding engines by their entry points, reading their settings, bringing them up.

Ours are found as a stranger's are: a package that names an `EnginePlugin` in the group `voxgate.engines` is found.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import structlog
from pydantic import BaseModel

from voxgate.config import parse_section
from voxgate.engines.redecoded import live
from voxgate.errors import Code, ConfigError, EngineError, ModelError, VoxgateError
from voxgate.ports import ENTRY_POINT_GROUP, EngineContext, EnginePlugin, Metrics

log = structlog.get_logger(__name__)

PLUGIN_KEY = "plugin"
"""The key of `[engines.NAME]` that says which plugin NAME is an instance of; the plugin called NAME where absent."""


@dataclass(frozen=True, slots=True)
class Configured:
    """An engine the configuration asks for."""

    name: str
    plugin: EnginePlugin
    settings: BaseModel


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it: the engine, or why there is none."""

    engine: Any | None
    problem: str = ""
    remedy: str = ""
    missing: tuple[str, ...] = ()


def discover() -> Mapping[str, EntryPoint]:
    """The installed plugins by name; none of them is imported yet."""
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}


def configure(
    names: Iterable[str], sections: Mapping[str, Mapping[str, Any]], origins: Mapping[str, str]
) -> list[Configured]:
    """The engines of these names, each with its settings. Raises ConfigError naming the key.

    A section that nothing asks for is an error too: it was meant to do something.
    """
    installed = discover()
    wanted = list(dict.fromkeys(names))
    for name in sections:
        if name not in wanted:
            raise ConfigError(
                f"[engines.{name}] is configured but nothing uses it: name it in routing.stt, routing.tts, routing.llm "
                "or as the target of an alias in routing.models",
                param=f"engines.{name}",
            )
    configured = []
    for name in wanted:
        section = dict(sections.get(name, {}))
        kind = str(section.pop(PLUGIN_KEY, name))
        if kind not in installed:
            raise ConfigError(
                f"there is no engine {kind!r}; installed: {', '.join(sorted(installed))}",
                param=f"engines.{name}.plugin",
            )
        plugin = _plugin(installed[kind])
        settings = parse_section(plugin.settings, section, at=f"engines.{name}", origins=origins)
        configured.append(Configured(name, plugin, settings))
    return configured


def _plugin(entry: EntryPoint) -> EnginePlugin:
    try:
        plugin = entry.load()
    except Exception as error:  # a stranger's package may raise anything
        raise ConfigError(
            f"the engine {entry.name!r} ({entry.value}) cannot be imported: {type(error).__name__}: {error}",
            param=f"engines.{entry.name}",
        ) from error
    if not isinstance(plugin, EnginePlugin):
        raise ConfigError(
            f"{entry.value} is no engine: {ENTRY_POINT_GROUP} must name an EnginePlugin", param=f"engines.{entry.name}"
        )
    return plugin


async def bring_up(wanted: Configured, *, folder: Callable[[str], Path], metrics: Metrics, cores: int) -> Outcome:
    """Load one engine. `folder` answers a model's folder or raises ModelError; it may read the disk.

    What is missing or broken is an answer, not an exception: the other engines go on. A recognizer that hears whole
    utterances only is made to hear while one speaks.
    """
    folders, missing, faults = {}, [], []
    for model in wanted.plugin.models(wanted.settings):
        try:
            folders[model] = folder(model)
        except ModelError as error:
            missing.append(model)
            faults.append(error.message)
    if missing:
        return Outcome(None, "; ".join(faults), f"voxgate models pull {' '.join(missing)}", tuple(missing))
    for module, command in wanted.plugin.requires:
        if find_spec(module) is None:
            return Outcome(None, f"the Python module {module!r} is not installed", command)
    context = EngineContext(name=wanted.name, folders=folders, metrics=metrics, cores=cores)
    began = time.perf_counter()
    try:
        engine = await wanted.plugin.create(context, wanted.settings)
    except VoxgateError as error:
        log.error("engine could not be started", engine=wanted.name, error=error.message)
        return Outcome(None, error.message)
    except Exception as error:
        log.exception("engine could not be started", engine=wanted.name)
        return Outcome(None, f"{type(error).__name__} while it was started; see the log")
    log.debug("engine started", engine=wanted.name, seconds=round(time.perf_counter() - began, 3))
    return Outcome(live(engine, wanted.name, metrics) if wanted.plugin.port == "stt" else engine)


def absent(port: str) -> EngineError:
    """The error for a port that no running engine serves."""
    return EngineError(
        f"no {port} engine is running; `voxgate check` says why", engine=port, code=Code.ENGINE_UNAVAILABLE
    )


def usable_cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0))

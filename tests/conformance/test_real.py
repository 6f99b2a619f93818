"""The suites over the real engines, with their models, where these are there."""

import os
import shutil
import subprocess
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.conftest import Recorder, absent
from voxgate.ports import ENTRY_POINT_GROUP, EngineContext, EnginePlugin
from voxgate.testing.conformance import check_closing, decoder, live_stt, llm, run, stt, tts, turn, vad
from voxgate.testing.conformance.stt import Spoken

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SUITES: dict[str, ModuleType] = {"stt": stt, "tts": tts, "llm": llm, "vad": vad, "turn": turn, "decoder": decoder}
TEXT = "The train to the city leaves at nine in the morning."


def plugin(name: str) -> EnginePlugin:
    """The plugin of an entry point; a module that is not there is absent, one that cannot be imported an error."""
    [entry] = entry_points(group=ENTRY_POINT_GROUP, name=name)
    if find_spec(entry.module) is None:
        absent("engines", entry.module)
    loaded: EnginePlugin = entry.load()
    return loaded


@asynccontextmanager
async def engine(name: str, metrics: Recorder) -> AsyncIterator[tuple[EnginePlugin, Any]]:
    found = plugin(name)
    for module, command in found.requires:
        if find_spec(module) is None:
            absent("engines", f"{module} ({command})")
    settings = found.settings()
    folders = {model: models_folder() / model for model in found.models(settings)}
    for model, folder in folders.items():
        if not folder.is_dir():
            absent("kokoro" if name == "kokoro" else "models", model)  # optional: CI does not pull it
    made = await found.create(EngineContext(name, folders, metrics, 2), settings)
    try:
        yield found, made
    finally:
        await made.aclose()


def models_folder() -> Path:
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    return Path(os.environ.get("VOXGATE_MODELS_DIR") or Path(data) / "voxgate/models")


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Spoken:
    """A sentence spoken by flite, at 16 kHz."""
    if shutil.which("flite") is None:
        absent("flite", "flite")
    path = tmp_path_factory.mktemp("spoken") / "sentence.wav"
    subprocess.run(["flite", "-voice", "slt", "-t", TEXT, "-o", str(path)], check=True)
    with wave.open(str(path)) as reader:
        assert (reader.getframerate(), reader.getnchannels()) == (16_000, 1)
        ints = np.frombuffer(reader.readframes(reader.getnframes()), "<i2")
    return Spoken((ints / 32768).astype(np.float32), TEXT)


@pytest.mark.parametrize(
    "name", ["moonshine", "whisper", "piper", "kokoro", "espeak", "llama", "silero", "smart_turn", "pyav"]
)
async def test_engine(name: str, sample: Spoken, metrics: Recorder) -> None:
    async with engine(name, metrics) as (found, made):
        await run(SUITES[found.port], made, sample=sample)
        if found.port == "stt":
            await run(live_stt, made, sample=sample)
        await check_closing(made)

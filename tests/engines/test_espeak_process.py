import importlib.machinery

import pytest

from tests.conftest import Recorder
from voxgate.engines import espeak_process
from voxgate.engines.espeak_process import start_espeak
from voxgate.errors import Code, EngineError


async def test_without_the_extra_the_error_names_the_command(
    metrics: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(_name: str) -> importlib.machinery.ModuleSpec | None:
        return None

    monkeypatch.setattr(espeak_process, "find_spec", nothing)
    with pytest.raises(EngineError, match=r"pip install 'voxgate\[espeak\]'") as caught:
        await start_espeak("piper", metrics)
    assert caught.value.code is Code.ENGINE_UNAVAILABLE
    assert caught.value.engine == "piper"

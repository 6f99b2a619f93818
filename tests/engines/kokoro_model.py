"""Where tests find Kokoro: the model store of this machine, where somebody has pulled it (it is no default model)."""

import os
from pathlib import Path

from tests.conftest import absent, stored

MODEL, VOICES = "kokoro-82m-v1.0-int8", "kokoro-voices"


def folders() -> dict[str, Path]:
    """The folders of the converted model and of its voices."""
    found = {name: stored(name) for name in (MODEL, VOICES)}
    for name, folder in found.items():
        if not (folder / "manifest.json").exists():
            absent("kokoro", f"the model {name} (voxgate models pull kokoro)")
    return found


def published() -> Path:
    """The folder with the graph as it is published: VOXGATE_KOKORO_SOURCE; the store holds the converted one only."""
    folder = Path(os.environ.get("VOXGATE_KOKORO_SOURCE") or stored(MODEL))
    if not (folder / "kokoro-v1.0.int8.onnx").exists():
        absent("kokoro-source", "the unconverted model (VOXGATE_KOKORO_SOURCE)")
    return folder

"""Where tests find a Piper voice: the model store of this machine, converted on the spot if it is not yet."""

import functools
import os
import tempfile
from pathlib import Path

from tests.conftest import absent
from voxgate.models.convert.piper import ENCODER, convert

NAME = "piper-en_US-joe-medium"


def stored(model: str) -> Path:
    """The model's folder in this machine's store, whether it is there or not."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return Path(os.environ.get("VOXGATE_MODELS_DIR") or data / "voxgate" / "models") / model


def published_voice() -> Path:
    """The folder with the voice as published (one .onnx and its .onnx.json): VOXGATE_PIPER_SOURCE, else the store."""
    folder = Path(os.environ.get("VOXGATE_PIPER_SOURCE") or stored(NAME))
    if len(list(folder.glob("*.onnx.json"))) != 1:
        absent("piper-source", f"the unconverted voice {NAME} (VOXGATE_PIPER_SOURCE)")
    return folder


@functools.cache
def converted_voice() -> Path:
    """The folder with the streaming parts."""
    folder = stored(NAME)
    if (folder / ENCODER).exists():
        return folder
    if not folder.exists():
        absent("models", f"the model {NAME}")
    target = Path(tempfile.mkdtemp(prefix="voxgate-test-voice-"))
    convert(folder, target)
    return target

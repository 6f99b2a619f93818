"""Where tests find a Piper voice: the model store of this machine, converted on the spot if it is not yet."""

import functools
import tempfile
from pathlib import Path

from tests.conftest import absent, published, stored
from voxgate.models.convert.piper import ENCODER, convert

NAME = "piper-en_US-joe-medium"


def published_voice() -> Path:
    """The folder with the voice as published: one .onnx and its .onnx.json."""
    return published(NAME)


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

"""What tests of Whisper share: a small vocabulary, a model that follows a script, and where the real one is found."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import absent
from voxgate.engines.whisper_mel import Features
from voxgate.engines.whisper_model import Aligned, Decoded, Encoding
from voxgate.engines.whisper_tokens import Tokens

NAME = "whisper-base"
INSTRUCTIONS = ("endoftext", "startoftranscript", "en", "vi", "th", "ja", "tl", "transcribe", "startofprev")
TIMES = ("notimestamps", "0.00", "0.02")


def _alphabet() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes, in the order of the bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(others)) for byte in range(256)]


def description(*merges: str) -> dict[str, Any]:
    """A `tokenizer.json`: bytes, merges given as `a b` (with `Ġ` for a space), instructions, times."""
    vocabulary = {piece: token for token, piece in enumerate([*_alphabet(), *(m.replace(" ", "") for m in merges)])}
    special = [f"<|{name}|>" for name in (*INSTRUCTIONS, *TIMES)]
    added = [
        {"id": len(vocabulary) + k, "content": name, "special": True}
        | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        for k, name in enumerate(special)
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "vocab": vocabulary, "merges": list(merges)},
    }


TOKENS = Tokens(description("Ġ a", "Ġ b", "h e", "o n"))


@dataclass
class Script:
    """A model that says what it is told to, reading after reading."""

    says: Sequence[tuple[str, float, float]]
    """(text, mean log-probability, probability of no speech) of each reading; the last one repeats."""
    spoken: Mapping[str, float] = field(default_factory=lambda: {"en": 0.9, "vi": 0.1})
    on_encode: Callable[[], None] = lambda: None
    encoded: list[int] = field(default_factory=list)
    """Frames of each encoding."""
    read: list[tuple[list[int], int, int]] = field(default_factory=list)
    """(prompt, limit, beam) of each reading."""

    def encode(self, features: Features) -> Encoding:
        self.on_encode()
        self.encoded.append(features.shape[2])
        return Encoding(object())

    def decode(self, encoding: Encoding, prompt: Sequence[int], limit: int, *, beam: int = 1) -> Decoded:
        text, log_prob, no_speech = self.says[min(len(self.read), len(self.says) - 1)]
        self.read.append((list(prompt), limit, beam))
        return Decoded(tuple(TOKENS.encode(text)), log_prob, no_speech)

    def languages(self, encoding: Encoding) -> dict[str, float]:
        return dict(self.spoken)

    def align(self, encoding: Encoding, orders: Sequence[int], tokens: Sequence[int], frames: int) -> Aligned:
        return Aligned(tuple(range(len(tokens))), tuple(0.5 for _ in tokens))


def model() -> Path:
    """The folder with the model, as the model store keeps it."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    folder = Path(os.environ.get("VOXGATE_MODELS_DIR") or data / "voxgate" / "models") / NAME
    if not (folder / "model.bin").exists():
        absent("models", f"the model {NAME}")
    return folder

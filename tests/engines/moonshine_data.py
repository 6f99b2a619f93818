"""What tests of Moonshine share: a model of a dozen tokens that follows a script, and where the real one is found."""

import subprocess
import wave
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.conftest import SHARED, absent, published, stored
from voxgate.domain import Samples
from voxgate.engines.moonshine_decoding import Advance, Cancelled
from voxgate.engines.moonshine_tokens import Vocabulary
from voxgate.models.convert.moonshine import PRODUCTS

NAME = "moonshine-base-en"
CARRIER = "moonshine_cpp==0.1.4"

PIECES = (
    "<unk>",
    "<s>",
    "</s>",
    "▁",
    "▁hello",
    "▁New",
    "▁York",
    "shire",
    "▁vo",
    "x",
    "gate",
    ".",
    "▁0",
    "0",
    "▁Vo",
    "▁box",
)
VOCABULARY = Vocabulary([piece.encode() for piece in PIECES])
END = 2
Next = Mapping[str, float]


def tokens(*pieces: str) -> tuple[int, ...]:
    return tuple(PIECES.index(piece) for piece in pieces)


class Script:
    """A `NextTokens` whose next token depends on the text so far: {text so far: {piece: logit}}, every other -30."""

    def __init__(self, next_after: Callable[[str], Next]) -> None:
        self.next_after = next_after
        self.passes: list[tuple[int, int]] = []
        """(texts, tokens) of each call."""

    def advance(
        self, state: list[tuple[int, ...]] | None, parents: Sequence[int], tokens: NDArray[np.int64]
    ) -> Advance:
        self.passes.append((tokens.shape[0], tokens.shape[1]))
        before = [()] * len(tokens) if state is None else [state[parent] for parent in parents]
        texts = [(*old, *new) for old, new in zip(before, tokens.tolist(), strict=True)]
        logits = np.full((*tokens.shape, len(PIECES)), -30, np.float32)
        for b, text in enumerate(texts):
            for t in range(tokens.shape[1]):
                read = text[: len(text) - tokens.shape[1] + t + 1]
                for piece, logit in self.next_after("".join(PIECES[token] for token in read[1:])).items():
                    logits[b, t, PIECES.index(piece)] = logit
        attention = np.zeros((len(tokens), 1, tokens.shape[1], len(PIECES)), np.float32)
        for b, row in enumerate(tokens.tolist()):
            attention[b, 0, range(len(row)), row] = 1  # it "looks" at the frame with the number of the token
        return Advance(logits, attention, texts)


class Hearing:
    """A model that hears the same in every piece of audio, or by turns."""

    def __init__(self, *scripts: Callable[[str], Next]) -> None:
        self.scripts = list(scripts)
        self.heard: list[Samples] = []

    def hear(self, audio: Samples, cancelled: Callable[[], bool]) -> Script:
        if cancelled():
            raise Cancelled
        self.heard.append(audio)
        return Script(self.scripts[min(len(self.heard), len(self.scripts)) - 1])


def says(*pieces: str, sure: float = 10.0) -> Callable[[str], Next]:
    """Says these pieces and ends."""

    def next_after(text: str) -> Next:
        for k in range(len(pieces)):
            if text == "".join(pieces[:k]):
                return {pieces[k]: sure}
        return {"</s>": sure}

    return next_after


def model() -> Path:
    """The folder with the converted model, as the model store keeps it."""
    folder = stored(NAME)
    if not all((folder / name).exists() for name in PRODUCTS):
        absent("models", f"the model {NAME}")
    return folder


def sources() -> Path:
    """The folder with the files as published."""
    return published(NAME)


def recorded(name: str) -> Samples:
    """A clip of the shared recordings."""
    path = SHARED / "audio" / name
    if not path.exists():
        absent("shared", f"shared/audio/{name}")
    return load(path)


def load(path: Path) -> Samples:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / np.float32(32_768)


def spoken(text: str, voice: str, folder: Path) -> Samples:
    """Text spoken by flite."""
    path = folder / f"{voice}-{abs(hash(text))}.wav"
    try:
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True, capture_output=True)
    except FileNotFoundError:
        absent("flite", "flite")
    return load(path)

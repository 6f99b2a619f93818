"""Smart Turn inside its worker process: the sound of a turn in, the probability that it is over out."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voxgate.domain import SPEECH_RATE, Samples
from voxgate.engines.log_mel import WINDOW, Features, log_mel
from voxgate.errors import Code, PeerError

FILE = "smart-turn-v3.2-cpu.onnx"
"""The graph's file in the model's folder: `input_features` [N, 80, 800] -> `logits` [N, 1], a probability already."""
SPAN = 8 * SPEECH_RATE
"""Samples the model sees, the last of the turn; the graph takes no other number of frames."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a worker answers."""

    probability: float
    """That the turn is over, 0 to 1."""
    seconds: float
    """Time spent on it."""


def features(audio: Samples) -> Features:
    """What the model sees of a turn: shape [1, 80, 800].

    Its last 8 s, zeros in front of a shorter one, all of it (zeros too) brought to zero mean and unit variance, as in
    the model's training; then mirrored at both ends.
    """
    whole = np.zeros(SPAN, np.float32)
    heard = audio[-SPAN:]
    whole[SPAN - len(heard) :] = heard
    level = (whole - whole.mean()) / np.sqrt(whole.var() + 1e-7)  # the epsilon of transformers' feature extractor
    return log_mel(np.pad(level, WINDOW // 2, mode="reflect"))


class SmartTurnRunner:
    """Carries out jobs, from as many threads as call: onnxruntime shares a session and lets go of the interpreter."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def run(self, audio: Samples, cancelled: Callable[[], bool]) -> Iterator[Prediction]:
        """Exactly one Prediction, or none where the caller has left. PeerError where samples are not finite.

        A run of the graph (43 ms) cannot be stopped; one that nobody waits for is not begun.
        """
        started = time.perf_counter()
        if cancelled():
            return
        if not np.isfinite(audio).all():
            raise PeerError("the audio holds samples that are no numbers", code=Code.INVALID_AUDIO, param="audio")
        seen = features(audio)
        if cancelled():
            return
        answer = self._session.run(None, {"input_features": seen})[0]
        yield Prediction(min(1.0, max(0.0, float(answer[0, 0]))), time.perf_counter() - started)


def create(folder: str) -> SmartTurnRunner:
    """The runner of a worker process, loaded from the model's folder and warm (0.1 s)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    path = Path(folder) / FILE
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    runner = SmartTurnRunner(session)
    list(runner.run(np.zeros(SPAN, np.float32), bool))  # the first run allocates: not while somebody waits
    return runner

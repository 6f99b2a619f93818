"""Moonshine's two graphs on onnxruntime (models/convert/moonshine.py says what goes in and out).

One thread, no memory arena and no memory pattern: the arena keeps what the longest utterance needed (419 MB instead
of 231 after 30 s of audio) and saves no time; a second thread gains nothing and, spinning, doubles the time of the
worker beside it. Figures: the research before the project, on AVX2 (docs/decisions/0002-moonshine-rebuilt.md).
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxgate.domain import SPEECH_RATE, Samples
from voxgate.engines.moonshine_decoding import Advance, Cancelled, Floats
from voxgate.engines.moonshine_tokens import START

_HEADS, _HEAD_SIZE = 8, 52
_WATCHED_SAMPLES = 2 * SPEECH_RATE  # shorter audio is encoded in less time than a cancellation is worth (22 ms/s)
_WATCH_INTERVAL_S = 0.02


class MoonshineModel:
    """Both sessions. Use from one thread at a time."""

    def __init__(self, folder: Path) -> None:
        """Load `enc.onnx` and `dec.onnx` and run both once. onnxruntime raises its own errors where they are broken."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = options.enable_mem_pattern = False
        options.log_severity_level = 3
        self._run_options: Callable[[], Any] = onnxruntime.RunOptions
        self._encoder, self._decoder = (
            onnxruntime.InferenceSession(folder / name, options, providers=["CPUExecutionProvider"])
            for name in ("enc.onnx", "dec.onnx")
        )
        self._cross = [output.name for output in self._encoder.get_outputs()]
        self._produced = [output.name for output in self._decoder.get_outputs()]
        self._past = [name.replace("present", "past") for name in self._produced if name.startswith("present")]
        heard = self.hear(np.zeros(SPEECH_RATE // 2, np.float32), lambda: False)
        heard.advance(None, (0,), np.array([[START]], np.int64))

    def hear(self, audio: Samples, cancelled: Callable[[], bool]) -> "Heard":
        """Encode audio of any length from 0.1 s. Raises Cancelled."""
        options = self._run_options()
        over = threading.Event()

        def watch() -> None:
            while not over.wait(_WATCH_INTERVAL_S):
                if cancelled():
                    options.terminate = True
                    return

        watcher = threading.Thread(target=watch, daemon=True) if len(audio) >= _WATCHED_SAMPLES else None
        if watcher:
            watcher.start()
        try:
            cross = self._encoder.run(self._cross, {"input_values": audio[None]}, options)
        except Exception:
            if cancelled():
                raise Cancelled from None
            raise
        finally:
            over.set()
            if watcher:
                watcher.join()
        if cancelled():
            raise Cancelled
        return Heard(self._decoder, dict(zip(self._cross, cross, strict=True)), self._produced, self._past)


class Heard:
    """One piece of encoded audio, ready to be decoded as often as wanted. Carries out `NextTokens`."""

    def __init__(self, decoder: Any, cross: Mapping[str, Floats], produced: Sequence[str], past: Sequence[str]) -> None:
        self._decoder, self._cross, self._produced, self._names = decoder, cross, produced, past

    def advance(self, state: Sequence[Floats] | None, parents: Sequence[int], tokens: NDArray[np.int64]) -> Advance:
        """See `NextTokens`; `state` is the self-attention's keys and values, 16 of [b, 8, p, 52]."""
        if state is None:
            state = [np.zeros((len(tokens), _HEADS, 0, _HEAD_SIZE), np.float32)] * len(self._names)
        elif list(parents) != list(range(len(state[0]))):
            state = [cached[list(parents)] for cached in state]
        feed = {"input_ids": tokens, **dict(zip(self._names, state, strict=True)), **self._cross}
        logits, *present, attention = self._decoder.run(self._produced, feed)
        return Advance(logits, attention, present)

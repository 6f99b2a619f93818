"""A stream of samples, window by window, each with its probability of speech."""

from collections import deque

import numpy as np

from voxgate.audio.framing import Windows
from voxgate.conversation.gate import EnergyGate
from voxgate.domain import Samples
from voxgate.ports import Vad

INLINE_WINDOWS = 4
"""Windows judged on the event loop itself (0.5 ms); more at a time go to a thread: onnxruntime releases the GIL."""

_WARM_UP = 8
"""Windows before the gate opened that the detector is shown after all, a quarter of a second: what it remembers is
then the room of now. Their probabilities are not used; speech that began in them is reached by a segment's lead."""

Judged = tuple[Samples, float]
"""A window, and how likely it holds speech, 0 to 1."""


class Detector:
    """One caller's voice activity. `windows` belongs on the event loop, `judge` may run in a thread, one at a time."""

    def __init__(self, vad: Vad, gate: EnergyGate | None = None) -> None:
        """`gate`: spares the detector windows as quiet as the room; without one it is asked about all of them."""
        self._windows = Windows(vad.window)
        self._stream = vad.open()
        self._gate = gate
        self._unheard: deque[Samples] = deque(maxlen=_WARM_UP)

    @property
    def pending(self) -> int:
        """Samples that wait for the rest of their window."""
        return self._windows.pending

    def windows(self, samples: Samples) -> list[Samples]:
        """The windows that are complete with `samples` (any number at SPEECH_RATE)."""
        return self._windows.feed(samples)

    def judge(self, windows: list[Samples]) -> list[Judged]:
        """Each of them with its probability; 0 where the gate is closed."""
        return [(window, self._probability(window)) for window in windows]

    def flush(self) -> list[Judged]:
        """The window that is not complete, judged with silence behind it; the next sample begins a new one."""
        left = self._windows.pending
        last = self._windows.flush()
        return [] if last is None else [(last[:left], self._probability(last))]

    def _probability(self, window: Samples) -> float:
        gate = self._gate
        if gate is None:
            return self._stream.probability(window)
        if not gate.take(float(np.dot(window, window))):
            self._unheard.append(window)
            return 0.0
        while self._unheard:
            self._stream.probability(self._unheard.popleft())
        probability = self._stream.probability(window)
        gate.heard(probability)
        return probability

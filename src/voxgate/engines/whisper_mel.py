"""Sound as Whisper sees it: a log-mel spectrogram on a window as long as the utterance needs. Pure."""

import numpy as np

from voxgate.domain import Samples
from voxgate.engines.log_mel import BANDS, HOP, WINDOW, Features, log_mel

__all__ = ["BANDS", "FULL", "HOP", "ROOM", "Features", "frames_for", "mel"]

FULL = 3000
"""Frames of the 30 s window Whisper was trained on; more are refused by CTranslate2."""
ROOM = 300
"""Silent frames behind the utterance. With 100 or 200 a text is repeated whole more often (6 and 4 clips of 78 against
3 at 300, 1 at 500, none at 1000); 500 costs 50 ms more (docs/decisions/0006-whisper-on-a-short-context.md)."""


def frames_for(samples: int) -> int:
    """Frames an utterance is given: its own and ROOM, an even number, at most FULL."""
    frames = min(FULL, samples // HOP + ROOM)
    return frames + frames % 2


def mel(audio: Samples, frames: int) -> Features:
    """The spectrogram of `audio` (mono at SPEECH_RATE) on `frames` frames, zeros behind it; longer audio is cut.

    The zeros go in before the logarithm, as in Whisper's own training.
    """
    length = frames * HOP
    audio = audio[:length]
    padded = np.zeros(length + WINDOW, np.float32)
    half = WINDOW // 2
    padded[half : half + len(audio)] = audio
    if len(audio) > half:
        padded[:half] = audio[half:0:-1]  # reflected at the front; behind are zeros, and a mirror shows zeros
    return log_mel(padded)

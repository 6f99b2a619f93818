"""An utterance as recognizers like it, for files and for live speech alike."""

from dataclasses import dataclass

import numpy as np

from voxgate.audio.loudness import raise_quiet
from voxgate.domain import SPEECH_RATE, Samples

_SHORT = SPEECH_RATE
"""What is shorter than a second is given silence around it: cut tight, Moonshine hears \"B.S.\" for \"yes\"."""
_ZEROS_BEFORE = SPEECH_RATE // 10
_ZEROS_BEHIND = SPEECH_RATE // 5


@dataclass(frozen=True, slots=True)
class Prepared:
    """Audio that is ready for a recognizer."""

    audio: Samples
    before: int
    """Samples of silence that were put in front."""
    length: int
    """Samples of the utterance itself."""

    def place(self, position: int) -> int:
        """Where in the utterance a position in `audio` lies: 0 to `length`."""
        return min(max(position - self.before, 0), self.length)


def prepare(audio: Samples) -> Prepared:
    """One utterance at SPEECH_RATE, a short one with silence around it, a quiet one made louder."""
    length, before = len(audio), 0
    if length < _SHORT:
        audio, before = np.pad(audio, (_ZEROS_BEFORE, _ZEROS_BEHIND)), _ZEROS_BEFORE
    return Prepared(raise_quiet(audio), before, length)

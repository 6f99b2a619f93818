"""What goes before and after the decoder: audio it copes with, and doubts about what it says.

UNCLEAR_BELOW comes from 84 pieces of speech, 27 of noise and 4 of another language, measured by the research before the
project: a text's mean log-probability was -0.07 for speech (5th percentile -0.39), -0.98 for noise (95th percentile
-0.56), -1.34 for Vietnamese. BELIEVED_ABOVE is ours (docs/decisions/0002-moonshine-rebuilt.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voxgate.domain import SPEECH_RATE, Samples
from voxgate.engines.moonshine_decoding import Decoded
from voxgate.engines.moonshine_tokens import Span

UNCLEAR_BELOW = -0.5
"""Mean log-probability under which a text is doubted."""

BELIEVED_ABOVE = -0.25
"""Mean log-probability over which a text is believed although the model first said that there was none. To overrule
the model takes more than not to doubt it: of 25 windows of office noise one reached -0.30 ("You") and one -0.49
("Thank you for watching."), while digits it had kept silent about reached -0.10."""

LEAD_SAMPLES, TAIL_SAMPLES = SPEECH_RATE // 10, SPEECH_RATE // 5
"""Zeros before and behind tightly cut audio: without them "yes" is heard as "B.S." and "stop" over and over."""

_PADDED_BELOW = SPEECH_RATE  # one word; longer speech is heard as well without padding
_RAISED_BELOW = 10 ** (-30 / 20)  # word errors double at -40 dBFS and rise sixfold at -60
_RAISED_TO, _MAX_GAIN = 10 ** (-12 / 20), 100.0
_LEAD_IN = SPEECH_RATE * 3 // 10  # 0.7 s before a row of digits made the model say nothing at all
_LEAD_IN_QUIET = 10 ** (-30 / 10)  # of the power of the loudest 20 ms
_WINDOW = SPEECH_RATE // 50


def unclear(decoded: Decoded, hinted: Sequence[Span]) -> bool:
    """Whether a text is to be doubted, `hinted` being those of its words that were hinted at.

    They are left out, unless nothing else was said: the model would not have thought of them, and they must not make
    the sentence around them doubtful.
    """
    said = len(decoded.tokens)
    counted = np.ones(len(decoded.log_probs), bool)
    for word in hinted:
        counted[word.first : word.last + 1] = False
    if not counted[:said].any():
        counted[:] = True
    return said > 0 and float(decoded.log_probs[counted].mean()) < UNCLEAR_BELOW


@dataclass(frozen=True, slots=True)
class Prepared:
    """Audio as it is encoded."""

    audio: Samples
    offset: int
    """Sample of the original that `audio[0]` is; negative where zeros were put before it."""


def prepare(audio: Samples) -> Prepared:
    """Cut a long silence before speech to 300 ms, raise a low level, pad what is shorter than a second."""
    skipped = lead_in(audio)
    audio = audio[skipped:]
    peak = float(np.abs(audio).max(initial=0.0))
    if 0 < peak < _RAISED_BELOW:
        audio = audio * np.float32(min(_RAISED_TO / peak, _MAX_GAIN))
    kept = Prepared(np.ascontiguousarray(audio, np.float32), skipped)
    return padded(kept) if len(audio) < _PADDED_BELOW else kept


def padded(prepared: Prepared) -> Prepared:
    """With 100 ms of zeros before and 200 ms behind."""
    audio = np.pad(prepared.audio, (LEAD_SAMPLES, TAIL_SAMPLES))
    return Prepared(audio, prepared.offset - LEAD_SAMPLES)


def lead_in(audio: Samples) -> int:
    """Samples to leave out so that at most 300 ms come before the first window within 30 dB of the loudest."""
    windows = len(audio) // _WINDOW
    if windows == 0:
        return 0
    power = np.square(audio[: windows * _WINDOW].reshape(windows, _WINDOW)).mean(axis=1)
    first_loud = int((power >= power.max() * _LEAD_IN_QUIET).argmax())
    return max(0, first_loud * _WINDOW - _LEAD_IN)

"""When each word was said, from where CTranslate2 aligned its tokens. Pure.

Against a forced alignment of 230 recorded English words, onsets are 70 ms early; with that added the median error is
50 ms, the 90th percentile 180 ms (short window; November 2026). The first onset is always zero, so it is taken from
the audio itself: where it first rises well above its own noise.
"""

from collections.abc import Sequence

import numpy as np

from voxgate.domain import SPEECH_RATE, Samples, Word
from voxgate.engines.moonshine_alignment import pauses
from voxgate.engines.whisper_mel import HOP
from voxgate.engines.whisper_model import Aligned
from voxgate.engines.whisper_tokens import Span

_STEP = 2 * HOP  # samples a step of the alignment
_BIAS = SPEECH_RATE * 70 // 1000
_NEAR = SPEECH_RATE * 80 // 1000  # a pause may end so much after the next word's onset was put
_HOP = SPEECH_RATE // 100
_ABOVE_NOISE, _BELOW_PEAK = 10.0, 1e-3  # of power: what speech is louder than, of the quietest tenth and the loudest


def word_times(words: Sequence[Span], aligned: Aligned, audio: Samples) -> tuple[Word, ...]:
    """The words with their times in `audio`, in order and without overlap, and their least likely token's probability.

    A word ends where the next begins, or at the pause before that.
    """
    if not words:
        return ()
    quiet: list[tuple[int, int]] = [(int(first), int(last)) for first, last in pauses(audio)]
    onsets = np.array([aligned.onsets[word.first] * _STEP + _BIAS for word in words])
    onsets[0] = voice_begins(audio[: onsets[1]] if len(words) > 1 else audio)
    starts = np.minimum(np.maximum.accumulate(onsets), len(audio)).tolist()
    limits = [*starts[1:], len(audio)]
    return tuple(
        Word(word.text, start, _end(start, limit, quiet), min(aligned.probabilities[word.first : word.last + 1]))
        for word, start, limit in zip(words, starts, limits, strict=True)
    )


def voice_begins(audio: Samples) -> int:
    """The first sample of 30 ms that are 10 dB above the quietest tenth of the audio and within 30 dB of its loudest.

    0 where the audio does not say.
    """
    hops = len(audio) // _HOP
    if hops == 0:
        return 0
    power = np.square(audio[: hops * _HOP].reshape(hops, _HOP)).mean(axis=1)
    floor = max(float(np.percentile(power, 10)) * _ABOVE_NOISE, float(power.max()) * _BELOW_PEAK)
    loud = power > floor
    lasting = np.flatnonzero(loud[:-2] & loud[1:-1] & loud[2:])
    return int(lasting[0]) * _HOP if len(lasting) else 0


def _end(start: int, limit: int, quiet: Sequence[tuple[int, int]]) -> int:
    for first, last in quiet:
        if start < first < limit <= last + _NEAR:
            return first
    return limit

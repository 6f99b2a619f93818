"""Whisper's weights in CTranslate2: features in; encodings, texts, languages and word positions out.

One object serves as many threads at once as it was loaded for; each of its computations runs on one core and releases
the GIL. None of them can be stopped: a text is bounded by its token limit alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NewType

from voxgate.engines.whisper_mel import Features
from voxgate.errors import Code, ModelError

Encoding = NewType("Encoding", object)
"""CTranslate2's own array of shape [1, frames / 2, 512]."""

_LONGEST = 448  # positions of the decoder


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the decoder said."""

    tokens: tuple[int, ...]
    """Text, and times where they were asked for."""
    log_prob: float
    """Mean log-probability of the tokens, the one that ends the text included."""
    no_speech: float
    """Probability that there is no speech, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Aligned:
    """Where tokens lie in the audio."""

    onsets: tuple[int, ...]
    """Of each token, in steps of two frames (20 ms)."""
    probabilities: tuple[float, ...]
    """Of each token, given the audio and the tokens before it."""


class WhisperModel:
    """Thread-safe for `threads` callers."""

    def __init__(self, folder: Path, threads: int) -> None:
        """Load the weights as 8-bit integers (32-bit floats hear no better, for 1.6 times the time).

        Raises ModelError `model_broken`.
        """
        import ctranslate2

        self._view: Any = ctranslate2.StorageView.from_array
        try:
            # a second thread on one utterance makes it slower: 566 ms for 469 (5 s of speech)
            self._model: Any = ctranslate2.models.Whisper(
                str(folder), device="cpu", compute_type="int8", intra_threads=1, inter_threads=threads
            )
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"the model in {folder.name} cannot be loaded: {error}", code=Code.MODEL_BROKEN) from error

    def encode(self, features: Features) -> Encoding:
        """25 ms for 100 frames."""
        return Encoding(self._model.encode(self._view(features), to_cpu=True))

    def decode(self, encoding: Encoding, prompt: Sequence[int], limit: int, *, beam: int = 1) -> Decoded:
        """At most `limit` tokens, 12 ms each; or 224, or what the prompt leaves of 448, if that is less.

        CTranslate2 stops after half of `max_length`, and never goes beyond it with the prompt (its issue 1856).
        """
        [result] = self._model.generate(
            encoding,
            [list(prompt)],
            beam_size=beam,
            max_length=min(_LONGEST, max(2 * limit, len(prompt) + limit)),
            return_scores=True,
            return_no_speech_prob=True,
        )
        tokens = tuple(result.sequences_ids[0])
        score: float = result.scores[0]
        # the score is the sum over all tokens and the end, divided by the number of tokens without it
        mean = score * len(tokens) / (len(tokens) + 1) if tokens else score
        return Decoded(tokens, min(mean, 0.0), float(result.no_speech_prob))

    def languages(self, encoding: Encoding) -> dict[str, float]:
        """Whisper's language code -> probability, over all 99; 20 ms."""
        [found] = self._model.detect_language(encoding)
        return {token.strip("<|>"): float(probability) for token, probability in found}

    def align(self, encoding: Encoding, orders: Sequence[int], tokens: Sequence[int], frames: int) -> Aligned:
        """Where text tokens lie in the first `frames` frames; 30 to 60 ms."""
        [found] = self._model.align(encoding, list(orders), [list(tokens)], [frames])
        onsets = [0] * len(tokens)
        seen = -1
        for token, step in found.alignments:
            if token > seen and token < len(tokens):
                onsets[token] = step
                seen = token
        return Aligned(tuple(onsets), tuple(min(1.0, math.fabs(p)) for p in found.text_token_probs))

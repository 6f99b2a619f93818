"""From a model that predicts the next token to a text: greedy search, its limits, and what is known about the result.

Pure but for the model, which is whatever carries out `NextTokens`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from voxgate.engines.moonshine_tokens import END, START

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Advance:
    """What the model says after a batch of `b` texts grew by `t` tokens each."""

    logits: Floats
    """[b, t, v]: unnormalized log-probabilities of the token after each."""
    attention: Floats
    """[b, h, t, s]: how much each of `h` heads looked at each of `s` audio frames while reading each token."""
    state: Any
    """What the model needs to go on from here."""


class NextTokens(Protocol):
    """A decoder that has heard one piece of audio."""

    def advance(self, state: Any, parents: Sequence[int], tokens: NDArray[np.int64]) -> Advance:
        """Grow texts by `tokens` [b, t]. Text i continues text `parents[i]` of `state`; None is the empty text."""
        ...


class Ending(StrEnum):
    """Why a text ended."""

    SAID = "said"
    """The model said so."""
    CAPPED = "capped"
    """It ran into the limit of tokens."""
    LOOPED = "looped"
    """It repeated itself."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text, as tokens."""

    tokens: tuple[int, ...]
    """Without START and END."""
    log_probs: Floats
    """[n + 1] of the tokens and of END where that was said, else [n]."""
    attention: Floats
    """[h, n + 1, s]: where the decoder looked while it read START and each token."""
    ending: Ending

    @property
    def mean_log_prob(self) -> float:
        """Of all tokens, END included; 0 where there are none."""
        return float(self.log_probs.mean()) if self.log_probs.size else 0.0


class Cancelled(Exception):  # noqa: N818  not an error: the caller has left
    """Nobody wants the result any more."""


def token_limit(seconds: float) -> int:
    """The most tokens that audio of this length can hold.

    6.5 a second is the vendor's own cap (model card); 4 more, because short pieces of real speech reach 6.8.
    """
    return int(6.5 * seconds) + 4


_LONGEST_LOOP, _LOOPS, _NUMBER_LOOPS = 4, 4, 8


def looping(tokens: Sequence[int], is_number: Callable[[int], bool]) -> int:
    """The length of the pattern of at most 4 tokens that the text ends with 4 times in a row; 0 where there is none.

    Digits may repeat 7 times, as in the number 10000000; 8 times count as a loop too.
    """
    for length in range(1, _LONGEST_LOOP + 1):
        pattern = tuple(tokens[-length:])
        times = _NUMBER_LOOPS if all(map(is_number, pattern)) else _LOOPS
        if len(tokens) >= length * times and tuple(tokens[-length * times :]) == pattern * times:
            return length
    return 0


def without_loop(tokens: Sequence[int], length: int) -> int:
    """How many tokens to keep so that the pattern of `length` tokens at the end is said once."""
    kept = len(tokens)
    while kept >= 2 * length and tuple(tokens[kept - length : kept]) == tuple(
        tokens[kept - 2 * length : kept - length]
    ):
        kept -= length
    return kept


def log_softmax(logits: Floats) -> Floats:
    """Log-probabilities along the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    normalized: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return normalized


def greedy(
    model: NextTokens,
    limit: int,
    *,
    cancelled: Callable[[], bool],
    is_number: Callable[[int], bool],
    prefix: Sequence[int] = (),
    never_empty: bool = False,
) -> Decoded:
    """The most likely token, one after another, until the model ends the text, `limit` tokens or a loop.

    `prefix` is forced: read in one pass, at about an eighth of the cost of decoding it. `never_empty` forbids ending
    before the first token. Raises Cancelled.
    """
    step = model.advance(None, (0,), np.array([[START, *prefix]], np.int64))
    forced = log_softmax(step.logits[0, : len(prefix)])
    tokens = list(prefix)
    log_probs = [float(row[token]) for row, token in zip(forced, prefix, strict=True)]
    rows = [step.attention[0]]
    ending = Ending.CAPPED
    while len(tokens) < limit:
        if cancelled():
            raise Cancelled
        logits = step.logits[0, -1]
        if never_empty and not tokens:
            logits = logits.copy()
            logits[END] = -np.inf
        token = int(logits.argmax())
        best = logits[token]
        log_probs.append(float(-np.log(np.exp(logits - best).sum())))
        if token == END:
            ending = Ending.SAID
            break
        tokens.append(token)
        step = model.advance(step.state, (0,), np.array([[token]], np.int64))
        rows.append(step.attention[0])
        if looping(tokens, is_number):
            ending = Ending.LOOPED
            break
    return Decoded(tuple(tokens), np.array(log_probs, np.float32), np.concatenate(rows, axis=1), ending)

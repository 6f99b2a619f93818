"""What was spoken before: kept, replayed, and forgotten in order."""

from collections.abc import AsyncIterator

import numpy as np
import pytest

from voxgate.domain import Speech
from voxgate.engines.kokoro_cache import Replay, SpeechCache


def spoken(*sizes: int) -> list[Speech]:
    return [Speech(np.full(size, 0.5, np.float32), 24_000) for size in sizes]


async def stream(pieces: list[Speech]) -> AsyncIterator[Speech]:
    for piece in pieces:
        yield piece


def test_an_utterance_is_found_again_and_cannot_be_changed() -> None:
    cache = SpeechCache(room=100, longest=50)
    cache.put("hello", spoken(10, 20))
    found = cache.get("hello")
    assert found is not None
    assert [piece.samples.size for piece in found] == [10, 20]
    with pytest.raises(ValueError, match="read-only"):
        found[0].samples[0] = 1
    assert cache.get("goodbye") is None


def test_the_one_not_asked_for_longest_goes_first() -> None:
    cache = SpeechCache(room=100, longest=50)
    for name in "abc":
        cache.put(name, spoken(40))
        assert cache.samples <= 100
        cache.get("a")
    assert (cache.get("a") is not None, cache.get("b"), cache.get("c") is not None) == (True, None, True)
    assert cache.samples == 80


def test_long_ones_are_not_kept() -> None:
    cache = SpeechCache(room=100, longest=50)
    cache.put("long", spoken(51))
    assert (cache.get("long"), cache.samples) == (None, 0)
    nothing = SpeechCache(room=0, longest=50)
    nothing.put("a", spoken(1))
    assert nothing.get("a") is None


def test_the_same_twice_counts_once() -> None:
    cache = SpeechCache(room=100, longest=50)
    cache.put("a", spoken(30))
    cache.put("a", spoken(30))
    assert cache.samples == 30


async def test_what_is_spoken_to_its_end_is_kept_and_replayed() -> None:
    cache = SpeechCache(room=100, longest=50)
    heard = [piece async for piece in cache.recording("a", stream(spoken(10, 20)))]
    kept = cache.get("a")
    assert kept is not None
    replayed = [piece async for piece in Replay(kept)]
    assert [piece.samples.tolist() for piece in replayed] == [piece.samples.tolist() for piece in heard]


async def test_what_is_left_early_or_grows_too_long_is_not_kept() -> None:
    cache = SpeechCache(room=100, longest=50)
    left = cache.recording("left", stream(spoken(10, 20)))
    await anext(left)
    assert [piece.samples.size async for piece in cache.recording("long", stream(spoken(30, 30)))] == [30, 30]
    assert (cache.get("left"), cache.get("long"), cache.samples) == (None, None, 0)


async def test_what_fails_is_not_kept() -> None:
    async def failing() -> AsyncIterator[Speech]:
        yield spoken(10)[0]
        raise RuntimeError("lost")

    cache = SpeechCache(room=100, longest=50)
    with pytest.raises(RuntimeError, match="lost"):
        [piece async for piece in cache.recording("a", failing())]
    assert cache.get("a") is None

"""Short utterances that were spoken before, kept in memory: greetings and fillers cost nothing the second time.

Kokoro has no random operation, so the same text, voice and speed give the same audio.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Hashable, Sequence

from voxgate.domain import Speech


class SpeechCache:
    """Whole utterances by key; the one that was not asked for longest goes first."""

    def __init__(self, room: int, longest: int) -> None:
        """`room`: samples kept altogether (4 bytes each); `longest`: samples of the longest utterance kept."""
        self._room = room
        self._longest = min(longest, room)
        self._held: OrderedDict[Hashable, tuple[Speech, ...]] = OrderedDict()
        self._samples = 0

    @property
    def samples(self) -> int:
        """Samples held now."""
        return self._samples

    def get(self, key: Hashable) -> tuple[Speech, ...] | None:
        """The utterance, piece by piece as it was made; None where it is not held."""
        found = self._held.get(key)
        if found is not None:
            self._held.move_to_end(key)
        return found

    def put(self, key: Hashable, pieces: Sequence[Speech]) -> None:
        """Keep an utterance that was spoken to its end, if it is not too long."""
        size = _size(pieces)
        if key in self._held or size > self._longest:
            return
        for piece in pieces:
            piece.samples.flags.writeable = False  # whoever gets it next must find it as it was
        self._held[key] = tuple(pieces)
        self._samples += size
        while self._samples > self._room:
            self._samples -= _size(self._held.popitem(last=False)[1])

    def recording(self, key: Hashable, stream: AsyncIterator[Speech]) -> AsyncIterator[Speech]:
        """The stream as it comes; once it has come to its end, it is kept."""
        return _Recording(self, key, stream)

    def remembers(self, size: int) -> bool:
        """Whether an utterance of so many samples is kept."""
        return size <= self._longest


class Replay:
    """An utterance from the cache, as a stream."""

    def __init__(self, pieces: Sequence[Speech]) -> None:
        self._pieces = iter(pieces)

    def __aiter__(self) -> "Replay":
        return self

    async def __anext__(self) -> Speech:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration


class _Recording:
    def __init__(self, cache: SpeechCache, key: Hashable, stream: AsyncIterator[Speech]) -> None:
        self._cache = cache
        self._key = key
        self._stream = stream
        self._heard: list[Speech] | None = []
        self._size = 0

    def __aiter__(self) -> "_Recording":
        return self

    async def __anext__(self) -> Speech:
        try:
            piece = await anext(self._stream)
        except StopAsyncIteration:
            if self._heard is not None:
                self._cache.put(self._key, self._heard)
                self._heard = None
            raise
        if self._heard is not None:
            self._heard.append(piece)
            self._size += piece.samples.size
            if not self._cache.remembers(self._size):
                self._heard = None  # too long: not held in memory twice
        return piece


def _size(pieces: Sequence[Speech]) -> int:
    return sum(piece.samples.size for piece in pieces)

"""Parsers of files that arrive in pieces, written as if the whole file were there.

A parser is a generator that yields what it wants next (`Take`, `Some`, `Peek`, `Skip`, `Seek`) and gets the bytes as
the value of the `yield`; `Puller` runs it over pieces of any size. So no parser keeps a state between two pieces but
the line it stands in, and where the pieces were cut cannot matter.
"""

from collections.abc import Generator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Take:
    """The next `count` bytes. They are gathered in memory: a parser checks what a file claims before it takes it."""

    count: int


@dataclass(frozen=True, slots=True)
class Some:
    """What has arrived of the next `most` bytes, at least one."""

    most: int


@dataclass(frozen=True, slots=True)
class Peek:
    """The next `count` bytes, which remain the next ones."""

    count: int


@dataclass(frozen=True, slots=True)
class Skip:
    """Throws away the next `count` bytes, as they arrive; the answer is empty."""

    count: int


@dataclass(frozen=True, slots=True)
class Seek:
    """Throws bytes away until those from `ahead` bytes on are `mark`, which is then the answer.

    After `within` bytes in vain the answer is empty.
    """

    mark: bytes
    within: int
    ahead: int = 0


Want = Take | Some | Peek | Skip | Seek
Parser = Generator[Want, bytes, None]


class Puller:
    """Runs one parser over the pieces of its file."""

    def __init__(self, parser: Parser) -> None:
        self._parser = parser
        self._held = bytearray()
        self._want = next(parser)
        self._skipped = 0

    def feed(self, data: bytes) -> None:
        """Runs the parser as far as `data` reaches. What the parser raises comes out, and the parser is used up."""
        self._held += data
        while True:
            answer = self._answer()
            if answer is None:
                return
            self._skipped = 0
            self._want = self._parser.send(answer)

    def _answer(self) -> bytes | None:
        """What the parser wants, or None as long as it has not arrived."""
        match self._want:
            case Take(count):
                return self._drop(count) if len(self._held) >= count else None
            case Some(most):
                return self._drop(min(most, len(self._held))) if self._held else None
            case Peek(count):
                return bytes(self._held[:count]) if len(self._held) >= count else None
            case Skip(count):
                self._skipped += len(self._drop(min(count - self._skipped, len(self._held))))
                return b"" if self._skipped == count else None
            case Seek(mark, within, ahead):
                found = self._held.find(mark, ahead) - ahead
                # Where it is not found, its beginning may already be there.
                last = found if found >= 0 else max(len(self._held) - ahead - len(mark) + 1, 0)
                self._skipped += len(self._drop(min(last, within - self._skipped)))
                if self._skipped == within:
                    return b""
                return mark if found >= 0 else None

    def _drop(self, count: int) -> bytes:
        dropped = bytes(self._held[:count])
        del self._held[:count]
        return dropped

"""Moonshine's vocabulary: tokens to text, tokens to words, and the ways a term can be written in tokens.

32,000 SentencePiece pieces as Llama uses them: `▁` (U+2581) stands for a space, 256 pieces are single bytes. The ranks
of the merges are not shipped, so text cannot be turned into *the* tokens, only into likely ones (`segmentations`).
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from voxgate.errors import Code, ModelError

START, END = 1, 2
"""The token every text begins with, and the one that ends it."""
_SPECIAL = 3  # unknown, start, end: they stand for no text

SPACE = "▁"
_SPACE_BYTES = SPACE.encode()
_SPACES_OR_WORD = re.compile(rb"(?:%b|\s)+|((?:(?!%b)\S)+)" % (_SPACE_BYTES, _SPACE_BYTES))


@dataclass(frozen=True, slots=True)
class Span:
    """A word, and the tokens it came from."""

    text: str
    first: int
    """Index of its first token."""
    last: int
    """Index of its last token, itself included; a token may belong to two words."""


class Vocabulary:
    """What each token stands for."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = tuple(b"" if token < _SPECIAL else piece for token, piece in enumerate(pieces))
        self._tokens: dict[bytes, int] = {}
        for token, piece in enumerate(self._pieces):
            if piece:
                self._tokens.setdefault(piece, token)
        self._longest = max(map(len, self._pieces), default=0)

    @classmethod
    def read(cls, path: Path) -> "Vocabulary":
        """From `tokenizer.bin`: for each token the length of its piece, then the piece.

        A length of 128 or more takes two bytes, low 7 bits first. Raises ModelError `model_broken`.
        """
        data = path.read_bytes()
        pieces: list[bytes] = []
        at = 0
        try:
            while at < len(data):
                length = data[at]
                at += 1
                if length >= 128:
                    length += 128 * (data[at] - 1)
                    at += 1
                piece = data[at : at + length]
                if len(piece) < length:
                    raise IndexError
                pieces.append(piece)
                at += length
        except IndexError:
            raise ModelError(f"{path.name} is cut short", code=Code.MODEL_BROKEN) from None
        return cls(pieces)

    def __len__(self) -> int:
        return len(self._pieces)

    def piece(self, token: int) -> bytes:
        """The bytes a token stands for; empty for special tokens and the unused end of the model's output layer."""
        return self._pieces[token] if 0 <= token < len(self._pieces) else b""

    def starts_word(self, token: int) -> bool:
        """Whether the token begins with a space."""
        return self.piece(token).startswith(_SPACE_BYTES)

    def continues_word(self, token: int) -> bool:
        """Whether the token makes the word before it longer: it begins with a letter or a digit, in any script."""
        first = self.piece(token).decode(errors="ignore")[:1]
        return first.isalnum() and first != SPACE

    def is_number(self, token: int) -> bool:
        """Whether the token is made of digits alone."""
        return self.piece(token).removeprefix(_SPACE_BYTES).isdigit()

    def text(self, tokens: Sequence[int]) -> str:
        """What the tokens say, words one space apart."""
        return " ".join(span.text for span in self.words(tokens))

    def words(self, tokens: Sequence[int]) -> list[Span]:
        """The tokens' words, punctuation attached. Bytes that are no UTF-8 become U+FFFD."""
        ends = list(accumulate(len(self.piece(token)) for token in tokens))
        spoken = b"".join(self.piece(token) for token in tokens)
        return [
            Span(
                match.group().decode(errors="replace"),
                bisect_right(ends, match.start()),
                bisect_right(ends, match.end() - 1),
            )
            for match in _SPACES_OR_WORD.finditer(spoken)
            if match.group(1)
        ]

    def segmentations(self, text: str, count: int) -> list[tuple[int, ...]]:
        """The `count` ways to write `text` with fewest tokens, fewest first; none where the vocabulary cannot.

        Spaces are written `▁` by the caller. Byte pieces are not used: the model never spells with them.
        """
        data = text.encode()
        best: list[list[tuple[int, ...]]] = [[()], *([] for _ in data)]
        for end in range(1, len(data) + 1):
            ways = [
                (*way, token)
                for start in range(max(0, end - self._longest), end)
                if best[start] and (token := self._tokens.get(data[start:end], -1)) >= 0
                for way in best[start]
            ]
            best[end] = sorted(ways, key=len)[:count]
        return best[-1] if data else []

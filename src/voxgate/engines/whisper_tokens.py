"""Whisper's tokens: text to tokens and back, tokens to words, and the tokens that are instructions."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxgate.errors import Code, ModelError
from voxgate.languages import parse

_SPACE_T = ("Ġ", "t")
_UNSPACED = frozenset({"zh", "yue", "ja", "th"})
"""Languages written without spaces between words: each written character is a word of its own here."""
_CODES = {"fil": "tl"}
"""BCP-47 language -> Whisper's own code, where they differ."""
_OPENING = frozenset("([{<«“‘「『《〈（【¿¡")


@dataclass(frozen=True, slots=True)
class Span:
    """A word, and the tokens it came from."""

    text: str
    first: int
    """Index of its first token."""
    last: int
    """Index of its last token, itself included."""


class Tokens:
    """The vocabulary of one model."""

    def __init__(self, description: dict[str, Any]) -> None:
        """From the parsed `tokenizer.json`. Raises ModelError `model_broken`."""
        import tokenizers

        try:
            _mend(description["model"])
            self._tokenizer = tokenizers.Tokenizer.from_str(json.dumps(description))
        except Exception as error:  # the Rust side raises bare Exception
            raise ModelError(f"tokenizer.json cannot be used: {error}", code=Code.MODEL_BROKEN) from error
        self.end = self._instruction("endoftext")
        """Ends a text; every token from here on is an instruction or a time, none is text."""
        self.start = self._instruction("startoftranscript")
        self._before = self._instruction("startofprev")
        self._transcribe = self._instruction("transcribe")
        self._no_times = self._instruction("notimestamps")

    @classmethod
    def read(cls, path: Path) -> "Tokens":
        """From the file as it is published. Raises ModelError `model_broken`."""
        try:
            description = json.loads(path.read_bytes())
        except ValueError as error:
            raise ModelError(f"{path.name} is no JSON: {error}", code=Code.MODEL_BROKEN) from None
        return cls(description)

    def _instruction(self, name: str) -> int:
        token: int | None = self._tokenizer.token_to_id(f"<|{name}|>")
        if token is None:
            raise ModelError(f"tokenizer.json has no token <|{name}|>", code=Code.MODEL_BROKEN)
        return token

    def code(self, tag: str) -> str | None:
        """Whisper's name for a BCP-47 tag, or None for a language it has no token for (Tigrinya, Oromo, Cantonese)."""
        base = parse(tag).base
        code = _CODES.get(base, base)
        return code if self._tokenizer.token_to_id(f"<|{code}|>") is not None else None

    def encode(self, text: str) -> list[int]:
        """Text as tokens; whatever in it spells an instruction is left out."""
        tokens: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return self.said(tokens)

    def decode(self, tokens: Sequence[int]) -> str:
        """What the tokens say, without space around it; bytes that are no UTF-8 become U+FFFD."""
        text: str = self._tokenizer.decode(self.said(tokens), skip_special_tokens=True)
        return text.strip()

    def said(self, tokens: Sequence[int]) -> list[int]:
        """The tokens that are text: no times, no instructions."""
        return [token for token in tokens if token < self.end]

    def orders(self, code: str) -> list[int]:
        """What starts a transcription in the language of that code."""
        return [self.start, self._instruction(code), self._transcribe]

    def prompt(self, code: str, *, before: Sequence[int] = (), times: bool = False) -> list[int]:
        """What the decoder is given: text said `before`, the language, the task, and whether it is to write times."""
        earlier = [self._before, *before] if before else []
        return [*earlier, *self.orders(code), *([] if times else [self._no_times])]

    def words(self, tokens: Sequence[int], tag: str) -> list[Span]:
        """The words of text tokens, punctuation attached; joined (by spaces, or by nothing in languages written
        without) they are the text."""
        unspaced = parse(tag).base in _UNSPACED
        words: list[Span] = []
        first = 0
        for last in range(len(tokens)):
            piece = self._tokenizer.decode(list(tokens[first : last + 1]), skip_special_tokens=False)
            if last + 1 < len(tokens) and (piece.endswith("\ufffd") or piece.isspace()):
                continue  # the first bytes of a character, or the space before a word, whose rest comes in the next
            text = piece.strip()
            begins = piece[:1].isspace() or not words
            if text and (begins or (unspaced and _stands_alone(text, words[-1].text))):
                words.append(Span(text, first, last))
            elif words:
                words[-1] = Span(words[-1].text + text, words[-1].first, last)
            first = last + 1
        return words


def _stands_alone(text: str, before: str) -> bool:
    """Whether a piece is a word of its own: not punctuation, not the rest of a number or of a Latin word."""
    if before[-1:] in _OPENING or not text[0].isalnum():
        return text[0] in _OPENING
    return not (text[0].isascii() and before[-1:].isascii())


def _mend(model: dict[str, Any]) -> None:
    """Put the merge `Ġ t` back in front, which the published file lacks (49,999 of 50,000 merges).

    Without it " the" is spelled with two tokens the model has never seen side by side: one English word in ten.
    What the model says is not affected, what it is told is.
    """
    merges = model["merges"]
    if merges and "".join(_SPACE_T) in model["vocab"] and " ".join(_SPACE_T) not in map(_joined, merges[:10]):
        merges.insert(0, " ".join(_SPACE_T) if isinstance(merges[0], str) else list(_SPACE_T))


def _joined(merge: Any) -> str:
    return merge if isinstance(merge, str) else " ".join(merge)

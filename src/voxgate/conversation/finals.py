"""What the recognizer made of a piece of audio, as it is told: in its place, put together, corrected. Pure."""

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

from voxgate.domain import FileSegment, Transcript, glue_of
from voxgate.text.correct import correct, ends_sentence


@dataclass(frozen=True, slots=True)
class TranscriptionRequest:
    """What is asked about the audio; hints and words are those of domain.Recognition."""

    language: str = "en"
    """BCP-47 tag: what is spoken; where that is not `given`, what is taken to be until something else is known."""
    hints: tuple[str, ...] = ()
    words: bool = False
    among: tuple[str, ...] = ()
    """The languages that are told apart, at least `language`; empty: nothing is."""
    given: bool = True
    """Whether the client named the language. It is then never overridden; `among` serves to find it contradicted."""
    correct: bool = True
    """Whether the text is corrected."""
    named: tuple[str, ...] = ()
    """The tags the client named, in full: `en-SG` is heard as `en`, and corrected as itself."""


def tidy(text: str) -> str:
    """What an engine wrote, in NFC and without white space around it."""
    return unicodedata.normalize("NFC", text.strip())


def placed(heard: Transcript, start: int, end: int, padding: int = 0) -> FileSegment | None:
    """What was heard from `start` to `end`, its words where they are in the stream; None if it says nothing.

    `padding`: samples that the recognizer was given in front of the audio; its words count from them.
    """
    text = tidy(heard.text)
    if not text:
        return None

    def within(position: int) -> int:
        return start + min(max(position - padding, 0), end - start)

    words = tuple(replace(word, start=within(word.start), end=within(word.end)) for word in heard.words)
    return FileSegment(start, end, text, heard.language, words, heard.confidence, heard.unclear, text)


def together(pieces: Sequence[tuple[str, str]]) -> str:
    """Texts that follow one another, each with its language (a BCP-47 tag), as one; empty ones leave nothing."""
    whole = ""
    for text, language in pieces:
        if text:
            whole += (glue_of(language) if whole else "") + text
    return whole


def joined_segments(pieces: Sequence[FileSegment]) -> FileSegment:
    """At least one piece of speech, none of them corrected, as one segment.

    Its language is that of most of the speech, and its confidence the geometric mean of theirs by length of text.
    """
    if len(pieces) == 1:
        return pieces[0]
    spoken: dict[str, int] = {}
    for piece in pieces:
        spoken[piece.language] = spoken.get(piece.language, 0) + piece.end - piece.start
    sure = [(each.confidence, len(each.raw)) for each in pieces if each.confidence is not None]
    raw = together([(each.raw, each.language) for each in pieces])
    return FileSegment(
        pieces[0].start,
        pieces[-1].end,
        raw,
        max(spoken, key=spoken.__getitem__),
        tuple(word for each in pieces for word in each.words),
        _mean(sure) if len(sure) == len(pieces) else None,
        any(each.unclear for each in pieces),
        raw,
    )


def _mean(sure: Sequence[tuple[float, int]]) -> float:
    """Confidences are exp(mean log-probability of the tokens): so is this, taking letters for tokens."""
    if any(confidence <= 0 for confidence, _ in sure):
        return 0.0
    weight = sum(length for _, length in sure)
    return math.exp(sum(math.log(confidence) * length for confidence, length in sure) / weight)


class Wording:
    """Segments, one after the other, as they should read: corrected, knowing what the one before left unfinished."""

    def __init__(self, request: TranscriptionRequest) -> None:
        self._request = request
        self._inside = False  # a sentence that was begun and not ended

    def put(self, segment: FileSegment) -> FileSegment:
        """`segment`, which follows those put before, with its corrections; as it is where none were asked for."""
        request = self._request
        if not request.correct:
            return segment
        base = segment.language.split("-")[0]
        language = next((tag for tag in request.named if tag.split("-")[0] == base), segment.language)
        made = correct(segment.raw, language, continues=self._inside)
        self._inside = not ends_sentence(made.raw)
        return replace(segment, raw=made.raw, text=made.text, corrections=made.corrections)

"""What a live session tells of its segments, and in which order. Pure.

One segment after the other: its partials, then its final. What is heard of the next one meanwhile waits; of its
partials only the newest is kept. A segment that nobody waits for and that says nothing has no final; if partials of it
were told, a last one with empty text takes them back.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from voxgate.conversation.finals import Wording, joined_segments, placed, tidy, together
from voxgate.domain import FileSegment, FinalHeard, Guess, LanguageContradicted, PartialHeard, Transcript


@dataclass(slots=True)
class Said:
    """What one piece says, as far as it is known. Positions are samples since the session began."""

    start: int
    end: int | None = None
    """The first sample behind it, once it was cut."""
    text: str = ""
    """What its last partial said."""
    settled: bool = False
    """Whether the final would say just that if only silence followed."""
    pauses: int = 0
    """In how many of its pauses that was found."""
    until: int = 0
    """The first sample behind what `text` covers."""
    language: str = ""
    """The tag `text` is in."""
    heard: Transcript | None = None
    """The final of the piece, once it is made."""

    @property
    def is_final(self) -> bool:
        """Whether nothing of it will change any more."""
        return self.heard is not None and self.end is not None


@dataclass(slots=True)
class _Segment:
    number: int
    pieces: list[Said] = field(default_factory=list)
    complete: bool = False
    at: int = 0
    owed: bool = False
    shown: str = ""
    """What its last partial told."""
    settled: tuple[int, int] | None = None
    """Of which piece, and in which of its pauses, that was told to be settled; None: it was not."""
    contradiction: Guess | None = None
    """What is to be told after its final."""


Told = PartialHeard | FinalHeard | LanguageContradicted


class Telling:
    """The segments of one session whose final has not been told."""

    def __init__(self, wording: Wording, *, partials: bool) -> None:
        """`partials`: whether any are told."""
        self._wording = wording
        self._partials = partials
        self._segments: deque[_Segment] = deque()

    @property
    def pending(self) -> int:
        """How many segments are complete, or pieces cut, whose final is not known: the larger of the two."""
        pieces = sum(said.end is not None and said.heard is None for each in self._segments for said in each.pieces)
        return max(pieces, sum(each.complete for each in self._segments))

    def begin(self, number: int, said: Said) -> None:
        """One more piece of this segment, the newest one or a new one."""
        self._newest(number).pieces.append(said)

    def complete(self, number: int, at: int, *, owed: bool, language: str) -> Iterator[Told]:
        """No more pieces come of this segment; `owed`: it gets a final even if it says nothing, in `language`."""
        segment = self._newest(number)
        segment.complete, segment.at, segment.owed = True, at, owed
        if owed and not segment.pieces:
            segment.pieces.append(Said(at, at, language=language, heard=Transcript("", language)))
        return self.news()

    def news(self) -> Iterator[Told]:
        """What is to be told now, after something was shown, heard or completed. To be taken whole."""
        while self._segments:
            segment = self._segments[0]
            if not (segment.complete and all(said.is_final for said in segment.pieces)):
                yield from self._partial(segment)
                return
            self._segments.popleft()
            yield from self._final(segment)
            if segment.contradiction is not None:
                yield LanguageContradicted(segment.contradiction)

    def contradict(self, said: Said, guess: Guess) -> Iterator[Told]:
        """Another language is spoken in this piece than the one that was named: told once its segment has been."""
        for segment in self._segments:
            if any(each is said for each in segment.pieces):
                segment.contradiction = guess
                return
        yield LanguageContradicted(guess)

    def _newest(self, number: int) -> _Segment:
        assert not self._segments or number >= self._segments[-1].number
        if not self._segments or self._segments[-1].number != number:
            self._segments.append(_Segment(number))
        return self._segments[-1]

    def _partial(self, segment: _Segment) -> Iterator[PartialHeard]:
        shown = [_current(said) for said in segment.pieces]
        text = together([(each, said.language) for each, said in zip(shown, segment.pieces, strict=True)])
        settled = bool(shown) and segment.pieces[-1].settled and all(said.is_final for said in segment.pieces[:-1])
        pause = (len(shown), segment.pieces[-1].pauses) if settled else None
        news = text != segment.shown or pause not in (None, segment.settled)
        segment.settled = pause
        if not self._partials or not news:
            return
        segment.shown = text
        last = next(
            said for said, each in zip(reversed(segment.pieces), reversed(shown), strict=True) if each or not text
        )
        yield PartialHeard(segment.number, segment.pieces[0].start, _until(last), text, last.language, settled)

    def _final(self, segment: _Segment) -> Iterator[Told]:
        found = list(_segments(segment.pieces))
        if found:
            yield FinalHeard(segment.number, self._wording.put(joined_segments(found)))
        elif segment.owed:
            yield FinalHeard(segment.number, _nothing(segment))
        elif segment.shown:
            last = segment.pieces[-1]
            yield PartialHeard(segment.number, segment.pieces[0].start, _until(last), "", last.language)


def _current(said: Said) -> str:
    """The text of a piece: its final as soon as there is one, before that its last partial."""
    return tidy(said.heard.text if said.heard is not None else said.text)


def _until(said: Said) -> int:
    return said.end if said.heard is not None and said.end is not None else said.until


def _segments(pieces: Iterable[Said]) -> Iterator[FileSegment]:
    for said in pieces:
        assert said.heard is not None
        assert said.end is not None
        found = placed(said.heard, said.start, said.end)
        if found is not None:
            yield found


def _nothing(segment: _Segment) -> FileSegment:
    """A final that says nothing, over the audio that says it."""
    first, last = segment.pieces[0], segment.pieces[-1]
    heard, end = last.heard, last.end
    assert heard is not None
    assert end is not None
    return FileSegment(first.start, end, "", heard.language, (), None, heard.unclear, "")

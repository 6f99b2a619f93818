import math

import pytest

from voxgate.conversation.finals import TranscriptionRequest, Wording, joined_segments, placed, tidy, together
from voxgate.domain import FileSegment, Transcript, Word


def segment(
    text: str,
    start: int = 0,
    end: int = 100,
    language: str = "en",
    confidence: float | None = 0.5,
    unclear: bool = False,
) -> FileSegment:
    return FileSegment(start, end, text, language, (Word(text, start, end),), confidence, unclear, text)


def test_texts_are_tidied() -> None:
    assert tidy("  cafe\u0301\n") == "café"
    assert tidy("  ") == ""


def test_a_transcript_is_put_in_its_place() -> None:
    heard = Transcript(" cafe\u0301 ", "fr", (Word("cafe\u0301", 30, 500, 0.9),), 0.8, True)
    found = placed(heard, 1000, 1300, padding=100)
    assert found == FileSegment(1000, 1300, "café", "fr", (Word("cafe\u0301", 1000, 1300, 0.9),), 0.8, True, "café")
    assert placed(Transcript(" ", "en"), 0, 100) is None


def test_texts_are_joined_as_their_language_is_written() -> None:
    assert together([]) == ""
    assert together([("one", "en"), ("", "en"), ("two", "en")]) == "one two"
    assert together([("", "en"), ("一", "zh"), ("二", "zh"), ("three", "en")]) == "一二 three"


def test_one_piece_is_its_own_segment() -> None:
    piece = segment("one")
    assert joined_segments([piece]) is piece


def test_pieces_are_joined() -> None:
    pieces = [segment("one", 0, 100, confidence=0.9), segment("two", 150, 200, "vi", 0.4, unclear=True)]
    whole = joined_segments(pieces)
    assert (whole.start, whole.end, whole.text, whole.raw, whole.language) == (0, 200, "one two", "one two", "en")
    assert [word.text for word in whole.words] == ["one", "two"]
    assert whole.confidence == pytest.approx(math.sqrt(0.9 * 0.4))
    assert whole.unclear
    assert joined_segments([segment("a", 0, 10), segment("b", 10, 100, "vi")]).language == "vi"


def test_the_confidence_of_the_whole_is_known_where_that_of_each_piece_is() -> None:
    assert joined_segments([segment("a"), segment("b", confidence=None)]).confidence is None
    assert joined_segments([segment("a"), segment("b", confidence=0.0)]).confidence == 0


def test_wording_knows_which_sentence_it_is_in() -> None:
    wording = Wording(TranscriptionRequest())
    texts = [wording.put(segment(text)).text for text in ("um, we go to the", "store on monday.", "it is open")]
    assert texts == ["We go to the", "store on Monday.", "It is open"]


def test_wording_leaves_alone_what_is_not_to_be_corrected() -> None:
    piece = segment("um, yes")
    assert Wording(TranscriptionRequest(correct=False)).put(piece) is piece


def test_wording_uses_the_rules_of_the_variant_that_was_named() -> None:
    assert Wording(TranscriptionRequest(named=("vi", "en-SG"))).put(segment("You want uh")).text == "You want uh"
    assert Wording(TranscriptionRequest()).put(segment("You want uh")).text == "You want"

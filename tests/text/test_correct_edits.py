"""Passes over a text, told as changes of the text it began as."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxgate.domain import Correction
from voxgate.text.correct_edits import Draft, Edit, Kind, replaced


def told(draft: Draft) -> list[tuple[str, str, int, int]]:
    return [(each.original, each.corrected, each.start, each.end) for each in draft.corrections()]


def test_changes_of_one_pass_are_told_as_they_are() -> None:
    draft = Draft("one two three")
    draft.apply([Edit(0, 3, "1", "number"), Edit(7, 13, "", "filler")])
    assert draft.text == "1 two"
    assert draft.corrections() == (
        Correction("one", "1", 0, 3, "number"),
        Correction(" three", "", 7, 13, "filler"),
    )


def test_a_later_pass_counts_in_the_text_it_sees() -> None:
    draft = Draft("um the the end")
    draft.apply([Edit(0, 3, "", "filler")])
    draft.apply([Edit(3, 7, "", "repetition")])
    draft.apply([Edit(0, 3, "The", "casing")])
    assert draft.text == "The end"
    assert told(draft) == [("um ", "", 0, 3), ("the", "The", 3, 6), (" the", "", 6, 10)]


def test_a_change_of_a_change_is_one_change_of_the_weightier_type() -> None:
    draft = Draft("dont go")
    draft.apply([Edit(0, 4, "don't", "spelling")])
    draft.apply([Edit(0, 5, "Don't", "casing")])
    assert draft.corrections() == (Correction("dont", "Don't", 0, 4, "spelling"),)


def test_a_change_within_which_something_was_left_out_covers_it() -> None:
    draft = Draft("a um b c")
    draft.apply([Edit(1, 4, "", "filler")])
    draft.apply([Edit(0, 3, "x", "spelling")])
    assert draft.text == "x c"
    assert told(draft) == [("a um b", "x", 0, 6)]


def test_what_was_put_back_is_no_change() -> None:
    draft = Draft("a b")
    draft.apply([Edit(0, 1, "x", "spelling")])
    draft.apply([Edit(0, 1, "a", "spelling")])
    assert told(draft) == []


def test_words_that_stay_are_left_out_of_a_change() -> None:
    draft = Draft("we have two million of them")
    draft.apply([Edit(0, 19, "we have 2 million", "number")])
    assert told(draft) == [("two", "2", 8, 11)]


def test_what_was_put_in_between_goes_with_its_neighbour() -> None:
    draft = Draft("a,b")
    draft.apply([Edit(0, 3, "a, b", "punctuation")])
    assert told(draft) == [(",", ", ", 1, 2)]


@pytest.mark.parametrize("chunk", ["anna@monday.com", "youtube.com", "/monday", "i_am", "p.m.", "#monday", "3.5"])
def test_addresses_and_paths_are_left_alone(chunk: str) -> None:
    draft = Draft(f"see {chunk} there")
    draft.apply([Edit(4 + at, 5 + at, "X", "casing") for at in range(len(chunk))])
    assert told(draft) == []


def test_a_stop_behind_a_word_protects_nothing() -> None:
    draft = Draft("on monday.")
    draft.apply([Edit(3, 9, "Monday", "casing")])
    assert draft.text == "on Monday."


KINDS: Sequence[Kind] = ("number", "spelling", "repetition", "filler", "casing", "punctuation")


@st.composite
def passes(draw: st.DrawFn) -> tuple[str, list[list[Edit]]]:
    """A text, and passes of edits that fit what the text has become."""
    text = draw(st.text("ab ,", max_size=20))
    raw = text
    made: list[list[Edit]] = []
    for _ in range(draw(st.integers(0, 5))):
        cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
        edits = [
            Edit(start, end, draw(st.text("abX ,", max_size=3)), draw(st.sampled_from(KINDS)))
            for start, end in zip(cuts[::2], cuts[1::2], strict=False)
        ]
        made.append(edits)
        text = replaced(text, edits)
    return raw, made


@given(passes())
@settings(max_examples=500, deadline=None)
def test_any_passes_compose(case: tuple[str, list[list[Edit]]]) -> None:
    raw, made = case
    draft, text = Draft(raw), raw
    for edits in made:
        draft.apply(edits)
        text = replaced(text, edits)
    corrections = draft.corrections()
    assert draft.text == text
    assert replaced(raw, [(each.start, each.end, each.corrected) for each in corrections]) == text
    assert all(a.end <= b.start for a, b in pairwise(corrections))
    assert all(each.original and each.original != each.corrected for each in corrections)

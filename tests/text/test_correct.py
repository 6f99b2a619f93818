"""Correction as a whole: golden rows, and the laws every text must keep."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxgate.text.correct import Corrected, apply, correct, ends_sentence, joined

GOLDEN = Path(__file__).parents[1] / "golden" / "correct"
LANGUAGES = st.sampled_from(["en", "en-SG", "vi", "id", "fr", "zh", "th", "xx"])
PIECES = (
    "um uh er the a I in to and you know one two ten twenty five oh hundred thousand point percent dollars cents "
    "pm a.m. march May first second third fifteenth nineteen ninety nineties half past at seven thirty double . , ? "
    "! ... - th- V O X U S to-morrow dont i i'm monday youtube youtube.com a@b.vn lah can ừm à năm hai mươi lăm mốt "
    'trăm nghìn không phần triệu và tôi hà nội  \u00a0 \n e\u0302 \u0301 " ’ 5 20 : ; -'
).split(" ")
SPOKEN = st.lists(st.sampled_from(PIECES), max_size=25).flatmap(
    lambda pieces: st.sampled_from([" ".join(pieces), "".join(pieces), ", ".join(pieces)])
)
TEXTS = st.one_of(st.text(max_size=60), SPOKEN, st.builds(str.__add__, SPOKEN, st.text(max_size=20)))


def rows(name: str) -> list[list[str]]:
    lines = (GOLDEN / name).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines]


@pytest.mark.parametrize(("language", "raw", "text", "types"), rows("changed.tsv"))
def test_what_is_corrected(language: str, raw: str, text: str, types: str) -> None:
    made = correct(raw, language)
    assert made.text == text
    assert list(dict.fromkeys(each.type for each in made.corrections)) == types.split(",")
    assert correct(text, language).text == text, "a corrected text is a clean one"


@pytest.mark.parametrize(("language", "text"), rows("clean.tsv"))
def test_what_must_not_change(language: str, text: str) -> None:
    assert correct(text, language) == Corrected(text, text, ())


def test_there_are_rows_enough_to_be_worth_their_name() -> None:
    assert len(rows("clean.tsv")) >= 150
    assert len(rows("changed.tsv")) >= 100


@given(TEXTS, LANGUAGES, st.booleans())
@settings(max_examples=500, deadline=None)
def test_the_corrections_are_exactly_the_difference(raw: str, language: str, continues: bool) -> None:
    made = correct(raw, language, continues=continues)
    assert made.raw == unicodedata.normalize("NFC", raw)
    assert apply(made.raw, made.corrections) == made.text
    end = 0
    for each in made.corrections:
        assert end <= each.start < each.end
        assert made.raw[each.start : each.end] == each.original != each.corrected
        assert each.type in ("filler", "repetition", "number", "spelling", "casing", "punctuation")
        end = each.end


@given(TEXTS, LANGUAGES)
@settings(max_examples=300, deadline=None)
def test_no_text_is_lost(raw: str, language: str) -> None:
    made = correct(raw, language)
    assert any(map(str.isalnum, made.text)) == any(map(str.isalnum, raw))
    assert bool(made.text) == bool(made.raw.strip())


@given(st.text(max_size=200), st.sampled_from(["zh", "ja", "th", "ko", "xx", ""]))
@settings(deadline=None)
def test_languages_without_rules_only_lose_white_space(raw: str, language: str) -> None:
    made = correct(raw, language)
    assert made.text == " ".join(made.raw.split())


def test_offsets_count_code_points_of_the_composed_text() -> None:
    made = correct("Cafe\u0301 um 👍🏽 dont", "en")
    assert made.raw == "Café um 👍🏽 dont"
    assert [(c.original, c.corrected, c.start, c.end, c.type) for c in made.corrections] == [
        (" um", "", 4, 7, "filler"),
        ("dont", "don't", 11, 15, "spelling"),
    ]


def test_a_text_that_goes_on_may_begin_small() -> None:
    assert correct("store on monday.", "en", continues=True).text == "store on Monday."
    assert correct("store on monday.", "en").text == "Store on Monday."
    assert correct("hà nội và tôi.", "vi", continues=True).text == "Hà Nội và tôi."


def test_texts_are_joined_and_their_corrections_moved() -> None:
    parts = [correct("Um, hello.", "en"), correct("你 好", "zh"), correct("i am.", "en")]
    whole = joined([(" ", parts[0]), ("", parts[1]), (" ", parts[2])])
    assert whole.raw == "Um, hello.你 好 i am."
    assert whole.text == "Hello.你 好 I am."
    assert apply(whole.raw, whole.corrections) == whole.text
    assert joined([]) == Corrected("", "", ())


@given(st.lists(st.tuples(st.sampled_from(["", " "]), st.builds(correct, TEXTS, LANGUAGES)), max_size=4))
@settings(deadline=None)
def test_joined_corrections_apply_to_the_joined_text(parts: list[tuple[str, Corrected]]) -> None:
    whole = joined(parts)
    assert apply(whole.raw, whole.corrections) == whole.text


@pytest.mark.parametrize(
    ("text", "ends"),
    [("Hello.", True), ('He said "no."', True), ("Really? ", True), ("你好。", True), ("and so,", False), ("", False)],
)
def test_where_a_sentence_ends(text: str, ends: bool) -> None:
    assert ends_sentence(text) is ends


HOSTILE = [
    "um, ", "a", "the ", "one ", "one, ", "twenty ", ", ", ".", "A ", "A-", "i. ", " ", "you know, ", "one point ",
    "two hundred and ", "?!", "\"'", "nine one one ", "a.b", "a@", "1", "- ", "x, um... ", "twenty or ", "năm ", "à, ",
    "hai mươi ", "không ", "th- ", "between two hundred and ", "\u0301",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_text_takes_more_than_a_moment(piece: str) -> None:
    """Quadratic work on 40,000 characters would take minutes: the suite's own timeout ends it."""
    raw = (piece * 40_000)[:40_000]
    for language in ("en", "vi"):
        made = correct(raw, language)
        assert apply(made.raw, made.corrections) == made.text

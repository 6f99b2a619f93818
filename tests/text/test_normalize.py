"""Text for speech: the golden rows, and the laws that hold for every text."""

import csv
import time
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.errors import PeerError
from voxgate.text.normalize import Level, conventions, normalize

GOLDEN = Path(__file__).parent.parent / "golden" / "normalize"
LEVELS: tuple[Level, ...] = get_args(Level)
LANGUAGES = ("en", "en-SG", "vi", "fr", "zh")


def rows(language: str) -> list[tuple[str, str, str]]:
    with (GOLDEN / f"{language}.tsv").open(encoding="utf-8", newline="") as lines:
        found = list(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [(level, unescaped(written), unescaped(said)) for level, written, said in found]


def unescaped(cell: str) -> str:
    return cell.replace("\\n", "\n")


@pytest.mark.parametrize("language", ["en", "vi"])
def test_every_golden_row(language: str) -> None:
    table = rows(language)
    wrong = {
        written: (normalize(written, level, language), said)  # type: ignore[arg-type]
        for level, written, said in table
        if normalize(written, level, language) != said  # type: ignore[arg-type]
    }
    assert not wrong
    assert len(table) >= 150
    assert sum(written == said for _, written, said in table) >= 25  # what must not change is half of the task


@pytest.mark.parametrize("language", ["en", "vi"])
def test_golden_rows_stay_as_they_are_said(language: str) -> None:
    again = {said: normalize(said, level, language) for level, _, said in rows(language)}  # type: ignore[arg-type]
    assert again == {said: said for said in again}


TEXTS = st.text(
    alphabet=st.one_of(
        st.sampled_from(list("0123456789.,:/-–%$€đ°+=*_`#&<>[]()|!?@'\" \n\tabcIVXhkmpst½²ZạÁ😀你か한Жπ\u200d\ufe0f")),
        st.characters(codec="utf-8"),
    ),
    max_size=120,
)
WRITTEN = """
5 $3.50 11/21/2026 3:05 pm 17h30 -7 10-15 1/2 1,234.5 1.234,5 2.1.3 20°C 5km 50.000đ ½ 2½ ~5 ± 007 1234567890 90s '80s
Dr. St. Main No. iPhone 15 API FBI World War II Henry VIII Chapter V Jan 5 May 2026 K v2.1 e.g. etc. w/ C++ #tag @me
* ** _a_ `x` # - | > [a](b) <b> </b> &amp; &lt; amp; ; !!! ... ?! -- — 😀 你好 Жук π 2+2=4 < x²
a.com http://x.y/z me@x.org +1 555 123 4567 (555) 123-4567 TP.HCM Q.1 thứ 4 ngày 2/9 thế kỷ XXI
"""
PIECES = st.lists(st.sampled_from([*WRITTEN.split(), "\n"]), max_size=14).flatmap(
    lambda pieces: st.sampled_from(["", " "]).map(lambda gap: gap.join(pieces))
)


@given(st.one_of(TEXTS, PIECES), st.sampled_from(LEVELS), st.sampled_from(LANGUAGES))
def test_twice_is_once_and_letters_never_all_go(text: str, level: Level, language: str) -> None:
    said = normalize(text, level, language)
    assert normalize(said, level, language) == said
    if any(letter.isalpha() for letter in text):
        assert any(letter.isalnum() for letter in said)


@given(TEXTS, st.sampled_from(LANGUAGES))
def test_no_is_the_text_itself(text: str, language: str) -> None:
    assert normalize(text, "no", language) == text


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz ,.!?'\n", max_size=200).filter(lambda text: "  " not in text))
def test_basic_leaves_words_alone(text: str) -> None:
    assert normalize(text, "basic", "en") == text


HOSTILE = {
    "digits": "1" * 10_000,
    "asterisks": "*" * 10_000,
    "nested emphasis": "*_" * 3000 + "a" + "_*" * 2000,
    "nested brackets": "[" * 5000 + "a" + "](b)" * 1250,
    "quotes of quotes": "> " * 5000,
    "open tags": "<a " * 3300,
    "open comments": "<!--" * 2500,
    "open scripts": "<script>" * 1250,
    "escaped escapes": "&" + "amp;" * 2500,
    "dots": "1." * 5000,
    "dashes": "1-" * 5000,
    "commas": "1,111" * 2000,
    "labels": "a." * 5000,
    "long labels": ("a" * 60 + ".") * 160 + "@",
    "money": "$1" * 5000,
    "spaces": " " * 10_000,
    "blank lines": " \n" * 5000,
    "tables": ("|" * 99 + "\n") * 100,
    "rulers": "- - " * 2500 + "a",
    "capitals": "AB " * 3300,
    "Roman": "War " + "X" * 10_000,
    "Han": "你" * 10_000,
    "emoji": "😀" * 10_000,
    "brackets": "()" * 5000 + "你",
    "streets": "Main St. " * 1100,
}


@pytest.mark.parametrize("name", list(HOSTILE))
@pytest.mark.parametrize("language", ["en", "vi"])
def test_time_grows_with_the_text_and_no_faster(name: str, language: str) -> None:
    # Worst measured: 0.1 s. Quadratic rules took 1 s and more; the processor's own time is what counts.
    text = HOSTILE[name]
    normalize("5 km API", "advanced", language)
    started = time.process_time()
    said = normalize(text, "advanced", language)
    assert time.process_time() - started < 0.6
    assert normalize(said, "advanced", language) == said


def test_singapore_writes_the_day_first() -> None:
    assert normalize("3/4/2026", "basic", "en") == "March fourth, twenty twenty-six"
    assert normalize("3/4/2026", "basic", "en-SG") == "the third of April twenty twenty-six"


def test_other_languages_have_their_numbers_where_somebody_knows_them() -> None:
    assert normalize("J'ai 21 chats.", "basic", "fr") == "J'ai vingt et un chats."
    assert normalize("Kostet 1.234,5 km", "basic", "de") == "Kostet eintausendzweihundertvierunddreißig Komma fünf km"
    assert normalize("我有 21 只猫。", "basic", "zh") == "我有 21 只猫。"


def test_markup_goes_from_every_language_but_its_script_stays() -> None:
    assert normalize("**你好** 😀", "advanced", "zh") == "你好"
    assert normalize("# Привет, мир", "advanced", "fr") == "Privet, mir."


def test_decomposed_vietnamese_is_understood() -> None:
    assert normalize("5 đô\u0300ng", "basic", "vi") == "năm đồng"


@pytest.mark.parametrize(
    ("asked", "spoken", "tag"),
    [
        (None, "en", "en"),
        ("auto", "vi", "vi"),
        ("singlish", "en", "en-SG"),
        ("en-sg", "en", "en-SG"),
        ("English", "en", "en"),
        ("vi-VN", "vi", "vi"),
        ("french", "en", "en"),
    ],
)
def test_whose_habits_a_text_follows(asked: str | None, spoken: str, tag: str) -> None:
    assert conventions(asked, spoken) == tag


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(PeerError):
        conventions("klingon", "en")

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxgate.text.sentences import LONG_SENTENCE, MAX_PIECE, Clauses, split

SPEAKABLE = st.text(
    alphabet=st.one_of(
        st.sampled_from(list("abcDEF 123.!?;:,…\n\r\t\"')*。！？，、።፣।؟你好สเวีกำ한か́\u200d😀")),
        st.characters(codec="utf-8"),
    ),
    max_size=600,
)
PHRASES = st.lists(
    st.sampled_from(
        [
            "Mr.",
            "etc.",
            "No.",
            "a.m.",
            "3.5",
            "word",
            "and",
            "well,",
            "Yes!",
            "5",
            "Then",
            "x.com/a?b",
            "。",
            "\n",
            "...",
        ]
    ),
    max_size=80,
).map(" ".join)


def bare(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        (" \n\t ", []),
        ("Hello there. How are you?", ["Hello there.", "How are you?"]),
        ("no stop at all", ["no stop at all"]),
        ("First; second: third", ["First;", "second:", "third"]),
        ("One line\nanother line\r\nlast", ["One line", "another line", "last"]),
        ('Really?! (Yes.) "Fine." Go.', ["Really?!", "(Yes.)", '"Fine."', "Go."]),
        ("Hmm... well. ", ["Hmm...", "well."]),
        ("**Note:** mind the step.", ["**Note:**", "mind the step."]),
        ("At five P-M. Then we go. J. Doe", ["At five P-M.", "Then we go.", "J. Doe"]),
        ("...", ["..."]),
        ("... and so", ["... and so"]),
        ("Done. 😀", ["Done.", "😀"]),
    ],
)
def test_stops_and_line_ends_cut(text: str, pieces: list[str]) -> None:
    assert split(text) == pieces


@pytest.mark.parametrize(
    "text",
    [
        "Mr. Smith saw Dr. Jones",
        "It costs $3.50 or 1,000.25 in all",
        "Meet me at 10:30 by the door",
        "Fruit, e.g. apples, i.e. food",
        "J. R. R. Tolkien wrote it",
        "The U.S. Army",
        "See https://example.com/a?b=c.d;e here",
        "Bread, milk, etc. are in the shop",
        "At 5 p.m. we leave",
        "No. 5 is alive",
        "Thành phố TP. Hồ Chí Minh",
        "1. Bread",
    ],
)
def test_what_looks_like_a_stop_and_is_none(text: str) -> None:
    assert split(text) == [text]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("We left at 5 p.m. Then it rained.", ["We left at 5 p.m.", "Then it rained."]),
        ("No. I will not.", ["No.", "I will not."]),
        ("It was I. Really.", ["It was I.", "Really."]),
        ("1. Bread\n2. Milk", ["1. Bread", "2. Milk"]),
    ],
)
def test_an_abbreviation_that_also_ends_the_sentence(text: str, pieces: list[str]) -> None:
    assert split(text) == pieces


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("你好。我是谁？「好！」走", ["你好。", "我是谁？", "「好！」", "走"]),
        ("はい。そうです", ["はい。", "そうです"]),
        ("ሰላም። እንዴት ነህ፧ደህና", ["ሰላም።", "እንዴት ነህ፧", "ደህና"]),
        ("Xin chào! Bạn khỏe không?", ["Xin chào!", "Bạn khỏe không?"]),
        ("नमस्ते। आप कैसे हैं?", ["नमस्ते।", "आप कैसे हैं?"]),
        ("你好!我是", ["你好!", "我是"]),
        ("네. 알겠습니다.", ["네.", "알겠습니다."]),
    ],
)
def test_other_scripts(text: str, pieces: list[str]) -> None:
    assert split(text) == pieces


def test_the_first_piece_of_a_long_sentence_ends_at_a_comma() -> None:
    text = (
        "Well, I think we should go to the market, because it is open, and near. But not, of course, in the rain today."
    )
    assert split(text) == [
        "Well, I think we should go to the market,",
        "because it is open, and near.",
        "But not, of course, in the rain today.",
    ]


def test_a_short_first_sentence_stays_whole() -> None:
    text = "I do think so, yes."
    assert len(text) < LONG_SENTENCE
    assert split(text) == [text]


def test_the_first_clause_leaves_before_the_sentence_ends() -> None:
    clauses = Clauses()
    assert clauses.feed("I think that we could go, if the weather") == ["I think that we could go,"]
    assert clauses.feed(" stays good") == []
    assert clauses.flush() == ["if the weather stays good"]


def test_a_stop_is_told_with_the_character_behind_it() -> None:
    clauses = Clauses()
    assert clauses.feed("It is 3.") == []
    assert clauses.feed("5 now.") == []
    assert clauses.feed(" ") == ["It is 3.5 now."]
    assert clauses.flush() == []


def test_after_flush_a_new_text_begins() -> None:
    clauses = Clauses()
    opening = "I think that we could go, if the weather stays good"
    assert clauses.feed(opening) + clauses.flush() == clauses.feed(opening) + clauses.flush()


def test_a_stretch_without_stops_is_cut_at_a_comma_a_space_or_anywhere() -> None:
    commas = split("word word word word word, " * 20)
    assert all(piece.endswith(",") for piece in commas)
    assert all(len(piece) <= MAX_PIECE and "wo rd" not in piece for piece in split("word " * 200))
    assert [len(piece) for piece in split("a" * 450)] == [200, 200, 50]


def test_a_hard_cut_never_tears_a_character() -> None:
    pieces = split("กำ้เ" * 200)
    assert all(not re.match("[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]", piece) for piece in pieces)
    assert all(not re.search("[\u0e40-\u0e44]\\Z", piece) for piece in pieces[:-1])


@given(st.one_of(SPEAKABLE, PHRASES))
@settings(deadline=None)
def test_nothing_is_lost_and_nothing_is_too_long(text: str) -> None:
    pieces = split(text)
    assert bare("".join(pieces)) == bare(text)
    assert all(piece and piece == piece.strip() and len(piece) <= MAX_PIECE for piece in pieces)
    assert all(re.search(r"[^\W_]", piece) for piece in pieces[:-1]) or len(text) > MAX_PIECE


@given(st.one_of(SPEAKABLE, PHRASES), st.data())
@settings(deadline=None)
def test_any_chunking_gives_the_same_pieces(text: str, data: st.DataObject) -> None:
    clauses = Clauses()
    pieces: list[str] = []
    rest = text
    while rest:
        size = data.draw(st.integers(min_value=1, max_value=min(len(rest), 40)))
        pieces += clauses.feed(rest[:size])
        rest = rest[size:]
    assert pieces + clauses.flush() == split(text)

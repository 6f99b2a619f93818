"""Fillers, stutters, spelling and capitals: those with a twist; the plain ones are golden rows."""

import pytest

from voxgate.text.correct_edits import replaced
from voxgate.text.correct_english import capitals, cut_offs, fillers, repetitions, spellings


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("I think, uh, we should", "I think, we should"),
        ("the, uh, car", "the car"),
        ("red, um, green, blue", "red, green, blue"),
        ("you know what, um, never mind", "you know what, never mind"),
        ("it's, uh, it's late", "it's, it's late"),
        ("what the, uh, what the hell", "what the, what the hell"),
        ("Yes um. No", "Yes. No"),
        ("Um? What", "Um? What"),
        ("UM and ER", "UM and ER"),
        ("uh uh", "uh uh"),
        ("um, uh", "um, uh"),
        ("um-hum", "um-hum"),
        ("say 'um' now", "say 'um' now"),
        ("Um — well", "well"),
        ("You know, it is", "You know, it is"),
        ("It is, you know", "It is, you know"),
    ],
)
def test_fillers(text: str, wanted: str) -> None:
    assert replaced(text, fillers(text)) == wanted


def test_a_final_uh_may_be_a_particle() -> None:
    assert replaced("You want uh?", fillers("You want uh?")) == "You want?"
    assert list(fillers("You want uh?", final_uh=False)) == []
    assert replaced("You uh want", fillers("You uh want", final_uh=False)) == "You want"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("the the the end", "the end"),
        ("The The", "The The"),
        ("The, the end", "The end"),
        ("an A a day", "an A a day"),
        ("A a man", "A man"),
        ("there's there's one", "there's one"),
        ("theater the theatre", "theater the theatre"),
        ("and and-or", "and and-or"),
        ("of the, of the people", "of the people"),
    ],
)
def test_repetitions(text: str, wanted: str) -> None:
    assert replaced(text, repetitions(text)) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("w- we go", "we go"),
        ("grade B- because", "grade B- because"),
        ("B- but why", "but why"),
        ("pre- and post", "pre- and post"),
    ],
)
def test_cut_offs(text: str, wanted: str) -> None:
    assert replaced(text, cut_offs(text)) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("to morrow, not to day", "tomorrow, not to day"),
        ("Didnt it", "Didn't it"),
        ("the ants cant", "the ants cant"),
        ("V O X I think", "VOX I think"),
        ("J. R. R. Tolkien", "J. R. R. Tolkien"),
        ("A V O X box", "A V O X box"),
        ("my A B C", "my ABC"),
        ("plan A I like", "plan A I like"),
        ("T V", "TV"),
        ("the U S and the U K", "the US and the UK"),
        ("at 7 p m", "at 7 pm"),
        ("at seven oclock", "at seven o'clock"),
        ("allotment", "allotment"),
    ],
)
def test_spellings(text: str, wanted: str) -> None:
    assert replaced(text, spellings(text)) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("iPhone users", "iPhone users"),
        ("eBay is up. so", "eBay is up. So"),
        ("MONDAY", "MONDAY"),
        ("(i) and i", "(i) and I"),
        ("wait... so", "Wait... so"),
        ("he said no. 'so'", "He said no. 'so'"),
        ('"yes." "no."', '"Yes." "No."'),
        ("it cost etc. and so", "It cost etc. and so"),
        ("é is a letter. ê too", "É is a letter. Ê too"),
    ],
)
def test_capitals(text: str, wanted: str) -> None:
    assert replaced(text, capitals(text)) == wanted


def test_only_the_first_word_goes_on() -> None:
    text = "and i left. so"
    assert replaced(text, capitals(text, continues=True)) == "and I left. So"

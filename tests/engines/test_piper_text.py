import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.engines.piper_text import Clause, Pronounced, clauses, speakable, symbols

TABLE = {symbol: [number] for number, symbol in enumerate("_^$ ,.;?!abcdefghijklmnopqrstuvwxyzɪðəˈ")}
PAD, START, END = 0, 1, 2


def shown(ids: tuple[int, ...]) -> str:
    """The ids without pads, as the symbols they stand for."""
    names = {number: symbol for symbol, (number,) in TABLE.items()}
    return "".join(names[each] for each in ids if each != PAD)


def parts(piece: str) -> list[tuple[str, str]]:
    return [(clause.text, clause.mark) for clause in clauses(piece)]


@pytest.mark.parametrize(
    ("piece", "expected"),
    [
        ("Sure.", [("Sure.", ".")]),
        ("Well, yes; or no?", [("Well,", ","), ("yes;", ";"), ("or no?", "?")]),
        ("Ask Mr. Smith about 1,000 at 3:45.", [("Ask Mr. Smith about 1,000 at 3:45.", ".")]),
        ('"Stop!" he said', [('"Stop!"', "!"), ("he said", "")]),
        ("yes — no", [("yes —", ";"), ("no", "")]),
        ("wait...", [("wait...", ".")]),
        ("好，走。", [("好，", ","), ("走。", ".")]),
        ("— , !", []),
        ("", []),
    ],
)
def test_clauses_end_at_marks(piece: str, expected: list[tuple[str, str]]) -> None:
    assert parts(piece) == expected


@given(st.text(alphabet="ab1 ,;:.!?—\"'*😀好、", max_size=60))
def test_no_word_is_lost_between_clauses(piece: str) -> None:
    kept = "".join(word for clause in clauses(piece) for word in clause.words)
    letters = [each for each in piece if speakable(each)]
    assert [each for each in kept if speakable(each)] == letters


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("one two", ("one", "two")),
        ("one - two", ("one -", "two")),
        ("* one *", ("* one *",)),
        ("", ()),
    ],
)
def test_what_has_no_sound_stays_with_a_word(text: str, words: tuple[str, ...]) -> None:
    assert Clause(text, "").words == words


def test_ids_are_framed_and_padded_and_marks_put_back() -> None:
    read = symbols([Pronounced("ab", ",", ()), Pronounced("c", ".", ())], TABLE)
    assert shown(read.ids) == "^ab, c.$"
    assert read.ids[:2] == (START, PAD)
    assert read.ids[2::2] == tuple(TABLE[each][0] for each in "ab, c.$")
    assert set(read.ids[1:-1:2]) == {PAD}


def test_what_the_voice_has_no_symbol_for_is_left_out_and_counted() -> None:
    read = symbols([Pronounced("aʘbʘ", "", (("ab", "ab"),))], TABLE)
    assert (shown(read.ids), read.dropped) == ("^ab$", 2)


def test_letters_with_accents_are_taken_apart_as_the_voice_was_trained() -> None:
    table = TABLE | {"\u0303": [90]}
    read = symbols([Pronounced(unicodedata.normalize("NFC", "ã"), "", ())], table)
    assert read.ids == (START, PAD, TABLE["a"][0], PAD, 90, PAD, END)


def heard(clause: Pronounced) -> list[tuple[str, str]]:
    read = symbols([clause], TABLE)
    return [(word, shown(read.ids[first:behind])) for word, first, behind in read.words]


def test_each_word_has_its_phonemes() -> None:
    clause = Pronounced("dɪ kæt sæt".replace("æ", "a"), ".", (("the", "dɪ"), ("cat", "kat"), ("sat", "sat")))
    assert heard(clause) == [("the", "dɪ"), ("cat", "kat"), ("sat", "sat")]


def test_a_number_has_all_its_groups() -> None:
    clause = Pronounced("foti faiv haus", "", (("45", "foti faiv"), ("houses", "haus")))
    assert heard(clause) == [("45", "foti faiv"), ("houses", "haus")]


def test_merged_words_are_taken_apart() -> None:
    clause = Pronounced("ɪnðɪ haus", "", (("in", "ɪn"), ("the", "ðə"), ("house", "haus")))
    assert heard(clause) == [("in", "ɪn"), ("the", "ðɪ"), ("house", "haus")]


def test_a_word_swallowed_whole_has_no_length_and_its_place() -> None:
    clause = Pronounced("ab cd", "", (("one", "ab"), ("mute", "xyz xyz"), ("two", "cd")))
    first, mute, last = symbols([clause], TABLE).words
    assert first[2] <= mute[1] == mute[2] <= last[1]


def test_a_clause_whose_words_say_nothing_alone_is_still_spoken() -> None:
    read = symbols([Pronounced("ab", "", (("?", ""),))], TABLE)
    assert shown(read.ids) == "^ab$"
    assert [word for word, _, _ in read.words] == ["?"]


ipa = st.text(alphabet="abcdɪðʘ ", max_size=12)


@given(st.lists(st.builds(Pronounced, ipa, st.sampled_from(["", ",", "."]), st.lists(st.tuples(ipa, ipa)).map(tuple))))
def test_words_are_told_in_order_inside_the_piece_and_every_one(said: list[Pronounced]) -> None:
    read = symbols(said, TABLE)
    assert [word for word, _, _ in read.words] == [word for clause in said for word, _ in clause.words]
    edges = [edge for _, first, behind in read.words for edge in (first, behind)]
    assert edges == sorted(edges)
    assert all(2 <= edge < len(read.ids) for edge in edges)
    assert read.ids[0] == START
    assert read.ids[-1] == END

"""From phonemes to Kokoro's symbols: rewriting, ids, words, long texts."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.engines.kokoro_text import DIALECTS, MOST_IDS, RUN_IDS, SYMBOLS, TOP_ID, rewrite, symbols
from voxgate.engines.piper_text import Pronounced


def test_the_vocabulary_is_the_published_one() -> None:
    assert len(SYMBOLS) == 114
    assert len(set(SYMBOLS.values())) == 114
    assert max(SYMBOLS.values()) == TOP_ID
    # from config.json of hexgrad/Kokoro-82M, one of each stretch of ids
    known = {";": 1, "—": 9, " ": 16, "ꭧ": 23, "O": 31, "Q": 33, "T": 36, "W": 39, "a": 43, "h": 50, "z": 68, "æ": 72}
    known |= {"ç": 78, "ə": 83, "ɜ": 87, "ɡ": 92, "ɥ": 99, "ɪ": 102, "ŋ": 112, "θ": 119, "ɹ": 123, "ɻ": 126, "ʧ": 133}
    known |= {"ʌ": 138, "χ": 142, "ʔ": 148, "ˈ": 156, "ː": 158, "ʰ": 162, "ʲ": 164, "↓": 169, "↘": 173, "ᵻ": 177}
    assert {symbol: SYMBOLS[symbol] for symbol in known} == known


@pytest.mark.parametrize(
    ("dialect", "espeak", "kokoro"),
    [
        ("american", "həlˈoʊ", "həlˈO"),
        ("american", "dʒˈʌmps", "ʤˈʌmps"),
        ("american", "tʃˈɔɪs", "ʧˈYs"),
        ("american", "wˈɜːld", "wˈɜɹld"),
        ("american", "wˈɔːɾɚ", "wˈɔTəɹ"),
        ("american", "bˈɑːɾəl", "bˈɑTᵊl"),
        ("american", "əlˈaʊ", "əlˈW"),
        ("american", "bˈʌʔn\u0329", "bˈʌtn"),
        ("american", "ðɪʲ ˈæpəl", "ðɪ ˈæpᵊl"),
        ("british", "ɡˈəʊ heə", "ɡˈQ hɛː"),
        ("british", "kˈɑː", "kˈɑː"),
        ("other", "fʁɑ\u0303sˈɛ", "fʁɑ\u0303sˈɛ"),
        ("other", "fʁɑ̃sˈɛ", "fʁɑ\u0303sˈɛ"),
        ("other", "pˈitsa", "pˈiʦa"),
        ("other", unicodedata.normalize("NFD", "ç"), "ç"),
        ("", "ni↓xau↓", "ni↓xau↓"),
    ],
)
def test_rewriting(dialect: str, espeak: str, kokoro: str) -> None:
    assert rewrite(espeak, dialect) == kokoro
    assert all(symbol in SYMBOLS for symbol in kokoro)


def test_ids_and_words() -> None:
    [read] = symbols(
        [
            Pronounced("həlˈoʊ", ",", (("Hello,", "həlˈoʊ"),)),
            Pronounced("wˈɜːld", ".", (("world.", "wˈɜːld"),)),
        ],
        "american",
    )
    assert read.ids == tuple(SYMBOLS[symbol] for symbol in "həlˈO, wˈɜɹld.")
    assert read.words == (("Hello,", 0, 5), ("world.", 7, 13))
    assert read.dropped == 0


def test_merged_words_share_what_was_merged() -> None:
    said = Pronounced("ɪnðə hˈaʊs", "", (("in", "ɪn"), ("the", "ðə"), ("house", "hˈaʊs")))
    [read] = symbols([said], "american")
    assert read.words == (("in", 0, 2), ("the", 2, 4), ("house", 5, 9))


def test_characters_without_a_symbol_are_counted() -> None:
    [read] = symbols([Pronounced("ᶄa", "", (("ka", "ᶄa"),))], "")
    assert (read.ids, read.dropped) == ((SYMBOLS["a"],), 1)
    assert symbols([Pronounced("ᶄ", "", (("ka", "ᶄ"),))], "") == []
    assert symbols([], "") == []


def test_a_very_long_piece_is_read_in_several_runs() -> None:
    words = tuple((f"w{number}", "maɪl") for number in range(200))
    runs = symbols([Pronounced(" ".join("maɪl" for _ in words), ".", words)], "american")
    assert len(runs) > 1
    assert all(len(run.ids) <= RUN_IDS <= MOST_IDS for run in runs)
    assert [word for run in runs for word, _, _ in run.words] == [word for word, _ in words]
    for run in runs:
        assert all(behind - first == 3 for _, first, behind in run.words)  # none is torn


IPA = st.text(alphabet=[*"aeioubdfkmnst", "ˈ", "ː", "\u0303", " ", "ᶄ", "ɹ", "\u0329"], max_size=30)


@given(st.lists(st.tuples(IPA, st.sampled_from(["", ",", "."]), st.lists(IPA, max_size=5)), max_size=6))
def test_whatever_is_said_the_ids_are_known_and_the_words_lie_in_order(
    clauses: list[tuple[str, str, list[str]]],
) -> None:
    said = [Pronounced(ipa, mark, tuple((ipa, ipa) for ipa in words)) for ipa, mark, words in clauses]
    for dialect in DIALECTS:
        runs = symbols(said, dialect)
        for run in runs:
            assert 1 <= len(run.ids) <= RUN_IDS
            assert all(0 < number <= TOP_ID for number in run.ids)
            edges = [edge for _, first, behind in run.words for edge in (first, behind)]
            assert edges == sorted(edges)
            assert not edges or edges[-1] <= len(run.ids)
        if runs:
            assert sum(len(run.words) for run in runs) == sum(len(clause.words) for clause in said)

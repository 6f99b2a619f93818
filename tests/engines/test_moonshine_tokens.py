from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engines.moonshine_data import VOCABULARY, model, tokens
from voxgate.engines.moonshine_tokens import Span, Vocabulary
from voxgate.errors import Code, ModelError


def written(*pieces: bytes) -> bytes:
    return b"".join(
        (bytes([len(p)]) if len(p) < 128 else bytes([len(p) % 128 + 128, len(p) // 128])) + p for p in pieces
    )


@given(st.lists(st.binary(max_size=400), max_size=20))
def test_reading_gives_back_the_pieces(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("tokens") / "tokenizer.bin"
    path.write_bytes(written(b"u", b"s", b"e", *pieces))
    vocabulary = Vocabulary.read(path)
    assert [vocabulary.piece(token) for token in range(len(vocabulary))] == [b"", b"", b"", *pieces]


@pytest.mark.parametrize("data", [b"\x03ab", b"\xff", b"\x01a\x05bcd"])
def test_a_file_that_is_cut_short_is_a_broken_model(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "tokenizer.bin").write_bytes(data)
    with pytest.raises(ModelError) as caught:
        Vocabulary.read(tmp_path / "tokenizer.bin")
    assert caught.value.code is Code.MODEL_BROKEN


def test_words_know_their_tokens() -> None:
    said = tokens("▁hello", ".", "▁", "▁New", "▁York", "shire", ".")
    assert VOCABULARY.words(said) == [Span("hello.", 0, 1), Span("New", 3, 3), Span("Yorkshire.", 4, 6)]
    assert VOCABULARY.text(said) == "hello. New Yorkshire."


def test_special_and_unknown_tokens_say_nothing() -> None:
    assert VOCABULARY.text([0, 1, *tokens("▁hello"), 2, 30_000, -1]) == "hello"


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    vocabulary = Vocabulary([b"", b"", b"", "▁".encode(), b"\xe4", b"\xb8", b"\xad"])
    assert vocabulary.text([3, 4, 5, 6]) == "中"
    assert vocabulary.text([3, 4, 5]) == "\ufffd"


@given(st.lists(st.integers(0, len(VOCABULARY) + 2), max_size=30))
def test_text_is_its_words_and_words_are_in_order(said: list[int]) -> None:
    words = VOCABULARY.words(said)
    assert VOCABULARY.text(said) == " ".join(word.text for word in words)
    assert all(word.text and " " not in word.text and 0 <= word.first <= word.last < len(said) for word in words)
    assert all(one.last <= two.first for one, two in pairwise(words))


def test_what_a_token_does_to_a_word() -> None:
    vo, x, dot, zero, end = tokens("▁vo", "x", ".", "▁0", "</s>")
    assert [VOCABULARY.starts_word(token) for token in (vo, x, dot, end)] == [True, False, False, False]
    assert [VOCABULARY.continues_word(token) for token in (vo, x, dot, end)] == [False, True, False, False]
    assert [VOCABULARY.is_number(token) for token in (vo, dot, zero, end)] == [False, False, True, False]


def test_segmentations_take_the_fewest_tokens_first() -> None:
    vocabulary = Vocabulary([b"", b"", b"", b"a", b"b", b"c", b"ab", b"bc", b"abc"])
    assert vocabulary.segmentations("abc", 3) == [(8,), (3, 7), (6, 5)]
    assert vocabulary.segmentations("abz", 3) == []
    assert vocabulary.segmentations("", 3) == []


@pytest.mark.slow
def test_the_real_vocabulary_writes_english() -> None:
    vocabulary = Vocabulary.read(model() / "tokenizer.bin")
    assert len(vocabulary) == 32_000
    ways = vocabulary.segmentations("▁Kubernetes", 2)
    assert len(ways) == 2
    assert {vocabulary.text(way) for way in ways} == {"Kubernetes"}

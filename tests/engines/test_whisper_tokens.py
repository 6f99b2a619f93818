import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engines.whisper_data import TOKENS, description, model
from voxgate.engines.whisper_tokens import Tokens
from voxgate.errors import Code, ModelError


def words(text: str, tag: str = "en") -> list[str]:
    return [span.text for span in TOKENS.words(TOKENS.encode(text), tag)]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<|>"), max_size=40))
def test_text_comes_back(text: str) -> None:
    assert TOKENS.decode(TOKENS.encode(text)) == text.strip()


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), st.sampled_from(["en", "ja"]))
def test_words_spell_the_text_and_cover_its_tokens(text: str, tag: str) -> None:
    tokens = TOKENS.encode(text)
    spans = TOKENS.words(tokens, tag)
    assert "".join("".join(span.text for span in spans).split()) == "".join(TOKENS.decode(tokens).split())
    assert all(span.text == span.text.strip() != "" for span in spans)
    edges = [edge for span in spans for edge in (span.first, span.last)]
    assert edges == sorted(edges)
    assert all(0 <= edge < len(tokens) for edge in edges)


@given(st.text("abhe .,ứđ-7", max_size=30))
def test_words_are_what_spaces_separate(text: str) -> None:
    assert words(text) == text.split()


def test_a_space_whose_word_begins_with_half_a_character() -> None:
    """Vietnamese: the space, then two tokens of one letter. The space alone must not be lost."""
    tokens = TOKENS.encode("a ứng")
    assert [span.text for span in TOKENS.words(tokens, "vi")] == ["a", "ứng"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("今日は、いい", ["今", "日", "は、", "い", "い"]),
        ("「はい」と", ["「は", "い」", "と"]),
        ("Wi-Fi 10時", ["Wi-Fi", "10", "時"]),
        ("", []),
    ],
)
def test_where_no_spaces_are_written_each_character_is_a_word(text: str, expected: list[str]) -> None:
    assert words(text, "ja") == expected


def test_what_spells_an_instruction_is_not_obeyed() -> None:
    assert TOKENS.encode("a<|endoftext|>b<|en|><|0.02|>") == TOKENS.encode("ab")
    assert TOKENS.decode([TOKENS.start, *TOKENS.encode("he"), TOKENS.end, TOKENS.end + 10]) == "he"


def test_prompts() -> None:
    def names(prompt: list[int]) -> list[str]:
        return [str(TOKENS._tokenizer.id_to_token(token)).strip("<|>") for token in prompt]

    assert names(TOKENS.prompt("vi")) == ["startoftranscript", "vi", "transcribe", "notimestamps"]
    assert (
        names(TOKENS.prompt("vi", times=True))
        == ["startoftranscript", "vi", "transcribe"]
        == names(TOKENS.orders("vi"))
    )
    assert names(TOKENS.prompt("en", before=TOKENS.encode("he")))[:2] == ["startofprev", "he"]


@pytest.mark.parametrize(
    ("tag", "code"), [("vi", "vi"), ("en-SG", "en"), ("fil", "tl"), ("ti", None), ("om", None), ("yue", None)]
)
def test_codes_of_languages(tag: str, code: str | None) -> None:
    assert TOKENS.code(tag) == code


@pytest.mark.parametrize("pairs", [False, True])
def test_the_merge_that_the_published_file_lacks_is_put_back(pairs: bool) -> None:
    whole, lacking = description("Ġ t", "Ġt h"), description("Ġ t", "Ġt h")
    lacking["model"]["merges"] = [["Ġt", "h"]] if pairs else ["Ġt h"]
    assert Tokens(lacking).encode(" th") == Tokens(whole).encode(" th")
    assert len(Tokens(whole).encode(" th")) == 1


@pytest.mark.parametrize("content", [b"", b"no json", b"[]", b"{}", b'{"model": {"merges": [], "vocab": {}}}'])
def test_a_broken_file_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(ModelError) as caught:
        Tokens.read(tmp_path / "tokenizer.json")
    assert caught.value.code is Code.MODEL_BROKEN
    assert "tokenizer.json" in caught.value.message


def test_a_file_without_an_instruction_is_told(tmp_path: Path) -> None:
    lacking = description()
    del lacking["added_tokens"][0]
    (tmp_path / "tokenizer.json").write_text(json.dumps(lacking))
    with pytest.raises(ModelError, match="no token"):
        Tokens.read(tmp_path / "tokenizer.json")


@pytest.mark.slow
def test_the_published_file_is_mended() -> None:
    """` the` is token 264, not ` ` and `the` (220, 3322)."""
    tokens = Tokens.read(model() / "tokenizer.json")
    assert tokens.encode(" the") == [264]
    assert (tokens.end, tokens.start) == (50_257, 50_258)
    assert tokens.orders("vi") == [50_258, 50_278, 50_359]
    assert [tag for tag in ("vi", "fil", "th", "ti", "om", "yue") if tokens.code(tag)] == ["vi", "fil", "th"]

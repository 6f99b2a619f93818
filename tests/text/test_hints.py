import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.text.hints import hint_terms


@pytest.mark.parametrize(
    ("prompt", "terms"),
    [
        ("", ()),
        ("Voxgate", ("Voxgate",)),
        ("Voxgate, Ojukwu; New York\nXiaomi", ("Voxgate", "Ojukwu", "New York", "Xiaomi")),
        ("The doctor prescribed Atorvastatin to Chukwuemeka Ojukwu.", ("Atorvastatin", "Chukwuemeka Ojukwu")),
        ("We met at three. She left.", ()),
        ("the iPhone and the MP3 player", ("iPhone", "MP3")),
        ("one, one, two", ("one", "two")),
        ("a\x00b, c\x1b[31m", ("a b", "c 31m")),
        ("AT&T, O'Neill, Jean-Luc", ("AT&T", "O'Neill", "Jean-Luc")),
        ("... , !!! , -", ()),
    ],
)
def test_terms(prompt: str, terms: tuple[str, ...]) -> None:
    assert hint_terms(prompt, 16) == terms


def test_only_the_first_terms_count() -> None:
    assert hint_terms(", ".join(f"word{n}" for n in range(10_000)), 16) == tuple(f"word{n}" for n in range(16))


@given(st.text())
def test_any_prompt_gives_clean_terms(prompt: str) -> None:
    for term in hint_terms(prompt, 16):
        assert term.strip() == term
        assert 0 < len(term) <= 60
        assert term.isprintable()

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.engines import whisper_guards as guards

SENTENCE = [10, 21, 32, 43, 54, 65, 76]
VARIED = list(range(40))


def text(tokens: list[int]) -> str:
    """Something that compresses no better than its tokens repeat."""
    return "".join(chr(0x4E00 + token * 7) for token in tokens)


@pytest.mark.parametrize(
    ("tokens", "seconds", "code", "expected"),
    [
        (VARIED[:28], 3.0, "en", False),
        (VARIED[:29], 3.0, "en", True),
        (VARIED, 3.0, "th", False),
        (SENTENCE * 2, 10.0, "en", True),
        ([*SENTENCE, 1, *SENTENCE], 10.0, "en", True),
        ([1, 2, 1, 2], 10.0, "en", False),
        ([], 1.0, "en", False),
    ],
)
def test_loops_are_told_by_their_length_and_by_their_halves(
    tokens: list[int], seconds: float, code: str, expected: bool
) -> None:
    assert guards.looping(tokens, text(tokens), seconds, code) is expected


def test_loops_are_told_by_how_well_they_compress() -> None:
    assert guards.looping([1, 2, 3], "no, " * 20, 30.0, "en")
    assert not guards.looping([1, 2, 3], "what you can do for your country", 30.0, "en")


@pytest.mark.parametrize("code", ["en", "th"])
def test_the_limit_leaves_a_loop_room_to_be_seen(code: str) -> None:
    for seconds in (0.5, 5.0, 30.0):
        cut_off = list(range(guards.token_limit(seconds, code)))
        assert guards.looping(cut_off, text(cut_off), seconds, code)


@pytest.mark.parametrize(
    ("tokens", "kept"),
    [
        ([1, 2, 3, *SENTENCE * 4], [1, 2, 3, *SENTENCE]),
        ([1, 2, *[7, 8] * 5, 7], [1, 2, 7, 8]),
        ([9] * 50, [9]),
        (SENTENCE * 2, SENTENCE),
        ([*SENTENCE[:-1], 99, *SENTENCE], [*SENTENCE[:-1], 99]),
        (VARIED, VARIED),
        ([], []),
    ],
)
def test_what_repeats_is_said_once(tokens: list[int], kept: list[int]) -> None:
    assert guards.said_once(tokens) == kept


@given(st.lists(st.integers(0, 5), max_size=60))
def test_what_is_said_once_is_a_beginning_and_stays_as_it_is(tokens: list[int]) -> None:
    once = guards.said_once(tokens)
    assert tokens[: len(once)] == once
    assert bool(once) == bool(tokens)
    assert len(guards.said_once(once)) <= len(once)


@given(st.lists(st.integers(0, 1000), min_size=4, max_size=30, unique=True), st.integers(3, 8))
def test_any_sentence_that_loops_is_said_once(sentence: list[int], times: int) -> None:
    assert guards.said_once(sentence * times) == sentence
    assert guards.doubled(sentence * 2)


def test_noise_needs_both_signs() -> None:
    assert guards.invented(-1.1, 0.3)
    assert not guards.invented(-0.3, 0.82), "a good Vietnamese clip"
    assert not guards.invented(-1.7, 0.2), "another language"


@pytest.mark.parametrize(
    ("said", "no_speech", "expected"),
    [
        ("We will talk about Kowalczyk.", 0.3, True),
        ("kowalczyk, Ojukwu", 0.7, True),
        ("Kowalczyk", 0.2, False),
        ("Call Kowalczyk", 0.7, False),
        ("", 0.7, True),
    ],
)
def test_what_was_told_and_comes_back_on_noise_is_an_echo(said: str, no_speech: float, expected: bool) -> None:
    assert guards.echo(said, "We will talk about Kowalczyk and Ojukwu.", no_speech) is expected


def test_of_many_names_the_first_fifteen_are_told() -> None:
    assert guards.names([f"Name{k}" for k in range(10_000)]) == tuple(f"Name{k}" for k in range(15))


@given(st.lists(st.text(max_size=80), max_size=30))
def test_names_are_clean(hints: list[str]) -> None:
    told = guards.names(hints)
    assert len(told) <= 15
    assert len(set(told)) == len(told)
    for name in told:
        assert 0 < len(name) <= 60
        assert any(c.isalnum() for c in name)
        assert name.isprintable() or " " in name or not name.isascii()
        assert not any(c in name for c in "\0\n\r\t\x1b\x7f\u202e")


def test_control_characters_are_left_out() -> None:
    assert guards.names(["Oju\x00kwu\n", "\x1b", "\u202eevil", "--", " x  y "]) == ("Oju kwu", "evil", "x y")


@pytest.mark.parametrize(
    ("told", "code", "expected"),
    [
        ((), "en", ""),
        (("Ojukwu",), "en", "We will talk about Ojukwu."),
        (("A", "B", "C"), "en", "We will talk about A, B and C."),
        (("A", "B", "C"), "vi", "Chúng ta sẽ nói về A, B và C."),
        (("A", "B"), "ja", "AとBについてお話しします。"),
        (("A",), "de", "We will talk about A."),
    ],
)
def test_names_are_told_in_a_sentence(told: tuple[str, ...], code: str, expected: str) -> None:
    assert guards.sentence(told, code) == expected


def test_how_much_may_be_told() -> None:
    assert guards.fits(range(150))
    assert not guards.fits(range(151))

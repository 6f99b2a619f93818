import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engines.moonshine_data import PIECES, VOCABULARY, Next, Script, says, tokens
from voxgate.engines.moonshine_decoding import Cancelled, Decoded, Ending, greedy
from voxgate.engines.moonshine_hints import MAX_TERMS, Hints, Walk, beam, follow, occurrences, respell, terms
from voxgate.engines.moonshine_tokens import Span

VOXGATE = Hints(("Voxgate",), VOCABULARY)


def decode(script: Script, hints: Hints, limit: int = 20, *, never_empty: bool = False) -> Decoded:
    return beam(script, limit, hints, cancelled=lambda: False, never_empty=never_empty)


def bonuses(hints: Hints, said: tuple[int, ...]) -> list[float]:
    walk, earned = Walk(), []
    for token in said:
        walk, bonus = follow(hints, walk, token)
        earned.append(bonus)
    return earned


def box_rather_than_voxgate(text: str) -> Next:
    """Hears "box gate" where "Voxgate" was said: 6 nats lie between them."""
    return {
        "": {"▁box": 10.0, "▁Vo": 4.0},
        "▁box": {"gate": 10.0},
        "▁Vo": {"x": 10.0},
        "▁Vox": {"gate": 10.0},
    }.get(text, {"</s>": 10.0})


def test_a_term_is_heard_with_the_hint_and_missed_without() -> None:
    assert decode(Script(box_rather_than_voxgate), Hints((), VOCABULARY)).tokens == tokens("▁box", "gate")
    assert decode(Script(box_rather_than_voxgate), VOXGATE).tokens == tokens("▁Vo", "x", "gate")


def test_log_probs_are_the_models_without_bonuses() -> None:
    decoded = decode(Script(box_rather_than_voxgate), VOXGATE)
    assert decoded.log_probs[0] == pytest.approx(-6, abs=0.01)
    assert decoded.attention[0].argmax(axis=1).tolist() == [1, *decoded.tokens]
    assert decoded.ending is Ending.SAID


def test_the_texts_of_the_beam_grow_as_one_batch() -> None:
    script = Script(box_rather_than_voxgate)
    decode(script, VOXGATE)
    assert script.passes[0] == (1, 1)
    assert all(texts <= 4 and new == 1 for texts, new in script.passes)
    assert any(texts > 1 for texts, _ in script.passes)


def test_a_term_far_from_what_was_heard_is_not_considered() -> None:
    def certain(text: str) -> Next:
        return {"": {"▁box": 20.0, "▁Vo": 1.0}, "▁Vo": {"x": 9.0}, "▁Vox": {"gate": 9.0}}.get(text, {"</s>": 20.0})

    assert decode(Script(certain), VOXGATE).tokens == tokens("▁box")


@pytest.mark.parametrize("said", [("▁hello", "▁New", "▁York", "."), ("▁0", "0", "0"), ()])
def test_without_anything_like_the_term_the_beam_says_what_greedy_says(said: tuple[str, ...]) -> None:
    plain = greedy(Script(says(*said)), 20, cancelled=lambda: False, is_number=VOCABULARY.is_number)
    hinted = decode(Script(says(*said)), VOXGATE)
    assert hinted.tokens == plain.tokens
    np.testing.assert_allclose(hinted.log_probs, plain.log_probs, atol=1e-5)


def test_the_limit_ends_the_beam() -> None:
    capped = decode(Script(lambda text: {"▁New": 9.0} if text.endswith("York") else {"▁York": 9.0}), VOXGATE, limit=3)
    assert (capped.ending, len(capped.tokens)) == (Ending.CAPPED, 3)
    assert capped.attention.shape[1] == 4


def test_a_loop_ends_the_beam() -> None:
    decoded = decode(Script(lambda _: {"▁hello": 30.0}), VOXGATE)
    assert (decoded.ending, decoded.tokens) == (Ending.LOOPED, tokens("▁hello") * 4)
    assert decoded.attention.shape[1] == 5


def test_ending_at_once_can_be_forbidden() -> None:
    assert decode(Script(lambda _: {"</s>": 9.0, "▁hello": 5.0}), VOXGATE).tokens == ()
    assert decode(Script(lambda _: {"</s>": 9.0, "▁hello": 5.0}), VOXGATE, never_empty=True).tokens == tokens("▁hello")


def test_a_cancelled_beam_is_not_finished() -> None:
    with pytest.raises(Cancelled):
        beam(Script(says("▁hello")), 20, VOXGATE, cancelled=lambda: True)


def test_a_completed_term_keeps_its_bonus() -> None:
    assert bonuses(VOXGATE, tokens("▁Vo", "x", "gate", ".")) == [3, 5, 5, 0]
    assert bonuses(VOXGATE, tokens("▁vo", "x", "gate", "</s>")) == [3, 5, 5, 0]


def test_a_term_left_half_way_pays_everything_back() -> None:
    assert bonuses(VOXGATE, tokens("▁Vo", "x", "▁hello")) == [3, 5, -8]
    assert bonuses(VOXGATE, tokens("▁Vo", "</s>")) == [3, -3]


def test_a_word_that_goes_on_is_another_word() -> None:
    hints = Hints(("York",), VOCABULARY)
    assert bonuses(hints, tokens("▁York", "shire")) == [3, -3]


def test_a_longer_term_pays_back_only_what_lies_behind_the_shorter() -> None:
    hints = Hints(("New", "New York"), VOCABULARY)
    assert bonuses(hints, tokens("▁New", "▁York", ".")) == [3, 5, 0]
    assert bonuses(hints, tokens("▁New", "▁York", "shire")) == [3, 5, -5]


def test_a_term_earns_once_in_a_row() -> None:
    once = tokens("▁Vo", "x", "gate")
    assert sum(bonuses(VOXGATE, (*once, *once, *tokens("</s>")))) == 13
    assert sum(bonuses(VOXGATE, (*once, *tokens("."), *once, *tokens("</s>")))) == 13
    assert sum(bonuses(VOXGATE, (*once, *tokens("▁hello"), *once, *tokens("</s>")))) == 26


@given(st.lists(st.integers(3, len(PIECES) - 1), max_size=12))
def test_whatever_is_said_bonuses_never_go_into_debt(said: list[int]) -> None:
    hints = Hints(("Voxgate", "New York", "New", "hello"), VOCABULARY)
    earned = np.cumsum(bonuses(hints, (*said, *tokens("</s>"))))
    assert (earned >= 0).all()


def test_terms_are_tidied_and_limited() -> None:
    assert terms([" New   York ", "", "?!", "New York", "x" * 65]) == ("New York",)
    assert len(terms(f"term {k}" for k in range(40))) == MAX_TERMS


def test_a_term_the_vocabulary_cannot_write_biases_nothing() -> None:
    assert not Hints(("日本",), VOCABULARY)
    assert not Hints((), VOCABULARY)
    assert Hints(("Voxgate", "日本"), VOCABULARY)


def spans(text: str) -> list[Span]:
    return [Span(word, k, k) for k, word in enumerate(text.split())]


@pytest.mark.parametrize(
    ("heard", "wanted", "spelled"),
    [
        ("I like postgre sql.", "PostgreSQL", "I like PostgreSQL."),
        ("p-o-s-t-g-r-e-s-q-l, now", "PostgreSQL", "PostgreSQL, now"),
        ("in new york, today", "New York", "in New York, today"),
        ("(voxgate)", "Voxgate", "(Voxgate)"),
        ("dr. who", "Dr.", "Dr. who"),
        ("new. York", "New York", "new. York"),
        ("new york city", "New York City", "New York City"),
        ("Yorkshire", "York", "Yorkshire"),
        ("vitamin c is good", "C++", "vitamin c is good"),
        ("... voxgate ...", "Voxgate", "... Voxgate ..."),
    ],
)
def test_terms_are_spelled_as_wanted(heard: str, wanted: str, spelled: str) -> None:
    words = spans(heard)
    assert " ".join(word.text for word in respell(words, occurrences(words, [wanted]))) == spelled


def test_the_longest_term_wins_and_words_keep_their_tokens() -> None:
    words = spans("new york city hall")
    out = respell(words, occurrences(words, ["New York", "NewYorkCity"]))
    assert out == [Span("NewYorkCity", 0, 2), Span("hall", 3, 3)]


@given(st.lists(st.sampled_from(["new", "york", "York,", "vox", "gate.", "-", "hall"]), max_size=8))
def test_respelling_loses_no_token(heard: list[str]) -> None:
    words = spans(" ".join(heard))
    out = respell(words, occurrences(words, ["New York", "Voxgate", "NY"]))
    assert [k for word in out for k in range(word.first, word.last + 1)] == list(range(len(words)))

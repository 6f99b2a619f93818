import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.conversation.tongues import ENOUGH, SURE, Tongue, contradiction
from voxgate.domain import Guess

AMONG = ("en", "vi", "ja")


def guess(language: str, probability: float = 0.95) -> list[Guess]:
    return [Guess(language, probability), Guess("id", 1 - probability)]


def test_two_sure_utterances_in_a_row_lock_the_language() -> None:
    tongue = Tongue(AMONG, "en")
    assert (tongue.current, tongue.known, tongue.locked) == ("en", False, False)
    assert tongue.take(guess("vi")) == "vi"
    assert (tongue.current, tongue.known, tongue.locked) == ("vi", True, False)
    assert tongue.take(guess("vi")) == "vi"
    assert tongue.locked
    assert not tongue.asks(10 * ENOUGH)


def test_two_sure_utterances_of_different_languages_lock_nothing() -> None:
    tongue = Tongue(AMONG, "en")
    assert [tongue.take(guess(language)) for language in ("vi", "ja", "vi")] == ["vi", "ja", "vi"]
    assert not tongue.locked


def test_an_unsure_utterance_is_believed_only_while_nothing_is_known() -> None:
    tongue = Tongue(AMONG, "en")
    assert tongue.take(guess("ja", SURE)) == "ja"
    assert (tongue.current, tongue.known) == ("en", False)
    tongue.take(guess("vi"))
    assert tongue.take(guess("ja", 0.6)) == "vi"
    assert tongue.take(guess("vi")) == "vi"
    assert not tongue.locked, "the unsure one came between"


def test_what_was_not_asked_for_is_not_taken() -> None:
    tongue = Tongue(AMONG, "en")
    assert tongue.take([Guess("th", 0.9), Guess("vi", 0.1)]) == "vi"
    assert tongue.take([Guess("th", 1.0)]) == "en"
    assert tongue.take([]) == "en"


@pytest.mark.parametrize(("speech", "asks"), [(0, False), (ENOUGH - 1, False), (ENOUGH, True)])
def test_less_than_two_seconds_tell_nothing(speech: int, asks: bool) -> None:
    assert Tongue(AMONG, "en").asks(speech) is asks


def test_one_language_is_no_question() -> None:
    assert Tongue(("vi",), "vi").locked
    assert not Tongue(("vi",), "vi").asks(ENOUGH)


@given(
    st.lists(
        st.lists(st.builds(Guess, st.sampled_from(["en", "vi", "ja", "th"]), st.floats(0, 1)), max_size=3), max_size=12
    )
)
def test_laws(utterances: list[list[Guess]]) -> None:
    tongue = Tongue(AMONG, "en")
    for guesses in utterances:
        locked, before = tongue.locked, tongue.current
        if locked:
            assert not tongue.asks(ENOUGH)
            break
        taken = tongue.take(guesses)
        assert taken in AMONG
        assert tongue.current in AMONG
        if tongue.current != before:
            assert (tongue.current, tongue.known) == (taken, True)
        if tongue.locked:
            assert taken == before == tongue.current, "a language is locked by its second utterance"


@pytest.mark.parametrize(
    ("given_", "guesses", "expected"),
    [
        ("en", guess("vi"), "vi"),
        ("en", guess("vi", SURE), None),
        ("en", guess("en"), None),
        ("en-SG", guess("en"), None),
        ("ms", guess("id"), None),
        ("id", guess("ms"), None),
        ("id", guess("vi"), "vi"),
        ("en", [], None),
    ],
)
def test_what_contradicts_a_language(given_: str, guesses: list[Guess], expected: str | None) -> None:
    found = contradiction(given_, guesses)
    assert (found and found.language) == expected

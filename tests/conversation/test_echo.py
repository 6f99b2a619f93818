import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.conversation.echo import EchoGuard, EchoSettings
from voxgate.domain import Word

S = 16_000
SAID = "the weather in paris will be sunny tomorrow"


def played(text: str = SAID, *, at: int = 0, every: int = 6_000) -> EchoGuard:
    """Each word lasts 375 ms."""
    guard = EchoGuard()
    guard.played(Word(word, at + k * every, at + (k + 1) * every) for k, word in enumerate(text.split()))
    return guard


END = 8 * 6_000


@pytest.mark.parametrize(
    "heard",
    [
        "The weather in Paris will be sunny tomorrow.",
        "weather in paris",
        "the weather in Paris will be sun",  # cut off, as playout was held
        "the whether in parris will be sunny",
        "the weather in ferrets will be sunny tomorrow",
    ],
)
def test_its_own_words_are_an_echo(heard: str) -> None:
    assert played().is_echo(heard, 0, END)


@pytest.mark.parametrize(
    "heard",
    [
        "",
        "stop",
        "the weather in paris stop",
        "what about the weather in paris tomorrow morning",
        "tomorrow sunny be will paris",  # another order is another sentence
        "the cat",
    ],
)
def test_anything_new_is_no_echo(heard: str) -> None:
    assert not played().is_echo(heard, 0, END)


def test_words_of_long_ago_are_repeated_on_purpose() -> None:
    guard = played("red green blue")
    end = 3 * 6_000
    assert guard.is_echo("blue", end + S // 4, end + S // 2)
    assert not guard.is_echo("blue", end + S, end + 2 * S)
    assert not guard.is_echo("red", end + S // 4, end + S // 2)


def test_words_that_come_a_second_time_are_repeated_on_purpose() -> None:
    guard = played("red green blue")
    assert guard.is_echo("green", 8_000, 14_000)
    guard.spend("green", 8_000, 14_000)
    assert not guard.is_echo("green", 14_000, 20_000)
    assert guard.is_echo("blue", 14_000, 20_000)


def test_words_that_are_played_again_may_come_back_again() -> None:
    guard = played("no no no")
    guard.spend("no", 0, 6_000)
    assert guard.is_echo("no no", 6_000, 18_000)
    assert not guard.is_echo("no no no", 6_000, 18_000)


def test_an_echo_is_possible_until_it_has_died_away() -> None:
    guard = EchoGuard(EchoSettings(reach_ms=300))
    assert not guard.may_echo(0)
    guard.played([Word("hello", 0, S)])
    assert guard.may_echo(S + 4_800)
    assert not guard.may_echo(S + 4_801)


def test_languages_without_spaces() -> None:
    guard = EchoGuard()
    guard.played([Word("今日は", 0, S), Word("晴れです", S, 2 * S)])
    assert guard.is_echo("今日は晴れです。", 0, 2 * S)
    assert not guard.is_echo("今日は晴れですか、やめて", 0, 2 * S)


def test_a_long_speech_is_compared_at_once() -> None:
    text = " ".join(f"{word}{k}" for k in range(20) for word in "another rather lengthy sentence".split())
    guard = played(text)
    began = time.thread_time()
    assert guard.is_echo(text, 0, 80 * 6_000)
    assert time.thread_time() - began < 0.05  # 0.3 ms
    assert not guard.is_echo(f"{text} wait", 0, 80 * 6_000)
    assert not guard.is_echo("word " * 100_000, 0, 80 * 6_000)


def test_of_a_long_echo_half_the_words_are_as_they_were_played() -> None:
    words = "yesterday everybody wondered whether another beautiful morning would finally arrive".split()
    guard = played(" ".join(words))
    end = len(words) * 6_000
    assert guard.is_echo(" ".join(word if at % 2 else f"x{word}" for at, word in enumerate(words)), 0, end)
    assert not guard.is_echo(" ".join(f"x{word}" for word in words), 0, end)


@given(st.lists(st.sampled_from("a red green blue stop hello".split()), min_size=1, max_size=12), st.data())
def test_any_part_of_what_is_played_is_an_echo_once(words: list[str], data: st.DataObject) -> None:
    guard = played(" ".join(words))
    first = data.draw(st.integers(0, len(words) - 1))
    last = data.draw(st.integers(first, len(words) - 1))
    part = " ".join(words[first : last + 1])
    start, end = first * 6_000, (last + 1) * 6_000
    assert guard.is_echo(part, start, end)
    for _ in range(len(words)):
        guard.spend(part, start, end)
    assert not guard.is_echo(part, start, end)

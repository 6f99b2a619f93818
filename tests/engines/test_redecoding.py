from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.domain import SPEECH_RATE, Partials, Transcript
from voxgate.engines.redecoding import CAUTIOUS, Constants, Reading, Redecoding, Step, agreed, pieces, said_again, share

WINDOW = 512
PLAIN = Constants(
    first_ms=500, every_ms=200, share=0.5, all_share=0.7, agreed_only=False, forced=True, early_ms=100, tail_ms=200
)
AGREED = replace(PLAIN, agreed_only=True, forced=False)


def reading(text: str, seconds: float = 0.1, *, doubted: bool = False) -> Reading:
    """One token a word."""
    words = text.split()
    tokens = tuple(range(100, 100 + len(words)))
    return Reading(Transcript(text, "en"), seconds, doubted, tokens, tuple(range(1, len(words) + 1)))


@dataclass
class Call:
    """An utterance in windows of 32 ms, in real time."""

    policy: Redecoding
    now: float = 0.0
    silence: int = 0

    def window(self, *, speech: bool = True, share: float = 0.5) -> tuple[Step, ...]:
        self.now += WINDOW / SPEECH_RATE
        self.silence = 0 if speech else self.silence + WINDOW
        return self.policy.feed(WINDOW, self.silence, self.now, share)

    def until(self, step: Step, *, speech: bool = True, share: float = 0.5) -> int:
        """Windows it takes until this is due."""
        for count in range(1, 1000):
            if step in self.window(speech=speech, share=share):
                return count
        raise AssertionError(f"{step} never comes")

    def partial(self, text: str, seconds: float = 0.1, *, doubted: bool = False) -> str | None:
        """The next partial, which says this."""
        self.until(Step.PARTIAL)
        length, _ = self.policy.begin(self.now)
        return self.policy.heard(reading(text, seconds, doubted=doubted), length)


def call(constants: Constants = PLAIN, partials: Partials = Partials.FAST, language: str = "en") -> Call:
    return Call(Redecoding(constants, partials, language))


# when


def test_the_first_partial_waits_for_enough_audio_and_the_next_for_new_audio() -> None:
    one = call()
    assert one.until(Step.PARTIAL) == 16, "500 ms in windows of 32"
    length, prefix = one.policy.begin(one.now)
    assert (length, prefix) == (16 * WINDOW, ())
    assert one.policy.heard(reading("hello", 0.01), length) == "hello"
    assert one.until(Step.PARTIAL) == 7, "200 ms in windows of 32"


def test_what_a_partial_costs_puts_off_the_next() -> None:
    one = call()
    one.partial("hello", 0.4)
    assert one.until(Step.PARTIAL, share=0.5) == 25, "0.4 s at half a core: 0.8 s"
    length, _ = one.policy.begin(one.now)
    one.policy.heard(reading("hello you", 0.4), length)
    assert one.until(Step.PARTIAL, share=0.2) == 63, "at a fifth: 2 s"


def test_one_partial_at_a_time() -> None:
    one = call()
    one.until(Step.PARTIAL)
    assert not any(one.window() for _ in range(200))
    one.policy.begin(one.now)
    assert not any(one.window() for _ in range(200))


def test_a_partial_that_waits_holds_what_has_come_meanwhile() -> None:
    one = call()
    one.until(Step.PARTIAL)
    for _ in range(10):
        one.window()
    assert one.policy.begin(one.now)[0] == 26 * WINDOW


def test_a_partial_that_was_given_up_is_asked_for_again_after_the_usual_time() -> None:
    one = call()
    one.until(Step.PARTIAL)
    one.policy.gave_up(one.now)
    assert one.until(Step.PARTIAL) == 7


def test_speakers_share_the_cores() -> None:
    assert share(PLAIN, 1, 2) == 0.5
    assert share(PLAIN, 4, 2) == pytest.approx(0.35)
    assert share(PLAIN, 7, 1) == pytest.approx(0.1)
    assert share(PLAIN, 1, 0) == 0.5, "workers that are just being replaced"


def test_before_anybody_speaks_nothing_happens() -> None:
    one = call()
    assert not any(one.window(speech=False) for _ in range(200))


def test_no_partials_where_none_are_wanted_but_the_final_is_begun_early() -> None:
    one = call(partials=Partials.OFF)
    assert not any(one.window() for _ in range(100))
    assert one.until(Step.EARLY, speech=False) == 4
    assert one.policy.heard_early(reading("hello")) is None


# the final


def test_the_final_is_begun_once_in_a_silence_and_serves_while_that_lasts() -> None:
    one = call()
    for _ in range(10):
        one.window()
    assert one.until(Step.EARLY, speech=False) == 4, "100 ms in windows of 32"
    assert one.policy.voiced == 10 * WINDOW
    assert not any(one.window(speech=False) for _ in range(100))
    assert one.policy.serves(10 * WINDOW)
    assert one.policy.serves(16 * WINDOW)
    assert not one.policy.serves(10 * WINDOW - 1), "a cut within what was said"


def test_speech_that_goes_on_makes_the_final_that_was_begun_useless() -> None:
    one = call()
    for _ in range(10):
        one.window()
    one.until(Step.EARLY, speech=False)
    assert one.window() == (Step.DISCARD,)
    assert not one.policy.serves(15 * WINDOW)
    assert one.until(Step.EARLY, speech=False) == 4, "and the next silence begins another"
    assert one.policy.serves(15 * WINDOW)


def test_a_detector_that_moves_the_end_of_speech_a_little_does_not_disturb() -> None:
    one = call()
    for _ in range(10):
        one.window()
    one.until(Step.EARLY, speech=False)
    one.silence -= WINDOW
    assert one.window(speech=False) == ()
    assert one.policy.serves(12 * WINDOW)


def test_an_engine_may_begin_no_final_early() -> None:
    one = call(replace(PLAIN, early_ms=None))
    for _ in range(10):
        one.window()
    assert not any(one.window(speech=False) for _ in range(100)), "nor is there anything new for partials"
    assert not one.policy.serves(16 * WINDOW)


# what is shown


def test_fast_shows_everything_but_the_full_stop() -> None:
    one = call()
    assert one.partial("I want to.") == "I want to"
    assert one.partial("I want to go,") == "I want to go"
    assert one.partial("I want to go.") is None, "the same again is not told again"


def test_calm_holds_the_last_word_back_until_it_is_heard_twice() -> None:
    one = call(partials=Partials.CALM)
    assert one.partial("I") is None
    assert one.partial("I want") == "I"
    assert one.partial("I want too") == "I want"
    assert one.partial("I want to go") == "I want to"
    assert one.partial("I want to go.") == "I want to go"


def test_at_a_pause_everything_is_shown() -> None:
    one = call(partials=Partials.CALM)
    one.partial("I want")
    one.until(Step.EARLY, speech=False)
    assert one.policy.heard_early(reading("I want to.")) == "I want to."


def test_what_the_final_would_be_is_shown_whole_and_even_if_nothing_is_new() -> None:
    one = call(AGREED)
    one.partial("we will")
    one.until(Step.EARLY, speech=False)
    assert one.policy.heard_early(reading("we will see.", doubted=True), settled=True) == "we will see."
    one.window()
    one.until(Step.EARLY, speech=False)
    assert one.policy.heard_early(reading("we will see."), settled=True) == "we will see."
    one.window()
    one.until(Step.EARLY, speech=False)
    assert one.policy.heard_early(reading(""), settled=True) == ""
    one.policy.finish()
    assert one.policy.heard_early(reading("we will see."), settled=True) is None


def test_where_readings_contradict_each_other_only_what_two_agree_on_is_shown() -> None:
    one = call(AGREED)
    assert one.partial("we will see") is None
    assert one.partial("we will sea the") == "we will"
    assert one.partial("we will sea the world") == "we will sea the"
    assert one.partial("we will be there") is None, "agreeing on less takes nothing back"
    assert one.partial("we will be there now") == "we will be there"


def test_doubtful_and_empty_partials_change_nothing() -> None:
    one = call()
    one.partial("one two three")
    one.partial("one two three four")
    assert one.partial("noise noise", doubted=True) is None
    assert one.partial("") is None
    assert one.partial("one two three four five") == "one two three four five"


def test_a_partial_that_says_a_sentence_twice_is_not_shown_and_nothing_is_forced_after_it() -> None:
    one = call()
    one.partial("Please turn off the lights in")
    one.partial("Please turn off the lights in the kitchen")
    assert one.partial("Please turn off the lights in the kitchen. Please turn off the lights in the kitchen") is None
    one.until(Step.PARTIAL)
    assert one.policy.begin(one.now)[1] == ()


@pytest.mark.parametrize(
    ("text", "again"),
    [
        ("turn off the lights. Turn off the lights", True),
        ("turn off the lights now, turn off the lights", True),
        ("no no no", False),
        ("very very very very", False),
        ("one two three, one two three", False),
        ("turn off the lights and the heating in the hall", False),
        ("", False),
    ],
)
def test_what_is_said_again(text: str, again: bool) -> None:
    assert said_again(pieces(text, "en")) is again


def test_a_partial_that_comes_late_changes_nothing() -> None:
    one = call()
    one.until(Step.PARTIAL)
    length, _ = one.policy.begin(one.now)
    one.until(Step.EARLY, speech=False)
    assert one.policy.heard_early(reading("all of it.")) == "all of it."
    assert one.policy.heard(reading("all of"), length) is None


def test_nothing_is_shown_once_it_is_finished() -> None:
    one = call()
    one.until(Step.PARTIAL)
    length, _ = one.policy.begin(one.now)
    one.policy.finish()
    assert one.policy.heard(reading("too late"), length) is None


# what is forced


def test_words_that_two_readings_agree_on_are_forced_less_one() -> None:
    one = call()
    one.partial("a b c d")
    one.partial("a b c x y")
    one.until(Step.PARTIAL)
    assert one.policy.begin(one.now)[1] == (100, 101)


def test_nothing_is_forced_after_a_doubt_or_without_the_tokens() -> None:
    one = call()
    one.partial("a b c d")
    one.partial("a b c d e")
    one.partial("a b c d e", doubted=True)
    one.until(Step.PARTIAL)
    length, prefix = one.policy.begin(one.now)
    assert prefix == ()
    one.policy.heard(replace(reading("a b c d e f"), cuts=()), length)
    one.until(Step.PARTIAL)
    assert one.policy.begin(one.now)[1] == ()


def test_engines_that_loop_when_forced_are_not() -> None:
    one = call(AGREED)
    for _ in range(3):
        one.partial("a b c d")
    one.until(Step.PARTIAL)
    assert one.policy.begin(one.now)[1] == ()


# texts


@pytest.mark.parametrize(
    ("text", "language", "cut"),
    [
        ("  Hello, you there. ", "en-SG", ["Hello,", " you", " there."]),
        ("các bạn", "vi", ["các", " bạn"]),
        ("我用 WiFi 上网。", "zh", ["我", "用", " WiFi", " 上", "网", "。"]),
        ("น้ำดี", "th", ["น้", "ำ", "ดี"]),
        ("", "en", []),
        ("  ", "ja", []),
    ],
)
def test_pieces(text: str, language: str, cut: list[str]) -> None:
    assert pieces(text, language) == cut


@given(st.text(), st.sampled_from(["en", "vi", "zh", "ja", "th"]))
def test_pieces_make_the_text_again(text: str, language: str) -> None:
    assert "".join(pieces(text, language)) == text.strip()


def test_agreement_is_about_words_not_marks() -> None:
    assert agreed(["“Hello,", " you"], ["hello", " YOU", " there"]) == 2
    assert agreed(["a", " -", " b"], ["a", " …", " b"]) == 1
    assert agreed(["ban"], ["bàn"]) == 0
    assert agreed([], ["a"]) == 0


# laws

TEXTS = st.lists(st.sampled_from("a b c d e f".split()), max_size=6).map(" ".join)
EVENTS = st.lists(
    st.tuples(st.sampled_from(["speech", "silence", "heard", "shed", "early"]), TEXTS, st.booleans()), max_size=120
)


@given(EVENTS, st.sampled_from([PLAIN, AGREED, CAUTIOUS]), st.sampled_from(list(Partials)))
def test_laws(events: list[tuple[str, str, bool]], constants: Constants, partials: Partials) -> None:
    """One partial at a time; one early final at a time, given up only to be begun anew; what is shown differs from
    what was shown before it, and is the beginning of a reading."""
    one = call(constants, partials)
    out: int | None = None
    early = False
    shown = ""
    for event, text, doubted in events:
        told = None
        if event in ("speech", "silence"):
            for _ in range(5):
                for step in one.window(speech=event == "speech"):
                    if step is Step.PARTIAL:
                        assert out is None
                        assert partials is not Partials.OFF
                        out, prefix = one.policy.begin(one.now)
                        assert not prefix or constants.forced
                    elif step is Step.EARLY:
                        assert not early
                        early = True
                    else:
                        assert early
                        early = False
                assert one.policy.serves(one.policy.voiced) == early
        elif event == "heard" and out is not None:
            told = one.policy.heard(reading(text, 0.05, doubted=doubted), out)
            out = None
        elif event == "shed" and out is not None:
            one.policy.gave_up(one.now)
            out = None
        elif event == "early" and early:
            told = one.policy.heard_early(reading(text, 0.05, doubted=doubted))
        if told is not None:
            assert told
            assert told != shown
            assert text.startswith(told)
            assert not doubted
            shown = told

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.conversation.echo import EchoGuard
from voxgate.conversation.interruption import InterruptionSettings, Judge
from voxgate.conversation.turn_table import Kind
from voxgate.domain import SPEECH_RATE, Word

W = 512
SUSPECTED, CONFIRMED, DISMISSED, LAPSED = Kind.SUSPECTED, Kind.CONFIRMED, Kind.DISMISSED, Kind.LAPSED


class Microphone:
    """Shows windows to a judge and keeps the clock."""

    def __init__(self, judge: Judge, at: int = 0) -> None:
        self.judge, self.at = judge, at

    def hears(self, windows: int, *, speech: bool = True) -> list[Kind]:
        said: list[Kind] = []
        for _ in range(windows):
            self.at += W
            said += self.judge.window(speech, W, self.at)
            said += self.judge.elapsed(self.at)
        return said


def begun(windows: int = 8, *, speaking: bool = True) -> Microphone:
    """The detector knows speech after two windows."""
    microphone = Microphone(Judge(InterruptionSettings(windows=windows)))
    assert microphone.hears(2) == []
    microphone.judge.begin(microphone.at, speaking=speaking)
    return microphone


@pytest.mark.parametrize("windows", range(3, 16))
def test_the_threshold_is_counted_in_windows(windows: int) -> None:
    microphone = begun(windows)
    assert microphone.hears(windows - 3) == []
    assert microphone.hears(1) == [SUSPECTED]
    assert microphone.judge.suspects


def test_below_what_the_detector_takes_the_first_window_suspects() -> None:
    assert begun(1).hears(1) == [SUSPECTED]


@pytest.mark.parametrize("windows", [0, 16])
def test_thresholds_out_of_range(windows: int) -> None:
    with pytest.raises(ValueError, match="1 to 15"):
        Judge(InterruptionSettings(windows=windows))


def test_windows_count_only_in_a_row() -> None:
    microphone = begun()
    for _ in range(10):
        assert microphone.hears(1, speech=False) == []
        assert microphone.hears(7) == []


def test_a_word_confirms() -> None:
    microphone = begun()
    microphone.hears(6)
    assert microphone.judge.words("stop", "en", microphone.at) == [CONFIRMED]
    assert microphone.hears(60) == []


def test_a_backchannel_does_not() -> None:
    microphone = begun()
    microphone.hears(6)
    assert microphone.judge.words("mm-hmm", "en", microphone.at) == []
    assert microphone.judge.words("mm-hmm but", "en", microphone.at) == [CONFIRMED]


def test_a_word_below_the_threshold_counts_once_it_is_reached() -> None:
    microphone = begun()
    assert microphone.judge.words("stop", "en", microphone.at) == []
    assert microphone.hears(5) == []
    assert microphone.hears(1) == [SUSPECTED, CONFIRMED]


def test_600_ms_without_a_pause_confirm() -> None:
    microphone = begun()
    assert microphone.hears(16) == [SUSPECTED]
    assert microphone.hears(1) == [CONFIRMED]  # the 19th window ends at 608 ms


def test_a_stop_consonant_is_no_pause() -> None:
    microphone = begun()
    assert microphone.hears(6) == [SUSPECTED]
    microphone.hears(2, speech=False)
    assert microphone.hears(10) == []
    assert microphone.hears(1) == [CONFIRMED]


def test_speech_with_pauses_and_without_words_lapses() -> None:
    microphone = begun()
    said: list[Kind] = []
    for _ in range(10):
        said += microphone.hears(10)
        said += microphone.hears(4, speech=False)
    assert said == [SUSPECTED, LAPSED]
    assert microphone.judge.words("oh", "en", microphone.at) == []
    assert microphone.judge.words("oh please stop", "en", microphone.at) == [CONFIRMED]


def test_the_two_seconds_pass_without_audio_too() -> None:
    microphone = begun()
    microphone.hears(6)
    assert microphone.judge.elapsed(microphone.at + 2 * SPEECH_RATE - 1) == []
    assert microphone.judge.elapsed(microphone.at + 2 * SPEECH_RATE) == [LAPSED]
    assert microphone.judge.elapsed(microphone.at + 3 * SPEECH_RATE) == []


@pytest.mark.parametrize(
    ("text", "unclear", "verdict"),
    [("", False, DISMISSED), ("Yeah.", False, DISMISSED), ("Thank you.", True, DISMISSED), ("No!", False, CONFIRMED)],
)
def test_heard_out(text: str, unclear: bool, verdict: Kind) -> None:
    microphone = begun()
    microphone.hears(6)
    assert microphone.judge.heard_out(text, "en", microphone.at, unclear=unclear) == [verdict]
    assert microphone.judge.heard_out(text, "en", microphone.at) == []


def test_while_the_bot_thinks_the_shortest_word_counts() -> None:
    microphone = begun(speaking=False)
    assert microphone.judge.suspects
    assert microphone.hears(2) == []
    assert microphone.judge.words("and cheese", "en", microphone.at) == [CONFIRMED]


def test_nothing_is_judged_when_no_reply_lives() -> None:
    microphone = begun()
    microphone.judge.close()
    assert microphone.hears(100) == []
    assert microphone.judge.words("stop", "en", microphone.at) == []
    assert microphone.judge.heard_out("stop", "en", microphone.at) == []


# with a guard against its own voice


def guarded(text: str = "the weather in paris will be sunny tomorrow") -> Microphone:
    guard = EchoGuard()
    guard.played(Word(word, k * 6_000, (k + 1) * 6_000) for k, word in enumerate(text.split()))
    microphone = Microphone(Judge(guard=guard), at=2_000)
    microphone.judge.begin(microphone.at, speaking=True)
    return microphone


def test_its_own_voice_does_not_stop_the_bot() -> None:
    microphone = guarded()
    assert microphone.hears(80) == []
    assert microphone.judge.words("the weather in Paris will be", "en", microphone.at) == []
    assert not microphone.judge.is_for_the_bot("the weather in Paris will be sunny tomorrow", "en", microphone.at)
    assert microphone.judge.heard_out("the weather in Paris will be sunny tomorrow", "en", microphone.at) == [DISMISSED]


def test_a_person_does() -> None:
    microphone = guarded()
    microphone.hears(40)
    assert microphone.judge.words("the weather in Paris wait", "en", microphone.at) == [CONFIRMED]


def test_a_person_who_repeats_the_words_of_the_bot_on_purpose_does() -> None:
    microphone = guarded("red green blue")  # until 18,000
    microphone.hears(20)  # until 12,240
    assert microphone.judge.heard_out("red green", "en", microphone.at) == [DISMISSED]
    microphone.judge.begin(microphone.at, speaking=True)
    microphone.hears(10)
    assert microphone.judge.words("green", "en", microphone.at) == [CONFIRMED]


def test_who_speaks_when_no_echo_is_left_is_a_person() -> None:
    microphone = guarded("red green blue")
    said = microphone.hears(100)  # the echo may last until 26,000: window 47
    assert said == [SUSPECTED, CONFIRMED]


@given(
    st.lists(st.tuples(st.sampled_from(["sound", "quiet", "words", "out", "begin", "close"]), st.integers(1, 40))),
    st.integers(1, 15),
    st.booleans(),
)
def test_verdicts_come_in_an_order_the_turn_table_takes(
    happenings: list[tuple[str, int]], windows: int, guard: bool
) -> None:
    microphone = Microphone(Judge(InterruptionSettings(windows=windows), guard=EchoGuard() if guard else None))
    open_turn, last = False, None
    for what, many in happenings:
        said: list[Kind] = []
        if what == "begin" and not open_turn:
            microphone.judge.begin(microphone.at, speaking=True)
            open_turn, last = True, None
        elif what == "close":
            microphone.judge.close()
            open_turn = False
        elif what in {"sound", "quiet"}:
            said = microphone.hears(many, speech=what == "sound")
        elif what == "words":
            said = microphone.judge.words("stop" if many % 2 else "yeah", "en", microphone.at)
        elif what == "out":
            said = microphone.judge.heard_out("stop" if many % 2 else "", "en", microphone.at)
        for each in said:
            assert open_turn
            if each is SUSPECTED:
                assert last is None
            if each is LAPSED:
                assert last is SUSPECTED
            if each in {CONFIRMED, DISMISSED}:
                open_turn = False
            last = each

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.text.subtitles import LINE, LINES, LONGEST_S, Timed, cues, place, srt, vtt


def evenly(text: str, start: float = 0.0, each: float = 0.3) -> list[Timed]:
    return [Timed(word, start + n * each, start + (n + 1) * each) for n, word in enumerate(text.split())]


def test_a_short_sentence_is_one_cue() -> None:
    [cue] = cues(evenly("He was not an ill-disposed young man."))
    assert cue.lines == ("He was not an ill-disposed young man.",)
    assert cue.start == 0.0
    assert cue.end == pytest.approx(2.1)


def test_sentences_and_pauses_end_a_cue() -> None:
    words = [*evenly("One sentence."), *evenly("Another one", 0.6), *evenly("after a pause.", 3.0)]
    assert [" ".join(cue.lines) for cue in cues(words)] == ["One sentence.", "Another one", "after a pause."]


def test_a_long_sentence_is_cut_into_two_even_lines_at_most() -> None:
    text = "and mister john dashwood had then leisure to consider how much there might be prudently in his power to do"
    found = cues(evenly(text, each=0.2))
    assert all(len(cue.lines) <= LINES and all(len(line) <= LINE for line in cue.lines) for cue in found)
    assert " ".join(line for cue in found for line in cue.lines) == text


def test_slow_speech_is_cut_by_time() -> None:
    found = cues(evenly("one two three four five six seven eight", each=2.0))
    assert all(cue.end - cue.start <= LONGEST_S for cue in found)


def test_a_corrected_text_keeps_the_times_of_the_words_it_shares() -> None:
    words = evenly("um twenty five minutes left")
    placed = place("25 minutes left.", words, 0.0, 1.5)
    assert [word.text for word in placed] == ["25", "minutes", "left."]
    assert placed[0].start == 0.0
    assert placed[0].end == pytest.approx(words[3].start)
    assert (placed[1].start, placed[2].end) == (words[3].start, words[4].end)


def test_without_word_times_the_text_is_spread() -> None:
    placed = place("one two", [], 1.0, 3.0)
    assert [(word.start, word.end) for word in placed] == [(1.0, 2.0), (2.0, 3.0)]


def test_chinese_is_cut_between_characters() -> None:
    found = cues(place("今天天气很好我们去公园散步然后回家吃饭看电视一起聊天到很晚才睡觉明天早上再见", [], 0.0, 9.0))
    assert all(len(line) <= 16 for cue in found for line in cue.lines)
    assert len(found) > 1


def test_the_files_as_players_want_them() -> None:
    found = cues([*evenly("R&D says 1 < 2."), *evenly("Yes.", 3661.5)])
    assert srt(found) == (
        "1\n00:00:00,000 --> 00:00:01,500\nR&D says 1 < 2.\n\n2\n01:01:01,500 --> 01:01:02,100\nYes.\n\n"
    )
    assert vtt(found).startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nR&amp;D says 1 &lt; 2.\n\n")
    assert (srt([]), vtt([])) == ("", "WEBVTT\n\n")


@given(
    st.lists(
        st.tuples(
            st.text(min_size=1, max_size=60).filter(lambda t: t.split() == [t]), st.floats(0, 3), st.floats(0, 3)
        ),
        max_size=40,
    )
)
def test_any_words_give_cues_in_order_without_overlap(spoken: list[tuple[str, float, float]]) -> None:
    words, at = [], 0.0
    for text, pause, length in spoken:
        words.append(Timed(text, at + pause, at + pause + length))
        at += pause + length
    found = cues(words)
    assert all(cue.start < cue.end for cue in found)
    assert all(before.end <= after.start + 0.001 for before, after in pairwise(found))
    assert "".join(line for cue in found for line in cue.lines).replace(" ", "") == "".join(
        "".join(word.text.split()) for word in words
    )


@given(st.text(max_size=80), st.lists(st.text(min_size=1, max_size=8), max_size=20))
def test_any_text_is_placed_in_order(text: str, spoken: list[str]) -> None:
    words = [Timed(word, float(n), float(n + 1)) for n, word in enumerate(spoken)]
    placed = place(text, words, 0.0, 30.0)
    assert all(word.start <= word.end for word in placed)
    assert all(before.start <= after.start for before, after in pairwise(placed))

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxgate.conversation.endpoint import EndpointSettings
from voxgate.conversation.segmenter import Closed, Cutter, Opened, Segment, Segmenter, SegmentSettings
from voxgate.domain import SPEECH_RATE, Samples

W = 512
SECOND = SPEECH_RATE / W


def run(segmenter: Segmenter, audio: Samples, probabilities: list[float]) -> list[Segment]:
    done: list[Segment] = []
    for number, probability in enumerate(probabilities):
        done += segmenter.feed(audio[number * W : (number + 1) * W], probability)
    return done + segmenter.flush()


def numbered(probabilities: list[float]) -> Samples:
    """Audio in which every sample is told from every other."""
    return np.arange(len(probabilities) * W, dtype=np.float32) / np.float32(1 << 24)


def test_silence_alone_has_no_segments() -> None:
    quiet = [0.0] * 1000
    assert run(Segmenter(), numbered(quiet), quiet) == []


def test_a_segment_holds_its_lead_and_its_tail() -> None:
    heard = [0.0] * 40 + [0.9] * 30 + [0.0] * 40
    (segment,) = run(Segmenter(), numbered(heard), heard)
    assert segment.start == 40 * W - SPEECH_RATE // 4
    assert segment.end == 70 * W + SPEECH_RATE // 5
    assert np.array_equal(segment.audio, numbered(heard)[segment.start : segment.end])


def test_after_the_soft_limit_the_next_short_pause_cuts() -> None:
    talk = [0.9] * int(16 * SECOND)
    heard = [*talk, 0.0, 0.0, 0.0, *talk[: int(2 * SECOND)]]
    first, second = run(Segmenter(), np.ones(len(heard) * W, np.float32), heard)
    assert len(talk) * W <= first.end <= (len(talk) + 3) * W
    assert second.start == first.end
    assert second.end == len(heard) * W


def test_before_the_soft_limit_a_short_pause_does_not_cut() -> None:
    talk = [0.9] * int(5 * SECOND)
    heard = [*talk, 0.0, 0.0, 0.0, *talk]
    assert len(run(Segmenter(), numbered(heard), heard)) == 1


def test_without_a_pause_the_quietest_point_cuts_before_the_hard_limit() -> None:
    heard = [0.9] * int(40 * SECOND)
    audio = np.ones(len(heard) * W, np.float32)
    quiet = int(22 * SPEECH_RATE)
    audio[quiet - 1200 : quiet + 1200] = 0.1
    first, second = run(Segmenter(), audio, heard)
    assert abs(first.end - quiet) < 1200
    assert second.start == first.end
    assert len(second.audio) + len(first.audio) == len(audio)


def test_a_cut_behind_the_last_word_leaves_no_empty_segment() -> None:
    heard = [0.9] * int(16 * SECOND) + [0.0] * int(3 * SECOND)
    assert len(run(Segmenter(), numbered(heard), heard)) == 1


def test_an_engine_that_takes_less_gets_less() -> None:
    heard = [0.9] * int(40 * SECOND)
    segments = run(Segmenter(max_seconds=8), numbered(heard), heard)
    assert max(len(each.audio) for each in segments) <= 8 * SPEECH_RATE
    assert sum(len(each.audio) for each in segments) == len(heard) * W


def test_what_is_held_does_not_grow_with_silence() -> None:
    segmenter = Segmenter()
    for _ in range(5000):
        segmenter.feed(np.zeros(W, np.float32), 0.0)
    assert len(segmenter._cutter._windows) < 20


def test_a_pause_behind_a_cut_is_kept_no_longer_than_a_lead() -> None:
    heard = [0.9] * int(16 * SECOND) + [0.0] * int(3 * SECOND) + [0.9] * int(2 * SECOND)
    patient = SegmentSettings(EndpointSettings(silence_ms=5000))
    _, second = run(Segmenter(patient), numbered(heard), heard)
    assert second.start == (len(heard) - int(2 * SECOND)) * W - SPEECH_RATE // 4
    assert second.end == len(heard) * W


def test_a_cutter_opens_what_holds_speech_and_holds_what_is_open() -> None:
    cutter = Cutter()
    heard = [0.0] * 40 + [0.9] * int(16 * SECOND) + [0.0] * 3
    audio = numbered(heard)
    marks = [mark for at, p in enumerate(heard) for mark in cutter.feed(audio[at * W : at * W + W], p)]
    opened, closed = (mark for mark in marks if isinstance(mark, (Opened, Closed)))
    assert isinstance(opened, Opened)
    assert isinstance(closed, Closed)
    assert (closed.start, cutter.is_open, cutter.silence) == (opened.start, True, 3 * W)
    assert np.array_equal(cutter.audio(closed.start, closed.end), audio[closed.start : closed.end])
    assert not [mark for mark in cutter.end_now() if isinstance(mark, Closed)], "nothing was said behind the cut"
    assert not cutter.is_open


def test_speech_that_a_cut_left_over_is_open_at_once() -> None:
    cutter = Cutter(max_seconds=4)
    kinds = [
        type(mark)
        for _ in range(int(5 * SECOND))
        for mark in cutter.feed(np.ones(W, np.float32), 0.9)
        if isinstance(mark, (Opened, Closed))
    ]
    assert kinds == [Opened, Closed, Opened]


@pytest.mark.parametrize("size", [1, 100, 511])
def test_the_last_window_may_be_short(size: int) -> None:
    segmenter = Segmenter()
    for _ in range(10):
        segmenter.feed(np.ones(W, np.float32), 0.9)
    segmenter.feed(np.ones(size, np.float32), 0.9)
    (segment,) = segmenter.flush()
    assert segment.end == 10 * W + size


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.4, 0.9]), st.integers(1, 120)), max_size=25),
    st.sampled_from([None, 2.0, 5.0]),
    st.integers(0, 400),
    st.integers(0, 400),
)
@settings(deadline=None)
def test_segments_hold_all_speech_once_in_order_and_within_the_limit(
    runs: list[tuple[float, int]], longest: float | None, lead: int, tail: int
) -> None:
    heard = [probability for probability, count in runs for _ in range(count)]
    audio = numbered(heard)
    limits = SegmentSettings(EndpointSettings(lead_ms=lead, tail_ms=tail), soft_s=3, hard_s=6)
    segments = run(Segmenter(limits, max_seconds=longest), audio, heard)
    covered = np.zeros(len(audio), bool)
    end = 0
    for segment in segments:
        assert end <= segment.start < segment.end <= len(audio)
        assert np.array_equal(segment.audio, audio[segment.start : segment.end])
        assert len(segment.audio) <= min(6.0, longest or 6.0) * SPEECH_RATE
        covered[segment.start : segment.end] = True
        end = segment.end
    at = 0
    for probability, count in runs:
        if probability == 0.9 and count >= 2:
            assert covered[at : at + count * W].all()
        at += count * W

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxgate.conversation.endpoint import EndpointSettings
from voxgate.conversation.live_segments import Begin, Complete, Cut, LiveSegments, More, Step
from voxgate.domain import SPEECH_RATE, Samples, SpeechEdge

W = 512
SECOND = SPEECH_RATE / W
LEAD, TAIL = SPEECH_RATE // 4, SPEECH_RATE // 5
PLAIN = EndpointSettings()


def audio_of(windows: int) -> Samples:
    """Audio in which every sample is told from every other."""
    return np.arange(windows * W, dtype=np.float32) / np.float32(1 << 24)


@dataclass
class Run:
    """Windows of so-and-so much probability, all in a row, and the steps that followed."""

    segments: LiveSegments
    steps: list[Step] = field(default_factory=list)
    audio: list[Samples] = field(default_factory=list)
    position: int = 0

    def feed(self, *runs: tuple[float, float]) -> "Run":
        """(probability, windows) or, negative, seconds."""
        for probability, count in runs:
            for _ in range(int(count if count >= 0 else -count * SECOND)):
                self.window(probability)
        return self

    def window(self, probability: float, size: int = W) -> None:
        window = ((self.position + np.arange(size)) / (1 << 24)).astype(np.float32)
        self.audio.append(window)
        self.position += size
        self.steps += self.segments.feed(window, probability)

    def commit(self) -> "Run":
        self.steps += self.segments.commit()
        return self

    def stalled(self) -> "Run":
        self.steps += self.segments.stalled()
        return self

    def stop(self) -> "Run":
        self.steps += self.segments.stop()
        return self

    @property
    def short(self) -> list[tuple[object, ...]]:
        found: list[tuple[object, ...]] = []
        for step in self.steps:
            match step:
                case SpeechEdge(started=started, at=at):
                    found.append(("speech", started, at))
                case Begin(segment=segment, start=start):
                    found.append(("begin", segment, start))
                case Cut(end=end):
                    found.append(("cut", end))
                case Complete(segment=segment, at=at, owed=owed):
                    found.append(("complete", segment, at, owed))
        return found


def run(endpoint: EndpointSettings | None = PLAIN, *, max_seconds: float = 30.0) -> Run:
    return Run(LiveSegments(endpoint, max_seconds=max_seconds))


def test_silence_ends_a_segment() -> None:
    found = run().feed((0, 40), (0.9, 30), (0, 40))
    start, end = 40 * W - LEAD, 70 * W + TAIL
    assert found.short == [
        ("speech", True, start),
        ("begin", 0, start),
        ("speech", False, end),
        ("cut", end),
        ("complete", 0, end, False),
    ]


def test_a_piece_gets_its_audio_as_it_comes_and_how_long_nobody_has_spoken() -> None:
    found = run().feed((0, 40), (0.9, 3), (0, 3), (0.9, 1))
    more = [step for step in found.steps if isinstance(step, More)]
    assert [len(step.audio) for step in more] == [LEAD + 2 * W, W, W, W, W, W]
    assert [step.silence for step in more] == [0, 0, W, 2 * W, 3 * W, 0]


def test_the_silence_that_ends_it_is_told_in_full() -> None:
    found = run().feed((0, 40), (0.9, 3), (0, 30))
    more = [step.silence for step in found.steps if isinstance(step, More)]
    assert more[-1] == 16 * W, "the first sixteen windows that make 500 ms"


def test_a_commit_ends_the_segment_and_is_owed_its_final() -> None:
    found = run().feed((0, 40), (0.9, 30)).commit().feed((0.9, 10)).stop()
    start, end = 40 * W - LEAD, 70 * W
    assert found.short == [
        ("speech", True, start),
        ("begin", 0, start),
        ("speech", False, end),
        ("cut", end),
        ("complete", 0, end, True),
        ("speech", True, end),
        ("begin", 1, end),
        ("speech", False, 80 * W),
        ("cut", 80 * W),
        ("complete", 1, 80 * W, False),
    ]


@pytest.mark.parametrize("endpoint", [PLAIN, None])
def test_a_commit_where_nobody_spoke_is_a_segment_of_its_own(endpoint: EndpointSettings | None) -> None:
    found = run(endpoint).commit().feed((0, 10)).commit().commit().stop()
    assert found.short == [
        ("complete", 0, 0, True),
        ("complete", 1, 10 * W, True),
        ("complete", 2, 10 * W, True),
    ]


def test_a_commit_right_behind_the_end_of_speech_is_a_segment_of_its_own() -> None:
    found = run().feed((0.9, 30), (0, 16)).commit()
    assert found.short[-2:] == [("complete", 0, 30 * W + TAIL, False), ("complete", 1, 46 * W, True)]


@pytest.mark.parametrize("endpoint", [PLAIN, None])
@pytest.mark.parametrize("before", [(0, 40), (0.9, 1)], ids=["silence", "the first of a word"])
def test_what_is_said_right_after_an_empty_commit_begins_there(
    endpoint: EndpointSettings | None, before: tuple[float, float]
) -> None:
    found = run(endpoint).feed((0, 40), before).commit()
    at = found.position
    assert found.short == [("complete", 0, at, True)]
    found.feed((0.9, 30)).stop()
    assert found.short[1:3] == [("speech", True, at), ("begin", 1, at)]


def test_a_stall_ends_a_segment_as_silence_does_and_more_audio_begins_the_next() -> None:
    found = run().feed((0.9, 30)).stalled().stalled().feed((0.9, 30)).stop()
    assert [step for step in found.short if step[0] in ("begin", "complete")] == [
        ("begin", 0, 0),
        ("complete", 0, 30 * W, False),
        ("begin", 1, 30 * W),
        ("complete", 1, 60 * W, False),
    ]


def test_a_stall_without_speech_changes_nothing() -> None:
    assert run().feed((0, 30)).stalled().short == []


def test_a_commit_takes_in_the_window_that_is_not_complete() -> None:
    found = run().feed((0.9, 5))
    found.window(0.9, 100)
    found.commit()
    assert found.short[-1] == ("complete", 0, 5 * W + 100, True)


def test_speech_that_goes_on_is_cut_and_each_piece_is_a_segment() -> None:
    found = run().feed((0.9, -16), (0, 3), (0.9, -2)).stop()
    begins = [step for step in found.steps if isinstance(step, Begin)]
    cuts = [step for step in found.steps if isinstance(step, Cut)]
    completes = [step for step in found.steps if isinstance(step, Complete)]
    assert [step.segment for step in begins] == [0, 1]
    assert begins[1].start == cuts[0].end
    assert 16 * SPEECH_RATE - W < cuts[0].end <= found.position - 2 * SPEECH_RATE + W
    assert [step.owed for step in completes] == [False, False]
    assert sum(isinstance(step, SpeechEdge) for step in found.steps) == 2, "it is one stretch of speech"


def test_a_pause_behind_a_cut_is_not_heard_twice_nor_at_length() -> None:
    found = run(EndpointSettings(silence_ms=5000)).feed((0.9, -16), (0, -3), (0.9, -2)).stop()
    first, second = (step for step in found.steps if isinstance(step, Begin))
    resumed = int(16 * SECOND) * W + int(3 * SECOND) * W
    assert first.start == 0
    assert second.start == resumed - LEAD


def test_a_cut_behind_the_last_word_begins_nothing_and_a_commit_then_is_answered() -> None:
    found = run().feed((0.9, -16), (0, 5)).commit()
    assert [step for step in found.short if step[0] in ("begin", "complete")][1:] == [
        ("complete", 0, found.short[3][1] if found.short[3][0] == "cut" else found.short[2][1], False),
        ("complete", 1, found.position, True),
    ]


# where only commits end segments


def test_pieces_between_commits_are_one_segment() -> None:
    found = run(None).feed((0.9, -2), (0, -2), (0.9, -20), (0, 4), (0.9, -2)).commit().feed((0, 5)).stop()
    assert [step.segment for step in found.steps if isinstance(step, Begin)] == [0, 0, 0]
    assert [step for step in found.short if step[0] == "complete"] == [("complete", 0, found.position - 5 * W, True)]


def test_a_pause_below_a_second_does_not_end_a_piece() -> None:
    found = run(None).feed((0.9, -2), (0, 30), (0.9, -2)).commit()
    assert sum(isinstance(step, Begin) for step in found.steps) == 1


def test_the_end_of_the_session_completes_what_was_begun_and_owes_nothing() -> None:
    assert run(None).feed((0, 20)).stop().short == []
    found = run(None).feed((0.9, -2), (0, -3)).stop()
    assert found.short[-1] == ("complete", 0, found.position, False)


def test_limits_of_the_engine_hold_within_commits_too() -> None:
    found = run(None, max_seconds=4).feed((0.9, -21)).commit()
    edges = [step.start for step in found.steps if isinstance(step, Begin)] + [found.position]
    assert max(np.diff(edges)) <= 4 * SPEECH_RATE
    assert sum(isinstance(step, Complete) for step in found.steps) == 1


# the laws

EVENTS = st.one_of(
    st.tuples(st.sampled_from([0.0, 0.0, 0.4, 0.9, 0.9]), st.integers(1, 80)),
    st.tuples(st.just("short"), st.integers(1, W - 1)),
    st.tuples(st.sampled_from(["commit", "stalled"]), st.just(0)),
)


@given(
    st.lists(EVENTS, max_size=30),
    st.sampled_from([PLAIN, EndpointSettings(silence_ms=100), None]),
    st.sampled_from([2.0, 5.0]),
)
@settings(deadline=None)
def test_the_laws(events: list[tuple[float | str, int]], endpoint: EndpointSettings | None, longest: float) -> None:
    found = run(endpoint, max_seconds=longest)
    loud_until = {0: 0}  # position -> end of the last window of speech before it
    certain: list[tuple[int, int]] = []  # stretches that must be heard
    commits = 0
    for what, count in events:
        match what:
            case "commit":
                found.commit()
                commits += 1
            case "stalled":
                found.stalled()
            case "short":
                found.window(0.0, count)
                loud_until[found.position] = loud_until[found.position - count]
                found.stalled()
            case float(probability):
                begin = found.position
                for _ in range(count):
                    found.feed((probability, 1))
                    held = probability == 0.4 and loud_until[found.position - W] == found.position - W
                    speech = probability == 0.9 or (held and found.segments.is_open)
                    loud_until[found.position] = found.position if speech else loud_until[found.position - W]
                if probability == 0.9 and count >= 2:
                    certain.append((begin, found.position))
    found.stop()
    audio = np.concatenate([np.zeros(0, np.float32), *found.audio])
    heard = np.zeros(len(audio), bool)
    piece: Begin | None = None
    got = 0
    completes: list[Complete] = []
    speaking = False
    last_end = 0
    for step in found.steps:
        match step:
            case SpeechEdge(started=started):
                assert started is not speaking
                speaking = started
            case Begin(segment=segment, start=start):
                assert piece is None
                assert segment == len(completes), "segments are counted without a gap"
                assert start >= last_end, "pieces do not overlap"
                piece, got = step, start
            case More(audio=more, silence=silence):
                assert piece is not None
                assert len(more) > 0
                assert np.array_equal(more, audio[got : got + len(more)])
                got += len(more)
                assert got - piece.start <= longest * SPEECH_RATE
                assert silence == min(got - loud_until[got], got - piece.start)
            case Cut(end=end):
                assert piece is not None
                assert piece.start < end <= got
                heard[piece.start : end] = True
                piece, last_end = None, end
            case Complete(segment=segment):
                assert piece is None
                assert segment == len(completes)
                completes.append(step)
    assert piece is None
    assert not speaking
    assert sum(step.owed for step in completes) == commits
    for begin, end in certain:
        assert heard[begin:end].all()
    if endpoint is None:
        assert len(completes) <= commits + 1
    else:
        begins = sum(isinstance(step, Begin) for step in found.steps)
        assert begins <= len(completes) <= begins + commits

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxgate.conversation.endpoint import Edge, Endpointer, EndpointSettings, SpeechEnded, SpeechStarted

W = 512
MS = 16  # samples
PLAIN = EndpointSettings(min_speech_ms=64, silence_ms=320, lead_ms=96, tail_ms=64)


def run(endpointer: Endpointer, probabilities: list[float]) -> list[Edge]:
    return [edge for probability in probabilities for edge in endpointer.feed(probability, W)]


def test_speech_starts_before_it_is_known_and_ends_behind_its_last_window() -> None:
    edges = run(Endpointer(PLAIN), [0.0] * 10 + [0.9] * 5 + [0.0] * 10)
    assert edges == [
        SpeechStarted(at=10 * W - 96 * MS, known_at=12 * W),
        SpeechEnded(at=15 * W + 64 * MS, voiced_until=15 * W, known_at=25 * W),
    ]


def test_a_click_is_no_speech() -> None:
    assert run(Endpointer(PLAIN), [0.0] * 5 + [1.0] + [0.0] * 30) == []


def test_two_clicks_apart_are_no_speech_either() -> None:
    assert run(Endpointer(PLAIN), [1.0, 0.0] * 20) == []


def test_a_pause_shorter_than_the_silence_does_not_end_it() -> None:
    endpointer = Endpointer(PLAIN)
    edges = run(endpointer, [0.9] * 4 + [0.0] * 9 + [0.9] * 4)
    assert [type(edge) for edge in edges] == [SpeechStarted]
    assert endpointer.is_open


def test_hysteresis() -> None:
    settings = EndpointSettings(threshold=0.6, release=0.3, min_speech_ms=32, silence_ms=64)
    assert run(Endpointer(settings), [0.5] * 20) == []
    assert [type(each) for each in run(Endpointer(settings), [0.7] + [0.4] * 50)] == [SpeechStarted]
    # once it has paused, speech must rise to the threshold again
    edges = run(Endpointer(settings), [0.7, 0.1, 0.4, 0.4])
    assert [type(each) for each in edges] == [SpeechStarted, SpeechEnded]


def test_the_lead_stops_at_the_beginning_and_at_the_speech_before() -> None:
    edges = run(Endpointer(PLAIN), [0.9] * 3 + [0.0] * 10 + [0.9] * 3)
    assert edges[0].at == 0
    settings = EndpointSettings(min_speech_ms=32, silence_ms=64, lead_ms=500, tail_ms=64)
    first, ended, second = run(Endpointer(settings), [0.9] * 3 + [0.0] * 3 + [0.9])
    assert (first.at, second.at) == (0, ended.at)


def test_the_tail_reaches_no_further_than_what_was_heard() -> None:
    settings = EndpointSettings(min_speech_ms=32, silence_ms=32, tail_ms=500)
    _, ended = run(Endpointer(settings), [0.9, 0.0])
    assert ended.at == 2 * W


def test_the_end_of_the_stream_ends_speech() -> None:
    endpointer = Endpointer(PLAIN)
    run(endpointer, [0.9] * 4)
    assert endpointer.end_now() == [SpeechEnded(at=4 * W, voiced_until=4 * W, known_at=4 * W)]
    assert endpointer.end_now() == []
    assert not endpointer.is_open


def test_the_pause_is_counted() -> None:
    endpointer = Endpointer(PLAIN)
    assert endpointer.pause == 0
    run(endpointer, [0.0] * 4)
    assert endpointer.pause == 0
    run(endpointer, [0.9] * 4)
    assert endpointer.pause == 0
    run(endpointer, [0.0] * 3)
    assert endpointer.pause == 3 * W
    assert endpointer.position == 11 * W


def test_thresholds_are_in_order() -> None:
    with pytest.raises(ValueError, match="release"):
        Endpointer(EndpointSettings(threshold=0.3, release=0.5))


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.5, 1.0])
def test_any_threshold_has_a_release_of_its_own(threshold: float) -> None:
    assert EndpointSettings(threshold=threshold).released_below == pytest.approx(0.7 * threshold)
    assert EndpointSettings(threshold=threshold, release=0.0).released_below == 0
    Endpointer(EndpointSettings(threshold=threshold))


def test_the_end_of_the_last_word_is_known() -> None:
    endpointer = Endpointer(PLAIN)
    run(endpointer, [0.0, 0.9, 0.9, 0.9] + [0.0] * 30)
    assert endpointer.voiced_until == 4 * W


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(1, 2000)), max_size=200),
    st.integers(0, 300),
    st.integers(0, 800),
    st.integers(0, 600),
    st.integers(0, 600),
)
@settings(deadline=None)
def test_edges_alternate_and_never_overlap(
    windows: list[tuple[float, int]], min_speech: int, silence: int, lead: int, tail: int
) -> None:
    endpointer = Endpointer(EndpointSettings(0.5, 0.35, min_speech, silence, lead, tail))
    edges: list[Edge] = []
    position = 0
    for probability, size in windows:
        position += size
        new = endpointer.feed(probability, size)
        assert all(edge.known_at == position for edge in new)
        edges += new
    edges += endpointer.end_now()
    assert endpointer.position == position
    assert [type(edge) for edge in edges] == [SpeechStarted, SpeechEnded] * (len(edges) // 2)
    places = [edge.at for edge in edges]
    assert places == sorted(places)
    assert all(0 <= edge.at <= edge.known_at <= position for edge in edges)


def test_a_lead_does_not_reach_over_a_wall() -> None:
    endpointer = Endpointer()
    for _ in range(40):
        endpointer.feed(0.0, 512)
    endpointer.wall()
    at = endpointer.position
    assert endpointer.feed(0.9, 512) == []
    assert endpointer.feed(0.9, 512) == [SpeechStarted(at, at + 1024)]

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxgate.conversation.playout import Chunk, Playout, PlayoutMode, PlayoutSettings
from voxgate.domain import Samples

RATE = 24_000
MS = 24  # samples
STREAM = PlayoutSettings()
PIECES = PlayoutSettings(mode=PlayoutMode.PIECES)


def ramp(samples: int, start: int = 0) -> Samples:
    return np.arange(start, start + samples, dtype=np.float32)


def speech(milliseconds: int, quiet: tuple[int, ...] = ()) -> Samples:
    """A loud tone with 20 ms of silence at each of these milliseconds."""
    audio = np.sin(np.arange(milliseconds * MS) / 7).astype(np.float32)
    for at in quiet:
        audio[at * MS : (at + 20) * MS] = 0
    return audio


def taken(playout: Playout, now: int) -> list[Chunk]:
    chunks: list[Chunk] = []
    while (chunk := playout.due(now)) is not None:
        chunks.append(chunk)
    return chunks


def whole(config: PlayoutSettings, audio: Samples) -> Playout:
    playout = Playout(config, RATE)
    playout.add(audio)
    playout.finish()
    return playout


def test_a_stream_runs_200_ms_ahead() -> None:
    playout = whole(STREAM, ramp(1000 * MS))
    first = taken(playout, 0)
    assert [(chunk.index, chunk.start, len(chunk.samples)) for chunk in first] == [(0, 0, 2400), (1, 2400, 2400)]
    assert playout.next_at(0) == 100 * MS
    assert taken(playout, 100 * MS - 1) == []
    assert len(taken(playout, 100 * MS)) == 1
    assert playout.heard(150 * MS) == 150 * MS


def test_the_last_chunk_is_as_long_as_it_is() -> None:
    playout = whole(STREAM, ramp(130 * MS))
    assert [len(chunk.samples) for chunk in taken(playout, 0)] == [100 * MS, 30 * MS]
    assert not playout.played_out(130 * MS - 1)
    assert playout.next_at(0) == 130 * MS
    assert playout.played_out(130 * MS)


def test_less_than_a_chunk_waits_for_more() -> None:
    playout = Playout(STREAM, RATE)
    playout.add(ramp(99 * MS))
    assert playout.due(0) is None
    assert playout.next_at(0) is None
    playout.add(ramp(1 * MS))
    assert playout.due(0) is not None


def test_a_client_that_ran_dry_plays_on_from_what_comes() -> None:
    playout = Playout(STREAM, RATE)
    playout.add(ramp(100 * MS))
    taken(playout, 0)
    assert playout.heard(500 * MS) == 100 * MS
    playout.add(ramp(100 * MS))
    taken(playout, 500 * MS)
    assert playout.heard(550 * MS) == 150 * MS


def test_pieces_are_sent_when_the_one_before_has_played_out() -> None:
    playout = whole(PIECES, speech(2000, quiet=(210, 700, 1100, 1500)))
    now, lengths = 0, []
    while not playout.played_out(now):
        chunks = taken(playout, now)
        assert len(chunks) <= 1
        lengths += [len(chunk.samples) // MS for chunk in chunks]
        now = playout.next_at(now) or now
    assert now == (2000 + PIECES.between_ms * (len(lengths) - 1)) * MS
    assert sum(lengths) == 2000
    assert 200 <= lengths[0] <= 300
    assert all(200 <= length <= 600 for length in lengths)


def test_pieces_are_cut_where_it_is_quiet() -> None:
    audio = speech(2000, quiet=(230, 700, 1150, 1600))
    playout = whole(PIECES, audio)
    now = 0
    starts: list[int] = []
    while not playout.played_out(now):
        starts += [chunk.start for chunk in taken(playout, now)]
        now = playout.next_at(now) or now
    assert starts[0] == 0
    assert [start // MS for start in starts[1:]] == pytest.approx([240, 710, 1160, 1610], abs=10)
    assert all(audio[start] == 0 for start in starts[1:])


def test_the_end_is_no_scrap() -> None:
    playout = whole(PIECES, speech(640))
    now, lengths = 0, []
    while not playout.played_out(now):
        lengths += [len(chunk.samples) // MS for chunk in taken(playout, now)]
        now = playout.next_at(now) or now
    assert min(lengths) >= 200


def test_a_short_reply_is_one_piece() -> None:
    playout = whole(PIECES, speech(150))
    assert [len(chunk.samples) for chunk in taken(playout, 0)] == [150 * MS]


@pytest.mark.parametrize("config", [STREAM, PIECES], ids=["stream", "pieces"])
def test_held_and_resumed_from_the_exact_sample(config: PlayoutSettings) -> None:
    playout = whole(config, ramp(1000 * MS))
    before = taken(playout, 0)
    playout.hold()
    assert taken(playout, 900 * MS) == []
    assert playout.next_at(900 * MS) is None
    assert playout.heard(900 * MS) == playout.sent  # the lead was played, no more
    playout.resume()
    after = taken(playout, 900 * MS)
    assert after[0].start == playout.heard(900 * MS) == sum(len(chunk.samples) for chunk in before)
    assert after[0].samples[0] == before[-1].samples[-1] + 1


def test_what_was_sent_before_it_was_held_may_end_the_reply() -> None:
    playout = whole(STREAM, ramp(150 * MS))
    taken(playout, 0)
    playout.hold()
    assert playout.next_at(0) == 150 * MS
    assert playout.played_out(150 * MS)


def test_stopped() -> None:
    playout = Playout(STREAM, RATE)
    playout.add(ramp(1000 * MS))
    taken(playout, 0)
    assert playout.stop(120 * MS) == 120 * MS
    playout.add(ramp(10))
    assert playout.stop(190 * MS) == playout.heard(10**9) == 120 * MS
    assert playout.due(10**9) is None
    assert playout.next_at(0) is None
    assert not playout.hungry
    assert not playout.played_out(10**9)
    assert playout.ends_at(150 * MS) == 150 * MS


def test_a_client_that_tells_where_it_is_is_believed_within_reason() -> None:
    playout = whole(STREAM, ramp(1000 * MS))
    taken(playout, 0)
    playout.report(20 * MS, 100 * MS)
    assert playout.heard(110 * MS) == 30 * MS
    assert playout.ends_at(110 * MS) == 280 * MS
    playout.report(10**9, 110 * MS)
    assert playout.heard(110 * MS) == playout.sent == 200 * MS
    playout.report(-5, 110 * MS)
    assert playout.heard(110 * MS) == 0


def test_a_reply_begins_when_the_one_before_was_played() -> None:
    playout = Playout(PIECES, RATE, begins_at=400 * MS)
    playout.add(speech(150))
    playout.finish()
    assert playout.due(399 * MS) is None
    assert playout.next_at(0) == 400 * MS
    assert playout.due(400 * MS) is not None
    assert playout.heard(500 * MS) == 100 * MS


def test_it_fetches_no_more_than_it_needs() -> None:
    playout = Playout(STREAM, RATE)
    assert playout.hungry
    playout.add(ramp(800 * MS))
    assert not playout.hungry
    taken(playout, 0)
    assert playout.hungry
    playout.finish()
    assert not playout.hungry


@given(
    st.sampled_from([STREAM, PIECES]),
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(1, 20_000)),
            st.tuples(st.just("wait"), st.integers(0, 20_000)),
            st.tuples(st.sampled_from(["hold", "resume", "next"]), st.just(0)),
            st.tuples(st.just("report"), st.integers(-100, 100_000)),
        ),
        max_size=40,
    ),
)
@settings(deadline=None)
def test_nothing_is_lost_doubled_or_sent_too_early(config: PlayoutSettings, steps: list[tuple[str, int]]) -> None:
    playout = Playout(config, RATE)
    now = added = 0
    held = False
    chunks: list[Chunk] = []
    for what, many in [*steps, ("resume", 0)]:
        if what == "add":
            playout.add(ramp(many, added))
            added += many
        elif what == "wait":
            now += many
        elif what == "report":
            playout.report(many, now)
        elif what == "next":
            now = playout.next_at(now) or now
        else:
            held = what == "hold"
            playout.hold() if held else playout.resume()
        before = playout.sent - playout.heard(now)
        new = taken(playout, now)
        assert not (held and new)
        if new:
            ahead = playout.sent - playout.heard(now)
            if config is STREAM:
                assert ahead <= max(before, 200 * MS)
            else:
                assert before == 0
                assert len(new) == 1
        chunks += new
        assert 0 <= playout.heard(now) <= playout.sent <= added
        wake = playout.next_at(now)
        assert wake is None or wake > now or playout.played_out(now)
    playout.finish()
    for _ in range(10_000):
        chunks += taken(playout, now)
        if playout.played_out(now):
            break
        later = playout.next_at(now)
        assert later is not None
        assert later > now
        now = later
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    audio = np.concatenate([chunk.samples for chunk in chunks]) if chunks else ramp(0)
    assert np.array_equal(audio, ramp(added))
    assert playout.played_out(now)
    if config is PIECES:
        assert all(len(chunk.samples) <= 600 * MS for chunk in chunks)
        assert all(len(chunk.samples) >= 200 * MS for chunk in chunks[:-1])


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_what_is_heard_only_grows(one: int, other: int) -> None:
    playout = whole(STREAM, ramp(1000 * MS))
    taken(playout, 0)
    assert playout.heard(min(one, other)) <= playout.heard(max(one, other))

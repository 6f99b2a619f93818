"""Whatever comes in whatever order and in whatever chunks."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import count, pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conversation.ears import Ears
from tests.conversation.live_sessions import BY_COMMIT, PLAIN, FakeTimers, Told, opened
from voxgate.conversation.endpoint import EndpointSettings
from voxgate.conversation.live import LiveWanted
from voxgate.domain import FinalHeard, PartialHeard

STEPS = st.one_of(
    st.tuples(st.just("speak"), st.integers(20, 60), st.integers(1, 40_000)),
    st.tuples(st.just("pause"), st.just(0), st.integers(1, 24_000)),
    st.tuples(st.just("noise"), st.just(99), st.integers(1, 20_000)),
    st.tuples(st.sampled_from(["commit", "stall"]), st.just(0), st.just(0)),
)


async def live(
    steps: Sequence[tuple[str, int, int]], wanted: LiveWanted, sizes: Callable[[], int], *, longest: float
) -> tuple[Told, Ears]:
    told, ears, timers = Told(), Ears(max_seconds=longest), FakeTimers()
    fed = commits = 0
    async with opened(told, ears, wanted, timers=timers) as session:
        for what, level, length in steps:
            match what:
                case "commit":
                    await session.commit()
                    commits += 1
                case "stall":
                    timers.pass_by(2)
                case _:
                    audio = np.full(length, level / 100, np.float32)
                    while len(audio):
                        size = sizes()
                        await session.feed(audio[:size])
                        fed += min(size, len(audio))
                        audio = audio[size:]
                        assert session.position == fed
            await asyncio.sleep(0)
        await session.stop()
        lawful(told, commits, wanted)
        assert ears.active == 0
    return told, ears


def lawful(told: Told, commits: int, wanted: LiveWanted) -> None:
    order = [
        (event.segment, isinstance(event, FinalHeard))
        for event in told
        if isinstance(event, (FinalHeard, PartialHeard))
    ]
    assert order == sorted(order), "segment by segment, partials before the final"
    finals = [event for event in told if isinstance(event, FinalHeard)]
    assert len({event.segment for event in finals}) == len(finals)
    empty = sum(not event.heard.text for event in finals)
    assert empty <= commits
    if wanted.endpoint is None:
        assert commits <= len(finals) <= commits + 1
    else:
        assert commits <= len(finals)
    for before, after in pairwise(finals):
        assert before.heard.end <= after.heard.start, "no audio is told twice, nor after it was said to hold nothing"
    assert [started for started, _ in told.edges] == [True, False] * (len(told.edges) // 2)


@given(
    st.lists(STEPS, max_size=12),
    st.sampled_from([PLAIN, LiveWanted(endpoint=EndpointSettings(silence_ms=100)), BY_COMMIT]),
    st.sampled_from([2.0, 30.0]),
    st.data(),
)
@settings(deadline=None, max_examples=150)
def test_whatever_the_chunks_the_session_is_the_same(
    steps: list[tuple[str, int, int]], wanted: LiveWanted, longest: float, data: st.DataObject
) -> None:
    sizes = st.sampled_from([160, 320, 511, 512, 513, 1600, 4096, 50_000])
    told, ears = asyncio.run(live(steps, wanted, lambda: 320, longest=longest))
    chosen = data.draw(st.lists(sizes, min_size=1, max_size=5))
    turn = count()
    again, heard = asyncio.run(live(steps, wanted, lambda: chosen[next(turn) % len(chosen)], longest=longest))
    assert again.segments == told.segments
    assert again.edges == told.edges
    finished = [(each.length, each.audio[: each.length].tobytes()) for each in ears.utterances]
    assert [(each.length, each.audio[: each.length].tobytes()) for each in heard.utterances] == finished

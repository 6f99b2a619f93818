import asyncio
from dataclasses import dataclass, field

import numpy as np
import pytest

from tests.conversation.ears import LoudIsSpeech
from tests.conversation.talks import Ears, quiet, voice
from tests.virtual import run
from voxgate.conversation.endpoint import EndpointSettings
from voxgate.conversation.finals import TranscriptionRequest
from voxgate.conversation.listener import Listener, LoudnessGate
from voxgate.domain import SPEECH_RATE, FileSegment, Samples
from voxgate.errors import EngineError, VoxgateError

W = 512
ENDPOINT = EndpointSettings(silence_ms=200)


@dataclass
class Told:
    """`Hearer` that remembers."""

    edges: list[tuple[bool, int, int]] = field(default_factory=list)
    windows: list[bool] = field(default_factory=list)
    partials: list[tuple[str, bool]] = field(default_factory=list)
    finals: list[tuple[int | None, str]] = field(default_factory=list)
    errors: list[VoxgateError] = field(default_factory=list)

    def edge(self, started: bool, at: int, pause: int) -> None:
        self.edges.append((started, at, pause))

    def window(self, speech: bool, samples: int) -> None:
        assert samples == W
        self.windows.append(speech)

    def partial(self, text: str, language: str, *, settled: bool) -> None:
        self.partials.append((text, settled))

    def final(self, turn: int | None, heard: FileSegment) -> None:
        self.finals.append((turn, heard.text))

    def deafened(self, error: VoxgateError) -> None:
        self.errors.append(error)


class Hall:
    """A listener that runs."""

    def __init__(self, *, keeps_audio: bool = False) -> None:
        self.told, self.ears = Told(), Ears()
        self.listener = Listener(
            LoudIsSpeech(),
            self.ears,
            TranscriptionRequest(correct=False),
            self.told,
            endpoint=ENDPOINT,
            timers=asyncio.get_running_loop(),
            keeps_audio=keeps_audio,
        )
        self.task = asyncio.create_task(self.listener.run())

    async def hear(self, audio: Samples, size: int = 1600) -> None:
        for at in range(0, len(audio), size):
            await self.listener.feed(audio[at : at + size])
            await self.listener.caught_up()
        await asyncio.sleep(1)

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.mark.parametrize("size", [320, 1600, 40_000])
def test_edges_windows_partials_and_the_final_that_is_asked_for(size: int) -> None:
    async def check() -> None:
        hall = Hall()
        await hall.hear(np.concatenate([quiet(1), voice(20), quiet(0.5)]), size)
        hall.listener.finish(7)
        await asyncio.sleep(1)
        told = hall.told
        assert [started for started, _, _ in told.edges] == [True, False]
        assert told.edges[0][1] == SPEECH_RATE // W * W - 4000
        assert sum(told.windows) == 32  # from sample 16,000 to 32,000, in windows of 512
        assert told.partials == [("What time is it?", False), ("What time is it?", True)]
        assert told.finals == [(7, "What time is it?")]
        await hall.leave()

    run(check())


def test_what_was_said_between_is_nobodys() -> None:
    async def check() -> None:
        hall = Hall()
        await hall.hear(np.concatenate([voice(20), quiet(0.5)]))
        hall.listener.finish(None)
        await hall.hear(np.concatenate([voice(25), quiet(0.5)]))
        hall.listener.finish(2)
        hall.listener.finish(3)
        await asyncio.sleep(1)
        assert hall.told.finals == [(None, "What time is it?"), (2, "Tell me more"), (3, "")]
        await hall.leave()

    run(check())


def test_partials_of_what_is_finished_are_not_told_of_the_next() -> None:
    async def check() -> None:
        hall = Hall()
        hall.ears.final_s = 5
        await hall.hear(np.concatenate([voice(20), quiet(0.5)]))
        hall.listener.finish(1)
        before = list(hall.told.partials)
        await hall.hear(np.concatenate([voice(25), quiet(0.5)]))
        assert hall.told.partials == before
        await asyncio.sleep(5)
        assert hall.told.finals == [(1, "What time is it?")]
        assert hall.told.partials[-1] == ("Tell me more", True)
        await hall.leave()

    run(check())


def test_an_engine_that_fails_is_asked_again_and_speech_begins_anew() -> None:
    async def check() -> None:
        hall = Hall()
        hall.ears.failing = [EngineError("as wanted", engine="ears")]
        await hall.hear(voice(20))
        hall.listener.finish(1)
        await asyncio.sleep(1)
        assert [each.message for each in hall.told.errors] == ["as wanted"]
        assert not hall.listener.speaking
        await hall.hear(np.concatenate([voice(25), quiet(0.5)]))
        hall.listener.finish(2)
        await asyncio.sleep(1)
        assert hall.told.finals == [(2, "Tell me more")]
        await hall.leave()

    run(check())


def test_the_detector_of_turns_hears_the_turn_with_its_lead_at_most_8_s() -> None:
    async def check() -> None:
        hall = Hall(keeps_audio=True)
        await hall.hear(quiet(5))
        assert len(hall.listener.recent()) <= SPEECH_RATE // 4 + W
        hall.listener.begin()
        await hall.hear(voice(20, 3))
        assert SPEECH_RATE * 3 <= len(hall.listener.recent()) <= SPEECH_RATE * 3.5
        await hall.hear(voice(20, 20))
        assert len(hall.listener.recent()) == 8 * SPEECH_RATE
        await hall.leave()

    run(check())


def test_speech_can_be_ended() -> None:
    async def check() -> None:
        hall = Hall()
        await hall.hear(voice(20, 0.99))
        hall.listener.end_speech()
        hall.listener.end_speech()
        assert [started for started, _, _ in hall.told.edges] == [True, False]
        await hall.leave()

    run(check())


def test_who_sends_half_a_minute_at_once_waits() -> None:
    async def check() -> None:
        hall = Hall()
        await asyncio.wait_for(hall.listener.feed(quiet(100)), 10)
        assert hall.listener.busy
        await hall.listener.caught_up()
        assert hall.listener.position == 100 * SPEECH_RATE // W * W
        await hall.leave()

    run(check())


def test_soft_windows_do_not_begin_speech_but_may_go_on_with_it() -> None:
    gate = LoudnessGate(LoudIsSpeech(), 6000, ENDPOINT)
    stream = gate.open()

    def probability(level: float) -> float:
        return stream.probability(np.full(W, level, np.float32))

    assert gate.window == W
    assert probability(0.2) == 0.9
    assert ENDPOINT.released_below <= probability(0.15) < ENDPOINT.threshold
    assert probability(0.08) == 0.0

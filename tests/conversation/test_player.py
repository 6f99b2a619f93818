import numpy as np

from tests.conversation.live_sessions import FakeTimers
from voxgate.conversation.player import Player
from voxgate.conversation.playout import Chunk, Playout, PlayoutSettings

RATE = 8000


class Ear:
    def __init__(self) -> None:
        self.timers = FakeTimers()
        self.sent: list[tuple[float, int]] = []
        self.over: list[float] = []
        self.player = Player(self.timers, RATE, due=self.due, played_out=lambda: self.over.append(self.timers.now))

    def due(self, chunk: Chunk) -> None:
        self.sent.append((round(self.timers.now, 3), len(chunk.samples)))


def playout(seconds: float) -> Playout:
    made = Playout(PlayoutSettings(), RATE)
    made.add(np.zeros(int(seconds * RATE), np.float32))
    return made


def test_chunks_go_when_they_are_due_and_the_end_is_told_once() -> None:
    ear, reply = Ear(), playout(0.5)
    reply.finish()
    ear.player.play(reply)
    ear.timers.pass_by(10)
    assert ear.sent == [(0.0, 800), (0.0, 800), (0.1, 800), (0.2, 800), (0.3, 800)]
    assert [round(at, 3) for at in ear.over] == [0.5]
    assert ear.timers.due == []


def test_without_audio_no_timer_runs_until_it_is_woken() -> None:
    ear, reply = Ear(), Playout(PlayoutSettings(), RATE)
    ear.player.play(reply)
    assert ear.timers.due == []
    reply.add(np.zeros(800, np.float32))
    ear.player.wake()
    assert ear.sent == [(0.0, 800)]


def test_what_is_held_goes_on_where_it_was() -> None:
    ear, reply = Ear(), playout(0.5)
    ear.player.play(reply)
    reply.hold()
    ear.timers.pass_by(2)
    assert len(ear.sent) == 2
    reply.resume()
    ear.player.wake()
    assert ear.sent[2:] == [(2.0, 800), (2.0, 800)]


def test_after_a_stop_nothing_is_sent() -> None:
    ear = Ear()
    ear.player.play(playout(0.5))
    ear.player.stop()
    ear.player.stop()
    ear.timers.pass_by(2)
    ear.player.wake()
    assert len(ear.sent) == 2
    assert ear.timers.due == []

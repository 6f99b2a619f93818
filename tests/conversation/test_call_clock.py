from tests.conversation.live_sessions import FakeTimers
from voxgate.conversation.call_clock import CallClock
from voxgate.domain import SPEECH_RATE


def test_it_stands_while_the_call_is_paused() -> None:
    timers = FakeTimers()
    timers.now = 100.0
    clock = CallClock(timers)
    assert clock.now == 0
    timers.now = 101.0
    assert clock.now == SPEECH_RATE
    clock.halt()
    timers.now = 105.0
    clock.halt()
    assert clock.now == SPEECH_RATE
    clock.go_on()
    clock.go_on()
    timers.now = 106.0
    assert clock.now == 2 * SPEECH_RATE

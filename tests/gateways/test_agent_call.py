import asyncio

import numpy as np

from voxgate.calls import (
    AudioEnd,
    AudioIn,
    AudioOut,
    CallEnded,
    CallInput,
    Control,
    ControlIn,
    EndReason,
    OnWire,
    ReplyInterrupted,
    ReplyText,
    StateOut,
)
from voxgate.domain import SPEECH_RATE
from voxgate.gateways.agent_call import AgentCall
from voxgate.protocols.agent.messages import Start
from voxgate.protocols.agent.session import AgentSession, Event


class Nobody:
    """A `Holder` that counts."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def released(self) -> None:
        self.told.append("released")

    def displaced(self) -> None:
        self.told.append("displaced")


class Line:
    """A connection that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[str] = []

    async def __call__(self, event: Event) -> None:
        self.events.append(event[0])


def call() -> AgentCall:
    session = AgentSession("alloy", instructions_characters=100)
    start = session.receive("start_session", [{"output_format": "pcm16"}])
    assert isinstance(start, Start)
    session.started("agent_1", start, None, 24_000)
    return AgentCall("agent_1", session, "org_1", 0.0, Nobody())


def sound(reply: int, index: int = 0) -> AudioOut:
    return AudioOut(reply, index, np.zeros(2_400, np.float32), 24_000)


def audio(seconds: float) -> AudioIn:
    return AudioIn(np.zeros(round(seconds * SPEECH_RATE), np.float32))


async def taken(made: AgentCall, count: int) -> list[CallInput]:
    inputs = made.inputs()
    return [await anext(inputs) for _ in range(count)]


async def until_idle() -> None:
    """Give everybody their turns: nothing here waits for time."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_what_comes_is_handed_on_in_order() -> None:
    made = call()
    made.tell(ControlIn(Control.PAUSE))
    await made.hear(audio(0.1))
    made.tell(ControlIn(Control.RESUME))
    first, second, third = await taken(made, 3)
    assert (first, third) == (ControlIn(Control.PAUSE), ControlIn(Control.RESUME))
    assert isinstance(second, AudioIn)


async def test_who_sends_more_than_is_heard_waits_and_what_is_no_audio_does_not() -> None:
    made = call()
    await made.hear(audio(1.9))
    await made.hear(audio(1.9))
    more = asyncio.create_task(made.hear(audio(0.1)))
    await until_idle()
    assert not more.done()
    made.tell(ControlIn(Control.INTERRUPT))
    await taken(made, 1)
    await until_idle()
    assert more.done()
    assert len(await taken(made, 3)) == 3


async def test_what_is_sent_waits_for_a_connection_and_comes_in_order() -> None:
    made, line = call(), Line()
    speaking = asyncio.create_task(made.speak())
    made.send(StateOut("thinking"))
    made.send(sound(1))  # nobody listens: the conversation will say it again
    made.send(ReplyText(1, "Hi."))
    await until_idle()
    made.attach(line)
    await until_idle()
    assert line.events == ["state", "response_delta"]
    made.send(sound(1))
    made.send(AudioEnd(1, 1))
    made.send(CallEnded(EndReason.CLIENT))
    await speaking
    assert line.events[2:] == ["audio_chunk", "audio_end", "session_ended"]
    assert made.ended is EndReason.CLIENT


async def test_the_first_audio_of_a_reply_is_reported_when_it_has_left() -> None:
    made, line = call(), Line()
    made.attach(line)
    speaking = asyncio.create_task(made.speak())
    for output in (sound(1), sound(1, 1), sound(2)):
        made.send(output)
    told = await taken(made, 2)
    assert [what.reply for what in told if isinstance(what, OnWire)] == [1, 2]
    assert all(isinstance(what, OnWire) and what.at_s <= asyncio.get_running_loop().time() for what in told)
    speaking.cancel()


async def test_audio_of_a_reply_that_is_cut_is_taken_back_and_of_no_other() -> None:
    made, line = call(), Line()
    made.attach(line)
    for output in (sound(1), sound(1, 1), sound(2)):
        made.send(output)
    made.send(ReplyInterrupted(1, ""))
    made.send(CallEnded(EndReason.CLIENT))
    await made.speak()
    assert line.events == ["audio_chunk", "interrupted", "session_ended"]


async def test_while_nobody_is_there_audio_is_dropped_and_of_the_rest_the_latest_is_kept() -> None:
    made, line = call(), Line()
    made.attach(line)
    made.send(sound(1))
    made.detach()
    for number in range(300):
        made.send(StateOut("listening" if number % 2 else "hearing"))
    made.attach(line)
    made.send(CallEnded(EndReason.CLIENT))
    await made.speak()
    assert line.events == ["state"] * 256 + ["session_ended"]


async def test_a_conversation_that_ends_while_nobody_is_there_ends() -> None:
    made = call()
    made.send(StateOut("listening"))
    speaking = asyncio.create_task(made.speak())
    await until_idle()
    assert not speaking.done()
    made.send(CallEnded(EndReason.LOST))
    await asyncio.wait_for(speaking, 1)
    made.is_over()
    assert made.finished.is_set()
    assert isinstance(made.holder, Nobody)
    assert made.holder.told == ["released"]

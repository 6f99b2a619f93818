import asyncio

import numpy as np

from tests.virtual import run
from voxgate.calls import AudioIn, AudioOut, CallInput, CallOutput, EndIn, ReplyText, ReplyWhole, TextIn, TranscriptOut
from voxgate.domain import SPEECH_RATE
from voxgate.testing.calls import FakeCaller


def test_what_a_caller_gives_comes_in_order_and_ends_with_the_call() -> None:
    async def check() -> list[CallInput]:
        caller = FakeCaller()
        caller.give(TextIn("one"))
        caller.give(EndIn())
        caller.give(TextIn("never taken"))
        return [given async for given in caller.inputs()]

    assert run(check()) == [TextIn("one"), EndIn()]


def test_speech_takes_as_long_as_it_is() -> None:
    async def check() -> None:
        caller, began = FakeCaller(), asyncio.get_running_loop().time()
        await caller.speak(np.arange(SPEECH_RATE // 4, dtype=np.float32))
        assert asyncio.get_running_loop().time() - began == 0.25
        caller.give(EndIn())
        chunks = [given.samples async for given in caller.inputs() if isinstance(given, AudioIn)]
        assert [len(chunk) for chunk in chunks] == [1600, 1600, 800]
        assert np.array_equal(np.concatenate(chunks), np.arange(SPEECH_RATE // 4, dtype=np.float32))

    run(check())


def test_what_a_caller_is_sent_is_kept_by_kind() -> None:
    async def check() -> None:
        heard: list[object] = []
        caller = FakeCaller(heard.append)
        sent: list[CallOutput] = [
            TranscriptOut(1, "Hel", final=False, language="en"),
            TranscriptOut(1, "Hello", final=True, language="en"),
            ReplyText(1, "Hi "),
            ReplyText(1, "there."),
            ReplyText(2, "No."),
            AudioOut(1, 0, np.ones(3, np.float32), 24_000),
            AudioOut(2, 0, np.zeros(2, np.float32), 24_000),
            ReplyWhole(1, "Hi there.", interrupted=False, language="en"),
        ]
        for output in sent:
            caller.send(output)
        assert heard == sent
        assert (caller.finals, caller.replies, caller.text(1)) == (["Hello"], ["Hi there."], "Hi there.")
        assert caller.audio(1).tolist() == [1, 1, 1]
        assert caller.audio(3).size == 0
        assert caller.of(ReplyText) == sent[2:5]

    run(check())

"""A caller without a wire: says what it is told to, and keeps what it is sent."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import numpy as np

from voxgate.calls import AudioIn, AudioOut, CallInput, CallOutput, EndIn, ReplyText, ReplyWhole, TranscriptOut
from voxgate.domain import SPEECH_RATE, Samples

Output = TypeVar("Output")


class FakeCaller:
    """`ports.CallTransport`."""

    def __init__(self, heard: Callable[[CallOutput], None] = lambda _: None) -> None:
        """`heard` is called with each output too: a caller that answers what it hears."""
        self.outputs: list[tuple[float, CallOutput]] = []
        """Everything that was sent, with the time on the loop's clock."""
        self._inputs: asyncio.Queue[CallInput] = asyncio.Queue()
        self._heard = heard

    async def inputs(self) -> AsyncIterator[CallInput]:
        """See the port."""
        while True:
            given = await self._inputs.get()
            yield given
            if isinstance(given, EndIn):
                return

    def send(self, output: CallOutput) -> None:
        """See the port."""
        self.outputs.append((asyncio.get_running_loop().time(), output))
        self._heard(output)

    def give(self, given: CallInput) -> None:
        """The next input."""
        self._inputs.put_nowait(given)

    async def speak(self, audio: Samples, chunk_ms: int = 100) -> None:
        """Audio in real time, on the loop's clock: each chunk comes when its last sample was spoken."""
        size = chunk_ms * SPEECH_RATE // 1000
        for at in range(0, len(audio), size):
            chunk = audio[at : at + size]
            await asyncio.sleep(len(chunk) / SPEECH_RATE)
            self.give(AudioIn(chunk))

    def of(self, kind: type[Output]) -> list[Output]:
        """The outputs of one kind, in order."""
        return [output for _, output in self.outputs if isinstance(output, kind)]

    @property
    def finals(self) -> list[str]:
        """The transcripts that are final."""
        return [each.text for each in self.of(TranscriptOut) if each.final]

    @property
    def replies(self) -> list[str]:
        """The texts of replies that were told whole or cut."""
        return [each.text for each in self.of(ReplyWhole)]

    def text(self, reply: int) -> str:
        """What was told of a reply, bit by bit."""
        return "".join(each.text for each in self.of(ReplyText) if each.reply == reply)

    def audio(self, reply: int) -> Samples:
        """What was sent of a reply."""
        chunks = [each.samples for each in self.of(AudioOut) if each.reply == reply]
        return np.concatenate([np.zeros(0, np.float32), *chunks])

"""One conversation and the connections it is held over, one after the other: `ports.CallTransport` over Socket.IO.

What comes in waits in a buffer that holds a few seconds of audio: who sends more waits. What goes out waits in another
until it is encoded and emitted; while there is no connection, audio is dropped (the conversation pauses) and the rest
is kept for the client that comes back.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Protocol

from voxgate.calls import (
    AudioIn,
    AudioOut,
    CallEnded,
    CallInput,
    CallOutput,
    EndReason,
    OnWire,
    ReplyInterrupted,
)
from voxgate.domain import SPEECH_RATE
from voxgate.protocols.agent.messages import OutputFormat
from voxgate.protocols.agent.session import AgentSession, Event
from voxgate.protocols.agent.sound import VOICE_RATE, encode_voice

Sink = Callable[[Event], Awaitable[None]]
"""Emits one event to the client, and waits where it does not take them."""


class Holder(Protocol):
    """The connection a conversation is held over, or was."""

    def released(self) -> None:
        """It is over."""

    def displaced(self) -> None:
        """Another connection has it."""


_UNHEARD = 2 * SPEECH_RATE
"""Samples that wait to be heard before whoever sends more has to wait."""
_CHEAP = (OutputFormat.PCM16, OutputFormat.WAV)
"""Formats that cost less than handing a chunk to a thread."""
_KEPT = 256
"""Events that are kept for a client that is away; the oldest go first. It pauses meanwhile, and says little."""


class AgentCall:
    """Carries out `ports.CallTransport`, and outlives the connections."""

    def __init__(self, call_id: str, session: AgentSession, org_id: str, began: float, holder: Holder) -> None:
        """`session`: its client's, which is handed on from connection to connection."""
        self.id = call_id
        self.session = session
        self.org_id = org_id
        """Whose conversation it is: nobody else resumes it."""
        self.began = began
        """On the monotonic clock."""
        self.left_s: Callable[[], Mapping[str, float]] = dict
        """Seconds until a limit of its own ends it, by reason."""
        self.holder = holder
        self.finished = asyncio.Event()
        """It is over, and its last word has left."""
        self.ended: EndReason | None = None
        """Why it is over, once its last word was sent."""
        self._inputs: deque[CallInput] = deque()
        self._unheard = 0  # samples
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._outbox: deque[CallOutput] = deque()
        self._posted = asyncio.Event()
        self._on_wire = 0  # the last reply whose first audio has left
        self._sink: Sink | None = None
        self._may_speak = asyncio.Event()  # a connection is there, or none is needed any more: it is over

    # ports.CallTransport

    async def inputs(self) -> AsyncIterator[CallInput]:
        """What comes from the caller."""
        while True:
            while not self._inputs:
                self._arrived.clear()
                await self._arrived.wait()
            item = self._inputs.popleft()
            if isinstance(item, AudioIn):
                self._unheard -= len(item.samples)
                if self._unheard < _UNHEARD:
                    self._room.set()
            yield item

    def send(self, output: CallOutput) -> None:
        """To be told. Audio of a reply that is cut is taken back, where it has not left."""
        if isinstance(output, CallEnded):
            self.ended = output.reason
            self._may_speak.set()
        if isinstance(output, ReplyInterrupted):
            self._take_back(output.reply)
        if self._sink is None:
            if isinstance(output, AudioOut):
                return
            if len(self._outbox) >= _KEPT:
                self._outbox.popleft()
        self._outbox.append(output)
        self._posted.set()

    # the gateway's side

    async def hear(self, what: CallInput) -> None:
        """Hand the conversation what came; waits while it has more audio than it can hear."""
        await self._room.wait()
        self.tell(what)

    def tell(self, what: CallInput) -> None:
        """The same without waiting: for what is no audio."""
        self._inputs.append(what)
        if isinstance(what, AudioIn):
            self._unheard += len(what.samples)
            if self._unheard >= _UNHEARD:
                self._room.clear()
        self._arrived.set()

    def attach(self, sink: Sink) -> None:
        """A connection is there."""
        self._sink = sink
        self._may_speak.set()

    def is_over(self) -> None:
        """Nothing more comes of it: nobody waits for it to hear."""
        self.finished.set()
        self._room.set()
        self.holder.released()

    def detach(self) -> None:
        """There is none: what would be heard is not kept."""
        self._sink = None
        if self.ended is None:
            self._may_speak.clear()
        self._take_back(None)

    async def speak(self) -> None:
        """Tell the client what is sent, in order, to the last of it; waits while there is no connection."""
        while True:
            while not self._outbox:
                self._posted.clear()
                await self._posted.wait()
            if self._sink is None and self.ended is None:
                await self._may_speak.wait()
                continue
            output = self._outbox.popleft()
            for event in await self._events(output):
                if self._sink is not None:
                    await self._sink(event)
            if isinstance(output, AudioOut) and output.reply != self._on_wire:
                self._on_wire = output.reply
                self.tell(OnWire(output.reply, asyncio.get_running_loop().time()))
            if isinstance(output, CallEnded):
                return

    async def _events(self, output: CallOutput) -> list[Event]:
        if not isinstance(output, AudioOut):
            return self.session.told(output)
        fmt = self.session.output
        if fmt in _CHEAP:
            encoded = encode_voice(fmt, output)
        else:
            encoded = await asyncio.to_thread(encode_voice, fmt, output)
        return [self.session.sound(output, encoded, VOICE_RATE)]

    def _take_back(self, reply: int | None) -> None:
        """Audio that has not left: of this reply, or of all."""
        self._outbox = deque(
            told
            for told in self._outbox
            if not isinstance(told, AudioOut) or (reply is not None and told.reply != reply)
        )

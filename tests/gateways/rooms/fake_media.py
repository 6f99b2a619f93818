"""Rooms without a network: a person who comes, goes, listens and speaks on the loop's clock, and what he was sent."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from voxgate.domain import SPEECH_RATE, Samples
from voxgate.errors import VoxgateError
from voxgate.gateways.rooms.media import (
    VOICE_RATE,
    Attributes,
    Closed,
    Gone,
    Heard,
    Joined,
    Listening,
    Packet,
    Played,
    RoomEvent,
    RoomMessage,
    TextStream,
)
from voxgate.rooms import Grant, RoomEnd, RoomPlan

_FRAME_S = 0.02


class FakeMedia:
    """`RoomMedia`: what is played leaves in frames of 20 ms while the person listens."""

    track = "TR_bot"

    def __init__(self) -> None:
        self.person_track = "TR_person"
        self.posts: list[tuple[float, RoomMessage]] = []
        """What was posted, with the time on the loop's clock."""
        self.left: list[tuple[float, Samples]] = []
        """The frames that left, with the time they did."""
        self.flushes = 0
        self.closed: RoomEnd | None = None
        self.listening = False
        self._events: asyncio.Queue[RoomEvent] = asyncio.Queue()
        self._queue = np.zeros(0, np.float32)
        self._played = 0
        self._timer: asyncio.TimerHandle | None = None

    async def events(self) -> AsyncIterator[RoomEvent]:
        """See the protocol."""
        while True:
            event = await self._events.get()
            yield event
            if isinstance(event, Closed):
                return

    def play(self, samples: Samples) -> None:
        """See the protocol."""
        self._queue = np.concatenate([self._queue, samples])
        if self._timer is None:
            self._send()

    def flush(self) -> None:
        """See the protocol."""
        self.flushes += 1
        self._queue, self._played = np.zeros(0, np.float32), 0

    def post(self, message: RoomMessage) -> None:
        """See the protocol."""
        self.posts.append((asyncio.get_running_loop().time(), message))

    async def aclose(self, why: RoomEnd) -> None:
        """See the protocol."""
        if self.closed is None:
            self.closed = why
            if self._timer is not None:
                self._timer.cancel()
            self.give(Closed("by us"))

    def _send(self) -> None:
        self._timer = None
        size = round(VOICE_RATE * _FRAME_S)
        if self.listening and len(self._queue):
            frame, self._queue = self._queue[:size], self._queue[size:]
            self.left.append((asyncio.get_running_loop().time(), frame))
            self._played += len(frame)
            self.give(Played(self._played))
        if len(self._queue):
            self._timer = asyncio.get_running_loop().call_later(_FRAME_S, self._send)

    # the person

    def give(self, event: RoomEvent) -> None:
        """The next event."""
        self._events.put_nowait(event)

    def join(self, *, back: bool = False, listens: bool = True) -> None:
        """He comes, and takes the bot's audio."""
        self.give(Joined(back))
        if listens:
            self.listening = True
            self.give(Listening())

    def leave(self, *, left: bool = True) -> None:
        """He goes, or his connection breaks."""
        self.listening = False
        self._queue = np.zeros(0, np.float32)
        self.give(Gone(left))

    async def speak(self, audio: Samples) -> None:
        """He says it, in real time."""
        size = SPEECH_RATE // 50
        for at in range(0, len(audio), size):
            await asyncio.sleep(len(audio[at : at + size]) / SPEECH_RATE)
            self.give(Heard(audio[at : at + size]))

    # what he got

    def packets(self, topic: str) -> list[dict[str, Any]]:
        """The JSON packets of a topic."""
        return [json.loads(m.payload) for _, m in self.posts if isinstance(m, Packet) and m.topic == topic]

    def streams(self) -> list[TextStream]:
        """The text streams."""
        return [m for _, m in self.posts if isinstance(m, TextStream)]

    def states(self) -> list[str]:
        """What `lk.agent.state` was, one after the other."""
        return [m.values["lk.agent.state"] for _, m in self.posts if isinstance(m, Attributes)]

    def said(self, role: str) -> list[str]:
        """The final transcripts of one side."""
        return [p["text"] for p in self.packets("transcript") if p["role"] == role and p["isFinal"]]

    @property
    def heard_s(self) -> float:
        """How long the bot was heard."""
        return sum(len(frame) for _, frame in self.left) / VOICE_RATE


@dataclass
class FakeProvider:
    """`MediaProvider`."""

    name: str = "fake"
    rooms: dict[str, FakeMedia] = field(default_factory=dict)
    failing: VoxgateError | None = None
    closed: bool = False

    def grant(self, plan: RoomPlan, base_url: str) -> Grant:
        """See the protocol."""
        return Grant(base_url.replace("http", "ws", 1), f"token of {plan.identity}")

    async def open(self, plan: RoomPlan) -> FakeMedia:
        """See the protocol."""
        if self.failing is not None:
            raise self.failing
        await asyncio.sleep(0)
        return self.rooms.setdefault(plan.room, FakeMedia())

    async def aclose(self) -> None:
        """See the protocol."""
        self.closed = True

"""A person in a room: LiveKit's own Python SDK, with a microphone made of arithmetic or of a recording."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from livekit import rtc

from voxgate.domain import Samples
from voxgate.rooms import Grant

RATE = 48_000
"""Samples per second of the microphone and of the ears."""
_STEP = RATE // 50
_PATIENCE_S = 15.0


def tone(hertz: float, seconds: float, level: float = 0.3, rate: int = RATE) -> Samples:
    """A sine of this peak level."""
    at = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * hertz * at)).astype(np.float32)


def strength(samples: Samples, hertz: float, rate: int) -> float:
    """How much of a tone is in there: the peak level of a sine that would give as much."""
    at = np.arange(len(samples)) / rate
    return float(2 * abs(np.mean(samples * np.exp(-2j * np.pi * hertz * at)))) if len(samples) else 0.0


@dataclass(frozen=True)
class Text:
    """A text stream that came, whole."""

    topic: str
    text: str
    attributes: dict[str, str]
    sender: str
    number: int
    """Streams are numbered as they are opened; short ones may be over before long ones."""


@dataclass
class Person:
    """One connection. What came is in its lists, in order; `heard_at` is on the clock of the event loop."""

    room: rtc.Room
    texts: list[Text] = field(default_factory=list)
    packets: list[tuple[str, bytes]] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)
    sound: list[tuple[float, Samples]] = field(default_factory=list)
    """(when it came, what) of the bot's voice, once it is heard."""
    _opened: int = 0
    _source: rtc.AudioSource | None = None
    _microphone: rtc.LocalAudioTrack | None = None
    _streams: list[rtc.AudioStream] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, what: Callable[[], object], within_s: float = _PATIENCE_S) -> None:
        """Wait for something to be true of this person; asks whenever something came."""
        try:
            async with asyncio.timeout(within_s):
                while not what():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"it did not come within {within_s} s; {self}") from None

    def __str__(self) -> str:
        loud = sum(float(np.abs(s).max()) > 0.01 for _, s in self.sound if len(s))
        return f"texts {self.texts}, packets {self.packets}, {self.attributes}, ended {self.ended}, sound {loud}"

    async def take_microphone(self) -> None:
        """Publish a microphone."""
        self._source = rtc.AudioSource(RATE, 1, queue_size_ms=100)
        self._microphone = rtc.LocalAudioTrack.create_audio_track("mic", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self.room.local_participant.publish_track(self._microphone, options)

    async def say(self, samples: Samples) -> None:
        """Speak into it (RATE); takes as long as the sound."""
        assert self._source is not None
        pcm = np.rint(np.clip(samples, -1, 1) * 32767).astype(np.int16)
        pcm = np.pad(pcm, (0, -len(pcm) % _STEP))
        for at in range(0, len(pcm), _STEP):
            await self._source.capture_frame(rtc.AudioFrame(pcm[at : at + _STEP].tobytes(), RATE, 1, _STEP))

    def mute(self, muted: bool) -> None:
        """Switch the microphone off or on."""
        assert self._microphone is not None
        if muted:
            self._microphone.mute()
        else:
            self._microphone.unmute()

    def heard(self, hertz: float, above: float = 0.05) -> list[float]:
        """When each 20 ms came that held a tone."""
        return [at for at, samples in self.sound if strength(samples, hertz, RATE) > above]

    async def leave(self) -> None:
        """Say goodbye."""
        for stream in self._streams:
            await stream.aclose()
        await self.room.disconnect()
        for task in list(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._source is not None:
            await self._source.aclose()

    # what came

    def listen(self) -> None:
        """Take down what comes, from the beginning: before connecting."""
        self.room.on("data_received", self._packet)
        self.room.on("participant_attributes_changed", self._attributes)
        self.room.on("disconnected", self._disconnected)
        self.room.on("track_subscribed", self._subscribed)
        for topic in ("lk.transcription", "lk.chat"):
            self.room.register_text_stream_handler(topic, self._text)

    def _packet(self, packet: rtc.DataPacket) -> None:
        self.packets.append((packet.topic or "", packet.data))
        self._changed.set()

    def _attributes(self, changed: dict[str, str], participant: rtc.Participant) -> None:
        if participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT:
            self.attributes.update(changed)
            self._changed.set()

    def _disconnected(self, reason: int) -> None:
        self.ended.append(reason)
        self._changed.set()

    def _text(self, reader: rtc.TextStreamReader, sender: str) -> None:
        self._opened += 1
        self._start(self._read(reader, sender, self._opened))

    async def _read(self, reader: rtc.TextStreamReader, sender: str, number: int) -> None:
        try:
            text = await reader.read_all()
        except rtc.StreamError:
            return  # the call is over in the middle of it
        self.texts.append(Text(reader.info.topic, text, dict(reader.info.attributes or {}), sender, number))
        self.texts.sort(key=lambda text: text.number)
        self._changed.set()

    def _subscribed(
        self, track: rtc.RemoteAudioTrack, _publication: rtc.RemoteTrackPublication, _who: rtc.RemoteParticipant
    ) -> None:
        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1, frame_size_ms=20)
        self._streams.append(stream)
        self._start(self._hear(stream))

    async def _hear(self, stream: rtc.AudioStream) -> None:
        async for event in stream:
            pcm = np.frombuffer(event.frame.data, np.int16)
            self.sound.append((asyncio.get_running_loop().time(), pcm.astype(np.float32) / np.float32(32768)))
            self._changed.set()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@asynccontextmanager
async def joined(grant: Grant, *, single: bool = True) -> AsyncIterator[Person]:
    """Somebody who joins with a grant, and leaves at the end. `single`: signalling v1, one peer connection; else v0."""
    person = Person(rtc.Room())
    person.listen()
    await person.room.connect(grant.url, grant.token, rtc.RoomOptions(single_peer_connection=single))
    for other in person.room.remote_participants.values():
        if other.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT:
            person.attributes.update(other.attributes)
    try:
        yield person
    finally:
        await person.leave()

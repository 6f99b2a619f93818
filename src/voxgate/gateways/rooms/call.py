"""One call in a room: `ports.CallTransport` over a `RoomMedia`.

What comes from the room is taken by one task (`carry`) and waits, seconds of sound at most, until the conversation
takes it. The conversation begins when the person can hear it (`ready`), and goes on, after a connection that broke,
when he can hear it again: nothing that is said is lost in between.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from voxgate.calls import (
    AudioIn,
    AudioOut,
    CallEnded,
    CallInput,
    CallOutput,
    CallProblem,
    Dropped,
    EndIn,
    EndReason,
    ImageOut,
    OnWire,
    PlayedIn,
    RecordingEnded,
    ReplyInterrupted,
    Returned,
    SpokenOut,
    StateOut,
    TextIn,
    TranscriptOut,
)
from voxgate.clock import Clock
from voxgate.domain import SPEECH_RATE, Samples
from voxgate.errors import Code, PeerError, VoxgateError
from voxgate.gateways.rooms.media import (
    Attributes,
    Closed,
    Gone,
    Heard,
    Joined,
    Listening,
    Muted,
    Packet,
    Played,
    RoomEvent,
    RoomMedia,
    TextStream,
    Typed,
)
from voxgate.protocols.rooms.messages import (
    ERROR,
    IMAGE,
    SESSION,
    STATE,
    TRANSCRIPT,
    TRANSCRIPTION,
    Segment,
    agent_state,
    error_packet,
    expiring_packet,
    image_packet,
    reply_segment,
    stream_attributes,
    transcript_packet,
    turn_segment,
)

_UNHEARD = SPEECH_RATE
"""Samples that wait to be heard before no more is taken from the room, whose own buffer then drops the oldest."""


class Presence(Protocol):
    """Who is told whether the person is inside: `services.rooms.OpenRoom`, which bills it."""

    def joined(self) -> None:
        """He is; again changes nothing."""

    def left(self) -> None:
        """He is not; again changes nothing."""


@dataclass(frozen=True, slots=True)
class _Handed:
    """Sound of a reply that was handed to the room."""

    reply: int
    start: int
    """Its first sample, counted from the beginning of the reply."""
    at: int
    """The same, counted from the last flush."""
    length: int


class RoomCall:
    """Carries out `ports.CallTransport`."""

    def __init__(
        self,
        media: RoomMedia,
        presence: Presence,
        images: Mapping[str, Mapping[str, str]],
        clock: Clock,
        *,
        typed_characters: int,
        listen_s: float,
    ) -> None:
        """`images`: key -> what an `image` packet holds. `typed_characters`: of the longest message that is a turn.

        `listen_s`: how long a client that has joined may take to take the bot's audio before it is spoken to anyway.
        """
        self.ready = asyncio.Event()
        """The conversation may begin."""
        self.closed = ""
        """Why the room is not there any more; empty while it is."""
        self._media = media
        self._presence = presence
        self._images = images
        self._clock = clock
        self._typed_characters = typed_characters
        self._listen_s = listen_s
        self._loop = asyncio.get_running_loop()
        self._inputs: deque[CallInput] = deque()
        self._arrived = asyncio.Event()
        self._unheard = 0  # samples
        self._room = asyncio.Event()
        self._talking = False  # whether the conversation takes what comes
        self._here = False  # whether the person is inside
        self._dropped = False  # whether the conversation waits for him
        self._muted = False
        self._typed = 0  # messages
        self._patience: asyncio.TimerHandle | None = None
        self._state = ""
        self._handed: deque[_Handed] = deque()
        self._total = 0  # samples that were handed to the room since the last flush
        self._reply = (0, 0)  # the reply that was handed last, and how many samples of it
        self._on_wire = 0  # the last reply whose first sound has left
        self._tell_state("initializing")

    # ports.CallTransport

    async def inputs(self) -> AsyncIterator[CallInput]:
        """What comes from the person."""
        self._talking = True
        while True:
            while not self._inputs:
                self._arrived.clear()
                await self._arrived.wait()
            item = self._inputs.popleft()
            if isinstance(item, AudioIn):
                self._unheard -= len(item.samples)
                self._room.set()
            yield item

    def send(self, output: CallOutput) -> None:
        """To be told."""
        match output:
            case AudioOut():
                self._play(output)
            case ReplyInterrupted():
                self._flush()
            case StateOut(state):
                self._tell_state(agent_state(state))
            case TranscriptOut(turn, text, final, _):
                self._tell_segment(turn_segment(turn, text, final=final))
            case SpokenOut(reply, text, final):
                self._tell_segment(reply_segment(reply, text, final=final))
            case ImageOut(_, key):
                self._media.post(Packet(IMAGE, image_packet(self._images[key])))
            case CallProblem(error):
                self._tell_problem(error)
            case CallEnded():
                self._stop_waiting()

    # the house's side

    async def carry(self) -> None:
        """Take what comes from the room, until it is closed."""
        async for event in self._media.events():
            self._take(event)
            while self._unheard >= _UNHEARD:
                self._room.clear()
                await self._room.wait()

    def tell(self, what: CallInput) -> None:
        """What the server has to say to the conversation."""
        self._inputs.append(what)
        if isinstance(what, AudioIn):
            self._unheard += len(what.samples)
        self._arrived.set()

    def expiring(self, reason: str, seconds_left: int) -> None:
        """Tell the client that the session is about to end."""
        self._media.post(Packet(SESSION, expiring_packet(reason, seconds_left)))

    # from the room

    def _take(self, event: RoomEvent) -> None:
        match event:
            case Heard(samples):
                self._hear(samples)
            case Played(samples):
                self._played(samples)
            case Joined():
                self._joined()
            case Gone():
                self._gone()
            case Listening():
                self._can_hear()
            case Muted(muted):
                self._mute(muted)
            case Typed(text):
                self._read(text)
            case Closed(why):
                self._presence.left()
                self._stop_waiting()
                self.closed = why or "closed"
                self.tell(EndIn(EndReason.LOST))

    def _hear(self, samples: Samples) -> None:
        if self._talking and not self._muted:
            self.tell(AudioIn(samples))

    def _joined(self) -> None:
        if not self._here:
            self._here = True
            self._presence.joined()
            self._patience = self._loop.call_later(self._listen_s, self._can_hear)

    def _gone(self) -> None:
        if not self._here:
            return
        self._here = False
        self._presence.left()
        self._stop_waiting()
        self._flush()
        if self.ready.is_set() and not self._dropped:
            self._dropped = True
            self.tell(Dropped())

    def _can_hear(self) -> None:
        """The person hears what is said from now on, or has been waited for."""
        if not self._here:
            return
        self._stop_waiting()
        if not self.ready.is_set():
            self.ready.set()
            self._tell_state("listening")
        if self._dropped:
            self._dropped = False
            self.tell(Returned())

    def _mute(self, muted: bool) -> None:
        self._muted = muted
        if muted and self._talking:
            self.tell(RecordingEnded())

    def _read(self, text: str) -> None:
        text = text.strip()
        if not text:
            return
        if len(text) > self._typed_characters:
            self._tell_problem(
                PeerError(
                    f"the message has {len(text):,} characters; {self._typed_characters:,} are allowed "
                    "(rooms.typed_characters)",
                    code=Code.INPUT_TOO_LONG,
                )
            )
            return
        self._can_hear()  # who writes is waited for no longer
        self._typed += 1
        self._tell_packet(Segment(f"typed_{self._typed}", "user", text, final=True))
        self.tell(TextIn(text))

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    # sound

    def _play(self, output: AudioOut) -> None:
        reply, start = self._reply if self._reply[0] == output.reply else (output.reply, 0)
        length = len(output.samples)
        self._reply = (reply, start + length)
        if not self._here:
            return
        self._handed.append(_Handed(reply, start, self._total, length))
        self._total += length
        self._media.play(output.samples)

    def _played(self, samples: int) -> None:
        """So much has left since the last flush. A count from before it is more than was handed over since."""
        if samples > self._total:
            return
        while len(self._handed) > 1 and samples > self._handed[0].at + self._handed[0].length:
            self._handed.popleft()
        if not self._handed or samples <= self._handed[0].at:
            return
        piece = self._handed[0]
        if piece.reply != self._on_wire:
            self._on_wire = piece.reply
            self.tell(OnWire(piece.reply, self._loop.time()))
        self.tell(PlayedIn(piece.reply, piece.start + samples - piece.at))

    def _flush(self) -> None:
        self._media.flush()
        self._handed.clear()
        self._total = 0

    # words

    def _tell_state(self, state: str) -> None:
        if state != self._state:
            self._state = state
            self._media.post(Attributes({STATE: state}))

    def _tell_segment(self, segment: Segment) -> None:
        theirs = segment.role == "user"
        track = self._media.person_track if theirs else self._media.track
        attributes = stream_attributes(segment, track)
        self._media.post(TextStream(TRANSCRIPTION, segment.text, attributes, as_person=theirs))
        self._tell_packet(segment)

    def _tell_packet(self, segment: Segment) -> None:
        self._media.post(Packet(TRANSCRIPT, transcript_packet(segment, self._clock.now())))

    def _tell_problem(self, error: VoxgateError) -> None:
        self._media.post(Packet(ERROR, error_packet(error)))

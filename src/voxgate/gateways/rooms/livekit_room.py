"""The bot's place in a room of a LiveKit server: `media.RoomMedia` over LiveKit's own SDK.

The SDK's native threads hand every event to the loop that the room was made on (`call_soon_threadsafe`), so that all
here runs on that loop. It comes back by itself where the connection breaks; what is sent meanwhile waits here.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import structlog

from voxgate.domain import SPEECH_RATE, Samples
from voxgate.gateways.rooms.arrivals import Arrivals
from voxgate.gateways.rooms.livekit_sound import QUEUE_MS, Voice
from voxgate.gateways.rooms.media import (
    VOICE_RATE,
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
    RoomMessage,
    TextStream,
    Typed,
)
from voxgate.rooms import RoomEnd, RoomPlan

if TYPE_CHECKING:
    from livekit import rtc

log = structlog.get_logger(__name__)

CHAT: Final = "lk.chat"
"""Topic of what a person types, by LiveKit's convention."""
CHAT_CHARACTERS: Final = 10_000
"""Longest text that is read; as long as what may be spoken in one request (contract, limits)."""
KEPT: Final = 256
"""Messages that are kept for a person who is away, or while the connection is; the oldest go first."""
_FRAME_MS: Final = 20
_CLOSING_S: Final = 5.0
"""Longest the SDK may take to say goodbye to a server that may be gone."""
_ASKING_S: Final = 0.1
_TOLD_LATE_S: Final = 4.0
"""livekit-server 1.13.5 tells the others of somebody without a microphone up to 3 s after he came (measured)."""


class LiveKitRoom:
    """Carries out `media.RoomMedia`. Made by `join`."""

    track: str

    def __init__(
        self, plan: RoomPlan, *, remove: Callable[[], Awaitable[None]], active: Callable[[], Awaitable[bool | None]]
    ) -> None:
        """`remove`: closes the room for everybody. `active`: whether the person is in it, and can be sent something;
        None where the server does not say."""
        from livekit import rtc

        self._plan = plan
        self._remove = remove
        self._active = active
        self._arrivals = Arrivals()
        self._room = rtc.Room()
        self._source = rtc.AudioSource(VOICE_RATE, 1, queue_size_ms=QUEUE_MS)
        self._voice = Voice(self._source, lambda samples: self._arrivals.put(Played(samples)))
        self._outbox: deque[RoomMessage] = deque()
        self._sendable = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stream: rtc.AudioStream | None = None
        self._here = False
        """Whether the person is, and can be sent something."""
        self._was_here = False
        self._taken = False
        """Whether some client has taken the bot's audio; LiveKit tells the first time only."""
        self._muted = False
        self._microphone = ""
        self._connected = False
        self._closing: asyncio.Task[None] | None = None
        self.track = ""

    # media.RoomMedia

    @property
    def person_track(self) -> str:
        return self._microphone

    def events(self) -> AsyncIterator[RoomEvent]:
        return self._arrivals.events()

    def play(self, samples: Samples) -> None:
        if self._here:
            self._voice.put(samples)

    def flush(self) -> None:
        self._voice.flush()

    def post(self, message: RoomMessage) -> None:
        if len(self._outbox) >= KEPT:
            self._outbox.popleft()
        self._outbox.append(message)
        self._sendable.set()

    async def aclose(self, why: RoomEnd) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(f"closed by us: {why}"))
        await asyncio.shield(self._closing)

    # the provider's side

    async def join(self, url: str, token: str) -> None:
        """Enter the room, and publish the bot's voice. Raises `rtc.ConnectError`, TimeoutError; closes nothing."""
        from livekit import rtc

        self._subscribe()
        # What others publish is not for the bot: it takes the person's microphone by itself.
        await self._room.connect(url, token, rtc.RoomOptions(auto_subscribe=False))
        self._connected = True
        voice = rtc.LocalAudioTrack.create_audio_track("voice", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=True, red=True)
        self.track = (await self._room.local_participant.publish_track(voice, options)).sid
        self._start(self._voice.run())
        self._start(self._send())
        for participant in self._room.remote_participants.values():
            if participant.state == rtc.ParticipantState.PARTICIPANT_STATE_ACTIVE:
                self._participant_active(participant)

    def told_joined(self, identity: str) -> None:
        """A webhook says that somebody joined."""
        if identity == self._plan.identity:
            self._enter_unseen()

    def told_left(self, identity: str, sid: str) -> None:
        """A webhook says that somebody left, who may be back already with another `sid`."""
        present = self._room.remote_participants.get(identity)
        if identity == self._plan.identity and (present is None or present.sid == sid):
            self._gone(left=True)

    def told_finished(self) -> None:
        """A webhook says that the room is not there any more."""
        self._arrivals.put(Closed("LiveKit says that the room is finished"))

    # what comes

    def _subscribe(self) -> None:
        room = self._room
        room.on("participant_active", self._participant_active)
        room.on("participant_disconnected", self._participant_disconnected)
        room.on("track_published", self._track_published)
        room.on("track_subscribed", self._track_subscribed)
        room.on("track_unpublished", self._track_unpublished)
        room.on("track_muted", self._track_muted)
        room.on("track_unmuted", self._track_muted)
        room.on("local_track_subscribed", self._local_track_subscribed)
        room.on("local_track_republished", self._local_track_republished)
        room.on("reconnecting", self._reconnecting)
        room.on("reconnected", self._reconnected)
        room.on("disconnected", self._disconnected)
        room.register_text_stream_handler(CHAT, self._chat)

    def _is_person(self, participant: "rtc.Participant") -> bool:
        return participant.identity == self._plan.identity

    def _participant_active(self, participant: "rtc.RemoteParticipant") -> None:
        """Somebody can be sent something: whoever is known earlier than that would miss what he is told."""
        if self._is_person(participant):
            self._enter()

    def _enter(self) -> None:
        if self._here:
            return
        self._here = True
        self._arrivals.put(Joined(back=self._was_here))
        self._was_here = True
        if self._taken:
            self._arrivals.put(Listening())
        self._sendable.set()
        self._take_microphone()

    def _take_microphone(self) -> None:
        person = self._room.remote_participants.get(self._plan.identity)
        if person is not None:
            for publication in person.track_publications.values():
                self._track_published(publication, person)

    def _enter_unseen(self) -> None:
        """The person is there, and the SDK may not know it yet."""
        if not self._here:
            self._enter()
            self._start(self._confirm())

    async def _confirm(self) -> None:
        """Who came and left before the SDK was told of him is never told of: to be asked for."""
        while self._here and self._plan.identity not in self._room.remote_participants:
            await asyncio.sleep(_TOLD_LATE_S)
            if self._plan.identity not in self._room.remote_participants and await self._active() is False:
                self._gone(left=True)

    async def _ask(self) -> None:
        """Somebody has taken the bot's audio before the SDK knew of anybody: the person, or who records the room."""
        for _ in range(round(_TOLD_LATE_S / _ASKING_S)):
            if self._here:
                return
            if await self._active():
                self._enter_unseen()
            else:
                await asyncio.sleep(_ASKING_S)

    def _participant_disconnected(self, participant: "rtc.RemoteParticipant") -> None:
        from livekit import rtc

        if self._is_person(participant):
            self._gone(left=participant.disconnect_reason == rtc.DisconnectReason.CLIENT_INITIATED)

    def _gone(self, *, left: bool) -> None:
        self._microphone = ""
        self._stop_hearing()
        if self._here:
            self._here = False
            self._voice.flush()
            self._arrivals.put(Gone(left))

    def _track_published(self, publication: "rtc.RemoteTrackPublication", participant: "rtc.RemoteParticipant") -> None:
        from livekit import rtc

        sound = publication.kind == rtc.TrackKind.KIND_AUDIO
        if self._is_person(participant) and sound and publication.source != rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO:
            publication.set_subscribed(True)

    def _track_subscribed(
        self,
        track: "rtc.RemoteAudioTrack",
        publication: "rtc.RemoteTrackPublication",
        participant: "rtc.RemoteParticipant",
    ) -> None:
        from livekit import rtc

        if not self._is_person(participant):
            return
        self._stop_hearing()  # a microphone that was published anew
        self._microphone = publication.sid
        self._mute(publication.muted)
        # Made here and now: the SDK may drop the track before a task begins.
        self._stream = rtc.AudioStream(track, sample_rate=SPEECH_RATE, num_channels=1, frame_size_ms=_FRAME_MS)
        self._start(self._hear(self._stream))

    def _track_unpublished(
        self, publication: "rtc.RemoteTrackPublication", _participant: "rtc.RemoteParticipant"
    ) -> None:
        if publication.sid == self._microphone:
            self._microphone = ""
            self._stop_hearing()

    def _track_muted(self, _participant: "rtc.Participant", publication: "rtc.TrackPublication") -> None:
        if publication.sid == self._microphone:
            self._mute(publication.muted)

    def _mute(self, muted: bool) -> None:
        if muted != self._muted:
            self._muted = muted
            self._arrivals.put(Muted(muted))

    def _local_track_subscribed(self, _track: "rtc.LocalTrack") -> None:
        self._taken = True
        if self._here:
            self._arrivals.put(Listening())
        else:
            self._start(self._ask())

    def _local_track_republished(self, publication: "rtc.LocalTrackPublication", _before: str) -> None:
        self.track = publication.sid

    def _reconnecting(self) -> None:
        self._connected = False
        log.info("room_reconnecting", session=self._plan.session)

    def _reconnected(self) -> None:
        self._connected = True
        self._sendable.set()
        self._take_microphone()  # what was asked for on the way is forgotten
        log.info("room_reconnected", session=self._plan.session)

    def _disconnected(self, reason: "rtc.DisconnectReason.ValueType") -> None:
        from livekit import rtc

        self._connected = False
        self._arrivals.put(Closed(f"LiveKit ended it: {rtc.DisconnectReason.Name(reason)}"))

    async def _hear(self, stream: "rtc.AudioStream") -> None:
        """The microphone, until it is gone. While it is muted the SDK makes silence, which nobody asked for."""
        async for event in stream:
            if not self._muted:
                pcm = np.frombuffer(event.frame.data, np.int16)
                self._arrivals.put(Heard(pcm.astype(np.float32) / np.float32(32768)))

    def _stop_hearing(self) -> None:
        if self._stream is not None:
            self._start(self._stream.aclose())  # which ends whoever reads it
            self._stream = None

    def _chat(self, reader: "rtc.TextStreamReader", identity: str) -> None:
        if identity == self._plan.identity:
            self._start(self._read(reader))
        else:
            reader.close()

    async def _read(self, reader: "rtc.TextStreamReader") -> None:
        from livekit import rtc

        text = ""
        try:
            async for piece in reader:
                text += piece
                if len(text) > CHAT_CHARACTERS:
                    log.info("room_text_too_long", session=self._plan.session)
                    return
        except rtc.StreamError:
            return  # it broke off: half a text is no turn
        finally:
            reader.close()
        if text.strip():
            self._arrivals.put(Typed(text))

    # what goes

    async def _send(self) -> None:
        while True:
            message = self._next()
            if message is None:
                self._sendable.clear()
                await self._sendable.wait()
                continue
            try:
                await self._deliver(message)
            except Exception as error:  # the SDK raises plain ones, too
                log.warning(
                    "room_message_lost", session=self._plan.session, kind=type(message).__name__, error=str(error)
                )

    def _next(self) -> RoomMessage | None:
        """What can be sent now: everything to a person who is there, and attributes, which the server keeps, to all."""
        if not self._connected:
            return None
        for at, message in enumerate(self._outbox):
            if self._here or isinstance(message, Attributes):
                del self._outbox[at]
                return message
        return None

    async def _deliver(self, message: RoomMessage) -> None:
        bot = self._room.local_participant
        match message:
            case Attributes(values=values):
                await bot.set_attributes(dict(values))
            case Packet(topic=topic, payload=payload):
                await bot.publish_data(payload, reliable=True, topic=topic)
            case TextStream():
                sender = self._plan.identity if message.as_person else None
                writer = await bot.stream_text(
                    topic=message.topic, attributes=dict(message.attributes), sender_identity=sender
                )
                await writer.write(message.text)
                await writer.aclose()

    # its tasks

    def _start(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("room_task_failed", session=self._plan.session, exc_info=error)
            self._arrivals.put(Closed("a task of the room failed"))

    async def _close(self, why: str) -> None:
        self._arrivals.put(Closed(why))
        for task in list(self._tasks):
            task.cancel()
        self._stop_hearing()
        await self._remove()
        try:
            async with asyncio.timeout(_CLOSING_S):
                await asyncio.gather(*self._tasks, return_exceptions=True)
                await self._room.disconnect()
        except TimeoutError:
            log.warning("room_disconnect_timeout", session=self._plan.session)
        await self._source.aclose()
        if self._arrivals.dropped:
            log.warning("room_audio_dropped", session=self._plan.session, samples=self._arrivals.dropped)

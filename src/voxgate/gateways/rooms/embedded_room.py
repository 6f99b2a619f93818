"""A room of our own: the bot's place in it, and whichever connection the person has at the moment."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable

import structlog

from voxgate.clock import Clock
from voxgate.domain import Samples
from voxgate.errors import Code, MisuseError, RefusedError
from voxgate.gateways.rooms.embedded_link import Link, new_sid, now_ms
from voxgate.gateways.rooms.embedded_settings import EmbeddedSettings
from voxgate.gateways.rooms.embedded_sound import Voice
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
    RoomMessage,
    TextStream,
    Typed,
)
from voxgate.gateways.sockets import Peer, Wire
from voxgate.protocols.livekit.data import CHUNK_BYTES, Sender, text_stream, user_packet
from voxgate.protocols.livekit.joining import Joining
from voxgate.protocols.livekit.signalling import BotCard, Goodbye, RoomCard
from voxgate.protocols.livekit.tokens import Claims, TokenKey, mint
from voxgate.rooms import RoomEnd, RoomPlan

_log = structlog.get_logger(__name__)

_KEPT_AUDIO = 500
"""Pieces of the microphone's sound, of 20 ms each, that wait for whoever hears it."""
_KEPT_MESSAGES = 256
"""Messages that wait for a person who is away, or slow."""
_JOINS, _JOINS_S = 30, 60.0
"""How often one person may connect, in how many seconds: each time costs a handshake, and clients that reconnect wait
longer each time."""
_TOKEN_S = 600
"""How long a token is good that is sent to somebody inside: as livekit-server has it."""
_FAREWELL_S, _FAREWELLS = 0.02, 25
"""How often it is looked whether data that was posted last has left, and how many times."""
_LEAVE_S = 6.0
"""How long a connection may take to go, beyond which nobody waits for it."""


class Events:
    """What comes from a room, until somebody takes it. Sound that nobody takes is dropped, oldest first."""

    def __init__(self) -> None:
        self.dropped = 0
        self._queue: deque[RoomEvent] = deque()
        self._pieces = 0
        self._filled = asyncio.Event()

    def put(self, event: RoomEvent) -> None:
        """Behind the others. Of what was played, the last that was told takes the place of those before it."""
        if isinstance(event, Heard):
            self._pieces += 1
            if self._pieces > _KEPT_AUDIO:
                self._drop()
        elif isinstance(event, Played):
            self.forget_played()
        self._queue.append(event)
        self._filled.set()

    async def take(self) -> RoomEvent:
        """The oldest, once there is one."""
        while not self._queue:  # woken by what was forgotten since, too
            await self._filled.wait()
        event = self._queue.popleft()
        if isinstance(event, Heard):
            self._pieces -= 1
        if not self._queue:
            self._filled.clear()
        return event

    def forget_played(self) -> None:
        """What was told of it, and not taken: before a flush it is no news, since counting begins anew."""
        if any(isinstance(event, Played) for event in self._queue):
            self._queue = deque(event for event in self._queue if not isinstance(event, Played))
        if not self._queue:
            self._filled.clear()

    def _drop(self) -> None:
        oldest = next(index for index, event in enumerate(self._queue) if isinstance(event, Heard))
        del self._queue[oldest]
        self._pieces -= 1
        self.dropped += 1


class EmbeddedRoom:
    """Carries out `media.RoomMedia`."""

    def __init__(
        self,
        plan: RoomPlan,
        settings: EmbeddedSettings,
        key: TokenKey,
        clock: Clock,
        *,
        forget: Callable[["EmbeddedRoom"], None],
    ) -> None:
        """`forget`: called when it is closed."""
        self.plan = plan
        self.card = RoomCard(new_sid("RM"), plan.room, now_ms())
        self.bot = BotCard("agent", plan.bot, new_sid("PA"), new_sid("TR"))
        self.track = self.bot.track
        self.voice = Voice(self._played)
        self._settings, self._key, self._clock = settings, key, clock
        self._forget = forget
        self._events = Events()
        self._unsent: deque[RoomMessage] = deque(maxlen=_KEPT_MESSAGES)
        self._link: Link | None = None
        self._links: set[Link] = set()  # those that are on their way out, too
        self._hears = False  # whether what is played is heard
        self._came = False  # whether the person was there before
        self._muted = False
        self._joins: deque[float] = deque(maxlen=_JOINS)
        self._closed = False

    # RoomMedia

    @property
    def person_track(self) -> str:
        return self._link.signalling.mic if self._link is not None else ""

    async def events(self) -> AsyncIterator[RoomEvent]:
        while True:
            event = await self._events.take()
            yield event
            if isinstance(event, Closed):
                return

    def play(self, samples: Samples) -> None:
        if self._hears:
            self.voice.put(samples)

    def flush(self) -> None:
        self.voice.clear()
        self._events.forget_played()

    def post(self, message: RoomMessage) -> None:
        if isinstance(message, Attributes):
            self.bot.set(message.values)
            if self._link is not None:
                self._link.tell(self._link.signalling.bot_changed())
            return
        if isinstance(message, Packet) and len(message.payload) > CHUNK_BYTES:
            raise MisuseError(f"a packet holds at most {CHUNK_BYTES:,} bytes")
        self._unsent.append(message)
        self._send()

    async def aclose(self, why: RoomEnd) -> None:
        if self._closed:
            return
        self._closed = True
        self._forget(self)
        for _ in range(_FAREWELLS):
            if self._link is None or not self._link.unsent:
                break
            await asyncio.sleep(_FAREWELL_S)
        self._hears = False
        self.voice.clear()
        links = list(self._links)
        for link in links:
            link.end(Goodbye.SHUTDOWN if why is RoomEnd.SHUTDOWN else Goodbye.OVER)
        try:
            async with asyncio.timeout(_LEAVE_S):
                await asyncio.gather(*(link.over.wait() for link in links))
        except TimeoutError:
            _log.warning("a connection did not go", room=self.plan.room)
        self._events.put(Closed(why.value))

    # the person

    def admit(self) -> None:
        """Somebody asks to come in. Raises RefusedError where he has done so too often."""
        now = time.monotonic()
        if len(self._joins) == _JOINS and now - self._joins[0] < _JOINS_S:
            raise RefusedError("too many connections to this room; wait a minute", code=Code.RATE_LIMITED)
        self._joins.append(now)

    async def serve(self, peer: Peer, wire: Wire, joining: Joining, claims: Claims) -> None:
        """A connection of the person, until it ends. It takes the place of the one he has."""
        token_s = claims.expires_at - self._clock.now().timestamp()
        link = Link(
            self,
            peer,
            wire,
            joining,
            self._settings,
            identity=self.plan.identity,
            name=self.plan.name or claims.name,
            token_s=token_s,
        )
        wire.on_shutdown = lambda: link.end(Goodbye.SHUTDOWN)
        before, self._link = self._link, link
        self._links.add(link)
        if before is not None:
            self._lost(before)
            before.end(Goodbye.REPLACED)
        try:
            await link.run()
        finally:
            wire.on_shutdown = None
            self._links.discard(link)
            if self._link is link:
                self._link = None
                self._lost(link)

    # LinkRoom

    def up(self, link: Link) -> None:
        """See `LinkRoom`."""
        if link is self._link:
            self._events.put(Joined(back=self._came))
            self._came = True
            self._send()

    def listening(self, link: Link) -> None:
        """See `LinkRoom`."""
        if link is self._link and not self._closed:
            self._hears = True
            self._events.put(Listening())

    def heard(self, link: Link, samples: Samples) -> None:
        """See `LinkRoom`."""
        if link is self._link and len(samples) and not self._muted:  # muted, clients send silence
            self._events.put(Heard(samples))

    def muted(self, link: Link, muted: bool) -> None:
        """See `LinkRoom`."""
        if link is self._link and muted != self._muted:
            self._muted = muted
            self._events.put(Muted(muted))

    def typed(self, link: Link, text: str) -> None:
        """See `LinkRoom`."""
        if link is self._link and text.strip():
            self._events.put(Typed(text))

    def writable(self, link: Link) -> None:
        """See `LinkRoom`."""
        if link is self._link:
            self._send()

    def token(self) -> tuple[str, float]:
        """See `LinkRoom`."""
        now = int(self._clock.now().timestamp())
        expires_at = max(now + _TOKEN_S, int(self.plan.expires_at.timestamp()))
        claims = Claims(self.plan.room, self.plan.identity, expires_at, self.plan.name)
        return mint(self._key, claims, now=now), expires_at - now

    # inside

    def _lost(self, link: Link) -> None:
        """The person is not there any more."""
        self._hears = False
        self.voice.clear()
        if link.is_up:
            self._events.put(Gone(left=link.left))

    def _played(self, samples: int) -> None:
        self._events.put(Played(samples))

    def _send(self) -> None:
        """What waits, as far as the client takes it."""
        link = self._link
        while link is not None and link.is_up and self._unsent and link.takes_data:
            for packet in self._packets(self._unsent.popleft(), link):
                link.send(packet)

    def _packets(self, message: RoomMessage, link: Link) -> list[bytes]:
        bot = Sender(self.bot.identity, self.bot.sid)
        if isinstance(message, TextStream):
            sender = link.sender if message.as_person else bot
            return text_stream(
                sender, message.topic, message.text, message.attributes, stream_id=new_sid("ST"), timestamp_ms=now_ms()
            )
        assert isinstance(message, Packet)  # attributes do not wait
        return [user_packet(bot, message.topic, message.payload)]

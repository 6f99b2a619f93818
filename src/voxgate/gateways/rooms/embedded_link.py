"""One connection of one person to a room of our own: signalling on a socket, media beside it.

It lives as long as its socket. A client whose connection breaks makes a new one, and the room goes on with that.
"""

import asyncio
import secrets
import time
from collections.abc import Coroutine
from typing import Any, Protocol

import structlog
from aiortc import RTCIceServer
from aiortc.rtp import RtpPacket

from voxgate.domain import Samples
from voxgate.errors import PeerError, RefusedError
from voxgate.gateways.rooms.embedded_peers import BotTrack, Connection
from voxgate.gateways.rooms.embedded_settings import EmbeddedSettings
from voxgate.gateways.rooms.embedded_sound import Ear, Outlet, Voice
from voxgate.gateways.sockets import Peer, Wire
from voxgate.protocols.livekit.data import Answer, Inbox, Sender, Text
from voxgate.protocols.livekit.joining import Joining, Offer
from voxgate.protocols.livekit.signalling import (
    Answered,
    BotCard,
    Goodbye,
    IceServer,
    Left,
    Meaning,
    MicMuted,
    MicOpened,
    Offered,
    RoomCard,
    Signalling,
    Trickled,
    leave,
)
from voxgate.protocols.status import GOING_AWAY, NORMAL

_log = structlog.get_logger(__name__)

_CONNECT_S = 20
"""How long media may take to connect: clients give up after 15 s themselves (livekit-client 2.23)."""
_REFRESH_S = 60
"""How long before a token runs out the next one is sent."""
_PARTING_S = 0.5
"""How long media may be gone before the client is told to connect anew: one that leaves closes it before it says so."""
_BAD = 100
"""Messages without meaning that one connection may send."""
_OFFERS = 8
"""Descriptions that may wait for their turn."""


class LinkRoom(Protocol):
    """The room, as a connection knows it. None of it waits."""

    card: RoomCard
    bot: BotCard
    voice: Voice

    def up(self, link: "Link") -> None:
        """The person is there."""

    def listening(self, link: "Link") -> None:
        """And what is put into `voice` is heard."""

    def heard(self, link: "Link", samples: Samples) -> None:
        """His microphone heard this, at SPEECH_RATE."""

    def muted(self, link: "Link", muted: bool) -> None:
        """It is off, or on."""

    def typed(self, link: "Link", text: str) -> None:
        """He wrote."""

    def writable(self, link: "Link") -> None:
        """Data can be sent."""

    def token(self) -> tuple[str, float]:
        """A new token for him, and for how many seconds it is good."""
        ...


class Link:
    """The connection."""

    def __init__(
        self,
        room: LinkRoom,
        peer: Peer,
        wire: Wire,
        joining: Joining,
        settings: EmbeddedSettings,
        *,
        identity: str,
        name: str,
        token_s: float,
    ) -> None:
        """`wire`: below `peer`. `token_s`: for how many seconds more the token is good that it came with."""
        self.left = False
        """Whether the client said goodbye."""
        self.is_up = False
        """Whether media is connected, or was."""
        self.over = asyncio.Event()
        """Set when nothing of it is left."""
        self.signalling = Signalling(
            room.card, room.bot, identity=identity, name=name, single=joining.single, new_sid=new_sid, now_ms=now_ms
        )
        self._room, self._peer, self._wire = room, peer, wire
        self._identity = identity
        self._joining, self._settings, self._token_s = joining, settings, token_s
        self._inbox = Inbox(Sender(room.bot.identity, room.bot.sid))
        self._ice = tuple(
            RTCIceServer(list(s.urls), s.username or None, s.credential.get_secret_value() or None)
            for s in (settings.ice_servers if settings.ask_ice_servers else ())
        )
        self._sends = self._connection()
        """Carries the bot's voice, and data."""
        self._takes = self._sends if joining.single else None
        """Carries the microphone: of v0 another one, once the client offers it."""
        self._track: BotTrack | None = None
        self._carried = False
        self._listening = False
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._ear: Ear | None = None
        self._sources: list[int] = []  # SSRCs of the microphone, the last one is heard
        self._broken: asyncio.TimerHandle | None = None
        self._bad = 0
        self._offers = 0
        self._turn = asyncio.Lock()  # one description at a time
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = False

    @property
    def sender(self) -> Sender:
        """The person, as whom something can be sent."""
        return Sender(self._identity, self.signalling.person)

    # what the room does

    def tell(self, message: bytes) -> None:
        """Send a message of the signalling."""
        if not self._ended:
            self._peer.post(message)

    @property
    def takes_data(self) -> bool:
        """Whether `send` may be called at the moment."""
        return not self._ended and self._sends.takes_data

    def send(self, packet: bytes) -> None:
        """Send a data packet."""
        self._sends.send(packet)

    @property
    def unsent(self) -> int:
        """Bytes of data that the client has not taken."""
        return self._sends.unsent

    def end(self, why: Goodbye) -> None:
        """Say goodbye, and close; what is left of it goes by itself."""
        if not self._ended:
            self._peer.post(leave(why))
            self._ended = True
            self._wire.close(GOING_AWAY if why is Goodbye.SHUTDOWN else NORMAL, "")

    # its life

    async def run(self) -> None:
        """Serve it until the socket closes."""
        self.tell(self.signalling.join([_told(server) for server in self._settings.ice_servers]))
        giving_up = self._loop.call_later(_CONNECT_S, self._give_up)
        self._spawn(self._refresh())
        if not self._joining.single:
            self._spawn(self._subscribe())
        elif self._joining.offer is not None:
            self._offered(self._joining.offer)
        try:
            await self._read()
        finally:
            self._ended = True
            giving_up.cancel()
            if self._broken is not None:
                self._broken.cancel()
            if self._ear is not None:
                self._ear.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._sends.aclose()
            if self._takes is not None:
                await self._takes.aclose()
            self.over.set()

    async def _read(self) -> None:
        while not self.left:
            try:
                message = await self._peer.receive()
                if message is None:
                    return
                step = self.signalling.receive(message)
                for reply in step.replies:
                    self.tell(reply)
                if step.meaning is not None:
                    await self._do(step.meaning)
            except PeerError as error:
                self._bad += 1
                _log.info("a message was not understood", reason=error.message, param=error.param)
                if self._bad >= _BAD:
                    self.end(Goodbye.AGAIN)
            except RefusedError as error:  # it is silent
                _log.info("socket given up", reason=error.message)
                return
            await self._peer.drained()

    async def _do(self, meaning: Meaning) -> None:
        match meaning:
            case Offered(offer):
                self._offered(offer)
            case Answered(sdp):
                self._spawn(self._answered(sdp))
            case Trickled(candidate_init, subscriber):
                await self._trickled(candidate_init, subscriber=subscriber)
            case MicOpened(muted) | MicMuted(muted):
                self._room.muted(self, muted)
            case Left():
                self.left = True

    # descriptions

    def _offered(self, offer: Offer) -> None:
        self._offers += 1
        if self._offers > _OFFERS:
            raise PeerError(f"more than {_OFFERS} offers wait for their answers")
        self._spawn(self._answer(offer))

    async def _answer(self, offer: Offer) -> None:
        async with self._turn:
            track, stream = (self._voice() if self._joining.single else None), self._stream()
            answer, mid = await self._publisher().take_offer(offer.sdp, track, stream)
            self._offers -= 1
            self.tell(self.signalling.answer(answer, offer.id, mid))
            self._carried = self._carried or mid is not None
            self.state_changed()

    async def _subscribe(self) -> None:
        """v0: we offer what carries the voice."""
        async with self._turn:
            self.tell(self.signalling.offer(await self._sends.make_offer(self._voice(), self._stream())))
            self._carried = True

    async def _answered(self, sdp: str) -> None:
        if self._joining.single:
            raise PeerError("an answer came, and nothing was offered")
        await self._sends.take_answer(sdp)

    async def _trickled(self, candidate_init: str, *, subscriber: bool) -> None:
        connection = self._sends if subscriber else self._publisher()
        candidate = connection.candidates.read_trickle(candidate_init)
        if candidate is not None:
            await connection.add(candidate)

    def _publisher(self) -> Connection:
        if self._takes is None:
            self._takes = self._connection()
        return self._takes

    def _connection(self) -> Connection:
        return Connection(self, ice_servers=self._ice, public_address=self._settings.public_address)

    def _voice(self) -> BotTrack:
        if self._track is None:
            self._track = BotTrack(Outlet(self._room.voice), self._room.bot.track)
        return self._track

    def _stream(self) -> str:
        """Clients know by it whose track it is, and which."""
        return f"{self._room.bot.sid}|{self._room.bot.track}"

    # what a connection tells

    def state_changed(self) -> None:
        """See `Watcher`."""
        states = {c.state for c in (self._sends, self._takes) if c is not None}
        if states & {"failed", "closed"} and self._broken is None:
            self._broken = self._loop.call_later(_PARTING_S, self.end, Goodbye.AGAIN)
        if self._ended or self._sends.state != "connected":
            return
        if not self.is_up:
            self.is_up = True
            _log.info("media connected", client=self._joining.client, seconds=round(self._loop.time() - self._began, 3))
            self.tell(self.signalling.connected())
            self._room.up(self)
        if self._carried and not self._listening:
            self._listening = True
            self._room.listening(self)

    def packet_came(self, packet: RtpPacket) -> None:
        """See `Watcher`."""
        if not self._sources or packet.ssrc != self._sources[-1]:
            if packet.ssrc in self._sources:
                return  # of a microphone that was given up
            self._sources.append(packet.ssrc)
            if self._ear is not None:
                self._ear.close()
            self._ear = Ear(self._heard)
        if (subscribed := self.signalling.sound_came()) is not None:
            self.tell(subscribed)
        assert self._ear is not None
        self._ear.hear(packet.sequence_number, packet.timestamp, packet.payload)

    def data_came(self, data: bytes) -> None:
        """See `Watcher`."""
        match self._inbox.receive(data):
            case Text(text):
                self._room.typed(self, text)
            case Answer(packets):
                for packet in packets:
                    if self.takes_data:
                        self.send(packet)

    def writable(self) -> None:
        """See `Watcher`."""
        self._room.writable(self)

    def _heard(self, samples: Samples) -> None:
        if not self._ended:
            self._room.heard(self, samples)

    # beside

    async def _refresh(self) -> None:
        left_s = self._token_s
        while True:
            await asyncio.sleep(max(1.0, left_s - _REFRESH_S))
            token, left_s = self._room.token()
            self.tell(self.signalling.refreshed(token))

    def _give_up(self) -> None:
        if not self.is_up:
            _log.info("media did not connect", client=self._joining.client, seconds=_CONNECT_S)
            self.end(Goodbye.AGAIN)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, PeerError | TimeoutError):
            _log.info("negotiation failed", reason=str(error) or "the connection did not stand in time")
        else:
            _log.error("negotiation failed", exc_info=error)
        self.end(Goodbye.AGAIN)


def new_sid(prefix: str) -> str:
    """A new id as LiveKit has them: `PA_` and 12 letters and digits."""
    return f"{prefix}_{secrets.token_hex(6)}"


def now_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def _told(server: Any) -> IceServer:
    return IceServer(server.urls, server.username, server.credential.get_secret_value())

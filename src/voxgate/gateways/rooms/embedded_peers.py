"""WebRTC connections of a room of our own, by aiortc: the one file that knows it, its private names included.

Two defects of aiortc 1.16 are worked around here (decision 14 has the measurements): its receiver of audio gives out
nothing for 300 ms after a lost packet and stays 280 ms late from then on, so `MicReceiver` stands in its place and
hands on packets as they come; an offer that is answered while the handshake is under way starts nothing, so it waits.
Private names that this needs are in PRIVATE, and a test says when they move.
"""

import asyncio
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Protocol

import av
import structlog
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import RtpPacket
from aiortc.sdp import candidate_from_sdp

from voxgate.errors import Code, PeerError
from voxgate.gateways.rooms.embedded_sound import Outlet
from voxgate.protocols.livekit.candidates import Candidate, Candidates, announced

_log = structlog.get_logger(__name__)

_RECEIVER = "_RTCRtpTransceiver__receiver"
_STREAMS = "_RTCRtpReceiver__remote_streams"
PRIVATE: tuple[tuple[type, tuple[str, ...]], ...] = (
    (RTCRtpTransceiver, ("_offerDirection", _RECEIVER)),
    (RTCRtpReceiver, ("_enabled", "_track", "_set_rtcp_ssrc", "_run_rtcp", "_handle_rtp_packet", _STREAMS)),
)
"""What is used of aiortc beyond what it offers, by class; further down there are `_id` of a track, `_ssrc` and
`_stream_id` of a sender, `_register_rtp_receiver` and `_unregister_rtp_receiver` of a DTLS transport."""

_CLOCK = Fraction(1, 48_000)
_SETTLED_S = 15
"""How long an offer waits for the handshake before it; longer than the handshake may take."""
_CLOSE_S = 5
_LOW_BYTES = 65_536
_HIGH_BYTES = 262_144
"""What may wait in a channel: a client on a poor line is not sent more than it takes in a second or two."""
_SOURCES = 16
"""Streams of one microphone that are kept count of; a client has one, and another after each reconnect."""
RELIABLE, LOSSY, TRACKS = "_reliable", "_lossy", "_data_track"
"""LiveKit's data channels, by label."""


class Watcher(Protocol):
    """Who is told of a connection. None of it waits."""

    def state_changed(self) -> None:
        """`Connection.state` is another."""

    def packet_came(self, packet: RtpPacket) -> None:
        """Of a microphone."""

    def data_came(self, data: bytes) -> None:
        """On a data channel."""

    def writable(self) -> None:
        """The reliable channel takes data: it has been opened, or emptied."""


class BotTrack(MediaStreamTrack):
    """The bot's voice: aiortc asks for one packet after the other, and sends each at once."""

    kind = "audio"

    def __init__(self, outlet: Outlet, sid: str) -> None:
        super().__init__()
        self._id = sid
        self._outlet = outlet

    async def recv(self) -> Any:
        """The next packet, when it is due."""
        payload, stamp = await self._outlet.packet()
        packet = av.Packet(payload)
        packet.pts = stamp
        packet.time_base = _CLOCK
        return packet


class MicReceiver(RTCRtpReceiver):
    """Hands packets on as they come; reports to the sender what was lost, as aiortc's does. It starts no thread."""

    def __init__(self, instead_of: RTCRtpTransceiver, heard: Callable[[RtpPacket], None] | None) -> None:
        """`heard`: None where nobody listens, as to video."""
        super().__init__(instead_of.kind, instead_of.receiver.transport)
        self._track = instead_of.receiver._track
        self._set_rtcp_ssrc(instead_of.sender._ssrc)
        self._heard = heard
        self._payload_types: frozenset[int | None] = frozenset()
        self._reports: asyncio.Future[None] | None = None

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        if self._reports is None:
            self._payload_types = frozenset(
                codec.payloadType for codec in parameters.codecs if codec.mimeType.lower() == "audio/opus"
            )
            self.transport._register_rtp_receiver(self, parameters)
            self._reports = asyncio.ensure_future(self._run_rtcp())

    async def stop(self) -> None:
        if self._reports is not None:
            self.transport._unregister_rtp_receiver(self)
            self._reports.cancel()
            await asyncio.gather(self._reports, return_exceptions=True)

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        if not self._enabled or self._heard is None or packet.payload_type not in self._payload_types:
            return
        streams = getattr(self, _STREAMS)
        if packet.ssrc not in streams:
            if len(streams) >= _SOURCES:
                return
            streams[packet.ssrc] = StreamStatistics(_CLOCK.denominator)
        streams[packet.ssrc].add(packet)
        self._heard(packet)


class Connection:
    """One peer connection."""

    def __init__(self, watcher: Watcher, *, ice_servers: Sequence[RTCIceServer], public_address: str) -> None:
        """`ice_servers`: asked for addresses of ours; none: none are. `public_address`: announced, if not empty."""
        self.candidates = Candidates()
        self._watcher = watcher
        self._public_address = public_address
        self._described = False  # whether the peer's description is known
        self._early: list[Candidate] = []
        self._channel: RTCDataChannel | None = None
        self._settled = asyncio.Event()
        self._gathering: asyncio.Future[None] | None = None
        # An empty list: without one, aiortc asks a STUN server of Google's.
        self._pc = RTCPeerConnection(
            RTCConfiguration(iceServers=list(ice_servers), bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._pc.on("connectionstatechange", self._state_changed)
        self._pc.on("track", self._track_came)
        self._pc.on("datachannel", self._channel_came)

    @property
    def state(self) -> str:
        """`new`, `connecting`, `connected`, `failed` or `closed`."""
        return self._pc.connectionState

    async def take_offer(self, sdp: str, track: BotTrack | None, stream: str) -> tuple[str, str | None]:
        """The answer to an offer, and the media section that carries `track` from now on; None: none is free for it.

        One at a time; each after the first waits until the connection stands. Raises PeerError.
        """
        sdp = self.candidates.screened(sdp)
        if self._described:
            async with asyncio.timeout(_SETTLED_S):
                await self._settled.wait()
        await self._describe("offer", sdp)
        mid = None if track is None else self._carry(track, stream)
        await self._settle_on(await self._pc.createAnswer())
        return self._ours(), mid

    async def make_offer(self, track: BotTrack, stream: str) -> str:
        """An offer of one track and LiveKit's data channels."""
        transceiver = self._pc.addTransceiver(track, direction="sendonly")
        transceiver.sender._stream_id = stream
        self._use(self._pc.createDataChannel(RELIABLE))
        for label in (LOSSY, TRACKS):
            self._pc.createDataChannel(label, ordered=False, maxRetransmits=0)
        await self._settle_on(await self._pc.createOffer())
        return self._ours()

    async def take_answer(self, sdp: str) -> None:
        """The answer to our offer. Raises PeerError."""
        await self._describe("answer", self.candidates.screened(sdp))

    async def add(self, candidate: Candidate) -> None:
        """An address of the peer's. Raises PeerError where it is for no section."""
        if not self._described:
            self._early.append(candidate)
            return
        found = candidate_from_sdp(candidate.line)
        found.sdpMid, found.sdpMLineIndex = candidate.mid, candidate.section
        try:
            await self._pc.addIceCandidate(found)
        except ValueError as error:
            raise PeerError(f"a candidate cannot be taken: {error}", code=Code.INVALID_VALUE) from None

    @property
    def takes_data(self) -> bool:
        """Whether more may be sent at the moment."""
        channel = self._channel
        return channel is not None and channel.readyState == "open" and channel.bufferedAmount < _HIGH_BYTES

    @property
    def unsent(self) -> int:
        """Bytes on the reliable channel that the peer has not taken."""
        return self._channel.bufferedAmount if self._channel is not None else 0

    def send(self, data: bytes) -> None:
        """Over the reliable channel, which takes data."""
        assert self._channel is not None
        self._channel.send(data)

    async def aclose(self) -> None:
        """Close it."""
        if self._gathering is not None:
            await asyncio.wait({asyncio.gather(self._gathering, return_exceptions=True)}, timeout=_CLOSE_S)
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._pc.close()
        except TimeoutError:
            _log.warning("a peer connection did not close", state=self.state)

    async def _settle_on(self, description: RTCSessionDescription) -> None:
        """Whoever waits may be cancelled, the work is not: sockets that aioice is about to open would stay open."""
        self._gathering = asyncio.ensure_future(self._pc.setLocalDescription(description))
        await asyncio.shield(self._gathering)

    async def _describe(self, kind: str, sdp: str) -> None:
        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(sdp=sdp, type=kind))
        except Exception as error:
            # What is no description fails somewhere in aiortc's parser, with whatever Python makes of it.
            _log.info("a description was not understood", kind=kind, error=type(error).__name__)
            raise PeerError("the description cannot be answered", code=Code.INVALID_VALUE, param="sdp") from error
        self._described = True
        early, self._early = self._early, []
        for candidate in early:
            await self.add(candidate)

    def _carry(self, track: BotTrack, stream: str) -> str | None:
        """Put the bot's voice on the first section that is there to be listened to."""
        for transceiver in self._pc.getTransceivers():
            if transceiver.sender.track is track:
                # A client may speak on the section it listens to.
                transceiver.direction = transceiver._offerDirection or transceiver.direction
                return transceiver.mid
        for transceiver in self._pc.getTransceivers():
            if transceiver.kind == "audio" and transceiver._offerDirection in ("sendonly", "sendrecv"):
                transceiver.sender.replaceTrack(track)
                transceiver.sender._stream_id = stream
                transceiver.direction = transceiver._offerDirection
                return transceiver.mid
        return None

    def _ours(self) -> str:
        sdp = self._pc.localDescription.sdp
        return announced(sdp, self._public_address) if self._public_address else sdp

    def _state_changed(self) -> None:
        if self.state in ("new", "connecting"):
            self._settled.clear()
        else:
            self._settled.set()
        self._watcher.state_changed()

    def _track_came(self, track: MediaStreamTrack) -> None:
        """Before the transceiver is started: its receiver is replaced."""
        for transceiver in self._pc.getTransceivers():
            if transceiver.receiver.track is track:
                heard = self._watcher.packet_came if track.kind == "audio" else None
                setattr(transceiver, _RECEIVER, MicReceiver(transceiver, heard))

    def _channel_came(self, channel: RTCDataChannel) -> None:
        if channel.label == RELIABLE and self._channel is None:
            self._use(channel)
        else:
            channel.on("message", self._message)

    def _use(self, channel: RTCDataChannel) -> None:
        """Send on this one."""
        self._channel = channel
        channel.bufferedAmountLowThreshold = _LOW_BYTES
        channel.on("message", self._message)
        channel.on("open", self._watcher.writable)
        channel.on("bufferedamountlow", self._watcher.writable)
        self._watcher.writable()  # one that the peer opened is open already

    def _message(self, data: bytes | str) -> None:
        if isinstance(data, bytes):
            self._watcher.data_came(data)

"""Our end of a peer connection, against aiortc's own as the client's."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiortc
import pytest
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import RtpPacket
from av import AudioFrame

from tests.room_person import tone
from voxgate.errors import Code, PeerError
from voxgate.gateways.rooms.embedded_peers import PRIVATE, BotTrack, Connection, MicReceiver
from voxgate.gateways.rooms.embedded_sound import Outlet, Voice
from voxgate.gateways.rooms.media import VOICE_RATE
from voxgate.protocols.livekit.candidates import Candidate

STREAM = "PA_bot|TR_bot"


@dataclass
class Watching:
    packets: list[RtpPacket] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def state_changed(self) -> None:
        self.changed.set()

    def packet_came(self, packet: RtpPacket) -> None:
        self.packets.append(packet)
        self.changed.set()

    def data_came(self, data: bytes) -> None:
        self.data.append(data)
        self.changed.set()

    def writable(self) -> None:
        self.changed.set()


@dataclass
class Ends:
    ours: Connection
    watching: Watching
    client: aiortc.RTCPeerConnection
    voice: Voice
    track: BotTrack

    async def until(self, what: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not what():
                self.watching.changed.clear()
                await self.watching.changed.wait()

    async def offered(self) -> str | None:
        """The client offers what it has, and takes the answer; the media section of the voice."""
        await self.client.setLocalDescription(await self.client.createOffer())
        answer, mid = await self.ours.take_offer(self.client.localDescription.sdp, self.track, STREAM)
        await self.client.setRemoteDescription(aiortc.RTCSessionDescription(answer, "answer"))
        return mid


@asynccontextmanager
async def made(public_address: str = "") -> AsyncIterator[Ends]:
    watching, voice = Watching(), Voice(lambda _: None)
    ours = Connection(watching, ice_servers=(), public_address=public_address)
    client = aiortc.RTCPeerConnection(
        aiortc.RTCConfiguration(iceServers=[], bundlePolicy=aiortc.RTCBundlePolicy.MAX_BUNDLE)
    )
    try:
        yield Ends(ours, watching, client, voice, BotTrack(Outlet(voice), "TR_bot"))
    finally:
        await client.close()
        await ours.aclose()


def decoders() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.endswith("-decoder")]


async def test_aiortc_has_the_private_names_that_are_used() -> None:
    """Where this fails, aiortc has moved: read embedded_peers.py again before its pin is changed."""
    assert aiortc.__version__ == "1.16.0"
    client = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
    transceiver = client.addTransceiver("audio")
    for kind, names in PRIVATE:
        one = transceiver if kind is aiortc.RTCRtpTransceiver else transceiver.receiver
        assert isinstance(one, kind)
        for name in names:
            assert hasattr(one, name), f"{kind.__name__}.{name}"
    assert {"_stream_id", "_ssrc"} <= set(vars(transceiver.sender))
    assert "_id" in vars(AudioStreamTrack())
    assert hasattr(transceiver.sender.transport, "_register_rtp_receiver")
    assert hasattr(transceiver.sender.transport, "_unregister_rtp_receiver")
    assert {"add", "fraction_lost"} <= set(dir(StreamStatistics(48_000)))
    await client.close()


async def test_a_call_over_one_connection() -> None:
    async with made() as ends:
        arrived: list[aiortc.MediaStreamTrack] = []
        ends.client.on("track", arrived.append)
        for kind in ("audio", "audio", "video"):
            ends.client.addTransceiver(kind, direction="recvonly")
        channel = ends.client.createDataChannel("_reliable")
        echoed: asyncio.Queue[bytes] = asyncio.Queue()
        channel.on("message", echoed.put_nowait)
        channel.on("open", lambda: channel.send(b"from the client"))
        assert not ends.ours.takes_data
        assert await ends.offered() == "0"
        await ends.until(lambda: ends.ours.state == "connected" and ends.ours.takes_data)

        # data, both ways
        await ends.until(lambda: ends.watching.data == [b"from the client"])
        ends.ours.send(b"to the client")
        assert await asyncio.wait_for(echoed.get(), 5) == b"to the client"

        # its voice, on the first section, under the name it is known by
        assert "a=msid:PA_bot|TR_bot TR_bot" in ends.client.remoteDescription.sdp
        ends.voice.put(tone(440, 1.0, rate=VOICE_RATE))
        frame = await asyncio.wait_for(arrived[0].recv(), 5)
        assert isinstance(frame, AudioFrame)
        theirs = decoders()  # of the client, which is aiortc as it comes
        assert theirs

        # a microphone, on a section of its own
        ends.client.addTrack(AudioStreamTrack())
        await ends.offered()
        await ends.until(lambda: len(ends.watching.packets) >= 5)
        first, *_, last = ends.watching.packets
        assert last.timestamp - first.timestamp == 960 * (last.sequence_number - first.sequence_number)
        receivers = [t.receiver for t in ends.ours._pc.getTransceivers() if t.receiver.track is not None]
        assert [type(receiver) for receiver in receivers] == [MicReceiver]
        assert decoders() == theirs  # ours starts none
        report = await receivers[0].getStats()
        assert any(stats.type == "inbound-rtp" for stats in report.values())


async def test_video_is_answered_and_never_decoded() -> None:
    async with made() as ends:
        ends.client.addTrack(VideoStreamTrack())
        ends.client.addTrack(AudioStreamTrack())
        await ends.offered()
        await ends.until(lambda: len(ends.watching.packets) >= 3)
        kinds = {packet.payload_type for packet in ends.watching.packets}
        assert len(kinds) == 1  # of the microphone
        assert "video-decoder" not in decoders()


async def test_we_offer_v0_its_voice_and_its_channels() -> None:
    async with made() as ends:
        labels: list[str] = []
        ends.client.on("datachannel", lambda channel: labels.append(channel.label))
        offer = await ends.ours.make_offer(ends.track, STREAM)
        assert " typ srflx" not in offer  # nobody was asked who we are
        early = Candidate("1 1 udp 1 192.0.2.99 5000 typ host", "0", None)
        await ends.ours.add(early)
        await ends.client.setRemoteDescription(aiortc.RTCSessionDescription(offer, "offer"))
        await ends.client.setLocalDescription(await ends.client.createAnswer())
        await ends.ours.take_answer(ends.client.localDescription.sdp)
        await ends.until(lambda: ends.ours.takes_data)
        assert "192.0.2.99" in ends.ours._pc.remoteDescription.sdp
        ends.ours.send(b"x")
        for _ in range(100):
            if len(labels) == 3:
                break
            await asyncio.sleep(0.02)
        assert sorted(labels) == ["_data_track", "_lossy", "_reliable"]
        assert ends.ours.unsent == 0 or ends.ours.takes_data


async def test_a_public_address_is_in_the_answer() -> None:
    async with made("203.0.113.9") as ends:
        ends.client.addTransceiver("audio", direction="recvonly")
        await ends.client.setLocalDescription(await ends.client.createOffer())
        answer, _ = await ends.ours.take_offer(ends.client.localDescription.sdp, ends.track, STREAM)
        assert " 203.0.113.9 " in answer


async def test_where_nothing_is_to_be_listened_to_there_is_no_voice() -> None:
    async with made() as ends:
        ends.client.createDataChannel("_reliable")
        assert await ends.offered() is None


@pytest.mark.parametrize("sdp", ["", "hello", "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n", "v=0\r\nm=audio\r\n"])
async def test_what_is_no_description_is_told(sdp: str) -> None:
    async with made() as ends:
        with pytest.raises(PeerError) as caught:
            await ends.ours.take_offer(sdp, ends.track, STREAM)
        assert (caught.value.code, caught.value.param) == (Code.INVALID_VALUE, "sdp")
        with pytest.raises(PeerError):
            await ends.ours.take_answer(sdp)


async def test_an_offer_that_nobody_waits_for_any_more_leaves_no_socket_open() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    async with made() as ends:
        for turns in range(1, 12):
            ours = Connection(Watching(), ice_servers=(), public_address="")
            offering = asyncio.create_task(ours.make_offer(BotTrack(Outlet(ends.voice), "TR_bot"), STREAM))
            for _ in range(turns):
                await asyncio.sleep(0)
            offering.cancel()
            await asyncio.gather(offering, return_exceptions=True)
            await ours.aclose()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


async def test_closing_twice_is_closing() -> None:
    async with made() as ends:
        await ends.ours.aclose()
        await ends.ours.aclose()
        assert ends.ours.state == "closed"

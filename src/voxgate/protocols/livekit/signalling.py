"""LiveKit's signalling over one connection: what a client's messages mean, and every message it is sent.

v0 has two peer connections (the server offers the one that carries the bot's voice, the client the one of its
microphone), v1 has one, on which only the client offers. All messages are protobuf in binary frames: `SignalRequest`
from the client, `SignalResponse` to it. Measured against livekit-client 2.23 and the Python SDK 1.2 (2026-09).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc

from voxgate.errors import Code, PeerError
from voxgate.protocols.livekit.joining import Offer

PING_S: Final = 5
"""How often clients ask for a sign of life, as livekit-server has it."""
SILENT_S: Final = 15
"""How long they wait for one; and we for theirs."""

_AUDIO_MIME = "audio/opus"
_ATTRIBUTES = 64
_ATTRIBUTE_BYTES = 16_384
"""What a person may write about himself; nobody reads it but he."""
_SERVER_VERSION = "1.13.5"
"""Of livekit-server, whose answers these are like: clients choose by it what they may ask."""
_PROTOCOL = 16


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server that clients are told of."""

    urls: tuple[str, ...]
    username: str = ""
    credential: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class RoomCard:
    """A room, as clients are told of it."""

    sid: str
    """`RM_…`"""
    name: str
    created_ms: int
    """Since 1970, UTC."""


class BotCard:
    """The bot as a participant: the same for everybody who connects, however often."""

    def __init__(self, identity: str, name: str, sid: str, track: str) -> None:
        """`sid`: `PA_…`; `track`: `TR_…`, of its voice."""
        self.identity, self.sid, self.track = identity, sid, track
        self._info = models.ParticipantInfo(
            sid=sid,
            identity=identity,
            name=name,
            state=models.ParticipantInfo.State.ACTIVE,
            kind=models.ParticipantInfo.Kind.AGENT,
            is_publisher=True,
            version=1,
            permission=models.ParticipantPermission(
                can_subscribe=True, can_publish=True, can_publish_data=True, can_update_metadata=True, agent=True
            ),
            tracks=[
                models.TrackInfo(
                    sid=track,
                    type=models.TrackType.AUDIO,
                    source=models.TrackSource.MICROPHONE,
                    name="voice",
                    mime_type=_AUDIO_MIME,
                    stream="voice",
                    disable_red=True,
                )
            ],
        )

    def set(self, attributes: Mapping[str, str]) -> None:
        """Change some of its attributes."""
        self._info.attributes.update(attributes)
        self._info.version += 1  # clients ignore an update that is no newer than what they have

    def info(self) -> models.ParticipantInfo:
        """It as it is now."""
        return self._info


@dataclass(frozen=True, slots=True)
class Offered:
    """The client offers a description, of the connection it sends on."""

    offer: Offer


@dataclass(frozen=True, slots=True)
class Answered:
    """The client answers ours (v0)."""

    sdp: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Trickled:
    """An address of the client."""

    candidate_init: str
    """JSON."""
    subscriber: bool
    """Whether it is for the connection that we offered (v0)."""


@dataclass(frozen=True, slots=True)
class MicOpened:
    """A microphone is announced; its sound follows once a description does."""

    muted: bool


@dataclass(frozen=True, slots=True)
class MicMuted:
    """It was switched off, or on."""

    muted: bool


@dataclass(frozen=True, slots=True)
class Left:
    """The client says goodbye."""


Meaning = Offered | Answered | Trickled | MicOpened | MicMuted | Left


@dataclass(frozen=True, slots=True)
class Step:
    """What a message leads to."""

    replies: tuple[bytes, ...] = ()
    """To be sent, in order."""
    meaning: Meaning | None = None


class Goodbye(Enum):
    """Why we end a connection; what clients make of it."""

    OVER = auto()
    """The room is closed: a client disconnects."""
    SHUTDOWN = auto()
    """The server stops."""
    REPLACED = auto()
    """The same person has connected a second time."""
    AGAIN = auto()
    """This connection is of no use any more: a client connects anew, and the call goes on."""


_LEAVE = {
    Goodbye.OVER: (rtc.LeaveRequest.Action.DISCONNECT, models.DisconnectReason.ROOM_DELETED),
    Goodbye.SHUTDOWN: (rtc.LeaveRequest.Action.DISCONNECT, models.DisconnectReason.SERVER_SHUTDOWN),
    Goodbye.REPLACED: (rtc.LeaveRequest.Action.DISCONNECT, models.DisconnectReason.DUPLICATE_IDENTITY),
    Goodbye.AGAIN: (rtc.LeaveRequest.Action.RECONNECT, models.DisconnectReason.STATE_MISMATCH),
}


def leave(why: Goodbye) -> bytes:
    """The last message of a connection."""
    action, reason = _LEAVE[why]
    return _response(leave=rtc.LeaveRequest(action=action, reason=reason, can_reconnect=why is Goodbye.AGAIN))


class Signalling:
    """One connection of one person."""

    def __init__(
        self,
        room: RoomCard,
        bot: BotCard,
        *,
        identity: str,
        name: str,
        single: bool,
        new_sid: Callable[[str], str],
        now_ms: Callable[[], int],
    ) -> None:
        """`single`: v1. `new_sid`: of a prefix, `PA_…` from `PA`. `now_ms`: since 1970, UTC."""
        self._room, self._bot, self._single = room, bot, single
        self._new_sid, self._now_ms = new_sid, now_ms
        self._subscribed = False
        self._me = models.ParticipantInfo(
            sid=new_sid("PA"),
            identity=identity,
            name=name,
            state=models.ParticipantInfo.State.JOINING,
            joined_at=now_ms() // 1000,
            joined_at_ms=now_ms(),
            version=1,
            permission=models.ParticipantPermission(
                can_subscribe=True,
                can_publish=True,
                can_publish_data=True,
                can_update_metadata=True,
                can_publish_sources=[models.TrackSource.MICROPHONE],
            ),
        )

    @property
    def person(self) -> str:
        """Sid of the person, new with each connection."""
        return self._me.sid

    @property
    def mic(self) -> str:
        """Sid of the microphone's track; empty while there is none."""
        return self._me.tracks[0].sid if self._me.tracks else ""

    def join(self, ice_servers: Sequence[IceServer]) -> bytes:
        """The first message."""
        room = models.Room(
            sid=self._room.sid,
            name=self._room.name,
            creation_time=self._room.created_ms // 1000,
            creation_time_ms=self._room.created_ms,
            num_participants=2,
            num_publishers=1,
            enabled_codecs=[models.Codec(mime=_AUDIO_MIME)],
        )
        return _response(
            join=rtc.JoinResponse(
                room=room,
                participant=self._me,
                other_participants=[self._bot.info()],
                server_version=_SERVER_VERSION,
                server_info=models.ServerInfo(
                    edition=models.ServerInfo.Edition.Standard,
                    version=_SERVER_VERSION,
                    protocol=_PROTOCOL,
                    node_id="voxgate",
                    agent_protocol=1,
                ),
                ice_servers=[
                    rtc.ICEServer(urls=s.urls, username=s.username, credential=s.credential) for s in ice_servers
                ],
                subscriber_primary=not self._single,
                fast_publish=True,
                ping_interval=PING_S,
                ping_timeout=SILENT_S,
                enabled_publish_codecs=[models.Codec(mime=_AUDIO_MIME)],
                # A connection that broke cannot be gone on with (aiortc knows no restart of ICE): a client that is
                # told so does not try, and is back half a second sooner.
                client_configuration=models.ClientConfiguration(resume_connection=models.ClientConfigSetting.DISABLED),
            )
        )

    def receive(self, message: bytes | str) -> Step:
        """What the client sent. Raises PeerError `invalid_value`; the connection goes on."""
        if isinstance(message, str):
            raise PeerError("signalling is protobuf in binary frames, not text", code=Code.INVALID_VALUE)
        try:
            request = rtc.SignalRequest.FromString(message)
        except DecodeError:
            raise PeerError("a message is no SignalRequest", code=Code.INVALID_VALUE) from None
        match request.WhichOneof("message"):
            case "offer":
                return Step(meaning=Offered(Offer(request.offer.sdp, request.offer.id)))
            case "answer":
                return Step(meaning=Answered(request.answer.sdp))
            case "trickle":
                subscriber = not self._single and request.trickle.target == rtc.SignalTarget.SUBSCRIBER
                return Step(meaning=Trickled(request.trickle.candidateInit, subscriber))
            case "add_track":
                return self._publish(request.add_track)
            case "mute":
                return self._mute(request.mute)
            case "update_metadata":
                return self._describe(request.update_metadata)
            case "ping":
                return Step((_response(pong=self._now_ms()),))
            case "ping_req":
                pong = rtc.Pong(last_ping_timestamp=request.ping_req.timestamp, timestamp=self._now_ms())
                return Step((_response(pong_resp=pong),))
            case "leave":
                return Step(meaning=Left())
        return Step()  # subscriptions, qualities, video: there is one track to have, and it is had

    def connected(self) -> bytes:
        """The person is inside: told to himself."""
        self._me.state = models.ParticipantInfo.State.ACTIVE
        return self._updated()

    def answer(self, sdp: str, offer_id: int, mid: str | None) -> bytes:
        """Our answer. `mid`: the media section the bot's voice is on, in v1."""
        tracks = {mid: self._bot.track} if mid is not None else {}
        return _response(answer=rtc.SessionDescription(type="answer", sdp=sdp, id=offer_id, mid_to_track_id=tracks))

    def offer(self, sdp: str) -> bytes:
        """Our offer (v0): there is one, and the client answers it."""
        return _response(offer=rtc.SessionDescription(type="offer", sdp=sdp, id=1))

    def bot_changed(self) -> bytes:
        """The bot as it is now."""
        return _response(update=rtc.ParticipantUpdate(participants=[self._bot.info()]))

    def sound_came(self) -> bytes | None:
        """To be told when the first sound of a microphone has come; None where it was told. Sooner, the Python SDK
        would not know the track yet."""
        if self._subscribed or not self.mic:
            return None
        self._subscribed = True
        return _response(track_subscribed=rtc.TrackSubscribed(track_sid=self.mic))

    def refreshed(self, token: str) -> bytes:
        """A token for the next time it connects."""
        return _response(refresh_token=token)

    def _publish(self, request: rtc.AddTrackRequest) -> Step:
        heard = request.source in (models.TrackSource.MICROPHONE, models.TrackSource.UNKNOWN)
        if request.type != models.TrackType.AUDIO or not heard:
            refused = rtc.RequestResponse(
                reason=rtc.RequestResponse.Reason.NOT_ALLOWED,
                message="this room takes a microphone and nothing else",
                add_track=request,
            )
            return Step((_response(request_response=refused),))
        track = models.TrackInfo(
            sid=self._new_sid("TR"),
            type=models.TrackType.AUDIO,
            source=models.TrackSource.MICROPHONE,
            name=request.name,
            muted=request.muted,
            mime_type=_AUDIO_MIME,
            stream=request.stream,
            disable_red=True,
        )
        # One that publishes again has let the old one go, which signalling does not tell.
        del self._me.tracks[:]
        self._me.tracks.append(track)
        self._me.is_publisher = True
        self._subscribed = False
        published = rtc.TrackPublishedResponse(cid=request.cid, track=track)
        return Step((_response(track_published=published), self._updated()), MicOpened(request.muted))

    def _mute(self, request: rtc.MuteTrackRequest) -> Step:
        if not self.mic or request.sid != self.mic:
            return Step()
        self._me.tracks[0].muted = request.muted
        return Step((self._updated(),), MicMuted(request.muted))

    def _describe(self, request: rtc.UpdateParticipantMetadata) -> Step:
        merged = {**self._me.attributes, **request.attributes}
        merged = {key: value for key, value in merged.items() if value}
        size = len(request.metadata) + sum(len(key) + len(value) for key, value in merged.items())
        done = rtc.RequestResponse(request_id=request.request_id, reason=rtc.RequestResponse.Reason.OK)
        if len(merged) > _ATTRIBUTES or size > _ATTRIBUTE_BYTES:
            done.reason = rtc.RequestResponse.Reason.LIMIT_EXCEEDED
            return Step((_response(request_response=done),))
        self._me.attributes.clear()
        self._me.attributes.update(merged)
        if request.metadata:
            self._me.metadata = request.metadata
        if request.name:
            self._me.name = request.name
        return Step((self._updated(), _response(request_response=done)))

    def _updated(self) -> bytes:
        self._me.version += 1
        return _response(update=rtc.ParticipantUpdate(participants=[self._me]))


def _response(
    *,
    join: rtc.JoinResponse | None = None,
    answer: rtc.SessionDescription | None = None,
    offer: rtc.SessionDescription | None = None,
    update: rtc.ParticipantUpdate | None = None,
    track_published: rtc.TrackPublishedResponse | None = None,
    track_subscribed: rtc.TrackSubscribed | None = None,
    leave: rtc.LeaveRequest | None = None,
    request_response: rtc.RequestResponse | None = None,
    refresh_token: str | None = None,
    pong: int | None = None,
    pong_resp: rtc.Pong | None = None,
) -> bytes:
    """One message, of one kind."""
    return rtc.SignalResponse(
        join=join,
        answer=answer,
        offer=offer,
        update=update,
        track_published=track_published,
        track_subscribed=track_subscribed,
        leave=leave,
        request_response=request_response,
        refresh_token=refresh_token,
        pong=pong,
        pong_resp=pong_resp,
    ).SerializeToString()

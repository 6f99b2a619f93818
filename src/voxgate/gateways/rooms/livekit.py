"""Rooms on a LiveKit server of the operator: the media provider `livekit`.

The bot joins when the session is made, not when a webhook says that the person did: it needs no webhooks to be
configured, whoever joins is greeted at once, and a server that cannot be reached is told to whoever makes the session.
"""

import asyncio
import importlib.util
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog

from voxgate.errors import Code, ConfigError, EngineError, PeerError, RefusedError
from voxgate.gateways.rooms.livekit_room import LiveKitRoom
from voxgate.gateways.rooms.livekit_settings import LiveKitSettings
from voxgate.rooms import Grant, RoomEnd, RoomPlan

if TYPE_CHECKING:
    from livekit.api import LiveKitAPI, VideoGrants
    from livekit.protocol.webhook import WebhookEvent

log = structlog.get_logger(__name__)

BOT: Final = "agent"
"""The bot's identity in its room."""
_LONGEST_EMPTY_S: Final = 24 * 3600
"""How long LiveKit may keep a room that only the bot is in, at most."""
_BOT_TTL: Final = timedelta(hours=1)
"""To join with; whoever is inside is sent new tokens by the server."""
_REMOVING_S: Final = 5.0


class LiveKitRooms:
    """Carries out `media.MediaProvider`. Belongs to the event loop it is first used on."""

    name = "livekit"

    def __init__(self, settings: LiveKitSettings) -> None:
        """Raises ConfigError: where something of `[rooms.livekit]`, or the SDK, is missing."""
        for key in ("url", "api_key"):
            if not getattr(settings, key):
                raise ConfigError(f"rooms on a LiveKit server need rooms.livekit.{key}", param=f"rooms.livekit.{key}")
        if not settings.api_secret.get_secret_value():
            raise ConfigError(
                "rooms on a LiveKit server need rooms.livekit.api_secret", param="rooms.livekit.api_secret"
            )
        if importlib.util.find_spec("livekit.rtc") is None:
            raise ConfigError(
                'rooms on a LiveKit server need its SDK; run: pip install "voxgate[livekit]"', param="rooms.provider"
            )
        self._settings = settings
        self._secret = settings.api_secret.get_secret_value()
        self._rooms: dict[str, LiveKitRoom] = {}
        self._api: LiveKitAPI | None = None

    # media.MediaProvider

    def grant(self, plan: RoomPlan, base_url: str) -> Grant:
        from livekit.api import VideoGrants

        grants = VideoGrants(
            room_join=True, room=plan.room, can_publish=True, can_subscribe=True, can_publish_data=True
        )
        token = self._token(plan.identity, plan.name, grants, self._left(plan))
        return Grant(self._settings.public_url or self._settings.url, token)

    async def open(self, plan: RoomPlan) -> LiveKitRoom:
        from aiohttp import ClientError
        from livekit.api import ServerError, VideoGrants
        from livekit.rtc import ConnectError

        grants = VideoGrants(room_join=True, room=plan.room, can_update_own_metadata=True)
        token = self._token(BOT, plan.bot, grants, _BOT_TTL, agent=True)
        room = LiveKitRoom(plan, remove=lambda: self._remove(plan.room), active=lambda: self._active(plan))
        try:
            async with asyncio.timeout(self._settings.join_timeout_s):
                await self._create(plan)
                await room.join(self._settings.url, token)
        except BaseException as error:
            await room.aclose(RoomEnd.FAILED)
            if not isinstance(error, ConnectError | ServerError | ClientError | TimeoutError | OSError):
                raise
            raise self._unreachable(error) from error
        self._rooms[plan.room] = room
        return room

    async def aclose(self) -> None:
        await asyncio.gather(*(room.aclose(RoomEnd.SHUTDOWN) for room in list(self._rooms.values())))
        if self._api is not None:
            api, self._api = self._api, None
            await api.aclose()

    # webhooks

    def hear(self, body: str, token: str) -> None:
        """What a webhook of the LiveKit server says. Rooms that are not ours, or another process's, are nothing to us.

        `token`: its `Authorization` header. Raises RefusedError `invalid_api_key` where it is not signed with our key,
        or signs another body.
        """
        event = self._verified(body, token)
        room = self._rooms.get(event.room.name)
        if room is None:
            return
        match event.event:
            case "participant_joined":
                room.told_joined(event.participant.identity)
            case "participant_left":
                room.told_left(event.participant.identity, event.participant.sid)
            case "room_finished":
                room.told_finished()

    def _verified(self, body: str, token: str) -> "WebhookEvent":
        from google.protobuf.json_format import ParseError
        from jwt.exceptions import PyJWTError
        from livekit.api import TokenVerifier, WebhookReceiver

        receiver = WebhookReceiver(TokenVerifier(self._settings.api_key, self._secret))
        try:
            return receiver.receive(body, token)
        except ParseError as error:
            raise PeerError("the body is not a webhook event of LiveKit") from error
        except PyJWTError as error:
            raise _unsigned() from error
        except Exception as error:
            # The receiver raises plain exceptions for a token without a hash, and for a hash that is not the body's.
            if type(error) is not Exception and not isinstance(error, ValueError):
                raise
            raise _unsigned() from error

    # LiveKit's own API

    def _server(self) -> "LiveKitAPI":
        from livekit.api import LiveKitAPI

        if self._api is None:
            address = "http" + self._settings.url.removeprefix("ws")
            self._api = LiveKitAPI(address, self._settings.api_key, self._secret, failover=False)
        return self._api

    async def _create(self, plan: RoomPlan) -> None:
        """Make the room, which a server with `auto_create: false` does not do by itself.

        To LiveKit a room with an agent alone is empty, and is closed after a while; that is as long here as the
        person's token is good for, because the bot decides when a call is over.
        """
        from livekit.api import CreateRoomRequest

        empty_s = min(round(self._left(plan).total_seconds()), _LONGEST_EMPTY_S)
        request = CreateRoomRequest(name=plan.room, empty_timeout=empty_s, departure_timeout=empty_s)
        await self._server().room.create_room(request)

    async def _remove(self, name: str) -> None:
        """Close a room for everybody. Does not raise: a server that is away has no room to close."""
        from aiohttp import ClientError
        from livekit.api import DeleteRoomRequest, ServerError

        self._rooms.pop(name, None)
        try:
            async with asyncio.timeout(_REMOVING_S):
                await self._server().room.delete_room(DeleteRoomRequest(room=name))
        except (ServerError, ClientError, TimeoutError, OSError) as error:
            log.warning("room_not_removed", room=name, error=str(error))

    async def _active(self, plan: RoomPlan) -> bool | None:
        """Whether the person is in the room, and can be sent something; None where the server does not say."""
        from aiohttp import ClientError
        from livekit.api import ParticipantInfo, RoomParticipantIdentity, ServerError, ServerErrorCode

        who = RoomParticipantIdentity(room=plan.room, identity=plan.identity)
        try:
            found = await self._server().room.get_participant(who)
        except ServerError as error:
            return False if error.code == ServerErrorCode.NOT_FOUND else None
        except (ClientError, TimeoutError, OSError):
            return None
        return found.state == ParticipantInfo.State.ACTIVE

    def _unreachable(self, error: Exception) -> EngineError:
        return EngineError(
            f"the LiveKit server did not take the bot in: {error or type(error).__name__}",
            engine=self.name,
            code=Code.ENGINE_UNAVAILABLE,
            retryable=True,
        )

    def _token(self, identity: str, name: str, grants: "VideoGrants", ttl: timedelta, *, agent: bool = False) -> str:
        from livekit.api import AccessToken

        token = AccessToken(self._settings.api_key, self._secret)
        token = token.with_identity(identity).with_name(name).with_grants(grants).with_ttl(ttl)
        return (token.with_kind("agent") if agent else token).to_jwt()

    @staticmethod
    def _left(plan: RoomPlan) -> timedelta:
        """How long the person's token is good for; a second at least, for LiveKit takes 0 for its own default."""
        return max(plan.expires_at - datetime.now(UTC), timedelta(seconds=1))


def _unsigned() -> RefusedError:
    return RefusedError("the webhook is not signed with the key of this server", code=Code.INVALID_API_KEY)

"""`/v1/voicebot-livekit/session`: sessions of voicebots in rooms, and what was said in them."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Path, Query, Request

from voxgate.gateways.rest.answers import Json
from voxgate.gateways.rest.context import Rest, base_url_of, principal_of, request_id_of
from voxgate.protocols.rest.rooms import RoomRequest, created, ended, page_of, shown
from voxgate.protocols.rest.voicebots import image_mappings
from voxgate.rooms import RoomSession
from voxgate.services.billing import to_credits
from voxgate.services.idempotency import Attempt
from voxgate.services.rooms import LARGEST_PAGE, PAGE

PATH = "/v1/voicebot-livekit/session"

_Room = Annotated[str, Path(alias="roomName", description="`roomName` of the session")]


def router(rest: Rest) -> APIRouter:
    """The routes over one server's services."""
    routes = APIRouter(prefix=PATH, tags=["sessions in rooms"])

    @routes.post("", status_code=201, summary="Create a session")
    async def create(request: Request, body: RoomRequest) -> Json:
        """A room with a voicebot in it, and the token to join it with. The first minute is charged."""
        who = principal_of(request)
        voicebot = await rest.voicebots.get(who.org_id, body.voicebot_id, param="voicebotId")
        attempt: Attempt | None = getattr(request.state, "attempt", None)
        base_url = base_url_of(rest, request)
        room, grant = await rest.rooms.begin(
            who,
            voicebot,
            body.name,
            request_id=attempt.request_id if attempt else request_id_of(request),
            base_url=base_url,
            tariff=attempt.tariff(rest.prices.room()) if attempt else None,
        )
        headers = {
            "X-Credits-Used": to_credits(room.session.charged),
            "X-Credits-Remaining": to_credits(room.remaining),
            "Cache-Control": "no-store",
        }
        answer = created(room.plan, grant, voicebot, image_mappings(base_url, voicebot))
        return Json(answer, status_code=201, headers=headers)

    @routes.get("/{roomName}", summary="A session as it stands")
    async def show(request: Request, room: _Room) -> Json:
        """Whether it goes on, how long its person was inside, and what it has cost so far."""
        session = await rest.rooms.get(principal_of(request), room)
        return Json(shown(session, _credits(session)))

    @routes.delete("/{roomName}", summary="End a session")
    async def end(request: Request, room: _Room) -> Json:
        """End it and settle its bill. Again is the same answer, and costs nothing."""
        session = await rest.rooms.end(principal_of(request), room)
        return Json(ended(session, _credits(session)))

    @routes.get("/{roomName}/messages", summary="What was said")
    async def messages(
        request: Request,
        room: _Room,
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = PAGE,
        offset: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    ) -> Json:
        """The transcript, oldest line first, also while the call goes on and after its end."""
        page, total = await rest.rooms.messages(principal_of(request), room, limit=limit, offset=offset)
        return Json(page_of(page, total, limit, offset))

    @routes.delete("/{roomName}/messages", summary="Erase what was said")
    async def erase(request: Request, room: _Room) -> Json:
        """Erase the transcript, for good. What is said afterwards in a call that goes on is recorded again."""
        await rest.rooms.erase_messages(principal_of(request), room)
        return Json({"roomName": room, "erased": True})

    return routes


def _credits(session: RoomSession) -> orjson.Fragment:
    """Decimal credits, written digit by digit: a float could not hold every micro-credit."""
    return orjson.Fragment(to_credits(session.charged))

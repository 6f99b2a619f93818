"""Where a LiveKit server sends its webhooks: `POST /livekit/webhook`.

They say nothing that the bot does not learn in its room, but say it while its own connection is broken, too. They are
signed with the key that rooms are made with, and so the path is none of those that need an API key.
"""

from typing import Final

from fastapi import APIRouter, Request, Response

from voxgate.errors import PeerError
from voxgate.gateways.rooms.livekit import LiveKitRooms

PATH: Final = "/livekit/webhook"


def router(rooms: LiveKitRooms) -> APIRouter:
    """The route, for a server whose rooms are LiveKit's. The edge limits how long a body may be."""
    routes = APIRouter()

    @routes.post(PATH, include_in_schema=False)
    async def told(request: Request) -> Response:
        try:
            body = (await request.body()).decode()
        except UnicodeDecodeError as error:
            raise PeerError("a webhook is text in UTF-8") from error
        rooms.hear(body, request.headers.get("authorization", "").removeprefix("Bearer "))
        return Response(status_code=200)

    return routes

import json

import httpx
import pytest
from fastapi import FastAPI

from tests.gateways.rooms.livekit_signed import signature
from voxgate.errors import PeerError, RefusedError
from voxgate.gateways.rooms.livekit import LiveKitRooms
from voxgate.gateways.rooms.livekit_settings import LiveKitSettings
from voxgate.gateways.rooms.livekit_webhooks import PATH, router

KEY, SECRET = "key", "secret-of-at-least-32-characters-x"
BODY = json.dumps({"event": "room_finished", "room": {"name": "r"}})


async def post(body: bytes, token: str) -> int:
    settings = LiveKitSettings.model_validate({"url": "ws://x", "api_key": KEY, "api_secret": SECRET})
    app = FastAPI()
    app.include_router(router(LiveKitRooms(settings)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://inside") as client:
        headers = {"Authorization": token, "Content-Type": "application/webhook+json"}
        return (await client.post(PATH, content=body, headers=headers)).status_code


@pytest.mark.parametrize("scheme", ["", "Bearer "])
async def test_a_signed_webhook_is_taken(scheme: str) -> None:
    assert await post(BODY.encode(), scheme + signature(BODY, KEY, SECRET)) == 200


async def test_an_unsigned_one_is_refused() -> None:
    with pytest.raises(RefusedError):
        await post(BODY.encode(), "")


async def test_what_is_no_text_is_told() -> None:
    with pytest.raises(PeerError, match="UTF-8"):
        await post(b"\xff\xfe", signature(BODY, KEY, SECRET))


def test_the_path_needs_no_key_of_ours() -> None:
    from voxgate.gateways.rest.edge import GUARDED

    assert not PATH.startswith(GUARDED)

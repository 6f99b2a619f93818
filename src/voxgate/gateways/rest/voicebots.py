"""`/v1/voicebots`: voicebots and their images; and `/images`, where browsers fetch these."""

from typing import Annotated

from fastapi import APIRouter, File, Form, Path, Query, Request, UploadFile
from fastapi.responses import Response

from voxgate.gateways.rest.answers import Json
from voxgate.gateways.rest.context import Rest, base_url_of, principal_of
from voxgate.protocols.rest.voicebots import (
    VoicebotChanges,
    VoicebotRequest,
    image_mappings,
    shown_image,
    shown_voicebot,
)
from voxgate.rooms import Voicebot
from voxgate.services.voicebots import LARGEST_PAGE, PAGE

_Id = Annotated[str, Path(alias="id", description="Of the voicebot: 24 hex digits")]
_Key = Annotated[str, Path(description="What the voicebot calls the image")]

_FOREVER = "public, max-age=31536000, immutable"
_SHOWN = {
    "Cache-Control": _FOREVER,
    # Nothing that a browser would run or render as a page, whatever the bytes look like to it.
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    # Pages of other origins show it, those that are isolated (COEP) too.
    "Cross-Origin-Resource-Policy": "cross-origin",
}


def router(rest: Rest) -> APIRouter:
    """The routes that administer, over one server's services."""
    routes = APIRouter(prefix="/v1", tags=["voicebots"])

    async def owned(request: Request, voicebot_id: str) -> Voicebot:
        return await rest.voicebots.get(principal_of(request).org_id, voicebot_id)

    @routes.post("/voicebots", status_code=201, summary="Make a voicebot")
    async def create(request: Request, body: VoicebotRequest) -> Json:
        """A new voicebot of this key's organization; only `name` is required."""
        who = principal_of(request)
        made = await rest.voicebots.create(who.org_id, body.fields(), by=who.key_id)
        return Json(shown_voicebot(base_url_of(rest, request), made), status_code=201)

    @routes.get("/voicebots", summary="Every voicebot")
    async def page(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = PAGE,
        offset: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    ) -> Json:
        """The organization's voicebots, oldest first."""
        found, total = await rest.voicebots.page(principal_of(request).org_id, limit=limit, offset=offset)
        base_url = base_url_of(rest, request)
        listed = [shown_voicebot(base_url, voicebot) for voicebot in found]
        return Json({"voicebots": listed, "total": total, "limit": limit, "offset": offset})

    @routes.get("/voicebots/{id}", summary="One voicebot")
    async def show(request: Request, voicebot_id: _Id) -> Json:
        """One voicebot."""
        return Json(shown_voicebot(base_url_of(rest, request), await owned(request, voicebot_id)))

    @routes.patch("/voicebots/{id}", summary="Change a voicebot")
    async def change(request: Request, voicebot_id: _Id, body: VoicebotChanges) -> Json:
        """Change what the body names. Calls under way keep what they began with."""
        who = principal_of(request)
        changed = await rest.voicebots.change(who.org_id, voicebot_id, body.fields(), by=who.key_id)
        return Json(shown_voicebot(base_url_of(rest, request), changed))

    @routes.delete("/voicebots/{id}", summary="Delete a voicebot")
    async def delete(request: Request, voicebot_id: _Id) -> Json:
        """Delete a voicebot and its images, for good. Calls under way go on, and what was said stays readable."""
        who = principal_of(request)
        objects = await rest.voicebots.delete(who.org_id, voicebot_id, by=who.key_id)
        await rest.images.discard(objects)
        return Json({"id": voicebot_id.lower(), "deleted": True})

    @routes.post("/voicebots/{id}/images", status_code=201, summary="Add or replace an image")
    async def add_image(
        request: Request,
        voicebot_id: _Id,
        file: Annotated[UploadFile, File(description="PNG, JPEG or WebP, up to 5 MiB; told by its content")],
        key: Annotated[str, Form(description="What the voicebot calls it; that of an image it has replaces that one")],
        description: Annotated[str, Form(description="What the model is told about it")] = "",
    ) -> Json:
        """An image the voicebot can show. 201 where it is new, 200 where it took the place of another."""
        voicebot = await owned(request, voicebot_id)
        rest.images.check_size(file.size or 0)  # before it is in memory as a whole
        image, replaced = await rest.images.add(
            voicebot, key, description, await file.read(), by=principal_of(request).key_id
        )
        shown = shown_image(base_url_of(rest, request), voicebot.id, image)
        return Json(shown, status_code=200 if replaced else 201)

    @routes.get("/voicebots/{id}/images", summary="Every image of a voicebot")
    async def images(request: Request, voicebot_id: _Id) -> Json:
        """The images of a voicebot, in the order they were added."""
        voicebot = await owned(request, voicebot_id)
        base_url = base_url_of(rest, request)
        return Json({"images": [shown_image(base_url, voicebot.id, image) for image in voicebot.images]})

    @routes.delete("/voicebots/{id}/images/{key}", summary="Remove an image")
    async def remove_image(request: Request, voicebot_id: _Id, key: _Key) -> Json:
        """Remove an image; its address answers 404 from then on, though browsers that have seen it may keep it."""
        voicebot = await owned(request, voicebot_id)
        removed = await rest.images.remove(voicebot, key, by=principal_of(request).key_id)
        return Json({"key": removed, "deleted": True})

    @routes.get("/voicebot-livekit/voicebots/{id}/image-mappings/library", summary="What a voicebot can show")
    async def library(request: Request, voicebot_id: _Id) -> Json:
        """The images of a voicebot as `POST /v1/voicebot-livekit/session` tells them."""
        voicebot = await owned(request, voicebot_id)
        return Json({"imageMappings": image_mappings(base_url_of(rest, request), voicebot)})

    return routes


def shown(rest: Rest) -> APIRouter:
    """The routes that show images to anybody who knows their addresses; they need no key."""
    routes = APIRouter(tags=["voicebots"])

    @routes.head("/images/{id}/{file}", include_in_schema=False)
    @routes.get("/images/{id}/{file}", summary="An image", response_class=Response)
    async def image(
        request: Request, voicebot_id: _Id, file: Annotated[str, Path(description="SHA-256 of its content")]
    ) -> Response:
        """An image of a voicebot, at an address that nobody guesses and that never shows another."""
        found = await rest.images.at(voicebot_id, file)
        headers = _SHOWN | {"ETag": f'"{found.digest}"'}
        if _is_known(request.headers.get("if-none-match", ""), found.digest):
            return Response(status_code=304, headers=headers)
        return Response(await rest.images.content(found), media_type=found.media_type, headers=headers)

    return routes


def _is_known(if_none_match: str, digest: str) -> bool:
    """Whether a client has this content already (RFC 9110, 13.1.2: compared weakly)."""
    known = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in known or f'"{digest}"' in known

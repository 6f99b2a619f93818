"""Voicebots and their calls in rooms, wired together for `app.py`: who they are, who carries the calls, who is told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.types import ASGIApp

from voxgate.clock import Clock, SystemClock
from voxgate.gateways.rooms import embedded, livekit_webhooks
from voxgate.gateways.rooms.embedded import EmbeddedRooms
from voxgate.gateways.rooms.embedded_door import EmbeddedDoor
from voxgate.gateways.rooms.house import Converse, RoomHouse
from voxgate.gateways.rooms.livekit import LiveKitRooms
from voxgate.observe import Prometheus
from voxgate.planning import VoxgateSettings
from voxgate.protocols.rest.voicebots import image_mappings
from voxgate.rooms import Voicebot, VoicebotStore
from voxgate.services.images import Images
from voxgate.services.rooms import Rooms
from voxgate.services.switchboard import Switchboard
from voxgate.services.transcripts import Transcripts
from voxgate.services.voicebot_names import check_names
from voxgate.services.voicebots import Voicebots
from voxgate.services.webhooks import Webhooks, posting
from voxgate.store.image_bucket import image_storage

if TYPE_CHECKING:
    from voxgate.store.stores import Stores


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Work that goes on for as long as the block does."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def open_voicebots(
    settings: VoxgateSettings, store: VoicebotStore, board: Callable[[], Switchboard]
) -> AsyncIterator[tuple[Voicebots, Images]]:
    """Voicebots and their images, over a store that is open. Raises ConfigError where the images cannot be kept."""
    storage = image_storage(settings.images, settings.server.data_dir.absolute() / "images")
    clock = SystemClock()
    voicebots = Voicebots(
        store,
        settings.voicebots,
        clock,
        text_characters=settings.agent.instructions_characters,
        check_names=lambda voice, language, model: check_names(board(), voice, language, model),
    )
    try:
        yield voicebots, Images(store, storage, settings.voicebots, clock)
    finally:
        await storage.aclose()


@dataclass(frozen=True, slots=True)
class Hosted:
    """Sessions in rooms, and how clients and others reach them beside the REST API."""

    rooms: Rooms
    routers: tuple[APIRouter, ...]
    """Routes that need no API key."""
    before: Callable[[ASGIApp], ASGIApp]
    """The application, with what answers before it."""
    warm: Callable[[], object]
    """Loads what the first call needs, in a thread: half a second of work that no call should wait for."""


@asynccontextmanager
async def open_rooms(
    settings: VoxgateSettings,
    stores: "Stores",
    converse: Converse,
    record: Transcripts,
    clock: Clock,
    metrics: Prometheus,
) -> AsyncIterator[Hosted]:
    """Sessions in rooms; leaving the block ends and settles those that go on.

    Raises ConfigError where whoever is to carry them cannot.
    """
    provider: EmbeddedRooms | LiveKitRooms
    routers: tuple[APIRouter, ...] = ()
    before: Callable[[ASGIApp], ASGIApp]
    warm: Callable[[], object]
    if settings.rooms.provider == "livekit":
        provider = LiveKitRooms(settings.rooms.livekit)
        routers = (livekit_webhooks.router(provider),)
        before, warm = _unchanged, _nothing  # LiveKit's SDK starts threads of its own: only where a call wants them
    else:
        provider = EmbeddedRooms(settings.rooms.embedded, settings.server.data_dir.absolute(), clock)
        before = partial(
            EmbeddedDoor,
            rooms=provider,
            limits=settings.limits,
            metrics=metrics,
            allowed_origins=settings.server.allowed_origins,
        )
        warm = embedded.warm
    rooms = Rooms(
        stores.rooms,
        stores.spending,
        clock,
        settings.rooms,
        tariff=settings.prices.room(),
        flush=record.flush,
        ended_keys=stores.keys.ended,
    )
    house = RoomHouse(provider, converse, record, settings.rooms, images_of=_images_of, clock=clock, metrics=metrics)
    rooms.house = house
    async with AsyncExitStack() as stack:
        if settings.webhooks.url:
            post = await stack.enter_async_context(posting(settings.webhooks.timeout_s))
            telling = Webhooks(stores.outbox, clock, settings.webhooks, post, public_url=settings.server.public_url)
            await stack.enter_async_context(beside(telling.run()))
        stack.push_async_callback(house.aclose)
        await stack.enter_async_context(beside(rooms.run()))
        yield Hosted(rooms, routers, before, warm)


def _unchanged(app: ASGIApp) -> ASGIApp:
    return app


def _nothing() -> None:
    """There is nothing to load ahead."""


def _images_of(base_url: str, bot: Voicebot) -> Mapping[str, Mapping[str, str]]:
    return {mapping["key"]: mapping for mapping in image_mappings(base_url, bot)}

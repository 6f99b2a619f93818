"""The suite of rooms over every provider, with LiveKit's SDK as the person, both ways it signals."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from livekit import rtc
from pydantic import SecretStr

from tests.conformance.room_checks import CHECKS, Bot, Call, a_plan, call
from tests.embedded_rooms import embedded_rooms
from tests.inside import listening
from tests.livekit_server import API_KEY, API_SECRET, LiveKitServer
from tests.room_person import strength, tone
from voxgate.domain import SPEECH_RATE
from voxgate.errors import Code, EngineError
from voxgate.gateways.rooms.livekit import LiveKitRooms
from voxgate.gateways.rooms.livekit_settings import LiveKitSettings
from voxgate.gateways.rooms.livekit_webhooks import PATH, router
from voxgate.gateways.rooms.media import VOICE_RATE, Gone, Heard, Joined, Listening, RoomEvent, TextStream
from voxgate.rooms import RoomEnd

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKitServer]:
    running = LiveKitServer(tmp_path_factory.mktemp("livekit"))
    yield running
    running.stop()


@pytest.fixture
async def livekit(server: LiveKitServer) -> AsyncIterator[LiveKitRooms]:
    rooms = LiveKitRooms(LiveKitSettings(url=server.url, api_key=API_KEY, api_secret=SecretStr(API_SECRET)))
    yield rooms
    await rooms.aclose()


@pytest.fixture(params=[True, False], ids=["v1", "v0"])
def single(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_livekit(livekit: LiveKitRooms, check: Callable[[Call], Awaitable[None]], single: bool) -> None:
    async with call(livekit, "http://unused.example", single=single) as made:
        await check(made)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_embedded(tmp_path: Path, check: Callable[[Call], Awaitable[None]], single: bool) -> None:
    async with embedded_rooms(tmp_path) as rooms, call(rooms.provider, rooms.url, single=single) as made:
        await check(made)


async def test_livekit_tells_by_webhook_before_the_room_does(tmp_path: Path) -> None:
    """Whoever has no microphone is told of up to 3 s late in the room, and at once by webhook."""
    app = FastAPI()
    async with listening(app) as url:
        server = LiveKitServer(tmp_path, webhook=url + PATH)
        rooms = LiveKitRooms(LiveKitSettings(url=server.url, api_key=API_KEY, api_secret=SecretStr(API_SECRET)))
        app.include_router(router(rooms))
        try:
            async with call(rooms, "http://unused.example", single=True) as made:
                for coming in (1, 2):
                    async with made.person(listening=False):
                        await made.bot.until(so_often(made.bot, Listening, coming), within_s=1)
                    await made.bot.until(so_often(made.bot, Gone, coming), within_s=1)
        finally:
            await rooms.aclose()
            server.stop()


async def test_livekit_comes_back_by_itself(livekit: LiveKitRooms) -> None:
    """The bot's own connection is made anew: the call goes on, and what was said meanwhile is not lost."""
    async with call(livekit, "http://unused.example", single=True) as made, made.person() as person:
        await person.take_microphone()
        await made.bot.until(lambda: made.bot.media.person_track)
        before, gone = made.bot.media.track, asyncio.Event()
        sdk_room(made.bot).on("reconnecting", gone.set)
        await sdk_room(made.bot).simulate_scenario(rtc.SimulateScenarioKind.SIMULATE_FULL_RECONNECT)
        async with asyncio.timeout(10):
            await gone.wait()  # what is sent on a line before anybody knows that it is dead is lost
        made.bot.media.post(TextStream("lk.transcription", "still here", {"lk.segment_id": "s1"}))
        await made.bot.until(lambda: made.bot.all(Joined)[1:] == [Joined(back=True)])
        await person.until(lambda: [text.text for text in person.texts] == ["still here"])
        await made.bot.until(lambda: made.bot.media.track != before)
        made.bot.media.play(tone(800, 0.4, rate=VOICE_RATE))
        await person.until(lambda: len(person.heard(800)) >= 10)
        await asyncio.gather(person.say(tone(660, 0.6)), made.bot.until(lambda: heard_tone(made.bot, 660)))


def so_often(bot: Bot, kind: type[RoomEvent], times: int) -> Callable[[], bool]:
    return lambda: len(bot.all(kind)) == times


def sdk_room(bot: Bot) -> rtc.Room:
    """The SDK's own object, which can make faults."""
    room: rtc.Room = getattr(bot.media, "_room")  # noqa: B009  # private: for tests alone
    return room


def heard_tone(bot: Bot, hertz: float) -> bool:
    return any(strength(event.samples, hertz, SPEECH_RATE) > 0.1 for event in bot.all(Heard))


async def test_a_server_that_is_gone_ends_the_call(tmp_path: Path) -> None:
    """The SDK tries for a while; `aclose` does not wait for it."""
    server = LiveKitServer(tmp_path)
    rooms = LiveKitRooms(LiveKitSettings(url=server.url, api_key=API_KEY, api_secret=SecretStr(API_SECRET)))
    async with call(rooms, "http://unused.example", single=True) as made:
        server.stop()
        async with asyncio.timeout(8):
            await made.bot.media.aclose(RoomEnd.REQUESTED)
    with pytest.raises(EngineError, match="did not take the bot in") as refused:
        await rooms.open(a_plan())
    assert refused.value.code is Code.ENGINE_UNAVAILABLE
    await rooms.aclose()


async def test_a_wrong_secret_is_told(server: LiveKitServer) -> None:
    settings = LiveKitSettings(url=server.url, api_key=API_KEY, api_secret=SecretStr("not " + API_SECRET))
    rooms = LiveKitRooms(settings)
    with pytest.raises(EngineError, match="did not take the bot in"):
        await rooms.open(a_plan())
    await rooms.aclose()

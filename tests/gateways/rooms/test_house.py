"""Whole sessions: real conversations, the real bill, on a clock that jumps; rooms and books are in memory."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from tests.conftest import Recorder
from tests.conversation.talks import Talk, quiet, voice
from tests.gateways.rooms.fake_books import PRICE, Books, LoopClock
from tests.gateways.rooms.fake_media import FakeMedia, FakeProvider
from tests.virtual import run
from voxgate.calls import CallRequest, EndReason, TurnRecord
from voxgate.conversation.conversation import Conversation
from voxgate.domain import Principal, Tier
from voxgate.errors import Code, EngineError, RefusedError
from voxgate.gateways.rooms.house import RoomHouse
from voxgate.gateways.rooms.media import Closed, Typed
from voxgate.gateways.rooms.settings import RoomSettings
from voxgate.ports import CallTransport
from voxgate.records import SessionOpened
from voxgate.rooms import Grant, RoomEnd, RoomSession, Voicebot
from voxgate.services.billing import PerMinute
from voxgate.services.rooms import OpenRoom, Rooms
from voxgate.text.phrases import Phrase, phrase

WHO = Principal("key1", "org1", "acme", Tier.FREE)
BOT = Voicebot(
    id="665f5aa613e4fe2f12ab34cd",
    org_id="org1",
    name="Guide",
    avatar_url=None,
    instructions="Be brief.",
    language=None,
    voice="alloy",
    greeting="Welcome to our shop.",
    model="valsea-fast",
    images=(),
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    updated_at=datetime(2026, 1, 1, tzinfo=UTC),
)


@dataclass
class Kept:
    """`records.Record`."""

    opened: list[SessionOpened] = field(default_factory=list)
    closed: list[tuple[str, EndReason]] = field(default_factory=list)

    def open(self, session: SessionOpened) -> None:
        self.opened.append(session)

    def turn(self, record: TurnRecord) -> None:
        raise NotImplementedError

    def close(self, session: str, reason: EndReason) -> None:
        self.closed.append((session, reason))


class Broken:
    """A conversation that breaks."""

    async def run(self, transport: CallTransport) -> EndReason:
        raise ZeroDivisionError


class Street:
    """One server with rooms."""

    def __init__(self, **settings: Any) -> None:
        self.books = Books()
        self.provider = FakeProvider()
        self.record = Kept()
        self.metrics = Recorder()
        self.talks: list[Talk] = []
        self.asked: list[tuple[CallRequest, str, str]] = []
        self.broken: Any = None
        self.images: Mapping[str, Mapping[str, str]] = {}
        clock = LoopClock()
        rules = RoomSettings(**settings)
        books: Any = self.books
        self.rooms = Rooms(
            books,
            books,
            clock,
            rules,
            tariff=PerMinute("rooms", PRICE, 1000),
            flush=self._nothing,
            ended_keys=self._none,
        )
        self.house = RoomHouse(
            self.provider,
            self._converse,
            self.record,
            rules,
            images_of=lambda _base, _bot: self.images,
            clock=clock,
            metrics=self.metrics,
        )
        self.rooms.house = self.house

    async def _nothing(self) -> None:
        pass

    async def _none(self, _keys: object) -> frozenset[str]:
        return frozenset()

    def _converse(self, request: CallRequest, voice_: str, model: str) -> Any:
        self.asked.append((request, voice_, model))
        if self.broken is not None:
            if isinstance(self.broken, Exception):
                raise self.broken
            return self.broken
        self.talks.append(Talk(request=request))
        conversation: Conversation = self.talks[-1].conversation()
        return conversation

    async def begin(self) -> tuple[OpenRoom, FakeMedia]:
        """A session, as REST makes it."""
        room, grant = await self.rooms.begin(WHO, BOT, "Ada", request_id="req1", base_url="http://here")
        assert grant == Grant("ws://here", f"token of {room.plan.identity}")
        return room, self.provider.rooms[room.plan.room]

    async def over(self, room: OpenRoom) -> RoomSession:
        """The session, once it is on record as ended."""
        while self.books.sessions[room.plan.room].ended_at is None:
            await asyncio.sleep(0.1)
        await asyncio.sleep(2.5)
        return self.books.sessions[room.plan.room]


def lived(act: Callable[[Street], Awaitable[None]], **settings: Any) -> Street:
    """A server while `act` happens to it; afterwards it stops."""

    async def living() -> Street:
        street = Street(**settings)
        await act(street)
        await street.house.aclose()
        assert street.metrics.gauges.get(("conversations", "rooms"), 0) == 0
        return street

    return run(living())


def test_a_session_from_its_creation_to_its_bill() -> None:
    async def act(street: Street) -> None:
        room, media = await street.begin()
        assert street.books.purse == 9 * PRICE
        await asyncio.sleep(30)
        media.join()
        await media.speak(np.concatenate([quiet(3), voice(20), quiet(6)]))
        assert media.said("assistant") == [
            "Welcome to our shop.",
            "This is the scripted answer. It is always the same.",
        ]
        assert media.said("user") == ["What time is it?"]
        assert street.metrics.gauges["conversations", "rooms"] == 1
        session = await street.rooms.end(WHO, room.plan.room)
        assert (session.reason, session.duration_s, session.billed_minutes) == (RoomEnd.REQUESTED, 10, 1)
        assert media.closed is RoomEnd.REQUESTED
        assert await street.rooms.end(WHO, room.plan.room) == session
        assert street.books.purse == 9 * PRICE
        assert street.record.closed == [(room.plan.session, EndReason.SERVER)]

    street = lived(act)
    (opened,) = street.record.opened
    assert (opened.surface, opened.org_id, opened.voice) == ("rooms", "org1", "alloy")
    ((request, name, model),) = street.asked
    assert (request.greeting, request.instructions, name, model) == (BOT.greeting, "Be brief.", "alloy", "valsea-fast")


def test_minutes_are_billed_as_they_begin_and_only_while_somebody_is_inside() -> None:
    async def act(street: Street) -> None:
        room, media = await street.begin()
        media.join()
        await asyncio.sleep(50)
        media.leave(left=False)
        await asyncio.sleep(50)
        media.join(back=True)
        await asyncio.sleep(15)
        session = await street.rooms.end(WHO, room.plan.room)
        assert (session.duration_s, session.billed_minutes) == (65, 2)

    assert lived(act).books.purse == 8 * PRICE


def test_a_room_that_its_person_left_is_closed_after_a_while() -> None:
    async def act(street: Street) -> None:
        room, media = await street.begin()
        media.join()
        await asyncio.sleep(5)
        media.leave()
        began = asyncio.get_running_loop().time()
        session = await street.over(room)
        assert asyncio.get_running_loop().time() - began == pytest.approx(62.5, abs=1.5)
        assert (session.reason, session.duration_s, session.billed_minutes) == (RoomEnd.LEFT, 5, 1)
        assert media.closed is RoomEnd.LEFT

    lived(act)


def test_a_session_nobody_comes_to_costs_its_first_minute() -> None:
    async def act(street: Street) -> None:
        room, media = await street.begin()
        session = await street.over(room)
        assert (session.reason, session.duration_s, session.billed_minutes) == (RoomEnd.EXPIRED, 0, 1)
        assert asyncio.get_running_loop().time() == pytest.approx(900, abs=5)
        assert media.said("assistant") == []
        assert street.record.opened == []

    lived(act)


def test_credits_that_run_out_are_announced_and_end_the_session_with_the_minute() -> None:
    async def act(street: Street) -> None:
        street.books.purse = 2 * PRICE
        room, media = await street.begin()
        media.join()
        session = await street.over(room)
        assert (session.reason, session.duration_s, session.billed_minutes) == (RoomEnd.CREDITS, 120, 2)
        assert media.closed is RoomEnd.CREDITS
        assert media.said("assistant") == [BOT.greeting, phrase(Phrase.CREDITS_END, "en")[0]]
        (told,) = media.packets("session")
        assert told["reason"] == "credits"
        assert 18 <= told["secondsLeft"] <= 20
        heard = [at for at, _ in media.left if at > 60]
        assert heard[0] == pytest.approx(100, abs=1.5)
        assert heard[-1] < 110

    assert lived(act).books.purse == 0


def test_credits_that_come_in_time_let_it_go_on() -> None:
    async def act(street: Street) -> None:
        street.books.purse = PRICE
        room, media = await street.begin()
        media.join()
        await asyncio.sleep(45)
        assert len(media.packets("session")) == 1
        street.books.purse += PRICE
        await asyncio.sleep(40)
        assert room.session.ended_at is None
        await asyncio.sleep(20)
        assert len(media.packets("session")) == 2  # the second minute ends, too
        session = await street.over(room)
        assert (session.reason, session.billed_minutes) == (RoomEnd.CREDITS, 2)

    lived(act)


def test_the_longest_session_ends_with_a_word() -> None:
    async def act(street: Street) -> None:
        room, media = await street.begin()
        media.join()
        session = await street.over(room)
        assert (session.reason, session.duration_s, session.billed_minutes) == (RoomEnd.EXPIRED, 120, 2)
        assert media.said("assistant")[-1] == phrase(Phrase.TIME_ENDS, "en")[0]

    lived(act, longest_s=120)


def test_a_picture_has_its_address() -> None:
    async def act(street: Street) -> None:
        street.images = {"menu": {"key": "menu", "url": "http://here/m.png", "description": "The menu of the day"}}
        _, media = await street.begin()
        street.talks[0].mind.answers = ["[[image:menu]] Here it is."]
        media.join()
        await asyncio.sleep(2)
        media.give(Typed("What is there?"))
        await asyncio.sleep(3)
        assert media.packets("image") == [{"type": "image", **street.images["menu"]}]
        assert media.said("assistant")[-1] == "Here it is."

    assert lived(act).asked[0][0].images == {"menu": "The menu of the day"}


def test_who_cannot_be_carried_pays_nothing() -> None:
    async def act(street: Street) -> None:
        street.provider.failing = EngineError("unreachable", engine="fake", code=Code.ENGINE_UNAVAILABLE)
        with pytest.raises(EngineError, match="unreachable"):
            await street.begin()
        street.broken = EngineError("no voice", engine="tts", code=Code.ENGINE_UNAVAILABLE)
        with pytest.raises(EngineError, match="no voice"):
            await street.begin()

    street = lived(act)
    assert (street.books.purse, street.books.sessions) == (10 * PRICE, {})


def test_there_are_only_so_many() -> None:
    async def act(street: Street) -> None:
        room, _ = await street.begin()
        with pytest.raises(RefusedError, match=r"rooms\.most") as refused:
            await street.begin()
        assert (refused.value.code, refused.value.retry_after_s) == (Code.BUSY, 30)
        await street.rooms.end(WHO, room.plan.room)
        await street.begin()

    lived(act, most=1)


def test_a_conversation_that_breaks_ends_its_session_and_says_so() -> None:
    async def act(street: Street) -> None:
        street.broken = Broken()
        room, media = await street.begin()
        media.join()
        session = await street.over(room)
        assert (session.reason, session.billed_minutes) == (RoomEnd.FAILED, 1)
        (told,) = media.packets("error")
        assert told["code"] == "internal_error"
        assert room.plan.session in told["message"]
        assert media.closed is RoomEnd.FAILED

    with capture_logs() as logs:
        lived(act)
    assert [line["log_level"] for line in logs if line["event"] == "room session failed"] == ["error"]


def test_an_engine_that_fails_is_apologized_for() -> None:
    async def act(street: Street) -> None:
        _, media = await street.begin()
        street.talks[0].mind.answers = [EngineError("broken, as wanted", engine="x"), "Fine."]
        media.join()
        await asyncio.sleep(2)
        media.give(Typed("What is there?"))
        await asyncio.sleep(4)
        assert media.said("assistant")[-1] == phrase(Phrase.APOLOGY, "en")[0]
        assert media.packets("error")[0]["code"] == "engine_error"
        media.give(Typed("And now?"))
        await asyncio.sleep(4)
        assert media.said("assistant")[-1] == "Fine."

    lived(act)


def test_a_room_that_somebody_else_closes_is_over() -> None:
    async def act(street: Street) -> None:
        room, media = await street.begin()
        media.join()
        await asyncio.sleep(3)
        media.give(Closed("deleted by the operator"))
        session = await street.over(room)
        assert (session.reason, session.duration_s) == (RoomEnd.LEFT, 3)

    lived(act)


def test_many_ends_at_once_are_one() -> None:
    async def act(street: Street) -> None:
        room, media = await street.begin()
        media.join()
        await asyncio.sleep(10)
        ends = asyncio.gather(*(street.rooms.end(WHO, room.plan.room) for _ in range(3)))
        await street.house.end(room.plan.room, RoomEnd.CREDITS)
        answers = await ends
        assert answers[0] == answers[1] == answers[2]
        await street.house.end(room.plan.room, RoomEnd.FAILED)
        assert answers[0].reason is street.books.sessions[room.plan.room].reason is media.closed

    lived(act)


def test_a_server_that_stops_settles_everything_and_takes_nothing_more() -> None:
    async def living() -> Street:
        street = Street()
        rooms = [await street.begin() for _ in range(3)]
        rooms[0][1].join()
        await asyncio.sleep(65)
        await street.house.aclose()
        with pytest.raises(RefusedError) as refused:
            await street.begin()
        assert refused.value.code is Code.SHUTTING_DOWN
        return street

    street = run(living())
    ends = [(each.reason, each.billed_minutes) for each in street.books.sessions.values()]
    assert ends == [(RoomEnd.SHUTDOWN, minutes) for minutes in (2, 1, 1)]
    assert street.books.purse == 6 * PRICE
    assert street.provider.closed

"""What becomes of a call on a bad line; LiveKit's SDK is the person. Of good ones: tests/conformance/test_rooms.py."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aioice.ice
import numpy as np
import pytest

from tests.conformance.room_checks import Call, a_plan, call
from tests.embedded_rooms import Rooms, embedded_rooms, signalling
from tests.room_person import Person, strength, tone
from voxgate.clock import SystemClock
from voxgate.domain import SPEECH_RATE, Samples
from voxgate.errors import MisuseError
from voxgate.gateways.rooms.embedded_link import Link
from voxgate.gateways.rooms.embedded_room import EmbeddedRoom, Events
from voxgate.gateways.rooms.embedded_settings import EmbeddedSettings
from voxgate.gateways.rooms.embedded_sound import Ear
from voxgate.gateways.rooms.media import VOICE_RATE, Closed, Gone, Heard, Joined, Listening, Packet, Played, TextStream
from voxgate.protocols.livekit.tokens import TokenKey
from voxgate.rooms import RoomEnd

WAYS = pytest.mark.parametrize("single", [True, False], ids=["v1", "v0"])


def sound(value: float) -> Heard:
    return Heard(np.full(4, value, np.float32))


async def test_sound_that_nobody_takes_is_dropped_oldest_first_and_nothing_else_is() -> None:
    events = Events()
    events.put(Joined(back=False))
    for number in range(600):
        events.put(sound(number))
    events.put(Gone(left=False))
    assert events.dropped == 100
    assert await events.take() == Joined(back=False)
    taken = [await events.take() for _ in range(501)]
    assert [float(event.samples[0]) for event in taken if isinstance(event, Heard)] == list(range(100, 600))
    assert taken[-1] == Gone(left=False)
    events.put(sound(1))
    assert isinstance(await events.take(), Heard)


async def test_what_was_played_is_told_as_it_is_when_somebody_asks() -> None:
    events = Events()
    for samples in (480, 960, 1440):
        events.put(Played(samples))
    events.put(Listening())
    events.put(Played(1920))
    assert [await events.take() for _ in range(2)] == [Listening(), Played(1920)]


async def test_what_was_played_before_a_flush_is_not_told_behind_it() -> None:
    events = Events()
    events.put(Played(480))
    events.forget_played()
    events.put(Listening())
    events.put(Played(960))
    events.forget_played()
    events.put(Played(240))
    assert [await events.take() for _ in range(2)] == [Listening(), Played(240)]
    waiting = asyncio.create_task(events.take())
    await asyncio.sleep(0)
    events.put(Played(480))
    events.forget_played()
    await asyncio.sleep(0)
    assert not waiting.done()
    events.put(Listening())
    assert await waiting == Listening()


@pytest.fixture
async def rooms(tmp_path: Path) -> AsyncIterator[Rooms]:
    async with embedded_rooms(tmp_path) as made:
        yield made


async def test_a_packet_that_no_client_takes_is_our_mistake() -> None:
    room = EmbeddedRoom(a_plan(), EmbeddedSettings(), TokenKey("k", "s" * 32), SystemClock(), forget=lambda _: None)
    with pytest.raises(MisuseError, match="15,000"):
        room.post(Packet("t", b"x" * 15_001))
    await room.aclose(RoomEnd.FAILED)
    await room.aclose(RoomEnd.REQUESTED)
    assert [event async for event in room.events()] == [Closed("failed")]


def link_of(call: Call) -> Link:
    assert isinstance(call.bot.media, EmbeddedRoom)
    link = call.bot.media._link
    assert link is not None
    return link


async def is_a_call(call: Call, person: Person) -> None:
    """Both hear each other, and texts arrive."""
    bot = call.bot
    before, texts, sounds = len(bot.events), len(person.texts), len(person.sound)
    bot.media.play(tone(440, 0.3, rate=VOICE_RATE))
    bot.media.post(TextStream("lk.transcription", "hello", {"lk.segment_id": "1"}))
    await person.until(lambda: len(person.texts) > texts)
    await person.until(lambda: any(strength(s, 440, 48_000) > 0.1 for _, s in person.sound[sounds:]))
    await asyncio.gather(
        person.say(tone(440, 0.6)),
        bot.until(lambda: any(loud(event.samples) for event in bot.events[before:] if isinstance(event, Heard))),
    )


def loud(samples: Samples) -> bool:
    return bool(np.abs(samples).max() > 0.1)


@pytest.mark.slow
@WAYS
async def test_a_client_whose_socket_breaks_is_back_and_the_call_goes_on(rooms: Rooms, single: bool) -> None:
    async with call(rooms.provider, rooms.url, single=single) as made, made.person() as person:
        await person.take_microphone()
        await is_a_call(made, person)
        link_of(made)._wire.abort()
        await made.bot.until(lambda: made.bot.all(Gone) and len(made.bot.all(Listening)) == 2)
        assert made.bot.all(Gone) == [Gone(left=False)]
        assert made.bot.all(Joined) == [Joined(back=False), Joined(back=True)]
        await made.bot.until(lambda: made.bot.media.person_track)
        await is_a_call(made, person)
        assert person.ended == []


class Cut:
    """Nothing of media gets through, either way, while it is on: it is taken away where aioice has its sockets."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.on = False
        protocol = aioice.ice.StunProtocol
        for name in ("datagram_received", "send_stun"):
            patch.setattr(protocol, name, self._unless(getattr(protocol, name)))
        send_data = protocol.send_data

        async def sent(sender: aioice.ice.StunProtocol, data: bytes, address: tuple[str, int]) -> None:
            if not self.on:
                await send_data(sender, data, address)

        patch.setattr(protocol, "send_data", sent)

    def _unless(self, method: Callable[..., None]) -> Callable[..., None]:
        def through(*arguments: Any) -> None:
            if not self.on:
                method(*arguments)

        return through


@pytest.mark.slow
@WAYS
async def test_a_cut_of_three_seconds_ends_nothing(rooms: Rooms, single: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    cut = Cut(monkeypatch)
    async with call(rooms.provider, rooms.url, single=single) as made, made.person() as person:
        await person.take_microphone()
        await is_a_call(made, person)
        cut.on = True
        await asyncio.gather(person.say(tone(300, 3.0)), asyncio.sleep(3))
        cut.on = False
        await is_a_call(made, person)
        assert (made.bot.all(Gone), len(made.bot.all(Joined))) == ([], 1)


@pytest.mark.slow
@WAYS
async def test_after_a_long_cut_the_client_connects_anew(
    rooms: Rooms, single: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a minute without an answer is what ICE takes for the end (RFC 7675); here it is half a second."""
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.1)
    cut = Cut(monkeypatch)
    async with call(rooms.provider, rooms.url, single=single) as made, made.person() as person:
        await person.take_microphone()
        await is_a_call(made, person)
        cut.on = True
        await made.bot.until(lambda: made.bot.all(Gone))
        cut.on = False
        await made.bot.until(lambda: len(made.bot.all(Listening)) == 2, within_s=30)
        await made.bot.until(lambda: made.bot.media.person_track, within_s=30)
        assert made.bot.all(Joined) == [Joined(back=False), Joined(back=True)]
        await is_a_call(made, person)


@pytest.mark.slow
@pytest.mark.parametrize("loss", [0.05, 0.2])
async def test_packets_that_are_lost_or_late_leave_speech_and_no_delay(
    rooms: Rooms, loss: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(7)
    held: list[tuple[int, int, bytes]] = []
    ears: list[Ear] = []
    hear = Ear.hear

    def poorly(ear: Ear, sequence: int, timestamp: int, payload: bytes) -> None:
        if not ears:
            ears.append(ear)
        if chance.random() < loss:
            return
        if chance.random() < 0.05:
            held.append((sequence, timestamp, payload))
            return
        hear(ear, sequence, timestamp, payload)
        while held:
            hear(ear, *held.pop())

    monkeypatch.setattr(Ear, "hear", poorly)
    async with call(rooms.provider, rooms.url, single=True) as made, made.person() as person:
        await person.take_microphone()
        await person.say(tone(440, 3.0))
        await made.bot.until(lambda: sum(len(event.samples) for event in made.bot.all(Heard)) > 2.6 * SPEECH_RATE)
        heard = np.concatenate([event.samples for event in made.bot.all(Heard)])
        parts = np.split(heard[SPEECH_RATE // 2 : 5 * SPEECH_RATE // 2], 20)
        levels = [strength(part, 440, SPEECH_RATE) for part in parts]
        assert np.mean(levels) > 0.3 * (1 - 1.5 * loss)
        [ear] = ears
        assert ear.reorder.lost > 100 * loss * 0.4
        await asyncio.sleep(0.2)
        assert ear.reorder.waiting == 0


@pytest.mark.slow
async def test_a_flood_of_data_is_passed_over(rooms: Rooms) -> None:
    async with call(rooms.provider, rooms.url, single=True) as made, made.person() as person:
        for _ in range(200):
            await person.room.local_participant.publish_data(b"x" * 14_000, topic="flood")
        await person.room.local_participant.send_text("hello", topic="lk.chat")
        await made.bot.until(lambda: any(getattr(event, "text", "") == "hello" for event in made.bot.events))
        assert made.bot.all(Gone) == []


async def test_closing_is_said_to_who_is_inside_and_waits_for_him_to_go(rooms: Rooms) -> None:
    async with call(rooms.provider, rooms.url, single=True) as made:
        async with signalling(made.grant(made.plan)) as client:
            await client.next()
            await made.bot.media.aclose(RoomEnd.CREDITS)
            assert (await client.until("leave")).leave.can_reconnect is False
        assert made.bot.all(Closed) == [Closed("credits")]
        assert made.bot.all(Gone) == []  # he had no media, so he was not there

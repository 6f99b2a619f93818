"""Calls in rooms with a real conversation behind them, on a clock that jumps."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from tests.conversation.talks import Talk, quiet, voice
from tests.gateways.rooms.fake_media import FakeMedia
from tests.virtual import run
from voxgate.calls import AudioOut, CallRequest, EndIn, EndReason, ImageOut, PlayedIn, ReplyInterrupted
from voxgate.clock import SystemClock
from voxgate.gateways.rooms.call import RoomCall
from voxgate.gateways.rooms.media import VOICE_RATE, Closed, Joined, Listening, Muted, Played, Typed
from voxgate.rooms import RoomEnd

ANSWER = "This is the scripted answer. It is always the same."
BOT = CallRequest("s1", greeting="Welcome to our shop.", rate=VOICE_RATE, captions=True, grace_s=60)
IMAGES = {"menu": {"key": "menu", "url": "https://x/menu.png", "description": "The menu"}}


@dataclass
class Presence:
    """`call.Presence`, with the times."""

    seen: list[tuple[str, float]] = field(default_factory=list)

    def joined(self) -> None:
        self.seen.append(("joined", asyncio.get_running_loop().time()))

    def left(self) -> None:
        self.seen.append(("left", asyncio.get_running_loop().time()))


@dataclass
class Room:
    """One room, and everybody in it."""

    media: FakeMedia
    call: RoomCall
    presence: Presence
    talk: Talk
    reason: EndReason | None = None


def new_call(media: FakeMedia, presence: Presence) -> RoomCall:
    return RoomCall(media, presence, IMAGES, SystemClock(), typed_characters=100, listen_s=2.0)


def hold(act: Callable[[Room], Awaitable[None]], request: CallRequest = BOT) -> Room:
    """Hold a call while `act` plays the person."""

    async def held() -> Room:
        media, presence = FakeMedia(), Presence()
        room = Room(media, new_call(media, presence), presence, Talk(request=request))
        carrying = asyncio.create_task(room.call.carry())

        async def converse() -> None:
            await room.call.ready.wait()
            room.reason = await room.talk.conversation().run(room.call)

        conversing = asyncio.create_task(converse())
        await act(room)
        room.call.tell(EndIn())
        if not room.call.ready.is_set():
            conversing.cancel()
        await asyncio.gather(conversing, return_exceptions=True)
        carrying.cancel()
        await asyncio.gather(carrying, return_exceptions=True)
        return room

    return run(held())


def test_the_greeting_waits_until_it_is_heard_and_is_heard_whole() -> None:
    async def act(room: Room) -> None:
        room.media.join(listens=False)
        await asyncio.sleep(1.5)
        assert not room.call.ready.is_set()
        room.media.listening = True
        room.media.give(Listening())
        await asyncio.sleep(3)

    media = hold(act).media
    assert media.left[0][0] == pytest.approx(1.5, abs=0.15)
    assert media.heard_s == pytest.approx(4 * 0.25, abs=0.02)
    assert media.said("assistant") == ["Welcome to our shop."]
    assert media.states() == ["initializing", "listening", "thinking", "speaking", "listening"]


def test_a_client_that_never_takes_audio_is_spoken_to_all_the_same() -> None:
    async def act(room: Room) -> None:
        room.media.join(listens=False)
        await asyncio.sleep(4)
        assert room.media.said("assistant") == ["Welcome to our shop."]
        room.media.give(Typed("  What is there?\n"))
        await asyncio.sleep(4)

    media = hold(act).media
    assert media.left == []
    assert media.said("user") == ["What is there?"]
    assert media.said("assistant")[-1] == ANSWER


def test_who_writes_is_not_waited_for() -> None:
    async def act(room: Room) -> None:
        room.media.join(listens=False)
        room.media.give(Typed("What is there?"))
        await asyncio.sleep(0.01)
        assert room.call.ready.is_set()
        room.media.give(Typed("   "))
        await asyncio.sleep(4)

    room = hold(act, replace(BOT, greeting=""))
    assert room.media.said("user") == ["What is there?"]
    assert room.media.said("assistant") == [ANSWER]
    assert room.talk.records[0].ended_by == "typed"


def test_a_message_that_is_too_long_is_no_turn_and_says_so() -> None:
    async def act(room: Room) -> None:
        room.media.join()
        room.media.give(Typed("x" * 101))
        await asyncio.sleep(3)

    media = hold(act, replace(BOT, greeting="")).media
    assert media.said("user") == media.said("assistant") == []
    (error,) = media.packets("error")
    assert error["code"] == "input_too_long"


def test_what_is_said_is_transcribed_as_from_its_speaker() -> None:
    async def act(room: Room) -> None:
        room.media.join()
        await room.media.speak(np.concatenate([quiet(2), voice(20), quiet(5)]))

    media = hold(act).media
    theirs = [each for each in media.streams() if each.as_person]
    assert [(each.text, each.attributes["lk.transcription_final"]) for each in theirs] == [
        ("What time is it?", "false"),
        ("What time is it?", "true"),
    ]
    assert {each.topic for each in media.streams()} == {"lk.transcription"}
    assert len({each.attributes["lk.segment_id"] for each in theirs}) == 1
    assert {each.attributes["lk.transcribed_track_id"] for each in theirs} == {"TR_person"}
    ours = [each for each in media.streams() if not each.as_person]
    assert {each.attributes["lk.transcribed_track_id"] for each in ours} == {"TR_bot"}
    finals = [each.text for each in ours if each.attributes["lk.transcription_final"] == "true"]
    assert finals == ["Welcome to our shop.", ANSWER]
    assert len({each.attributes["lk.segment_id"] for each in ours}) == 2
    packets = media.packets("transcript")
    assert [each["text"] for each in packets] == [each.text for each in media.streams()]
    assert [each["segmentId"] for each in packets] == [each.attributes["lk.segment_id"] for each in media.streams()]


def test_an_interruption_is_silent_at_once_and_remembered_as_what_left() -> None:
    async def act(room: Room) -> None:
        room.talk.mind.answers = ["One two three four five six seven eight nine ten eleven twelve.", "Good."]
        room.media.join()
        room.media.give(Typed("Tell me."))
        await room.media.speak(np.concatenate([quiet(1), voice(30), quiet(4)]))

    room = hold(act, replace(BOT, greeting=""))
    record = room.talk.records[0]
    assert record.outcome == "cut"
    assert room.media.flushes == 1
    times = [at for at, _ in room.media.left]
    first = next(k for k in range(1, len(times)) if times[k] - times[k - 1] > 0.1)  # frames of the first reply
    assert record.played_ms == first * 20
    assert room.media.said("assistant")[0] == record.spoken != ""
    assert record.text.startswith(record.spoken)


def test_who_mutes_himself_has_said_his_turn_and_is_not_heard() -> None:
    async def act(room: Room) -> None:
        room.media.join()
        await room.media.speak(voice(40))  # words that sound as if more followed
        room.media.give(Muted(True))
        began = asyncio.get_running_loop().time()
        while not room.media.said("user"):
            await asyncio.sleep(0.01)
        assert asyncio.get_running_loop().time() - began < 0.1
        await room.media.speak(np.concatenate([voice(20), quiet(3)]))
        room.media.give(Muted(False))
        await room.media.speak(np.concatenate([voice(20), quiet(3)]))

    media = hold(act, replace(BOT, greeting="")).media
    assert media.said("user") == ["and then we", "What time is it?"]


def test_a_call_outlives_its_connection_and_goes_on_when_it_can_be_heard_again() -> None:
    async def act(room: Room) -> None:
        room.talk.mind.answers = ["One two three four five six seven eight nine ten eleven twelve."]
        room.media.join()
        room.media.give(Typed("Tell me."))
        await asyncio.sleep(1.5)
        room.media.leave(left=False)
        await asyncio.sleep(20)
        room.media.join(back=True, listens=False)
        await asyncio.sleep(1)
        room.media.listening = True
        room.media.give(Listening())
        await asyncio.sleep(6)

    room = hold(act, replace(BOT, greeting=""))
    times = [at for at, _ in room.media.left]
    gap = max(range(1, len(times)), key=lambda k: times[k] - times[k - 1])
    assert times[gap - 1] == pytest.approx(1.5, abs=0.05)
    assert times[gap] == pytest.approx(22.5, abs=0.05)
    assert room.media.heard_s == pytest.approx(12 * 0.25, abs=0.35)  # what was sent ahead when it broke is lost
    assert [name for name, _ in room.presence.seen] == ["joined", "left", "joined"]
    assert room.presence.seen[1][1] == pytest.approx(1.5, abs=0.05)


def test_who_goes_twice_or_comes_twice_does_so_once() -> None:
    async def act(room: Room) -> None:
        room.media.leave()
        room.media.join()
        room.media.give(Joined(back=True))
        await asyncio.sleep(3)
        room.media.leave()
        room.media.leave()
        await asyncio.sleep(1)

    room = hold(act)
    assert [name for name, _ in room.presence.seen] == ["joined", "left"]


def test_a_client_that_does_not_come_back_ends_the_call() -> None:
    async def act(room: Room) -> None:
        room.media.join()
        await asyncio.sleep(3)
        room.media.leave()
        await asyncio.sleep(61)
        assert room.reason is EndReason.LOST

    hold(act)


def test_who_leaves_before_he_could_listen_is_greeted_when_he_is_back() -> None:
    async def act(room: Room) -> None:
        room.media.join(listens=False)
        await asyncio.sleep(0.5)
        room.media.leave(left=False)
        await asyncio.sleep(10)
        assert not room.call.ready.is_set()
        room.media.join(back=True)
        await asyncio.sleep(3)

    assert hold(act).media.said("assistant") == ["Welcome to our shop."]


def test_a_room_that_is_closed_ends_the_call() -> None:
    async def act(room: Room) -> None:
        room.media.join()
        await asyncio.sleep(1)
        room.media.give(Closed("deleted"))
        await asyncio.sleep(0.1)
        assert room.call.closed == "deleted"
        assert room.reason is EndReason.LOST

    assert hold(act).presence.seen[-1][0] == "left"


def test_pictures_and_limits_are_packets() -> None:
    async def acted() -> FakeMedia:
        media = FakeMedia()
        call = new_call(media, Presence())
        call.send(ImageOut(1, "menu"))
        call.expiring("credits", 18)
        return media

    media = run(acted())
    assert media.packets("image") == [{"type": "image", **IMAGES["menu"]}]
    assert media.packets("session") == [{"type": "session.expiring", "reason": "credits", "secondsLeft": 18}]


def test_what_has_left_is_counted_for_the_reply_it_belongs_to() -> None:
    async def acted() -> list[PlayedIn]:
        media = FakeMedia()
        call = new_call(media, Presence())
        carrying = asyncio.create_task(call.carry())
        media.join(listens=False)
        await asyncio.sleep(0)
        told: list[PlayedIn] = []

        async def take() -> None:
            nonlocal told
            async for given in call.inputs():
                if isinstance(given, PlayedIn):
                    told += [given]

        taking = asyncio.create_task(take())
        sound = np.zeros(2400, np.float32)

        async def played(samples: int) -> None:
            media.give(Played(samples))
            await asyncio.sleep(0.001)

        await asyncio.sleep(0.001)
        call.send(AudioOut(1, 0, sound, VOICE_RATE))
        call.send(AudioOut(1, 1, sound, VOICE_RATE))
        call.send(AudioOut(2, 0, sound, VOICE_RATE))
        for samples in (480, 4800, 5280):
            await played(samples)
        call.send(ReplyInterrupted(2, ""))
        await played(7200)  # was counted before the flush
        call.send(AudioOut(3, 0, sound, VOICE_RATE))
        await played(480)
        for task in (taking, carrying):
            task.cancel()
        await asyncio.gather(taking, carrying, return_exceptions=True)
        media.listening = True
        await media.aclose(RoomEnd.LEFT)
        return told

    assert run(acted()) == [PlayedIn(1, 480), PlayedIn(1, 4800), PlayedIn(2, 480), PlayedIn(3, 480)]

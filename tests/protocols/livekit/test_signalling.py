"""Message by message, as livekit-client 2.23 and the Python SDK 1.2 send them."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models, rtc

from voxgate.errors import PeerError
from voxgate.protocols.livekit.joining import Offer
from voxgate.protocols.livekit.signalling import (
    Answered,
    BotCard,
    Goodbye,
    IceServer,
    Left,
    MicMuted,
    MicOpened,
    Offered,
    RoomCard,
    Signalling,
    Step,
    Trickled,
    leave,
)

NOW_MS = 1_790_000_000_123


def made(*, single: bool = True) -> Signalling:
    numbers = itertools.count(1)
    return Signalling(
        RoomCard("RM_1", "ext-vb-1-2", 1_789_999_000_000),
        BotCard("agent", "Greeter", "PA_bot", "TR_bot"),
        identity="person-1",
        name="Ann",
        single=single,
        new_sid=lambda prefix: f"{prefix}_{next(numbers)}",
        now_ms=lambda: NOW_MS,
    )


def read(message: bytes) -> rtc.SignalResponse:
    return rtc.SignalResponse.FromString(message)


def ask(signalling: Signalling, request: rtc.SignalRequest) -> tuple[list[rtc.SignalResponse], Step]:
    step = signalling.receive(request.SerializeToString())
    return [read(reply) for reply in step.replies], step


@pytest.mark.parametrize("single", [True, False])
def test_the_first_message(single: bool) -> None:
    join = read(made(single=single).join([IceServer(("turn:a:3478",), "u", "c")])).join
    assert (join.room.sid, join.room.name, join.room.creation_time_ms) == ("RM_1", "ext-vb-1-2", 1_789_999_000_000)
    assert join.subscriber_primary is (not single)
    assert (join.ping_interval, join.ping_timeout, join.fast_publish) == (5, 15, True)
    assert join.client_configuration.resume_connection == models.ClientConfigSetting.DISABLED
    assert [codec.mime for codec in join.enabled_publish_codecs] == ["audio/opus"]
    assert [(list(s.urls), s.username, s.credential) for s in join.ice_servers] == [(["turn:a:3478"], "u", "c")]
    person = join.participant
    assert (person.sid, person.identity, person.name) == ("PA_1", "person-1", "Ann")
    assert person.state == models.ParticipantInfo.State.JOINING
    assert list(person.permission.can_publish_sources) == [models.TrackSource.MICROPHONE]
    [bot] = join.other_participants
    assert (bot.sid, bot.identity, bot.name, bot.kind) == ("PA_bot", "agent", "Greeter", models.ParticipantInfo.AGENT)
    assert (bot.state, bot.client_protocol, list(bot.capabilities)) == (models.ParticipantInfo.State.ACTIVE, 0, [])
    [track] = bot.tracks
    assert (track.sid, track.type, track.mime_type) == ("TR_bot", models.TrackType.AUDIO, "audio/opus")
    assert track.source == models.TrackSource.MICROPHONE


def test_descriptions_and_addresses_are_handed_on() -> None:
    signalling = made(single=False)
    offer = rtc.SignalRequest(offer=rtc.SessionDescription(type="offer", sdp="v=0", id=9))
    assert ask(signalling, offer)[1] == Step(meaning=Offered(Offer("v=0", 9)))
    answer = rtc.SignalRequest(answer=rtc.SessionDescription(type="answer", sdp="v=0", id=1))
    assert ask(signalling, answer)[1] == Step(meaning=Answered("v=0"))
    for target, subscriber in ((rtc.SignalTarget.PUBLISHER, False), (rtc.SignalTarget.SUBSCRIBER, True)):
        trickle = rtc.SignalRequest(trickle=rtc.TrickleRequest(candidateInit="{}", target=target))
        assert ask(signalling, trickle)[1].meaning == Trickled("{}", subscriber)
        assert ask(made(), trickle)[1].meaning == Trickled("{}", False)  # with one connection, there is no other


def test_an_answer_repeats_the_offers_number_and_says_where_the_voice_is() -> None:
    answer = read(made().answer("v=0", 9, "3")).answer
    assert (answer.type, answer.sdp, answer.id, dict(answer.mid_to_track_id)) == ("answer", "v=0", 9, {"3": "TR_bot"})
    assert dict(read(made().answer("v=0", 0, None)).answer.mid_to_track_id) == {}
    offer = read(made().offer("v=0")).offer
    assert (offer.type, offer.sdp, offer.id) == ("offer", "v=0", 1)


def publish(signalling: Signalling, **fields: object) -> tuple[list[rtc.SignalResponse], Step]:
    request = rtc.AddTrackRequest(cid="c", name="mic", source=models.TrackSource.MICROPHONE)
    for name, value in fields.items():
        setattr(request, name, value)
    return ask(signalling, rtc.SignalRequest(add_track=request))


def test_a_microphone_is_published_muted_and_told_of_once_it_is_heard() -> None:
    signalling = made()
    assert (signalling.mic, signalling.sound_came()) == ("", None)
    [published, update], step = publish(signalling)
    assert step.meaning == MicOpened(muted=False)
    assert (published.track_published.cid, published.track_published.track.sid) == ("c", "TR_2")
    [person] = update.update.participants
    assert (person.version, person.is_publisher, [track.sid for track in person.tracks]) == (2, True, ["TR_2"])
    assert signalling.mic == "TR_2"

    subscribed = signalling.sound_came()
    assert subscribed is not None
    assert read(subscribed).track_subscribed.track_sid == "TR_2"
    assert signalling.sound_came() is None

    mute = rtc.SignalRequest(mute=rtc.MuteTrackRequest(sid="TR_2", muted=True))
    [update], step = ask(signalling, mute)
    assert step.meaning == MicMuted(muted=True)
    assert update.update.participants[0].tracks[0].muted
    assert update.update.participants[0].version == 3
    assert ask(signalling, rtc.SignalRequest(mute=rtc.MuteTrackRequest(sid="TR_9", muted=True)))[1] == Step()


def test_a_microphone_that_is_published_again_takes_the_place_of_the_first() -> None:
    signalling = made()
    publish(signalling)
    signalling.sound_came()
    [_, update], _ = publish(signalling, muted=True, source=models.TrackSource.UNKNOWN)
    assert [track.sid for track in update.update.participants[0].tracks] == ["TR_3"]
    assert signalling.sound_came() is not None


@pytest.mark.parametrize(
    "fields", [{"type": models.TrackType.VIDEO}, {"source": models.TrackSource.SCREEN_SHARE_AUDIO}], ids=str
)
def test_nothing_but_a_microphone_is_taken(fields: dict[str, object]) -> None:
    signalling = made()
    [refused], step = publish(signalling, **fields)
    assert refused.request_response.reason == rtc.RequestResponse.Reason.NOT_ALLOWED
    assert refused.request_response.add_track.cid == "c"
    assert (step.meaning, signalling.mic) == (None, "")


def test_signs_of_life_are_answered() -> None:
    [pong], _ = ask(made(), rtc.SignalRequest(ping_req=rtc.Ping(timestamp=5, rtt=3)))
    assert (pong.pong_resp.last_ping_timestamp, pong.pong_resp.timestamp) == (5, NOW_MS)
    [pong], _ = ask(made(), rtc.SignalRequest(ping=5))
    assert pong.pong == NOW_MS


def test_a_person_may_describe_himself_within_limits() -> None:
    signalling = made()
    request = rtc.UpdateParticipantMetadata(request_id=4, name="Anna", metadata="m", attributes={"a": "1", "b": "2"})
    [update, done], step = ask(signalling, rtc.SignalRequest(update_metadata=request))
    [person] = update.update.participants
    assert (person.name, person.metadata, dict(person.attributes)) == ("Anna", "m", {"a": "1", "b": "2"})
    assert (done.request_response.request_id, done.request_response.reason) == (4, rtc.RequestResponse.Reason.OK)
    assert step.meaning is None
    removed = rtc.UpdateParticipantMetadata(request_id=5, attributes={"a": ""})
    [update, _], _ = ask(signalling, rtc.SignalRequest(update_metadata=removed))
    assert dict(update.update.participants[0].attributes) == {"b": "2"}

    for attributes in ({"a": "x" * 20_000}, {str(number): "x" for number in range(100)}):
        too_much = rtc.UpdateParticipantMetadata(request_id=6, attributes=attributes)
        [done], _ = ask(signalling, rtc.SignalRequest(update_metadata=too_much))
        assert done.request_response.reason == rtc.RequestResponse.Reason.LIMIT_EXCEEDED


def test_the_bots_state_is_told_with_a_higher_version() -> None:
    bot = BotCard("agent", "Greeter", "PA_bot", "TR_bot")
    signalling = Signalling(
        RoomCard("RM_1", "r", 0), bot, identity="p", name="", single=True, new_sid=str, now_ms=lambda: 0
    )
    bot.set({"lk.agent.state": "listening"})
    bot.set({"x": "y"})
    [told] = read(signalling.bot_changed()).update.participants
    assert (told.version, dict(told.attributes)) == (3, {"lk.agent.state": "listening", "x": "y"})
    assert [track.sid for track in told.tracks] == ["TR_bot"]
    assert dict(read(signalling.join([])).join.other_participants[0].attributes)["x"] == "y"


def test_the_person_is_told_to_be_inside() -> None:
    [person] = read(made().connected()).update.participants
    assert (person.state, person.version) == (models.ParticipantInfo.State.ACTIVE, 2)


def test_goodbyes() -> None:
    assert ask(made(), rtc.SignalRequest(leave=rtc.LeaveRequest()))[1] == Step(meaning=Left())
    again = read(leave(Goodbye.AGAIN)).leave
    assert (again.action, again.can_reconnect) == (rtc.LeaveRequest.Action.RECONNECT, True)
    for why, reason in (
        (Goodbye.OVER, models.DisconnectReason.ROOM_DELETED),
        (Goodbye.SHUTDOWN, models.DisconnectReason.SERVER_SHUTDOWN),
        (Goodbye.REPLACED, models.DisconnectReason.DUPLICATE_IDENTITY),
    ):
        left = read(leave(why)).leave
        assert (left.action, left.reason, left.can_reconnect) == (rtc.LeaveRequest.Action.DISCONNECT, reason, False)


def test_a_new_token_is_told() -> None:
    assert read(made().refreshed("abc")).refresh_token == "abc"


def test_what_there_is_no_use_for_is_left_alone() -> None:
    for request in (
        rtc.SignalRequest(),
        rtc.SignalRequest(subscription=rtc.UpdateSubscription(subscribe=True)),
        rtc.SignalRequest(sync_state=rtc.SyncState()),
        rtc.SignalRequest(simulate=rtc.SimulateScenario(server_leave=True)),
    ):
        assert ask(made(), request)[1] == Step()


@pytest.mark.parametrize("message", ["{}", b"\xff\xff\xff", b"hello"])
def test_what_is_no_message_is_refused(message: bytes | str) -> None:
    with pytest.raises(PeerError, match=r"protobuf|SignalRequest"):
        made().receive(message)


@given(st.lists(st.binary(max_size=80), max_size=30))
def test_nothing_breaks_it(messages: list[bytes]) -> None:
    signalling = made()
    for message in messages:
        try:
            for reply in signalling.receive(message).replies:
                assert read(reply).WhichOneof("message")
        except PeerError as error:
            assert error.message


def test_secrets_are_not_shown() -> None:
    assert "geheim" not in repr(IceServer(("turn:a",), "u", "geheim"))

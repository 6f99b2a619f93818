import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.errors import Code, PeerError, RefusedError, VoxgateError
from voxgate.protocols.speech.messages import (
    CLIENT_MESSAGES,
    Append,
    Cancel,
    Command,
    Commit,
    Create,
    SessionStart,
    Start,
    Stop,
)
from voxgate.protocols.speech.session import SpeechSession, State
from voxgate.protocols.status import STATUS


def carry_out(session: SpeechSession, command: Command) -> None:
    """As the gateway does, but that nothing is ever spoken."""
    match command:
        case Start():
            session.ready(command.options.model)
        case Create():
            session.queued(command)
        case Append():
            session.appended(command)
        case Commit(speech_id):
            session.committed(speech_id)
        case Cancel(speech_ids):
            for speech_id in speech_ids:
                session.cancelled(speech_id, 0, "0")
        case Stop():
            session.stopping()


class Client:
    """A client and the session it speaks to."""

    def __init__(self, *, characters: int = 100, queue: int = 3) -> None:
        self.session = SpeechSession("tts_1", input_characters=characters, queue=queue)

    def asks(self, kind: str, **fields: Any) -> list[Command]:
        return self.session.receive(json.dumps({"type": kind, **fields}))

    def does(self, kind: str, **fields: Any) -> list[Command]:
        commands = self.asks(kind, **fields)
        for command in commands:
            carry_out(self.session, command)
        return commands

    def fails(self, kind: str, **fields: Any) -> tuple[str, str | None]:
        """(code on the wire, param) of what a message is answered; it changes nothing."""
        before = (self.session.state, repr(self.session._speeches))
        with pytest.raises(VoxgateError) as caught:
            self.asks(kind, **fields)
        assert before == (self.session.state, repr(self.session._speeches))
        return STATUS[caught.value.code].socket, caught.value.param


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def started() -> Client:
    client = Client()
    client.does("session.start")
    return client


# starting


def test_a_session_starts_with_its_options_once(client: Client) -> None:
    [start] = client.asks("session.start", voice="nova", language="english", speed=2, audio_quality=96)
    assert start == Start(SessionStart(voice="nova", language="english", speed=2.0, audio_quality=96))
    assert client.session.state is State.CREATED, "asking is not doing"
    assert json.loads(client.session.ready("m")) == {"type": "session.ready", "sessionId": "tts_1", "model": "m"}
    assert client.fails("session.start") == ("SESSION_ALREADY_STARTED", "type")


def test_null_is_absent(client: Client) -> None:
    assert client.asks("session.start", voice=None, speed=None, language=None) == [Start(SessionStart())]


def test_what_is_wrong_is_named(client: Client) -> None:
    assert client.fails("session.start", speed="fast") == ("INVALID_MESSAGE", "speed")
    assert client.fails("session.start", response_format="midi") == ("UNSUPPORTED_FORMAT", "response_format")
    assert client.fails("speak", text="a", audio_format="midi") == ("UNSUPPORTED_FORMAT", "audio_format")
    assert client.fails("speak") == ("INVALID_MESSAGE", "text")
    assert client.fails("nonsense") == ("INVALID_MESSAGE", "type")
    assert client.asks("session.start", response_format=" WAV ") != []


@pytest.mark.parametrize("kind", ["speech.create", "speech.append", "speech.commit"])
def test_nothing_is_spoken_before_the_start(client: Client, kind: str) -> None:
    assert client.fails(kind, input="a", text="a") == ("SESSION_NOT_STARTED", "type")


def test_speak_starts_a_session_that_was_not(client: Client) -> None:
    start, create = client.does("speak", text="Hi.", voice="valsea-default", audio_format="opus")
    assert start == Start(SessionStart(voice="valsea-default", response_format="opus"))
    assert create == Create("speech_1", "Hi.", complete=True)
    assert client.does("speak", text="Ho.", voice="nova") == [Create("speech_2", "Ho.", complete=True, voice="nova")]
    assert client.does("speak", text="Hu.", audio_format="wav") == [
        Create("speech_3", "Hu.", complete=True, response_format="wav")
    ]


def test_a_speak_whose_start_fails_leaves_nothing_behind(client: Client) -> None:
    client.asks("speak", text="Hi.")
    assert client.session.state is State.CREATED
    assert client.fails("speech.cancel") == ("NOTHING_TO_CANCEL", None)


# texts


def test_texts_get_names_or_bring_theirs(started: Client) -> None:
    assert started.does("speech.create", input="a") == [Create("speech_1", "a", complete=True)]
    assert started.does("speech.create", input="a", speechId="speech_2") == [Create("speech_2", "a", complete=True)]
    assert started.does("speech.create", input="a") == [Create("speech_3", "a", complete=True)], "2 is taken"
    assert started.fails("speech.create", input="a", speechId="speech_2") == ("INVALID_MESSAGE", "speechId")
    for wrong in ("", "a b", "é", "x" * 65, 7):
        assert started.fails("speech.create", input="a", speechId=wrong) == ("INVALID_MESSAGE", "speechId")
    started.session.finished("speech_2", 10, "1")
    assert started.does("speech.create", input="a", speechId="speech_2") != [], "a name is free again when it is over"


@pytest.mark.parametrize("text", ["", "  ", "\n\t"])
def test_there_is_something_to_say(started: Client, text: str) -> None:
    assert started.fails("speech.create", input=text) == ("INVALID_MESSAGE", "input")
    assert started.fails("speak", text=text) == ("INVALID_MESSAGE", "text")


def test_a_text_may_have_so_many_characters(started: Client) -> None:
    started.does("speech.create", input="é" * 100)
    assert started.fails("speech.create", input="x" * 101) == ("INPUT_TOO_LONG", "input")
    assert started.fails("speak", text="x" * 101) == ("INPUT_TOO_LONG", "text")


def test_a_text_that_is_appended_counts_as_one(started: Client) -> None:
    assert started.does("speech.append", text="x" * 60, speechId="mine") == [Create("mine", "x" * 60, complete=False)]
    assert started.does("speech.append", text=" ") == [Append("mine", " ")]
    assert started.does("speech.append", text="y" * 39, speechId="mine") == [Append("mine", "y" * 39)]
    assert started.fails("speech.append", text="z") == ("INPUT_TOO_LONG", "text")
    assert started.fails("speech.append", text="", speechId="other") == ("INVALID_MESSAGE", "speechId")
    assert started.fails("speech.commit", speechId="other") == ("INVALID_MESSAGE", "speechId")
    assert started.does("speech.commit", speechId="mine") == [Commit("mine")]
    assert started.fails("speech.commit") == ("INVALID_MESSAGE", "type")
    assert started.does("speech.append", text="z") == [Create("speech_1", "z", complete=False)]


def test_others_queue_behind_a_text_that_is_being_written(started: Client) -> None:
    started.does("speech.append", text="a")
    started.does("speech.create", input="b")
    assert started.does("speech.append", text="c") == [Append("speech_1", "c")]


def test_so_many_may_wait_behind_the_one_that_is_spoken(started: Client) -> None:
    for _ in range(4):
        started.does("speech.create", input="a")
    for kind, param in (("speech.create", "input"), ("speech.append", "text"), ("speak", "text")):
        with pytest.raises(RefusedError) as caught:
            started.asks(kind, **{param: "a"})
        assert (caught.value.code, caught.value.param) == (Code.RATE_LIMITED, param)
    started.session.finished("speech_1", 10, "1")
    started.does("speech.create", input="a")


# cancelling and stopping


def test_a_cancel_names_one_or_means_all(started: Client) -> None:
    assert started.fails("speech.cancel") == ("NOTHING_TO_CANCEL", None)
    for _ in range(3):
        started.does("speech.create", input="a")
    assert started.fails("speech.cancel", speechId="speech_9") == ("NOTHING_TO_CANCEL", "speechId")
    assert started.does("speech.cancel", speechId="speech_2") == [Cancel(("speech_2",))]
    assert started.fails("speech.cancel", speechId="speech_2") == ("NOTHING_TO_CANCEL", "speechId")
    assert started.does("speech.cancel") == [Cancel(("speech_1", "speech_3"))]
    assert started.fails("speech.cancel") == ("NOTHING_TO_CANCEL", None)


def test_a_text_that_is_cancelled_while_it_is_written_is_over(started: Client) -> None:
    started.does("speech.append", text="a")
    started.does("speech.cancel")
    assert started.fails("speech.commit") == ("INVALID_MESSAGE", "type")


@pytest.mark.parametrize("state", [State.CREATED, State.STARTED])
def test_a_session_stops_from_anywhere_and_once(client: Client, state: State) -> None:
    if state is State.STARTED:
        client.does("session.start")
        client.does("speech.create", input="a")
    assert client.does("session.stop") == [Stop()]
    assert client.asks("session.stop") == []
    for kind in ("session.start", "speech.create", "speech.append", "speech.commit", "speak"):
        assert client.fails(kind, input="a", text="a") == ("INVALID_MESSAGE", "type")
    if state is State.STARTED:
        assert client.does("speech.cancel") == [Cancel(("speech_1",))]


# what is told


def test_what_the_client_is_told() -> None:
    session = SpeechSession("tts_1", input_characters=9, queue=9)
    assert json.loads(session.created(["m"], ["v"], ["english"])) == {
        "type": "session.created",
        "sessionId": "tts_1",
        "supportedModels": ["m"],
        "supportedVoices": ["v"],
        "supportedLanguages": ["english"],
    }
    both = {"sessionId": "tts_1", "speechId": "a"}
    assert json.loads(session.started("a")) == {"type": "speech.started", **both}
    tell: dict[str, Callable[[str, int, str], str]] = {
        "speech.finished": session.finished,
        "speech.cancelled": session.cancelled,
    }
    for kind, told in tell.items():
        session.queued(Create("a", "x", complete=True))
        assert json.loads(told("a", 1500, "0.25")) == {"type": kind, **both, "durationMs": 1500, "creditsUsed": 0.25}
    assert json.loads(session.closed(1500, "2")) == {
        "type": "session.closed",
        "sessionId": "tts_1",
        "durationMs": 1500,
        "creditsUsed": 2,
    }


# whatever comes

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.text("x", min_size=95),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(
    [*sorted({field for model in CLIENT_MESSAGES.values() for field in model.model_fields}), "token", "extra"]
)
messages = st.builds(
    lambda kind, fields: {"type": kind} | fields,
    st.sampled_from(sorted(CLIENT_MESSAGES)) | values,
    st.dictionaries(names, values, max_size=4),
)
likely = st.sampled_from(
    [
        {"type": "session.start"},
        {"type": "speech.create", "input": "a"},
        {"type": "speech.create", "input": "a", "speechId": "mine"},
        {"type": "speech.append", "text": "a " * 30},
        {"type": "speech.commit"},
        {"type": "speech.cancel"},
        {"type": "speech.cancel", "speechId": "mine"},
        {"type": "speak", "text": "a", "voice": "v"},
    ]
)


@given(st.lists(likely | messages | st.just({"type": "session.stop"}), max_size=30))
def test_any_messages_in_any_order(sent: list[dict[str, Any]]) -> None:
    """Only PeerError and a full queue come out, they change nothing, and no more lives than may."""
    session = SpeechSession("tts_1", input_characters=100, queue=2)
    for message in sent:
        before = (session.state, repr(session._speeches))
        try:
            commands = session.receive(json.dumps(message))
        except (PeerError, RefusedError) as error:
            assert isinstance(error, PeerError) or error.code is Code.RATE_LIMITED
            assert (session.state, repr(session._speeches)) == before
            continue
        for command in commands:
            carry_out(session, command)
        assert len(session._speeches) <= 3
        assert sum(not speech.complete for speech in session._speeches.values()) <= 1
        assert all(speech.characters <= 100 for speech in session._speeches.values())


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_any_frame(frame: str | bytes) -> None:
    session = SpeechSession("tts_1", input_characters=100, queue=2)
    with pytest.raises(PeerError) as caught:
        session.receive(frame)
    assert STATUS[caught.value.code].socket == "INVALID_MESSAGE"
    assert session.state is State.CREATED

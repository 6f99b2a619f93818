"""From what a caller asks for to a conversation that can begin."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Recorder
from tests.conversation.ears import LoudIsSpeech
from tests.inside import inside
from tests.serving import SCRIPTED
from tests.virtual import run
from voxgate.calls import CallRequest, EndIn, EndReason, ReplyWhole, TextIn, TurnRecord
from voxgate.conversation.turn_settings import TurnSettings
from voxgate.errors import Code, EngineError, PeerError
from voxgate.gateways.calling import Calls
from voxgate.ports import Vad
from voxgate.services.switchboard import Switchboard
from voxgate.testing.calls import FakeCaller

ANSWER = "This is the scripted answer. It is always the same."
VIETNAMESE = """
[routing.models]
interpreter = "interpreter"
[engines]
interpreter = {plugin = "scripted_llm", text = "Xin chào."}
scripted_stt = {languages = {en = "good", vi = "fair"}}
scripted_tts = {languages = ["en", "vi"]}
"""


class Observer:
    """`ports.CallObserver`."""

    def __init__(self) -> None:
        self.records: list[TurnRecord] = []

    def turn(self, record: TurnRecord) -> None:
        self.records.append(record)


def no_vad() -> Vad:
    raise EngineError("no voice detector runs", engine="vad", code=Code.ENGINE_UNAVAILABLE)


async def scripted(folder: Path, config: str = "") -> Switchboard:
    """The switchboard of a server with scripted engines; they outlive it, as they hold nothing."""
    async with inside(folder, SCRIPTED + config) as server:
        return server.server.room.switchboard


def calls(board: Switchboard, observer: Observer | None = None, **settings: object) -> Calls:
    return Calls(
        TurnSettings.model_validate(settings),
        switchboard=lambda: board,
        vad=LoudIsSpeech,
        turn=lambda: None,
        cores=2,
        metrics=Recorder(),
        observers=[observer] if observer else [],
    )


def talk(
    board: Switchboard, request: CallRequest, text: str, observer: Observer | None = None, **settings: object
) -> FakeCaller:
    """A call in which something is written."""

    async def hold() -> FakeCaller:
        caller = FakeCaller()
        conversation = calls(board, observer, **settings).converse(request, "alloy")
        running = asyncio.create_task(conversation.run(caller))
        caller.give(TextIn(text))
        await asyncio.sleep(20)
        caller.give(EndIn())
        assert await running is EndReason.CLIENT
        return caller

    return run(hold())


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Switchboard:
    return asyncio.run(scripted(tmp_path_factory.mktemp("calling"), VIETNAMESE))


def test_who_takes_part_is_found_and_the_call_is_observed(board: Switchboard) -> None:
    observer = Observer()
    caller = talk(board, CallRequest("c1"), "Hello?", observer)
    assert caller.of(ReplyWhole) == [ReplyWhole(1, ANSWER, interrupted=False, language="en")]
    assert np.abs(caller.audio(1)).max() > 0
    assert [(each.call, each.heard, each.spoken) for each in observer.records] == [("c1", "Hello?", ANSWER)]


@pytest.mark.parametrize(
    ("asked", "text", "language"),
    [
        (None, "Xin chào, bạn khoẻ không?", "vi"),
        (None, "How are you?", "en"),
        ("vietnamese", "How are you?", "vi"),
        ("auto", "Xin chào, bạn khoẻ không?", "vi"),
    ],
)
def test_replies_are_in_the_language_that_is_asked_for_or_spoken(
    board: Switchboard, asked: str | None, text: str, language: str
) -> None:
    caller = talk(board, CallRequest("c1", language=asked), text)
    assert [each.language for each in caller.of(ReplyWhole)] == [language]


def test_a_model_that_follows_no_instruction_is_translated(board: Switchboard) -> None:
    caller = talk(board, CallRequest("c1", language="vi"), "How are you?", translator="interpreter")
    assert caller.replies == ["Xin chào. Xin chào."]  # once for each clause


async def test_a_translator_that_is_no_model_is_named(board: Switchboard) -> None:
    with pytest.raises(PeerError, match="nobody"):
        calls(board, translator="nobody").converse(CallRequest("c1"), "alloy")


@pytest.mark.parametrize(
    ("voice", "language", "code"),
    [
        ("nobody", None, Code.UNSUPPORTED_VOICE),
        ("alloy", "klingon", Code.UNSUPPORTED_LANGUAGE),
        ("alloy", "amharic", Code.UNSUPPORTED_LANGUAGE),
    ],
)
async def test_what_does_not_go_together_is_refused(
    board: Switchboard, voice: str, language: str | None, code: Code
) -> None:
    with pytest.raises(PeerError) as refused:
        calls(board).converse(CallRequest("c1", language=language), voice)
    assert refused.value.code is code


async def test_without_a_detector_nobody_is_heard(board: Switchboard) -> None:
    deaf = Calls(TurnSettings(), switchboard=lambda: board, vad=no_vad, turn=lambda: None, cores=1, metrics=Recorder())
    with pytest.raises(EngineError, match="no voice detector"):
        deaf.converse(CallRequest("c1"), "alloy")

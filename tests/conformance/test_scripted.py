"""The suites over the scripted engines: fast, and the proof that an engine can pass them."""

import pytest

from voxgate.testing import scripted, scripted_turn
from voxgate.testing.conformance import Check, check_closing, live_stt, llm, stt, suite, tts, turn, vad


def named(check: object) -> str:
    return getattr(check, "__name__", str(check))


@pytest.mark.parametrize("check", [*suite(stt), *suite(live_stt), check_closing], ids=named)
async def test_stt(check: Check) -> None:
    await check(scripted.ScriptedSpeechToText("scripted", scripted.ScriptedSttSettings()))


@pytest.mark.parametrize("check", [*suite(tts), check_closing], ids=named)
async def test_tts(check: Check) -> None:
    await check(scripted.ScriptedTextToSpeech("scripted", scripted.ScriptedTtsSettings()))


@pytest.mark.parametrize("check", [*suite(llm), check_closing], ids=named)
async def test_llm(check: Check) -> None:
    await check(scripted.ScriptedLanguageModel("scripted", scripted.ScriptedLlmSettings()))


@pytest.mark.parametrize("check", [*suite(vad), check_closing], ids=named)
async def test_vad(check: Check) -> None:
    await check(scripted.ScriptedVad(scripted.ScriptedVadSettings()))


@pytest.mark.parametrize("check", [*suite(turn), check_closing], ids=named)
async def test_turn(check: Check) -> None:
    await check(scripted_turn.ScriptedTurnDetector("scripted", scripted_turn.ScriptedTurnSettings()))

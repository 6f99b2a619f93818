from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from voxgate.domain import Recognition, Transcript, Word
from voxgate.testing.conformance import Check, stt, suite
from voxgate.testing.scripted import ScriptedSpeechToText, ScriptedSttSettings

Wrong = Callable[[Recognition, Transcript], Any]


class Broken(ScriptedSpeechToText):
    """Answers what the script says, bent."""

    def __init__(self, wrong: Wrong, **attributes: Any) -> None:
        super().__init__("broken", ScriptedSttSettings())
        self._wrong = wrong
        vars(self).update(attributes)
        self.earlier: list[Recognition] = []

    async def recognize(self, request: Recognition) -> Any:
        self.earlier.append(request)
        return self._wrong(request, await super().recognize(request))


def fine(_: Recognition, heard: Transcript) -> Transcript:
    return heard


def scribble(request: Recognition, heard: Transcript) -> Transcript:
    request.audio[0] = 1  # numpy refuses where the caller forbade it
    return heard


def crash_on_nothing(request: Recognition, heard: Transcript) -> Transcript:
    return replace(heard, confidence=1 / request.audio.size)


def parrot_hints(request: Recognition, heard: Transcript) -> Transcript:
    return replace(heard, text=" ".join(("I", *request.hints)))


def words_past_the_end(request: Recognition, heard: Transcript) -> Transcript:
    return replace(heard, words=tuple(replace(word, end=request.audio.size + 1) for word in heard.words))


def words_out_of_order(_: Recognition, heard: Transcript) -> Transcript:
    return replace(heard, words=heard.words[::-1])


BROKEN: list[tuple[str, Wrong, dict[str, Any]]] = [
    ("check_attributes", fine, {"languages": {}}),
    ("check_attributes", fine, {"languages": {"en": "perfect"}}),
    ("check_attributes", fine, {"max_seconds": 0}),
    ("check_attributes", fine, {"max_seconds": float("inf")}),
    ("check_answer", lambda _, heard: replace(heard, text=heard.text + " "), {}),
    ("check_answer", lambda _, heard: replace(heard, language="vi"), {}),
    ("check_answer", lambda _, heard: replace(heard, words=(Word("x", 0, 1),)), {}),
    ("check_answer", lambda _, heard: replace(heard, confidence=1.5), {}),
    ("check_answer", lambda _, heard: heard.text, {}),
    ("check_words", lambda _, heard: replace(heard, words=()), {}),
    ("check_words", lambda _, heard: replace(heard, words=heard.words[1:]), {}),
    ("check_words", words_past_the_end, {}),
    ("check_words", words_out_of_order, {}),
    ("check_silence", lambda _, heard: replace(heard, text="Thank you for watching."), {}),
    ("check_very_short_audio", crash_on_nothing, {}),
    ("check_hints", parrot_hints, {}),
    ("check_audio_stays_the_callers", scribble, {}),
]


@pytest.mark.parametrize(("name", "wrong", "attributes"), BROKEN)
async def test_a_broken_engine_is_found_out(name: str, wrong: Wrong, attributes: dict[str, Any]) -> None:
    check: Check = getattr(stt, name)
    with pytest.raises((AssertionError, ValueError, ZeroDivisionError)):
        await check(Broken(wrong, **attributes))


async def test_speech_with_a_text_must_be_understood() -> None:
    sample = stt.Spoken(stt.SAMPLE.audio, "Completely different words")
    with pytest.raises(AssertionError, match="not one word"):
        await stt.check_answer(Broken(fine), sample)
    await stt.check_answer(Broken(fine), stt.Spoken(stt.SAMPLE.audio, "What the SCRIPT says!"))


async def test_an_engine_that_mixes_its_callers_is_found_out() -> None:
    engine = Broken(fine)
    engine._wrong = lambda _, heard: replace(heard, text=str(len(engine.earlier)))
    for check in (stt.check_many_at_once, stt.check_leaving):
        with pytest.raises(AssertionError):
            await check(engine)


def test_the_suite_is_in_the_order_of_its_file() -> None:
    names = [check.__name__ for check in suite(stt)]
    assert names[0] == "check_attributes"
    assert {name for name, _, _ in BROKEN} <= set(names)


async def test_an_object_without_the_ports_verb_is_found_out() -> None:
    nothing: Any = object()
    with pytest.raises(AssertionError):
        await stt.check_attributes(nothing)

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from voxgate.domain import Speech, Utterance, Voice
from voxgate.errors import EngineError
from voxgate.testing.conformance import Check, tts
from voxgate.testing.scripted import ScriptedTextToSpeech, ScriptedTtsSettings

Bend = Callable[[Utterance, list[Speech]], list[Speech]]
ALTO = Voice("alto", "broken", ("en",), "female")


class Broken(ScriptedTextToSpeech):
    """Says what the script says, bent."""

    def __init__(self, bend: Bend, **attributes: Any) -> None:
        super().__init__("broken", ScriptedTtsSettings())
        self._bend = bend
        self.opened = 0
        vars(self).update(attributes)

    @asynccontextmanager
    async def open(self, utterance: Utterance) -> AsyncIterator[AsyncIterator[Speech]]:
        self.opened += 1
        async with super().open(replace(utterance, voice="tone")) as pieces:
            spoken = [piece async for piece in pieces]

        async def bent() -> AsyncIterator[Speech]:
            for piece in self._bend(utterance, spoken):
                yield piece

        yield bent()


def each(change: Callable[[Speech], Speech]) -> Bend:
    return lambda _, spoken: [change(piece) for piece in spoken]


def fine(_: Utterance, spoken: list[Speech]) -> list[Speech]:
    return spoken


def changing_rate(_: Utterance, spoken: list[Speech]) -> list[Speech]:
    return [replace(piece, rate=24_000 + index) for index, piece in enumerate(spoken)]


def words_when_they_are_over(_: Utterance, spoken: list[Speech]) -> list[Speech]:
    words = [(), (), (), (), *(piece.words for piece in spoken)]  # 400 ms; a scripted word has 250
    return [replace(piece, words=late) for piece, late in zip(spoken, words, strict=False)]


def crash_on_nothing(utterance: Utterance, spoken: list[Speech]) -> list[Speech]:
    assert spoken, utterance
    return spoken


def refuse_markup(utterance: Utterance, spoken: list[Speech]) -> list[Speech]:
    if "<" in utterance.text:
        raise EngineError("no", engine="broken")
    return spoken


def same_for_every_speed(_: Utterance, spoken: list[Speech]) -> list[Speech]:
    return [Speech(np.full(48_000, 0.1, np.float32), 24_000)]


def silent_at_the_ends(utterance: Utterance, spoken: list[Speech]) -> list[Speech]:
    return spoken if 0.3 < utterance.speed < 3 else []


BROKEN: list[tuple[str, Bend, dict[str, Any]]] = [
    ("check_attributes", fine, {"voices": ()}),
    ("check_attributes", fine, {"voices": (ALTO, ALTO)}),
    ("check_attributes", fine, {"voices": (replace(ALTO, languages=()),)}),
    ("check_attributes", fine, {"voices": (replace(ALTO, gender="f"),)}),
    ("check_attributes", fine, {"voices": (replace(ALTO, quality="best"),)}),
    ("check_attributes", fine, {"voices": (replace(ALTO, engine=""),)}),
    ("check_speech", lambda _, __: [], {}),
    ("check_speech", lambda _, spoken: spoken[:1], {}),
    ("check_speech", changing_rate, {}),
    ("check_speech", each(lambda piece: replace(piece, samples=piece.samples * 3)), {}),
    ("check_speech", each(lambda piece: replace(piece, samples=piece.samples * 0)), {}),
    ("check_speech", each(lambda piece: replace(piece, samples=piece.samples[:0])), {}),
    ("check_speech", each(lambda piece: replace(piece, samples=piece.samples * np.float32("nan"))), {}),
    ("check_speech", each(lambda piece: replace(piece, samples=piece.samples.astype(np.float64))), {}),
    ("check_speech", each(lambda piece: replace(piece, rate=6_000)), {}),
    ("check_words", words_when_they_are_over, {}),
    ("check_words", each(lambda p: replace(p, words=tuple(replace(w, end=10**9) for w in p.words))), {}),
    ("check_speed", same_for_every_speed, {}),
    ("check_extreme_speeds", silent_at_the_ends, {}),
    ("check_nothing_to_say", crash_on_nothing, {}),
    ("check_any_text", refuse_markup, {}),
    ("check_every_voice", lambda u, spoken: spoken if u.voice == "tone" else [], {}),
    ("check_unknown_voice", fine, {}),
]


@pytest.mark.parametrize(("name", "bend", "attributes"), BROKEN)
async def test_a_broken_engine_is_found_out(name: str, bend: Bend, attributes: dict[str, Any]) -> None:
    check: Check = getattr(tts, name)
    with pytest.raises(AssertionError):
        await check(Broken(bend, **attributes))


@pytest.mark.parametrize("name", ["check_leaving", "check_cancelled_callers", "check_many_at_once"])
async def test_an_engine_that_remembers_its_callers_is_found_out(name: str) -> None:
    engine = Broken(fine)
    engine._bend = lambda _, spoken: spoken if engine.opened < 4 else []
    check: Check = getattr(tts, name)
    with pytest.raises(AssertionError):
        await check(engine)

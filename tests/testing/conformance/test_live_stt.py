import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from voxgate.domain import LiveRecognition, Partial, Partials, Samples, Transcript, Word
from voxgate.errors import MisuseError
from voxgate.ports import LiveUtterance
from voxgate.testing.conformance import Check, live_stt
from voxgate.testing.scripted import ScriptedSpeechToText, ScriptedSttSettings

Told = Callable[[Partial], None]


class Around:
    """A scripted utterance, to be bent in one place."""

    def __init__(self, inside: LiveUtterance, told: Told) -> None:
        self.inside, self.told = inside, told

    def feed(self, audio: Samples, silence: int) -> None:
        self.inside.feed(audio, silence)

    async def finish(self, length: int) -> Transcript:
        return await self.inside.finish(length)


class Mumbles(Around):
    async def finish(self, length: int) -> Transcript:
        return replace(await self.inside.finish(length), text="something else")


class TellsWords(Around):
    async def finish(self, length: int) -> Transcript:
        return replace(await self.inside.finish(length), words=(Word("x", 0, 1),))


class TellsAfterwards(Around):
    async def finish(self, length: int) -> Transcript:
        heard = await self.inside.finish(length)
        self.told(Partial("and another", length))
        return heard


class TellsWhenLeft(Around):
    async def finish(self, length: int) -> Transcript:
        heard = await self.inside.finish(length)
        asyncio.get_running_loop().call_later(0.01, self.told, Partial("and another", length))
        return heard


class TellsTheFuture(Around):
    def feed(self, audio: Samples, silence: int) -> None:
        super().feed(audio, silence)
        self.told(Partial("soon", 10**6))


class TellsNothing(Around):
    def feed(self, audio: Samples, silence: int) -> None:
        super().feed(audio, silence)
        self.told(Partial(" ", 1))


class GoesBack(Around):
    def feed(self, audio: Samples, silence: int) -> None:
        super().feed(audio, silence)
        self.told(Partial("back", 1))


class HearsAll(Around):
    fed = 0

    def feed(self, audio: Samples, silence: int) -> None:
        self.fed += len(audio)
        super().feed(audio, silence)

    async def finish(self, length: int) -> Transcript:
        return await self.inside.finish(self.fed)


class FinishesForever(Around):
    heard: Transcript | None = None

    async def finish(self, length: int) -> Transcript:
        self.heard = self.heard or await self.inside.finish(length)
        return self.heard


class TakesMore(Around):
    def feed(self, audio: Samples, silence: int) -> None:
        try:
            self.inside.feed(audio, silence)
        except MisuseError:
            return


class FinishesMore(Around):
    async def finish(self, length: int) -> Transcript:
        try:
            return await self.inside.finish(length)
        except MisuseError:
            return Transcript("", "en")


class Broken(ScriptedSpeechToText):
    """Hands out utterances that are bent, or is bent itself."""

    def __init__(self, bent: type[Around], *, always_partials: bool = False, forgets: bool = False) -> None:
        super().__init__("broken", ScriptedSttSettings())
        self._bent, self._always_partials, self._forgets = bent, always_partials, forgets
        self._left = 0

    @asynccontextmanager
    async def open(self, request: LiveRecognition, told: Told) -> AsyncIterator[LiveUtterance]:
        if self._always_partials:
            request = replace(request, partials=Partials.FAST)
        bent = Mumbles if self._forgets and self._left else self._bent
        try:
            async with super().open(request, told) as inside:
                yield bent(inside, told)
        finally:
            self._left += 1


BROKEN: list[tuple[str, type[Around], dict[str, Any]]] = [
    ("check_answer", Mumbles, {}),
    ("check_answer", TellsWords, {}),
    ("check_partials", TellsAfterwards, {}),
    ("check_partials", TellsWhenLeft, {}),
    ("check_partials", TellsTheFuture, {}),
    ("check_partials", TellsNothing, {}),
    ("check_partials", GoesBack, {}),
    ("check_without_partials", Around, {"always_partials": True}),
    ("check_part", HearsAll, {}),
    ("check_leaving", Around, {"forgets": True}),
    ("check_misuse", FinishesForever, {}),
    ("check_misuse", TakesMore, {}),
    ("check_misuse", FinishesMore, {}),
]


@pytest.mark.parametrize(("name", "bent", "options"), BROKEN)
async def test_a_broken_engine_is_found_out(name: str, bent: type[Around], options: dict[str, Any]) -> None:
    check: Check = getattr(live_stt, name)
    with pytest.raises(AssertionError):
        await check(Broken(bent, **options))


@pytest.mark.parametrize("name", sorted({name for name, _, _ in BROKEN}))
async def test_one_that_is_not_broken_is_left_in_peace(name: str) -> None:
    check: Check = getattr(live_stt, name)
    await check(Broken(Around))

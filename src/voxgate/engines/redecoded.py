"""Recognizers that hear whole utterances only, made to hear while one speaks. Nothing is known of their inside."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from voxgate.domain import Guess, Recognition, Samples, Transcript
from voxgate.engines.jobs import Priority
from voxgate.engines.redecoder import Ask, Decoding, Redecoder
from voxgate.engines.redecoding import CAUTIOUS, Reading
from voxgate.ports import LanguageIdentifier, LiveSpeechToText, Metrics, SpeechToText


class _Recognition:
    """A reading by an engine of whose inside nothing is known."""

    waits = False

    def __init__(self, stt: SpeechToText, ask: Ask, clock: Callable[[], float]) -> None:
        self._stt, self._ask, self._clock = stt, ask, clock

    def promote(self) -> None:
        """See Decoding: it is all the same to such an engine."""

    def withdraw(self) -> None:
        """See Decoding: whoever waits for the reading is the one who makes it."""

    async def reading(self) -> Reading:
        """See Decoding."""
        began = self._clock()
        heard = await self._stt.recognize(self._ask.request)
        return Reading(heard, self._clock() - began, doubted=heard.unclear)


class _Stranger:
    """Carries out Decoder with nothing but `recognize`."""

    cores = 1

    def __init__(self, stt: SpeechToText, clock: Callable[[], float]) -> None:
        self._stt, self._clock = stt, clock

    def begin(self, ask: Callable[[], Ask], priority: Priority) -> Decoding:
        """See Decoder."""
        return _Recognition(self._stt, ask(), self._clock)


class Redecoded:
    """`ports.Recognizer` made of an engine that carries out `SpeechToText` alone."""

    def __init__(self, stt: Any, name: str, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        """`stt`: an engine that has `aclose` besides the port's verb."""
        self._stt = stt
        self.languages: Mapping[str, str] = stt.languages
        self.max_seconds: float = stt.max_seconds
        self.open = Redecoder(
            _Stranger(stt, clock), CAUTIOUS, name=name, max_seconds=stt.max_seconds, metrics=metrics, clock=clock
        ).open

    async def recognize(self, request: Recognition) -> Transcript:
        """See the port."""
        heard: Transcript = await self._stt.recognize(request)
        return heard

    async def aclose(self) -> None:
        """Close the engine."""
        await self._stt.aclose()


class RedecodedTelling(Redecoded):
    """The same of an engine that tells languages apart too."""

    async def identify(self, audio: Samples, among: Sequence[str]) -> Sequence[Guess]:
        """See `ports.LanguageIdentifier`."""
        guesses: Sequence[Guess] = await self._stt.identify(audio, among)
        return guesses


def live(stt: Any, name: str, metrics: Metrics) -> Any:
    """The engine as it is, if it hears while one speaks; else wrapped in what does."""
    if isinstance(stt, LiveSpeechToText):
        return stt
    return (RedecodedTelling if isinstance(stt, LanguageIdentifier) else Redecoded)(stt, name, metrics)

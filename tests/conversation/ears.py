"""A voice detector and a recognizer that tell from the level of the audio, for tests of live sessions."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType

import numpy as np

from voxgate.domain import SPEECH_RATE, Guess, LiveRecognition, Partial, Recognition, Samples, Transcript, Word

W = 512


def voice(*levels: int, seconds: float = 1.0, pause: float = 1.0) -> Samples:
    """For each level that much speech, at level / 100, and a pause behind it."""
    pieces = [np.zeros(0, np.float32)]
    for level in levels:
        pieces += [
            np.full(int(seconds * SPEECH_RATE), level / 100, np.float32),
            np.zeros(int(pause * SPEECH_RATE), np.float32),
        ]
    return np.concatenate(pieces)


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * SPEECH_RATE), np.float32)


def levels(audio: Samples) -> str:
    """The levels that are spoken in it, in order: `20 31`; a level of 99 says nothing."""
    found = np.rint(np.abs(audio) * 100).astype(int)
    changes = found[np.flatnonzero(np.diff(found, prepend=-1))]
    spoken: list[int] = []
    for level in changes:
        if level and level != 99 and (not spoken or spoken[-1] != level):
            spoken.append(int(level))
    return " ".join(map(str, spoken))


class LoudIsSpeech:
    """`ports.Vad`: everything above a level is speech."""

    window = W

    def __init__(self) -> None:
        self.asked = 0

    def open(self) -> "LoudIsSpeech":
        return self

    def probability(self, window: Samples) -> float:
        assert window.shape == (W,)
        self.asked += 1
        return 0.9 if float(np.max(np.abs(window))) > 0.05 else 0.0


class Utterance:
    """`ports.LiveUtterance` that remembers everything."""

    def __init__(self, ears: "Ears", request: LiveRecognition, told: Callable[[Partial], None]) -> None:
        self.request, self.fed, self.silences = request, list[Samples](), list[tuple[int, int]]()
        self.length: int | None = None
        self.left = False
        self._ears, self._told = ears, told

    @property
    def audio(self) -> Samples:
        return np.concatenate([np.zeros(0, np.float32), *self.fed])

    def feed(self, audio: Samples, silence: int) -> None:
        assert self.length is None
        assert not self.left
        self.fed.append(audio.copy())
        size = sum(len(each) for each in self.fed)
        assert 0 <= silence <= size
        assert size <= self._ears.max_seconds * SPEECH_RATE
        self.silences.append((size, silence))
        if self._ears.partials and (text := self._ears.says(self.request.language, self.audio)):
            self._told(Partial(text, size))

    async def finish(self, length: int) -> Transcript:
        assert self.length is None
        self.length = length
        audio = self.audio
        assert 0 < length <= len(audio)
        ears, language = self._ears, self.request.language
        text = ears.says(language, audio[:length])
        await ears.wait(text)
        words = (Word(text, 3200, 6400, 0.5),) if self.request.words else ()
        return Transcript(text, language, words, 0.9, text in ears.unclear)


class Ears:
    """`ports.Recognizer`: what is said are the levels, in other languages than English after the tag."""

    languages: Mapping[str, str] = MappingProxyType({"en": "good", "vi": "fair", "ja": "fair"})

    def __init__(self, *, max_seconds: float = 30.0, partials: bool = True) -> None:
        self.max_seconds, self.partials = max_seconds, partials
        self.utterances: list[Utterance] = []
        self.unclear: set[str] = set()
        self.held: dict[str, asyncio.Event] = {}
        """Texts that are not final before their event is set."""
        self.failing: dict[str, Exception] = {}
        """Texts that fail."""
        self.active = 0

    def says(self, language: str, audio: Samples) -> str:
        text = levels(audio)
        return text if language == "en" or not text else f"{language} {text}"

    async def wait(self, text: str) -> None:
        await asyncio.sleep(0)
        if text in self.held:
            await self.held[text].wait()
        if text in self.failing:
            raise self.failing[text]

    async def recognize(self, request: Recognition) -> Transcript:
        raise NotImplementedError

    @asynccontextmanager
    async def open(self, request: LiveRecognition, told: Callable[[Partial], None]) -> AsyncIterator[Utterance]:
        utterance = Utterance(self, request, told)
        self.utterances.append(utterance)
        self.active += 1
        try:
            yield utterance
        finally:
            self.active -= 1
            utterance.left = True


class Tells:
    """`ports.LanguageIdentifier`: tells from the first level: {level: [(language, probability), ...]}, in turn."""

    def __init__(self, told: Mapping[str, Sequence[tuple[str, float] | Exception]]) -> None:
        self.told = {level: list(answers) for level, answers in told.items()}
        self.asked: list[tuple[str, int]] = []

    async def identify(self, audio: Samples, among: Sequence[str]) -> Sequence[Guess]:
        level = levels(audio).split(" ")[0]
        self.asked.append((level, len(audio)))
        await asyncio.sleep(0)
        answer = self.told[level].pop(0)
        if isinstance(answer, Exception):
            raise answer
        assert answer[0] in among
        return [Guess(*answer)]

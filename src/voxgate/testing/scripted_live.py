"""An utterance that a scripted recognizer hears while it is spoken."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import numpy as np

from voxgate.audio.utterance import prepare
from voxgate.domain import SPEECH_RATE, LiveRecognition, Partial, Partials, Recognition, Samples, Transcript
from voxgate.errors import MisuseError

SILENCE_RMS = 0.003
"""Below it (-50 dBFS) scripted ears hear nothing: pauses of the tone voice and of digital silence."""

SETTLES = SPEECH_RATE // 10
"""Samples of silence after which it is told what the final would be."""


def rms(audio: Samples) -> float:
    """Root mean square level; 0 of no audio."""
    return float(np.sqrt(np.mean(np.square(audio)))) if audio.size else 0.0


def sounds(audio: Samples) -> bool:
    """Whether there is anything to hear."""
    return rms(audio) >= SILENCE_RMS


class ScriptedUtterance:
    """`ports.LiveUtterance`: reveals a word after so much speech; the final is what the engine says of the audio.

    Partials cost nothing and are told inside `feed`; a settled one shows every word, as the final does.
    """

    def __init__(
        self,
        recognize: Callable[[Recognition], Awaitable[Transcript]],
        text: str,
        word_ms: float,
        request: LiveRecognition,
        told: Callable[[Partial], None],
    ) -> None:
        self._recognize, self._request, self._told = recognize, request, told
        self._words = text.split()
        self._word = word_ms * SPEECH_RATE / 1000
        self._audio: list[Samples] = []
        self._fed = 0
        self._sounds = False
        self._shown = 0
        self._settled = False
        self._finished = False

    def feed(self, audio: Samples, silence: int) -> None:
        """See the port. MisuseError after `finish`."""
        if self._finished:
            raise MisuseError("a scripted utterance was fed after it was finished")
        self._audio.append(audio)
        self._fed += len(audio)
        self._sounds = self._sounds or sounds(audio)
        if self._request.partials is Partials.OFF or not self._sounds:
            return
        if self._request.settled and silence >= SETTLES:
            if not self._settled:
                self._shown, self._settled = len(self._words), True
                self._told(Partial(" ".join(self._words), self._fed - silence, settled=True))
            return
        self._settled = False
        heard = min(int((self._fed - silence) // self._word), len(self._words))
        shown = heard - 1 if self._request.partials is Partials.CALM and silence == 0 else heard
        if shown > self._shown:
            self._shown = shown
            self._told(Partial(" ".join(self._words[:shown]), self._fed))

    async def finish(self, length: int) -> Transcript:
        """See the port. MisuseError the second time, and for more than was fed."""
        if self._finished or length > self._fed:
            raise MisuseError("a scripted utterance is finished once, within what was fed of it")
        self._finished = True
        prepared = prepare(np.concatenate([np.zeros(0, np.float32), *self._audio])[:length])
        request = self._request
        heard = await self._recognize(
            Recognition(prepared.audio, request.language, hints=request.hints, words=request.words)
        )
        words = tuple(
            replace(word, start=prepared.place(word.start), end=prepared.place(word.end)) for word in heard.words
        )
        return replace(heard, words=words)

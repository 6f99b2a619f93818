"""One stretch of speech to text, in the language it is in.

Where the client named a language, it is heard as that, and the recording is told to contradict once. Where it is left
open, utterances are told apart in their order until the language is settled; most are in the language of the one
before, so each is recognized in that one while its language is being told, and once more only where that was wrong.
"""

import asyncio
import unicodedata
from dataclasses import dataclass, replace

import numpy as np

from voxgate.audio.loudness import raise_quiet
from voxgate.conversation.segmenter import Segment
from voxgate.conversation.tongues import ENOUGH, Tongue, contradiction
from voxgate.domain import SPEECH_RATE, FileSegment, Guess, Recognition, Samples, Transcript
from voxgate.errors import EngineError, RefusedError
from voxgate.ports import LanguageIdentifier, SpeechToText

_SHORT = SPEECH_RATE
"""Segments shorter than a second are given silence around them: cut tight, Moonshine hears \"B.S.\" for \"yes\"."""
_ZEROS_BEFORE = SPEECH_RATE // 10
_ZEROS_BEHIND = SPEECH_RATE // 5


@dataclass(frozen=True, slots=True)
class TranscriptionRequest:
    """What is asked about the audio; hints and words are those of domain.Recognition."""

    language: str = "en"
    """BCP-47 tag: what is spoken; where that is not `given`, what is taken to be until something else is known."""
    hints: tuple[str, ...] = ()
    words: bool = False
    among: tuple[str, ...] = ()
    """The languages that are told apart, at least `language`; empty: nothing is."""
    given: bool = True
    """Whether the client named the language. It is then never overridden; `among` serves to find it contradicted."""
    correct: bool = True
    """Whether the text is corrected."""
    named: tuple[str, ...] = ()
    """The tags the client named, in full: `en-SG` is heard as `en`, and corrected as itself."""


class Listening:
    """What is known while one recording is heard."""

    def __init__(
        self,
        stt: SpeechToText,
        request: TranscriptionRequest,
        identifier: LanguageIdentifier | None = None,
        *,
        margin: int = 0,
    ) -> None:
        """`margin`: samples of each segment that are no speech, its lead and its tail."""
        self._stt = stt
        self._request = request
        self._identifier = identifier if len(request.among) > 1 else None
        recognizer: object = stt
        self._tells_itself = recognizer is identifier
        self._margin = margin
        self._tongue = Tongue((request.language,) if request.given else request.among, request.language)
        self._turn = asyncio.Lock()  # first come, first told: each utterance builds on the ones before
        self._confirmed = False
        self.mismatch: Guess | None = None
        """The language that is spoken instead of the one that was given, once that is sure."""

    async def hear(self, segment: Segment) -> FileSegment | None:
        """What `segment` says, its words where they are in the recording; None if it says nothing. Raises EngineError.

        Called for one segment after the other, it may work on several at once.
        """
        audio, padding = segment.audio, 0
        if len(audio) < _SHORT:
            audio, padding = np.pad(audio, (_ZEROS_BEFORE, _ZEROS_BEHIND)), _ZEROS_BEFORE
        audio = raise_quiet(audio)
        speech = len(segment.audio) - self._margin
        if self._request.given or self._identifier is None:
            heard = await self._recognize(audio, self._request.language)
            await self._doubt(heard, audio, speech)
        else:
            heard = await self._tell_and_recognize(audio, speech, self._identifier)
        return _placed(heard, segment, padding)

    async def _recognize(self, audio: Samples, language: str) -> Transcript:
        request = self._request
        return await self._stt.recognize(
            Recognition(audio, language=language, hints=request.hints, words=request.words)
        )

    async def _tell_and_recognize(self, audio: Samples, speech: int, identifier: LanguageIdentifier) -> Transcript:
        attempt: asyncio.Task[Transcript] | None = None
        try:
            async with self._turn:
                assumed = language = self._tongue.current
                if self._tongue.asks(speech):
                    telling = asyncio.ensure_future(identifier.identify(audio, self._request.among))
                    if self._tongue.known or not self._tells_itself:
                        # an engine that tells and hears would be kept busy by a wrong first assumption
                        attempt = asyncio.create_task(self._recognize(audio, assumed))
                    try:
                        language = self._tongue.take(await telling)
                    finally:
                        telling.cancel()
            if attempt is not None and language == assumed:
                return await attempt
        finally:
            if attempt is not None:  # what it heard, or why it failed, is nobody's business any more
                attempt.cancel()
                await asyncio.gather(attempt, return_exceptions=True)
        return await self._recognize(audio, language)

    async def _doubt(self, heard: Transcript, audio: Samples, speech: int) -> None:
        """Find out whether the given language is the one that is spoken, where that costs little or is in doubt.

        It costs little where the recognizer tells languages itself: 20 ms on the encoding it has just made.
        """
        settled = self._confirmed or self.mismatch is not None or not self._request.given
        doubtful = heard.unclear or not heard.text or self._tells_itself
        if self._identifier is None or settled or not doubtful or speech < ENOUGH:
            return
        try:
            guesses = await self._identifier.identify(audio, self._request.among)
        except (EngineError, RefusedError):
            return  # the text is there: it is not given up for want of a warning, which the next utterance may bring
        self.mismatch = self.mismatch or contradiction(self._request.language, guesses)
        self._confirmed = bool(guesses) and guesses[0].language == self._request.language


def _placed(heard: Transcript, segment: Segment, padding: int) -> FileSegment | None:
    text = unicodedata.normalize("NFC", heard.text.strip())
    if not text:
        return None
    words = tuple(
        replace(
            word,
            start=segment.start + _within(word.start - padding, segment),
            end=segment.start + _within(word.end - padding, segment),
        )
        for word in heard.words
    )
    return FileSegment(segment.start, segment.end, text, heard.language, words, heard.confidence, heard.unclear, text)


def _within(position: int, segment: Segment) -> int:
    return min(max(position, 0), len(segment.audio))

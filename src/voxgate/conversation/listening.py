"""One stretch of speech to text, in the language it is in.

Where the client named a language, it is heard as that, and the recording is told to contradict once. Where it is left
open, utterances are told apart in their order until the language is settled; most are in the language of the one
before, so each is recognized in that one while its language is being told, and once more only where that was wrong.
"""

import asyncio

from voxgate.audio.utterance import prepare
from voxgate.conversation.doubt import Doubt
from voxgate.conversation.finals import TranscriptionRequest, placed
from voxgate.conversation.segmenter import Segment
from voxgate.conversation.tongues import Tongue
from voxgate.domain import FileSegment, Guess, Recognition, Samples, Transcript
from voxgate.ports import LanguageIdentifier, SpeechToText


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
        self._doubt = Doubt(request, self._identifier, tells_itself=self._tells_itself)

    @property
    def mismatch(self) -> Guess | None:
        """The language that is spoken instead of the one that was given, once that is sure."""
        return self._doubt.mismatch

    async def hear(self, segment: Segment) -> FileSegment | None:
        """What `segment` says, its words where they are in the recording; None if it says nothing. Raises EngineError.

        Called for one segment after the other, it may work on several at once.
        """
        prepared = prepare(segment.audio)
        audio = prepared.audio
        speech = len(segment.audio) - self._margin
        if self._request.given or self._identifier is None:
            heard = await self._recognize(audio, self._request.language)
            await self._doubt.weigh(heard, audio, speech)
        else:
            heard = await self._tell_and_recognize(audio, speech, self._identifier)
        return placed(heard, segment.start, segment.end, prepared.before)

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

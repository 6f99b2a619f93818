"""One piece of live speech to text, while it is spoken, in the language it is in.

Each piece is heard in the language of the session so far. Where that is open, it is told as soon as there is enough of
the piece (tongues.ENOUGH); if it turns out to be another, the piece is heard in that one from its beginning.
"""

import asyncio
from collections.abc import Callable
from functools import partial

import numpy as np

from voxgate.audio.loudness import raise_quiet
from voxgate.conversation.doubt import Doubt
from voxgate.conversation.finals import TranscriptionRequest
from voxgate.conversation.live_telling import Said
from voxgate.conversation.tongues import SURE, Tongue
from voxgate.domain import Guess, LiveRecognition, Partial, Partials, Samples, Transcript
from voxgate.errors import RefusedError
from voxgate.ports import LanguageIdentifier, Recognizer


class Piece:
    """Audio that one recognition is about, as it comes in. Written by the session, read by one task."""

    def __init__(self, start: int, shown: Callable[[], None]) -> None:
        """`start`: its first sample, since the session began. `shown`: called after each partial."""
        self.said = Said(start, until=start)
        """What is known of its text; complete once `hear` returns."""
        self.silence = 0
        """Samples at the end of what came in that hold no speech."""
        self.size = 0
        """Samples that came in."""
        self.changed = asyncio.Event()
        """Set when more came in, when it was cut, and when its language is known."""
        self.asking: asyncio.Task[None] | None = None
        """Asking for its language, while somebody still speaks."""
        self.told: str | None = None
        """Its language as it was told, unless nobody has been asked."""
        self.sure = False
        """Whether that was beyond doubt."""
        self._shown = shown
        self._blocks: list[Samples] = []

    @property
    def length(self) -> int | None:
        """Samples it holds, once it was cut; no more than came in."""
        return None if self.said.end is None else self.said.end - self.said.start

    def feed(self, audio: Samples, silence: int) -> None:
        """More of it; see live_segments.More."""
        self._blocks.append(audio)
        self.size += len(audio)
        self.silence = silence
        self.changed.set()

    def cut(self, end: int) -> None:
        """It is complete, and ends here."""
        self.said.end = end
        self.changed.set()

    def audio(self, first: int = 0, length: int | None = None) -> Samples:
        """Its samples from the `first` on, `length` of them or all that came in."""
        end = self.size if length is None else first + length
        parts: list[Samples] = []
        at = self.size
        for block in reversed(self._blocks):  # mostly the newest are wanted
            at -= len(block)
            if at < end and at + len(block) > first:
                parts.append(block[max(0, first - at) : end - at])
            if at <= first:
                break
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts[::-1]) if parts else np.zeros(0, np.float32)

    def show(self, language: str, partial: Partial) -> None:
        """What it says so far."""
        said = self.said
        said.text, said.until, said.language = partial.text, said.start + partial.end, language
        said.settled = partial.settled
        said.pauses += partial.settled
        self._shown()

    def take(self, heard: Transcript) -> None:
        """What it says."""
        self.said.heard, self.said.language = heard, heard.language


class LiveListening:
    """What is known while one session is heard."""

    def __init__(
        self,
        stt: Recognizer,
        request: TranscriptionRequest,
        partials: Partials,
        identifier: LanguageIdentifier | None = None,
        *,
        margin: int = 0,
        settled: bool = False,
    ) -> None:
        """`margin`: samples of each piece that are no speech, its lead and its tail. `settled`: see LiveRecognition."""
        self._stt = stt
        self._request = request
        self._partials = partials
        self._settled = settled
        told_apart = len(request.among) > 1
        recognizer: object = stt
        self._doubt = Doubt(request, identifier if told_apart else None, tells_itself=recognizer is identifier)
        self._identifier = identifier if told_apart and not request.given else None
        self._margin = margin
        self._tongue = Tongue((request.language,) if request.given else request.among, request.language)
        self._turn = asyncio.Lock()  # first come, first told: each piece builds on the ones before

    @property
    def language(self) -> str:
        """The tag that speech is taken for which says nothing of itself."""
        return self._tongue.current if self._identifier is not None else self._request.language

    async def hear(self, piece: Piece) -> None:
        """Partials while it comes in, and its final when it is complete. Raises EngineError, RefusedError."""
        try:
            while piece.said.heard is None:
                await self._hear_in(piece.told or self.language, piece)
        finally:
            if piece.asking is not None:
                piece.asking.cancel()
                await asyncio.gather(piece.asking, return_exceptions=True)

    async def contradiction(self, piece: Piece) -> Guess | None:
        """The language that is spoken instead of the one that was given: once a session, if ever."""
        heard, length = piece.said.heard, piece.length
        if heard is None or length is None or not self._doubt.is_due(heard, length - self._margin):
            return None
        return await self._doubt.weigh(heard, piece.audio(0, length), length - self._margin)

    async def _hear_in(self, language: str, piece: Piece) -> None:
        """Hear it in this language, or return without a final where it turns out to be another."""
        request = self._request
        wanted = LiveRecognition(language, request.hints, request.words, self._partials, self._settled)
        async with self._stt.open(wanted, partial(piece.show, language)) as utterance:
            fed = 0
            while True:
                piece.changed.clear()
                if piece.size > fed:
                    utterance.feed(piece.audio(fed), piece.silence)
                    fed = piece.size
                length = piece.length
                if self._identifier is not None:
                    await self._tell(piece, self._identifier)
                    if (piece.told or self.language) != language:
                        return
                if length is not None:
                    piece.take(await utterance.finish(length))
                    return
                await piece.changed.wait()

    async def _tell(self, piece: Piece, identifier: LanguageIdentifier) -> None:
        """See to it that its language is being asked for once it can be told, and is known once it is complete."""
        length = piece.length
        if length is None:
            speech = piece.size - piece.silence - self._margin
            if piece.asking is None and self._tongue.asks(speech):
                piece.asking = asyncio.create_task(self._ask_early(piece, identifier, piece.audio(), speech))
                piece.asking.add_done_callback(lambda _: piece.changed.set())
            elif piece.asking is not None and piece.asking.done():
                piece.asking.result()  # raises what asking raised
            return
        if piece.asking is not None:
            await piece.asking
        if not piece.sure:  # with all of it, it may be: 81 to 89 of 100 are right after 2 s, 91 to 98 after 5 s
            await self._ask(piece, identifier, piece.audio(0, length), length - self._margin)
        if piece.told is None:
            piece.told = self.language

    async def _ask_early(self, piece: Piece, identifier: LanguageIdentifier, audio: Samples, speech: int) -> None:
        try:
            await self._ask(piece, identifier, audio, speech)
        except RefusedError:
            return  # at capacity just now: it is asked again when the piece is complete

    async def _ask(self, piece: Piece, identifier: LanguageIdentifier, audio: Samples, speech: int) -> None:
        async with self._turn:
            if self._tongue.asks(speech):
                guesses = await identifier.identify(raise_quiet(audio), self._request.among)
                piece.told = self._tongue.take(guesses)
                piece.sure = bool(guesses) and guesses[0].probability > SURE

"""Audio of any length to text: hear where somebody speaks, recognize each stretch, give them back in order.

Memory does not grow with the length of the audio: at most `look_ahead` + 1 segments are held, and a source that is
pulled (a file) is read no faster than it is recognized.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from voxgate.conversation.detector import INLINE_WINDOWS, Detector, Judged
from voxgate.conversation.finals import TranscriptionRequest, Wording
from voxgate.conversation.listening import Listening
from voxgate.conversation.segmenter import Segment, Segmenter, SegmentSettings
from voxgate.domain import SPEECH_RATE, FileSegment, FileTranscript, Guess, Samples
from voxgate.ports import LanguageIdentifier, SpeechToText, Vad
from voxgate.text.correct import Corrected, joined

__all__ = ["Transcriber", "Transcription", "TranscriptionRequest"]


class Transcriber:
    """A voice detector and a recognizer, put together."""

    def __init__(
        self,
        vad: Vad,
        stt: SpeechToText,
        *,
        identifier: LanguageIdentifier | None = None,
        look_ahead: int = 1,
        settings: SegmentSettings | None = None,
    ) -> None:
        """`look_ahead`: segments recognized at once, as many as the recognizer has cores.

        `identifier`: who tells languages apart where a request leaves them open; maybe `stt` itself.
        """
        self._vad = vad
        self._stt = stt
        self._identifier = identifier
        self._look_ahead = max(1, look_ahead)
        self._settings = settings or SegmentSettings()

    @asynccontextmanager
    async def open(
        self, blocks: AsyncIterator[Samples], request: TranscriptionRequest
    ) -> AsyncIterator["Transcription"]:
        """The segments of `blocks` (mono at SPEECH_RATE, of any size) as they are recognized, in order.

        Leaving the block cancels what is still being recognized. What `blocks` and the engine raise comes out of the
        iteration.
        """
        segmenter = Segmenter(self._settings, max_seconds=self._stt.max_seconds)
        endpoint = self._settings.endpoint
        margin = (endpoint.lead_ms + endpoint.tail_ms) * SPEECH_RATE // 1000
        listening = Listening(self._stt, request, self._identifier, margin=margin)
        run = Transcription(blocks, _Hearing(self._vad, segmenter), listening, request, self._look_ahead)
        try:
            yield run
        finally:
            await run.cancel()

    async def transcribe(self, blocks: AsyncIterator[Samples], request: TranscriptionRequest) -> FileTranscript:
        """The whole recording. Raises EngineError, and what `blocks` raises."""
        async with self.open(blocks, request) as run:
            return await run.whole()


class Transcription:
    """One recording on its way: iterate over its segments."""

    def __init__(
        self,
        blocks: AsyncIterator[Samples],
        hearing: "_Hearing",
        listening: Listening,
        request: TranscriptionRequest,
        look_ahead: int,
    ) -> None:
        self._blocks = blocks
        self._hearing = hearing
        self._listening = listening
        self._request = request
        self._look_ahead = look_ahead
        self._waiting: deque[Segment] = deque()
        self._working: deque[asyncio.Task[FileSegment | None]] = deque()
        self._ended = False
        self._wording = Wording(request)
        self._found: list[FileSegment] = []

    @property
    def duration(self) -> int:
        """Samples read so far; those of the whole recording once the iteration is over."""
        return self._hearing.duration

    @property
    def mismatch(self) -> Guess | None:
        """The language that is spoken instead of the one the client named, as far as that is known by now."""
        return self._listening.mismatch

    def __aiter__(self) -> "Transcription":
        return self

    async def __anext__(self) -> FileSegment:
        while True:
            running = self._start()
            if self._working and self._working[0].done():
                found = self._working.popleft().result()
                if found is not None:
                    self._found.append(self._wording.put(found))
                    return self._found[-1]
            elif not (self._waiting or self._ended):
                await self._hear()
            elif running:
                await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            else:
                raise StopAsyncIteration

    async def whole(self) -> FileTranscript:
        """All of it, once what is left to iterate over has been recognized."""
        async for _ in self:
            pass
        segments = tuple(self._found)
        whole = joined([(each.glue, Corrected(each.raw, each.text, each.corrections)) for each in segments])
        return FileTranscript(
            whole.text, segments, self._mostly(), self.duration, self.mismatch, whole.raw, whole.corrections
        )

    def _mostly(self) -> str:
        """The language of most of the speech."""
        spoken: dict[str, int] = {}
        for segment in self._found:
            spoken[segment.language] = spoken.get(segment.language, 0) + segment.end - segment.start
        return max(spoken, key=spoken.__getitem__, default=self._request.language)

    async def cancel(self) -> None:
        """Stop what is still being recognized, and wait until it has."""
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)
        self._working.clear()

    def _start(self) -> list[asyncio.Task[FileSegment | None]]:
        """Put waiting segments to work while there is room; all tasks that are not done."""
        running = [task for task in self._working if not task.done()]
        while self._waiting and len(running) < self._look_ahead:
            task = asyncio.create_task(self._listening.hear(self._waiting.popleft()))
            self._working.append(task)
            running.append(task)
        return running

    async def _hear(self) -> None:
        try:
            block = await anext(self._blocks)
        except StopAsyncIteration:
            self._ended = True
            self._waiting += self._hearing.flush()
        else:
            self._waiting += await self._hearing.feed(block)


class _Hearing:
    """Blocks in, segments of speech out."""

    def __init__(self, vad: Vad, segmenter: Segmenter) -> None:
        self._detector = Detector(vad)
        self._segmenter = segmenter
        self.duration = 0

    async def feed(self, block: Samples) -> list[Segment]:
        """The segments that `block` completes."""
        self.duration += len(block)
        windows = self._detector.windows(block)
        if len(windows) <= INLINE_WINDOWS:
            return self._cut(self._detector.judge(windows))
        return self._cut(await asyncio.to_thread(self._detector.judge, windows))

    def flush(self) -> list[Segment]:
        """The audio has ended."""
        return self._cut(self._detector.flush()) + self._segmenter.flush()

    def _cut(self, judged: list[Judged]) -> list[Segment]:
        return [segment for window, probability in judged for segment in self._segmenter.feed(window, probability)]

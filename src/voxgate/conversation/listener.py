"""What a call hears: the caller's audio, window by window, through the detector and the recognizer.

Over live.py, whose segments end by commits alone here: what was said between two commits is one turn, or was none.
Speech edges are found by an endpointer of its own, which closes as soon as a pause is worth asking about. An engine
that fails loses the open segment, and is asked anew about what comes next.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Protocol

import numpy as np

from voxgate.audio.framing import Windows
from voxgate.conversation.detector import Judged
from voxgate.conversation.endpoint import Edge, Endpointer, EndpointSettings, SpeechStarted
from voxgate.conversation.finals import TranscriptionRequest
from voxgate.conversation.live import LiveTranscriber, LiveTranscription, LiveWanted, Timers
from voxgate.domain import SPEECH_RATE, FileSegment, FinalHeard, LiveEvent, PartialHeard, Samples
from voxgate.errors import VoxgateError
from voxgate.ports import LanguageIdentifier, Recognizer, Vad, VadStream

_FULL_SCALE = 32_768.0
_HELD = 0.5
"""A window up to 6 dB softer than the gate does not begin speech, but may go on with it: words end softly."""
_KEPT_S = 8
"""Seconds of a turn that a turn detector hears (ports.TurnDetector)."""
_LEAD_WINDOWS = 8
"""Windows kept while nobody has the floor, a quarter of a second: a turn begins before it is known."""
_AT_ONCE = 32
"""Windows in a row before anybody else has a turn on the event loop: a second of audio, 3 ms here."""
_MOST_WAITING_S = 30
"""Seconds of audio that may wait for an engine before `feed` waits."""


class LoudnessGate:
    """`ports.Vad`: what is softer than a level is no speech, whatever the detector says."""

    def __init__(self, vad: Vad, level: int, settings: EndpointSettings) -> None:
        """`level`: RMS on the 16-bit scale; `settings`: what the probabilities will be held against."""
        self.window = vad.window
        self._vad = vad
        self._power = (level / _FULL_SCALE) ** 2
        self._undecided = (settings.threshold + settings.released_below) / 2

    def open(self) -> VadStream:
        """See the port."""
        return _Gated(self._vad.open(), self._power, self._undecided)


class _Gated:
    def __init__(self, stream: VadStream, power: float, undecided: float) -> None:
        self._stream, self._power, self._undecided = stream, power, undecided

    def probability(self, window: Samples) -> float:
        probability = self._stream.probability(window)  # asked in any case: it remembers what it hears
        power = float(np.dot(window, window)) / len(window)
        if power >= self._power:
            return probability
        return min(probability, self._undecided) if power >= self._power * _HELD**2 else 0.0


class Hearer(Protocol):
    """Who is told what is heard; called on the event loop, in order."""

    def edge(self, started: bool, at: int, pause: int) -> None:
        """Speech began, or paused. `at`: samples since the call began; `pause`: before speech that began."""
        ...

    def window(self, speech: bool, samples: int) -> None:
        """One window, after the edges it made known."""
        ...

    def partial(self, text: str, language: str, *, settled: bool) -> None:
        """What the open segment says so far."""
        ...

    def final(self, turn: int | None, heard: FileSegment) -> None:
        """What the segment says that was finished for `turn`."""
        ...

    def deafened(self, error: VoxgateError) -> None:
        """An engine failed: what it was hearing is lost."""
        ...


class Listener:
    """The ears of one call. Positions are samples at SPEECH_RATE since it began."""

    def __init__(
        self,
        vad: Vad,
        stt: Recognizer,
        request: TranscriptionRequest,
        told: Hearer,
        *,
        identifier: LanguageIdentifier | None = None,
        endpoint: EndpointSettings,
        loudness_gate: int = 0,
        timers: Timers,
        keeps_audio: bool = False,
    ) -> None:
        """`endpoint`: when speech begins and pauses. `keeps_audio`: whether `recent` will be asked for."""
        gated = LoudnessGate(vad, loudness_gate, endpoint) if loudness_gate else vad
        self._transcriber = LiveTranscriber(gated, stt, identifier=identifier, timers=timers)
        self._wanted = LiveWanted(request, endpoint=None, speech_events=False, settled=True)
        self._told = told
        self._endpointer = Endpointer(endpoint)
        self._windows = Windows(vad.window)
        self._waiting: deque[Samples] = deque()
        self._most = _MOST_WAITING_S * SPEECH_RATE // vad.window
        self._finishing: deque[int | None] = deque()  # segments to be finished as soon as possible: for which turn
        self._awaited: deque[int | None] = deque()  # segments whose final is under way
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._recent: deque[Samples] = deque(maxlen=_KEPT_S * SPEECH_RATE // vad.window)
        self._keeps = keeps_audio
        self._in_turn = False
        self._judging = False
        self.received = 0
        """Samples that were handed over, judged or not."""

    @property
    def position(self) -> int:
        """Samples that were judged."""
        return self._endpointer.position

    @property
    def voiced_until(self) -> int:
        """End of the last window that held speech; 0 before anybody has spoken."""
        return self._endpointer.voiced_until

    @property
    def pause(self) -> int:
        """Samples since then."""
        return self._endpointer.position - self._endpointer.voiced_until

    @property
    def speaking(self) -> bool:
        """Whether speech has begun and not paused."""
        return self._endpointer.is_open

    @property
    def busy(self) -> bool:
        """Whether there is audio that nobody has judged yet."""
        return self._judging or bool(self._waiting)

    def recent(self) -> Samples:
        """The turn so far with the pause behind it, its last 8 s at most."""
        return np.concatenate([np.zeros(0, np.float32), *self._recent])

    def begin(self) -> None:
        """A turn is open: its audio is kept."""
        self._in_turn = self._keeps

    def finish(self, turn: int | None) -> None:
        """The open segment ends here; `Hearer.final` answers, with its number. None: nobody wants to know."""
        self._in_turn = False
        self._finishing.append(turn)
        self._news.set()

    def end_speech(self) -> None:
        """Nothing more comes of what is being said: the recording is over, or has stalled."""
        self._windows.flush()
        self._tell_edges(self._endpointer.end_now())

    def forget(self) -> None:
        """What was to be finished is lost with the engine that failed."""
        self._finishing.clear()

    async def feed(self, audio: Samples) -> None:
        """More audio, any number of samples. Waits only where an engine is half a minute behind."""
        self.received += len(audio)
        self._waiting += self._windows.feed(audio)
        self._news.set()
        while len(self._waiting) > self._most:
            self._room.clear()
            await self._room.wait()

    async def caught_up(self) -> None:
        """Returns when everything that was handed over is judged."""
        while self._judging or self._waiting:
            self._room.clear()
            await self._room.wait()

    async def run(self) -> None:
        """Hear, until cancelled."""
        while True:
            try:
                async with self._transcriber.open(self._wanted, self._heard, judged=self._judged) as session:
                    await self._hear(session)
            except VoxgateError as error:
                self._finishing.clear()
                self._awaited.clear()
                self._told.deafened(error)
                self.end_speech()  # what is said from here on is a turn of its own

    async def _hear(self, session: LiveTranscription) -> None:
        failure = asyncio.ensure_future(session.failure())
        failure.add_done_callback(lambda _: self._news.set())
        try:
            in_a_row = 0
            while True:
                if failure.done():
                    failure.result()
                while self._finishing:
                    self._awaited.append(self._finishing.popleft())
                    await session.commit()
                if not self._waiting:
                    self._news.clear()
                    await self._news.wait()
                    in_a_row = 0
                    continue
                self._judging = True
                try:
                    await session.feed(self._waiting.popleft())
                finally:
                    self._judging = False
                    self._room.set()
                in_a_row += 1
                if in_a_row % _AT_ONCE == 0:
                    await asyncio.sleep(0)
        finally:
            failure.cancel()
            await asyncio.gather(failure, return_exceptions=True)

    def _judged(self, judged: Judged) -> None:
        window, probability = judged
        if self._keeps:
            self._recent.append(window)
            while not self._in_turn and len(self._recent) > _LEAD_WINDOWS:
                self._recent.popleft()
        pause = self.pause
        self._tell_edges(self._endpointer.feed(probability, len(window)), pause)
        self._told.window(self._endpointer.voiced_until == self._endpointer.position, len(window))

    def _tell_edges(self, edges: Iterable[Edge], pause: int = 0) -> None:
        for edge in edges:
            self._told.edge(isinstance(edge, SpeechStarted), edge.at, pause)

    def _heard(self, event: LiveEvent) -> None:
        match event:
            case PartialHeard(text=text, language=language, settled=settled):
                if not self._awaited:  # else it is about a segment that is finished
                    self._told.partial(text, language, settled=settled)
            case FinalHeard(heard=heard):
                self._told.final(self._awaited.popleft(), heard)

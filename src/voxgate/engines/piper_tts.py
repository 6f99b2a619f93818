"""Natural voices by Piper (VITS), streamed without a seam. Phonemes come from espeak-ng, in a process of its own.

docs/decisions/0003-streaming-piper.md tells how the voice was cut and what it gains.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import Field

from voxgate.config import Settings
from voxgate.domain import Speech, Utterance, Voice, Word
from voxgate.engines.espeak_process import REQUIRES, start_espeak
from voxgate.engines.espeak_tts import unknown_voice
from voxgate.engines.espeak_worker import Phonemize
from voxgate.engines.piper_text import Pronounced, clauses
from voxgate.engines.piper_worker import Piece, Spoken
from voxgate.engines.pool import Pool, WorkerSpec
from voxgate.engines.voice_stream import speaking
from voxgate.ports import EngineContext, EnginePlugin, Metrics

log = structlog.get_logger(__name__)

RATE = 22_050
"""Samples per second of Piper's medium and high voices, the only ones taken."""
_HEAPS = "2"  # glibc gives every thread a heap of its own, each as large as the largest piece: 980 MB instead of 330
_THREADS_A_CORE = 8  # speeches under way; piper_turns decides who computes


class PiperVoice(Settings):
    """One Piper model and the voices made of it."""

    model: str
    """Catalogue name."""
    language: str
    """BCP-47 tag of what it speaks."""
    espeak: str
    """The espeak-ng voice whose phonemes it was trained on (`espeak.voice` of its description)."""
    gender: str
    """`female`, `male` or `neutral`."""
    licence: str
    """As it is shown to users."""
    commercial: bool
    """False where the licence is unclear for commercial use."""
    pitches: tuple[int, ...] = ()
    """Further voices by shifting pitch and formants, in percent: 115 makes `NAME+115`. Above 130 it sounds small."""


_JOE = PiperVoice(
    model="piper-en_US-joe-medium",
    language="en",
    espeak="en-us",
    gender="male",
    licence="data CC0; finetuned from lessac, whose corpus restricts commercial synthesis: unclear for commercial use",
    commercial=False,
    pitches=(115, 130),
)


class PiperSettings(Settings):
    """`[engines.piper]`."""

    voices: dict[str, PiperVoice] = Field(default_factory=lambda: {"joe": _JOE}, min_length=1)
    """Name of the voice -> where it comes from."""


@dataclass(frozen=True, slots=True)
class _Source:
    """What a voice id stands for."""

    base: str
    espeak: str
    pitch: float


class PiperTts:
    """Says text with Piper voices. Port: TextToSpeech."""

    def __init__(self, name: str, settings: PiperSettings, phonemes: Pool, speech: Pool, metrics: Metrics) -> None:
        self.name = name
        self._phonemes = phonemes
        self._speech = speech
        self._metrics = metrics
        self._sources: dict[str, _Source] = {}
        voices: list[Voice] = []
        for base, voice in settings.voices.items():
            for pitch in (100, *voice.pitches):
                key = base if pitch == 100 else f"{base}+{pitch}"
                self._sources[key] = _Source(base, voice.espeak, pitch / 100)
                voices.append(Voice(key, name, (voice.language,), voice.gender, voice.licence, voice.commercial))
        self.voices: Sequence[Voice] = tuple(voices)

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids: the speaking one, then the one that knows phonemes."""
        return self._speech.pids + self._phonemes.pids

    def open(self, utterance: Utterance) -> AbstractAsyncContextManager[AsyncIterator[Speech]]:
        """See ports.TextToSpeech. Raises PeerError `unsupported_voice`."""
        source = self._sources.get(utterance.voice)
        if source is None:
            raise unknown_voice(utterance.voice, self.name)

        async def speak(piece: str, ahead_s: float) -> AsyncGenerator[Speech, None]:
            said = await self._pronounce(piece, source.espeak)
            if not said:
                return
            request = Piece(source.base, said, utterance.speed, source.pitch, ahead_s)
            async with self._speech.open(request) as results:
                async for spoken in results:
                    yield self._speech_of(spoken)

        return speaking(utterance, RATE, speak)

    async def aclose(self) -> None:
        await self._speech.aclose()
        await self._phonemes.aclose()

    async def _pronounce(self, piece: str, espeak: str) -> tuple[Pronounced, ...]:
        """The piece's clauses with their phonemes, and each word's own; those without any left out."""
        parts = clauses(piece)
        texts = tuple(text for part in parts for text in (part.text, *part.words))
        answers = iter(await self._phonemes.call(Phonemize(texts, espeak)))
        said = [
            Pronounced(next(answers), part.mark, tuple((word, next(answers)) for word in part.words)) for part in parts
        ]
        return tuple(clause for clause in said if clause.ipa)

    def _speech_of(self, spoken: Spoken) -> Speech:
        if spoken.dropped:
            self._metrics.count("dropped_phonemes", engine=self.name)
            log.info("phonemes without a symbol were left out", engine=self.name, count=spoken.dropped)
        return Speech(spoken.samples, RATE, tuple(Word(*word) for word in spoken.words))


async def create(context: EngineContext, settings: PiperSettings) -> PiperTts:
    """Start both processes and load the voices. Raises EngineError."""
    phonemes = await start_espeak(context.name, context.metrics)
    folders = {name: str(Path(context.folders[voice.model])) for name, voice in settings.voices.items()}
    speech = Pool(
        WorkerSpec(
            name=context.name,
            factory="voxgate.engines.piper_worker:create",
            arguments={"folders": folders, "cores": context.cores},
            threads=_THREADS_A_CORE * context.cores,
            environment={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": _HEAPS},
        ),
        context.metrics,
    )
    try:
        await speech.start()
    except BaseException:
        await phonemes.aclose()
        raise
    return PiperTts(context.name, settings, phonemes, speech, context.metrics)


PLUGIN = EnginePlugin(
    port="tts",
    settings=PiperSettings,
    create=create,
    models=lambda settings: tuple(dict.fromkeys(voice.model for voice in settings.voices.values())),
    requires=(REQUIRES,),
)
"""The entry point `piper`."""

"""Natural voices in eight languages by Kokoro 82M, an optional model: one core speaks to one listener.

docs/decisions/0007-kokoro.md tells how the model was cut, what that gains and what it costs.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.util import find_spec

import numpy as np
import structlog
from pydantic import Field

from voxgate.config import Settings
from voxgate.domain import Speech, Utterance, Voice, Word
from voxgate.engines.espeak_process import REQUIRES, start_espeak
from voxgate.engines.espeak_tts import unknown_voice
from voxgate.engines.espeak_worker import Phonemize
from voxgate.engines.kokoro_cache import Replay, SpeechCache
from voxgate.engines.kokoro_phrases import Phrasing
from voxgate.engines.kokoro_seats import Seats
from voxgate.engines.kokoro_voices import TONGUES, VOICES, Tongue
from voxgate.engines.kokoro_worker import RATE, Phrase, Read, Spoken
from voxgate.engines.piper_text import Clause, Pronounced, clauses
from voxgate.engines.pool import Pool, WorkerSpec
from voxgate.engines.voice_stream import speaking
from voxgate.errors import Code, EngineError
from voxgate.ports import EngineContext, EnginePlugin, Metrics
from voxgate.text.pauses import end_mark, pause_ms

log = structlog.get_logger(__name__)

LICENCE = "Apache-2.0"
_SAMPLE_BYTES = 4
# glibc gives big blocks back to the kernel and fetches them again, zeroed, ten thousand pages a run; told not to, a run
# takes 3 to 25 % less processor time (alone, beside others; measured 2026-11). Every thread having a heap is dear, too.
_MALLOC = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "67108864", "MALLOC_TRIM_THRESHOLD_": "268435456"}


class KokoroSettings(Settings):
    """`[engines.kokoro]`."""

    model: str = "kokoro-82m-v1.0-int8"
    """Catalogue name of the model."""
    voices: str = "kokoro-voices"
    """Catalogue name of its voices."""
    first_words: int = Field(default=6, ge=0)
    """Words of the first phrase of a text, about: what is heard first is made first. 0: whole sentences, which sound
    better and are heard later (a long one after 3 s)."""
    cache_mb: int = Field(default=64, ge=0)
    """Memory for short utterances that were spoken before, 96 KB a second; the same text in the same voice at the same
    speed then costs nothing. 0: none."""
    cache_longest_s: float = Field(default=15.0, ge=0)
    """Longer utterances are not kept."""
    wait_s: float = Field(default=10.0, gt=0)
    """How long a speech waits for a core before it is refused with `busy`; each speech needs one to itself."""
    queue: int = Field(default=16, ge=0)
    """Speeches that may wait for a core; one more is refused with `busy` at once."""


class KokoroTts:
    """Says text with Kokoro's voices. Port: TextToSpeech."""

    def __init__(
        self,
        name: str,
        settings: KokoroSettings,
        phonemes: Pool,
        speech: Pool,
        seats: Seats,
        metrics: Metrics,
    ) -> None:
        self.name = name
        self._settings = settings
        self._phonemes = phonemes
        self._speech = speech
        self._metrics = metrics
        self._seats = seats
        self._cache = SpeechCache(
            room=settings.cache_mb * 1_000_000 // _SAMPLE_BYTES, longest=round(settings.cache_longest_s * RATE)
        )
        self.voices: Sequence[Voice] = tuple(
            Voice(voice, name, (_tongue(voice).tag,), _gender(voice), LICENCE)
            for voice in VOICES
            if not _lacking(_tongue(voice))
        )
        self._speaking = frozenset(voice.id for voice in self.voices)

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids: the speaking one, then the one that knows phonemes."""
        return self._speech.pids + self._phonemes.pids

    def open(self, utterance: Utterance) -> AbstractAsyncContextManager[AsyncIterator[Speech]]:
        """See ports.TextToSpeech. Raises PeerError `unsupported_voice`, RefusedError `busy`.

        EngineError `engine_unavailable` for a voice whose language needs an extra that is not installed.
        """
        if utterance.voice not in VOICES:
            raise unknown_voice(utterance.voice, self.name)
        if utterance.voice not in self._speaking:
            command = _lacking(_tongue(utterance.voice))
            raise EngineError(
                f"the voice {utterance.voice!r} needs a reader for its language, which is not installed; "
                f"add it with: {command}",
                engine=self.name,
                code=Code.ENGINE_UNAVAILABLE,
            )
        return self._open(utterance)

    async def aclose(self) -> None:
        await self._speech.aclose()
        await self._phonemes.aclose()

    @asynccontextmanager
    async def _open(self, utterance: Utterance) -> AsyncIterator[AsyncIterator[Speech]]:
        key = (utterance.voice, utterance.speed, utterance.text)
        if (held := self._cache.get(key)) is not None:
            self._metrics.count("cache_hit", engine=self.name)
            yield Replay(held)
            return
        phrasing = Phrasing(self._settings.first_words)
        async with self._seats.open() as seat:

            async def speak(piece: str, _ahead_s: float) -> AsyncGenerator[Speech, None]:
                await seat.take()
                start = pause = 0
                for phrase in phrasing.cut(piece):
                    if pause:
                        yield Speech(np.zeros(pause, np.float32), RATE)
                        start += pause
                    async for speech in self._speak(phrase, utterance):
                        yield _later(speech, start)
                        start += speech.samples.size
                    pause = _pause(phrase, utterance.speed)

            async with speaking(utterance, RATE, speak) as stream:
                yield self._cache.recording(key, stream)

    async def _speak(self, phrase: str, utterance: Utterance) -> AsyncGenerator[Speech, None]:
        """One phrase's audio; words from the phrase's own start."""
        tongue = _tongue(utterance.voice)
        said = await self.pronounce(phrase, tongue)
        if not said:
            return
        request = Phrase(utterance.voice, said, tongue.dialect, utterance.speed)
        start = 0
        async with self._speech.open(request) as results:
            async for spoken in results:
                yield _later(self._speech_of(spoken), start)
                start += spoken.samples.size

    async def pronounce(self, phrase: str, tongue: Tongue) -> tuple[Pronounced, ...]:
        """The phrase's clauses with their phonemes, and each word's own; those without any left out."""
        parts = clauses(phrase)
        if not tongue.espeak:  # written without spaces: a clause counts as a word
            read = Read(tuple(part.text for part in parts), tongue.tag)
            sounds: tuple[str, ...] = await self._speech.call(read)
            pairs = zip(parts, (sound.rstrip(" .,!?;:") for sound in sounds), strict=True)
            said = [Pronounced(sound, part.mark, ((part.text, sound),)) for part, sound in pairs]
        else:
            texts = tuple(text for part in parts for text in (part.text, *part.words))
            answers = iter(await self._phonemes.call(Phonemize(texts, tongue.espeak)))
            said = [_pronounced(part, next(answers), [next(answers) for _ in part.words]) for part in parts]
        return tuple(clause for clause in said if clause.ipa)

    def _speech_of(self, spoken: Spoken) -> Speech:
        if spoken.dropped:
            self._metrics.count("dropped_phonemes", engine=self.name)
            log.info("phonemes without a symbol were left out", engine=self.name, count=spoken.dropped)
        return Speech(spoken.samples, RATE, tuple(Word(*word) for word in spoken.words))


def _pronounced(clause: Clause, ipa: str, alone: Sequence[str]) -> Pronounced:
    return Pronounced(ipa, clause.mark, tuple(zip(clause.words, alone, strict=True)))


def _later(speech: Speech, start: int) -> Speech:
    """The speech with its words `start` samples later."""
    words = tuple(Word(word.text, start + word.start, start + word.end) for word in speech.words)
    return Speech(speech.samples, speech.rate, words)


def _pause(phrase: str, speed: float) -> int:
    """Samples of silence behind a phrase that another follows; none where no mark is written."""
    return round(pause_ms(phrase) * RATE / 1000 / speed) if end_mark(phrase) in ",;:—" else 0


def _tongue(voice: str) -> Tongue:
    return TONGUES[voice[0]]


def _gender(voice: str) -> str:
    return "female" if voice[1] == "f" else "male"


def _lacking(tongue: Tongue) -> str:
    """The command that adds what the language needs; empty where nothing is missing."""
    if tongue.extra is None or find_spec(tongue.extra[0]) is not None:
        return ""
    return tongue.extra[1]


async def create(context: EngineContext, settings: KokoroSettings) -> KokoroTts:
    """Start both processes and load the model. Raises EngineError."""
    phonemes = await start_espeak(context.name, context.metrics)
    arguments = {"model": str(context.folders[settings.model]), "voices": str(context.folders[settings.voices])}
    speech = Pool(
        WorkerSpec(
            name=context.name,
            factory="voxgate.engines.kokoro_worker:create",
            arguments=arguments,
            threads=context.cores,
            environment={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **_MALLOC},
        ),
        context.metrics,
    )
    try:
        await speech.start()
    except BaseException:
        await phonemes.aclose()
        raise
    seats = Seats(context.name, context.cores, settings.queue, settings.wait_s, context.metrics)
    return KokoroTts(context.name, settings, phonemes, speech, seats, context.metrics)


PLUGIN = EnginePlugin(
    port="tts",
    settings=KokoroSettings,
    create=create,
    models=lambda settings: (settings.model, settings.voices),
    requires=(REQUIRES,),
)
"""The entry point `kokoro`."""

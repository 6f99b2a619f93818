"""Plain voices by espeak-ng, for languages without a better one, and as a stand-in for female English voices.

Voice ids are espeak's own: a language (`vi`), or a language and a variant (`en-us+f3`).
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

from voxgate.config import Settings
from voxgate.domain import Speech, Utterance, Voice, Word
from voxgate.engines.espeak_process import REQUIRES, start_espeak
from voxgate.engines.espeak_worker import Probe, Said, Say
from voxgate.engines.piper_text import Clause
from voxgate.engines.pool import Pool
from voxgate.engines.voice_stream import speaking
from voxgate.errors import Code, PeerError
from voxgate.ports import EngineContext, EnginePlugin

RATE = 22_050
"""Samples per second of every espeak-ng voice."""

LANGUAGES = {
    "en": "en-us",
    "vi": "vi",
    "zh": "cmn",
    "yue": "yue",
    "ko": "ko",
    "th": "th",
    "id": "id",
    "ms": "ms",
    "ta": "ta",
    "am": "am",
    "ti": "ti",
    "om": "om",
    "es": "es",
    "fr": "fr",
    "de": "de",
    "it": "it",
    "pt": "pt-br",
    "hi": "hi",
}
"""Our tag -> espeak's voice. Not Japanese: 1.52 reads kanji as "Chinese letter". Somali and Filipino have no data.
Which of these the installed data really has is asked at start."""

VARIANTS = {
    "": "male",
    "m3": "male",
    "m7": "male",
    "f1": "female",
    "f2": "female",
    "f3": "female",
    "f4": "female",
    "f5": "female",
}
"""The variants offered -> how they sound; the plain voice is male."""

LICENCE = "GPL-3.0-or-later (espeak-ng; its output is not covered)"


class EspeakSettings(Settings):
    """`[engines.espeak]`: nothing to set."""


class EspeakTts:
    """Says text with espeak-ng. Port: TextToSpeech."""

    def __init__(self, name: str, pool: Pool, bases: Sequence[str]) -> None:
        self.name = name
        self._pool = pool
        self.voices: Sequence[Voice] = tuple(
            Voice(
                id=f"{base}+{variant}" if variant else base,
                engine=name,
                languages=(tag,),
                gender=gender,
                licence=LICENCE,
                quality="plain",
            )
            for tag, base in LANGUAGES.items()
            if base in bases
            for variant, gender in VARIANTS.items()
        )
        self._ids = frozenset(voice.id for voice in self.voices)

    def open(self, utterance: Utterance) -> AbstractAsyncContextManager[AsyncIterator[Speech]]:
        """See ports.TextToSpeech. Raises PeerError `unsupported_voice`."""
        if utterance.voice not in self._ids:
            raise unknown_voice(utterance.voice, self.name)

        async def speak(piece: str, _ahead_s: float) -> AsyncGenerator[Speech, None]:
            said: Said = await self._pool.call(Say(piece, utterance.voice, utterance.speed))
            yield Speech(said.samples, RATE, words(piece, said))

        return speaking(utterance, RATE, speak)

    async def aclose(self) -> None:
        await self._pool.aclose()


def unknown_voice(voice: str, engine: str) -> PeerError:
    """The error for a voice the engine does not have."""
    return PeerError(f"the {engine} engine has no voice {voice[:40]!r}", code=Code.UNSUPPORTED_VOICE, param="voice")


def words(piece: str, said: Said) -> tuple[Word, ...]:
    """Every written word of the piece with its time. Pure.

    espeak tells where it begins a word, several times in one (digits) and not at all for one it runs into the one
    before ("in the"); such words share the time until the next one told, by their length.
    """
    starts = dict(reversed(said.starts))  # of several in one word the first counts
    written: list[tuple[str, int | None]] = []
    at = 0
    for word in Clause(piece, "").words:
        at = _find(piece, word, at)
        inside = [starts[position] for position in range(at, at + len(word)) if position in starts]
        written.append((word, min(inside, default=None)))
        at += len(word)
    out: list[Word] = []
    position = 0
    while position < len(written):
        behind = position + 1
        while behind < len(written) and written[behind][1] is None:
            behind += 1
        group = written[position:behind]
        start = group[0][1] or 0
        end = (written[behind][1] or 0) if behind < len(written) else said.samples.size
        whole = sum(len(word) for word, _ in group)
        told = 0
        for word, _ in group:
            first = start + (end - start) * told // whole
            told += len(word)
            out.append(Word(word, first, start + (end - start) * told // whole))
        position = behind
    return tuple(out)


def _find(piece: str, word: str, at: int) -> int:
    """Where `word` begins, at `at` or behind; a word joined from several tokens begins where its first token does."""
    return max(at, piece.find(word.split()[0], at))


async def create(context: EngineContext, _settings: EspeakSettings) -> EspeakTts:
    """Start the process and ask which languages its data has. Raises EngineError."""
    pool = await start_espeak(context.name, context.metrics)
    try:
        bases: tuple[str, ...] = await pool.call(Probe(tuple(LANGUAGES.values())))
    except BaseException:
        await pool.aclose()
        raise
    return EspeakTts(context.name, pool, bases)


PLUGIN = EnginePlugin(port="tts", settings=EspeakSettings, create=create, requires=(REQUIRES,))
"""The entry point `espeak`."""

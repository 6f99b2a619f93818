"""The process that holds espeak-ng: phonemes for Piper, and speech for languages without a better voice.

espeak-ng is under the GPL, version 3, keeps its state in globals and is not re-entrant. So it is loaded only here, in a
process of its own with one thread, is spoken to over a socket, and comes with an extra (`voxgate[espeak]`) that the
base install does without. This module is the only one that touches the library; docs/licences.md says what that means.

C interface: https://github.com/espeak-ng/espeak-ng/blob/1.52.0/src/include/espeak-ng/speak_lib.h
"""

import ctypes
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from voxgate.audio.tempo import Tempo
from voxgate.domain import Samples
from voxgate.engines.voice_shape import LEVEL_DBFS, active_rms, even_out, trim
from voxgate.errors import EngineError

_SYNCHRONOUS, _UTF8, _IPA, _WORD_EVENT = 2, 1, 2, 1
"""AUDIO_OUTPUT_SYNCHRONOUS, espeakCHARS_UTF8, espeakPHONEMES_IPA, espeakEVENT_WORD."""
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
_LANGUAGE_SWITCH = re.compile(r"\([^)]*\)")  # espeak marks a word read in another language: (en)tʃˈaɪniːz(ja)
_CALIBRATION = "1 2 3 4 5 6 7"  # every language of espeak's has its digits


@dataclass(frozen=True, slots=True)
class Phonemize:
    """Asks for phonemes: one result, a tuple of IPA strings, one for each text."""

    texts: tuple[str, ...]
    voice: str


@dataclass(frozen=True, slots=True)
class Say:
    """Asks for speech: one result, `Said`."""

    text: str
    """One piece, at most a few hundred characters: the whole of it is made before any of it is heard."""
    voice: str
    speed: float


@dataclass(frozen=True, slots=True)
class Probe:
    """Asks which of these voices the installed data can speak: one result, a tuple of those."""

    voices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """One piece of speech."""

    samples: Samples
    rate: int
    """Samples per second."""
    starts: tuple[tuple[int, int], ...]
    """(character of the text, sample) at which each spoken word begins."""


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Espeak:
    """A Runner: Phonemize, Say and Probe requests, one at a time."""

    def __init__(self, library: Any, data_path: str) -> None:
        self._lib = library
        self._lib.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self._lib.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_int, ctypes.c_int]
        self._rate: int = self._lib.espeak_Initialize(_SYNCHRONOUS, 0, data_path.encode(), 0)
        if self._rate <= 0:
            raise EngineError(f"espeak-ng did not start (its data: {data_path})", engine="espeak")
        self._voice = ""
        self._gains: dict[str, float] = {}
        self._blocks: list[Samples] = []
        self._starts: list[tuple[int, int]] = []
        self._cancelled: Callable[[], bool] = bool
        self._callback = _CALLBACK(self._on_audio)  # espeak keeps the pointer: so must we
        self._lib.espeak_SetSynthCallback(self._callback)

    def run(self, request: Phonemize | Say | Probe, cancelled: Callable[[], bool]) -> Iterator[Any]:
        match request:
            case Phonemize():
                self._choose(request.voice)
                yield tuple(self._phonemes(text) for text in request.texts)
            case Say():
                yield self._say(request, cancelled)
            case Probe():
                yield tuple(voice for voice in request.voices if self._can(voice))

    def _choose(self, voice: str) -> None:
        """Make `voice` the one in force. Raises EngineError."""
        if voice == self._voice:
            return
        if self._lib.espeak_SetVoiceByName(voice.encode()):
            self._voice = ""
            raise EngineError(f"espeak-ng has no voice {voice!r}", engine="espeak")
        self._voice = voice

    def _can(self, voice: str) -> bool:
        self._voice = ""
        return not self._lib.espeak_SetVoiceByName(voice.encode())

    def _phonemes(self, text: str) -> str:
        """The IPA of a text, punctuation left out, words as espeak groups them apart by spaces."""
        content = ctypes.create_string_buffer(_CONTROL.sub(" ", text).encode())
        position = ctypes.c_void_p(ctypes.addressof(content))
        clauses: list[str] = []
        while position.value:  # one call a clause; the position is NULL behind the last one
            found = self._lib.espeak_TextToPhonemes(ctypes.byref(position), _UTF8, _IPA)
            clauses.append(_LANGUAGE_SWITCH.sub("", found.decode()).strip() if found else "")
        return " ".join(clause for clause in clauses if clause)

    def _say(self, request: Say, cancelled: Callable[[], bool]) -> Said:
        self._choose(request.voice)
        gain = self._gains.get(request.voice)
        if gain is None:
            gain = self._gains[request.voice] = LEVEL_DBFS - active_rms(self._synthesize(_CALIBRATION, bool)[0])
        samples, starts = self._synthesize(request.text, cancelled)
        samples, dropped = trim(even_out(samples, gain), self._rate)
        starts = [(at, max(0, sample - dropped)) for at, sample in starts]
        if request.speed != 1.0 and samples.size:
            tempo = Tempo(self._rate, request.speed)
            samples = np.concatenate([tempo.feed(samples), tempo.flush()])
            starts = [(at, round(sample / request.speed)) for at, sample in starts]
        return Said(samples, self._rate, tuple((at, min(sample, samples.size)) for at, sample in starts))

    def _synthesize(self, text: str, cancelled: Callable[[], bool]) -> tuple[Samples, list[tuple[int, int]]]:
        self._blocks, self._starts, self._cancelled = [], [], cancelled
        content = _CONTROL.sub(" ", text).encode()
        failed = self._lib.espeak_Synth(content, len(content) + 1, 0, 1, 0, _UTF8, None, None)
        if failed:
            raise EngineError(f"espeak-ng could not speak (status {failed})", engine="espeak", retryable=True)
        samples = np.concatenate(self._blocks) if self._blocks else np.zeros(0, np.float32)
        return samples, self._starts

    def _on_audio(self, wave: Any, count: int, events: Sequence[_Event]) -> int:
        """Called by espeak with each block; 1 tells it to stop."""
        if wave and count > 0:
            self._blocks.append(np.ctypeslib.as_array(wave, (count,)).astype(np.float32) / np.float32(32768))
        at = 0
        while (event := events[at]).type:  # the list ends with type 0
            if event.type == _WORD_EVENT:  # text positions count characters from 1
                self._starts.append((event.text_position - 1, event.sample))
            at += 1
        return int(self._cancelled())


def create() -> Espeak:
    """Load the library and the data that the espeakng-loader package brings. The factory of the worker process."""
    import espeakng_loader  # GPL: imported in this process only

    return Espeak(ctypes.CDLL(espeakng_loader.get_library_path()), espeakng_loader.get_data_path())

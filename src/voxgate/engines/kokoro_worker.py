"""The process that speaks with Kokoro: phonemes in, a whole phrase of audio out.

Nothing can be heard of a phrase before all of it is made (the model's normalizations look at the whole signal, so it
cannot run in windows), and a phrase keeps one core busy for half as long as it lasts. So phrases are short, silence is
dropped before the expensive part, and a run that nobody wants any more is stopped in its middle.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxgate.audio.tempo import Tempo
from voxgate.domain import Samples
from voxgate.engines.kokoro_g2p import Reader
from voxgate.engines.kokoro_text import MOST_IDS, SYMBOLS, TOP_ID, Symbols, symbols
from voxgate.engines.kokoro_voices import gain_db
from voxgate.engines.piper_text import Pronounced
from voxgate.engines.voice_shape import Trimmer, even_out
from voxgate.errors import EngineError

RATE = 24_000
"""Samples per second."""
HOP = 600
"""Samples a frame: 25 ms."""
SLOWEST_MODEL, FASTEST_MODEL = 0.7, 1.5
"""Paces asked of the model itself, beyond which recognizers understand it less than stretched audio; the rest is
tempo (one sentence, word errors 0.31 at 0.5, 0.08 at 1.5, 0.31 at 2; measured 2026-11)."""
STYLES = 510
"""Rows of a voice: one style vector for each count of ids."""

_LEAD, _TAIL = 3, 6  # silent frames kept in front and behind; the model starts with 13 to 20
_TEMPO_FROM = 0.01  # paces closer than this to the wanted one are left as they are
_POLL_S = 0.02  # how often a run in progress asks whether it is still wanted


@dataclass(frozen=True, slots=True)
class Phrase:
    """Asks for a phrase of speech; the results are `Spoken`, one for each run of the model."""

    voice: str
    clauses: tuple[Pronounced, ...]
    dialect: str
    """Key of `kokoro_text.DIALECTS`."""
    speed: float


@dataclass(frozen=True, slots=True)
class Read:
    """Asks for phonemes in a language that espeak-ng does not read well: one result, a tuple of strings."""

    texts: tuple[str, ...]
    language: str
    """`zh` or `ja`."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """Audio of one run."""

    samples: Samples
    """May be empty."""
    words: tuple[tuple[str, int, int], ...]
    """(word, first sample, sample behind its last), counted from the first sample of this run."""
    dropped: int = 0
    """Characters the model has no symbol for; told once, in the first result."""


class Model:
    """Three sessions that any number of threads may share, and the voices read so far."""

    def __init__(self, model: Path, voices: Path) -> None:
        import onnxruntime

        def session(name: str) -> Any:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            options.inter_op_num_threads = 1
            options.enable_cpu_mem_arena = False  # with it, one long phrase pins its memory for ever
            options.log_severity_level = 4  # a stopped run would be logged as an error
            return onnxruntime.InferenceSession(
                str(model / f"{name}.onnx"), options, providers=["CPUExecutionProvider"]
            )

        self._text, self._prosody, self._speech = session("text"), session("prosody"), session("speech")
        self._options = onnxruntime.RunOptions
        self._voices = voices
        self._styles: dict[str, NDArray[np.float32]] = {}

    def style(self, voice: str, ids: int) -> NDArray[np.float32]:
        """The voice's style vector for so many ids (zeros not counted): the row upstream takes. Shape [1, 256]."""
        table = self._styles.get(voice)
        if table is None:
            table = np.fromfile(self._voices / f"{voice}.bin", "<f4").reshape(STYLES, 1, 256)
            self._styles[voice] = table
        row: NDArray[np.float32] = table[min(max(ids, 1), STYLES) - 1]
        return row

    def speak(
        self, ids: tuple[int, ...], voice: str, speed: float, cancelled: Callable[[], bool]
    ) -> tuple[Samples, NDArray[np.int64], float] | None:
        """The audio, the sample at which each id ends in it, and the pace reached; None once cancelled.

        Raises EngineError for ids that the model does not know or too many of them.
        """
        if not 1 <= len(ids) <= MOST_IDS or not all(0 < one <= TOP_ID for one in ids):
            raise EngineError(f"kokoro takes 1 to {MOST_IDS} ids from 1 to {TOP_ID}, not {len(ids)}", engine="kokoro")
        style = self.style(voice, len(ids))
        tokens = np.array([[0, *ids, 0]], np.int64)
        with self._watched(cancelled) as run:
            lengths, prosodic, spoken = run(self._text, {"tokens": tokens, "style": style})
            frames, reached = durations(lengths.ravel(), speed)
            prosodic = np.repeat(prosodic, frames, axis=1).transpose(0, 2, 1)
            pitch, energy = run(self._prosody, {"prosodic": np.ascontiguousarray(prosodic), "style": style})
            first, behind = audible(frames)
            heard = slice(2 * first, 2 * behind)  # pitch and energy have two values a frame
            feed = {
                "spoken": np.repeat(spoken, frames, axis=2)[:, :, first:behind],
                "pitch": pitch[:, heard],
                "energy": energy[:, heard],
                "style": style,
            }
            (audio,) = run(self._speech, {name: np.ascontiguousarray(value) for name, value in feed.items()})
            ends = np.clip(np.cumsum(frames)[1:-1] - first, 0, behind - first) * HOP
            return audio.ravel(), ends, reached
        return None

    @contextmanager
    def _watched(self, cancelled: Callable[[], bool]) -> Iterator[Callable[[Any, dict[str, Any]], Any]]:
        """Gives a function that runs a session; once `cancelled()`, the run is stopped and the block is left."""
        options = self._options()
        over = threading.Event()

        def watch() -> None:
            while not over.wait(_POLL_S):
                if cancelled():
                    options.terminate = True
                    return

        def run(session: Any, feed: dict[str, Any]) -> Any:
            if cancelled():
                raise _Stopped
            try:
                return session.run(None, feed, options)
            except Exception as error:
                if options.terminate:
                    raise _Stopped from error
                raise

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield run
        except _Stopped:
            return
        finally:
            over.set()
            watcher.join()


class _Stopped(Exception):  # noqa: N818 (nothing went wrong)
    """The run is not wanted any more."""


def durations(lengths: NDArray[np.float32], speed: float) -> tuple[NDArray[np.int64], float]:
    """Whole frames for every id so that all together are `speed` times faster, and the speed that is really reached.

    Upstream rounds each length / speed to at least one frame, so that asked for 2 it gives 1.78: the divisor that gives
    the wanted whole is found by bisection.
    """

    def rounded(scale: float) -> NDArray[np.int64]:
        frames: NDArray[np.int64] = np.maximum(np.rint(lengths * scale), 1).astype(np.int64)
        return frames

    frames = rounded(1.0)
    usual = int(frames.sum())
    if speed == 1.0:
        return frames, 1.0
    target = max(usual / speed, lengths.size)
    low, high = 0.0, 1.0
    while rounded(high).sum() < target and high < 64:
        high *= 2
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if rounded(middle).sum() < target else (low, middle)
    below, above = rounded(low), rounded(high)
    frames = below if target - below.sum() < above.sum() - target else above
    return frames, usual / int(frames.sum())


def audible(frames: NDArray[np.int64]) -> tuple[int, int]:
    """[first, behind) of the frames worth making: without the silence of the two zeros and the last mark.

    `frames`: of every id, the zeros included. At least one frame is left.
    """
    whole = int(frames.sum())
    first = max(0, int(frames[0]) - _LEAD)
    behind = whole - max(0, int(frames[-2:].sum()) - _TAIL)
    return first, max(behind, first + 1)


class Kokoro:
    """A Runner: speaks Phrases and Reads, several at once."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._reader = Reader()

    def run(self, request: Phrase | Read, cancelled: Callable[[], bool]) -> Iterator[Any]:
        if isinstance(request, Read):
            yield self._reader.read(request.texts, request.language)
            return
        for read in symbols(request.clauses, request.dialect):
            wanted = min(max(request.speed, SLOWEST_MODEL), FASTEST_MODEL)
            made = self._model.speak(read.ids, request.voice, wanted, cancelled)
            if made is None:
                return
            yield shaped(read, *made, request)


def shaped(read: Symbols, audio: Samples, ends: NDArray[np.int64], reached: float, request: Phrase) -> Spoken:
    """One run's audio as it goes out: level, silence and pace set; and where its words end up."""
    tempo = request.speed / reached
    if abs(tempo - 1) <= _TEMPO_FROM:
        tempo = 1.0
    trimmer = Trimmer(RATE, tempo / request.speed)
    body = trimmer.feed(even_out(audio, gain_db(request.voice)))
    tail = trimmer.flush()
    samples = np.concatenate([body, tail])
    if tempo != 1.0 and samples.size:
        pace = Tempo(RATE, tempo)
        samples = np.concatenate([pace.feed(samples), pace.flush()])
    sound = min(round(body.size / tempo), samples.size)  # the last word ends where the last sound does
    limits = np.concatenate([[0], ends])
    words = []
    for word, first, behind in read.words:
        start, end = (round((int(limits[at]) - trimmer.dropped) / tempo) for at in (first, behind))
        words.append((word, min(max(start, 0), sound), min(max(end, 0), sound)))
    return Spoken(samples, tuple(words), read.dropped)


def create(model: str, voices: str) -> Kokoro:
    """Load the model (folder of the converted graphs; folder of the voices). The factory of the worker process."""
    loaded = Model(Path(model), Path(voices))
    name = min(path.stem for path in Path(voices).glob("*.bin"))
    loaded.speak((SYMBOLS["a"],) * 3, name, 1.0, bool)  # the first run lays out memory: not while a caller waits
    return Kokoro(loaded)

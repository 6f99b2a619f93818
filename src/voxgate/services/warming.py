"""What the first request would wait for otherwise: codecs and rules that are loaded when they are first used.

They stay out of the imports of `voxgate.app`, so that commands are quick; a server loads them beside its engines.
Measured on the first of all requests, November 2026: av 35 to 50 ms, a language's rules 15 to 30 ms, num2words 25 ms,
the filter of live audio at 8 kHz 5 ms. Engines need nothing of this: their workers have loaded their graphs when they
are started, and the first final of a fresh server takes no longer than the next (Moonshine, Whisper).
"""

import numpy as np

from voxgate.audio.codecs.encoder import open_encoder
from voxgate.audio.codecs.formats import Format
from voxgate.audio.resample import Resampler
from voxgate.domain import SPEECH_RATE
from voxgate.text.correct import correct
from voxgate.text.identify import identify
from voxgate.text.normalize import normalize

_RATE = 24_000
LIVE_RATES = (8_000, 24_000, 44_100, 48_000)
"""Those at which live audio mostly comes, besides SPEECH_RATE: of telephones, of OpenAI's clients, of browsers."""
_FIRST_WORDS = {"en": "Dr. Lee paid $5.", "vi": "5 km", "id": "5 km"}
"""Languages with rules of their own, and one of those that have only numbers."""


def warm() -> None:
    """Do a little of everything that is slow the first time; about 0.1 s of work, for a thread."""
    silence = np.zeros(_RATE // 10, np.float32)
    for fmt in Format:
        encoder = open_encoder(fmt, _RATE)
        encoder.feed(silence)
        encoder.close()
    Resampler(_RATE, SPEECH_RATE).feed(silence)
    for rate in LIVE_RATES:
        Resampler(rate, SPEECH_RATE, prompt=True).feed(silence)
    for language, text in _FIRST_WORDS.items():
        normalize(text, "basic", language)
        normalize(text, "advanced", language)
    identify("hello", tuple(_FIRST_WORDS), "en")
    correct("one two three", "en")

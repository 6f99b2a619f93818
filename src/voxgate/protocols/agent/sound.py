"""Sound on its way in and out: chunks of a microphone to samples, samples of a reply to chunks. Pure.

In: browsers' recorders write a header into the first chunk only, and clients label what they record as they like (the
published example calls WebM `pcm16`), so one decoder goes on from chunk to chunk, and believes headers.
Out: `mp3`, `wav` and `opus` chunks are files of their own; `pcm16` is one stream.
"""

from collections.abc import Iterator

import numpy as np

from voxgate.audio.codecs.chunks import encode_chunk
from voxgate.audio.codecs.formats import ENCODED_RATE
from voxgate.audio.codecs.recording import open_recording
from voxgate.audio.codecs.stream import StreamDecoder, in_steps
from voxgate.audio.framing import to_pcm16
from voxgate.calls import AudioOut
from voxgate.domain import Samples
from voxgate.errors import MisuseError
from voxgate.protocols.agent.messages import Audio, OutputFormat

VOICE_RATE = ENCODED_RATE
"""Samples per second of everything a client is sent, and of the calls it is sent from."""


class Microphone:
    """What one client records, one recording after the other."""

    def __init__(self) -> None:
        self._named: tuple[str, int | None] | None = None
        self._decoder: StreamDecoder | None = None

    def feed(self, chunk: Audio) -> Iterator[Samples]:
        """A chunk as speech at SPEECH_RATE, in steps of about a millisecond of work each.

        Raises PeerError `invalid_audio` about `audio`, once everything that could be decoded was handed over, or
        `invalid_value` about `format` or `sample_rate`, before.
        """
        named = chunk.label, chunk.sample_rate
        if self._decoder is None or named != self._named:
            decoder = open_recording(chunk.label, chunk.sample_rate)
            rest = self.end()
            self._decoder, self._named = decoder, named
            if len(rest):
                yield rest
        yield from in_steps(self._decoder, chunk.data)

    def drain(self) -> Samples:
        """What filters hold back, because nothing has come for a while; the recording may go on."""
        return np.zeros(0, np.float32) if self._decoder is None else self._decoder.drain()

    def end(self) -> Samples:
        """The rest of the recording, which is over."""
        decoder, self._decoder = self._decoder, None
        return np.zeros(0, np.float32) if decoder is None else decoder.flush()


def encode_voice(output: OutputFormat, audio: AudioOut) -> bytes:
    """A chunk of a reply, at VOICE_RATE: a file of its own, or of `pcm16` the next of the stream.

    A second takes 8 ms of a core as MP3, 4 as Opus, next to nothing as WAV and PCM: beside the event loop.
    """
    if audio.rate != VOICE_RATE:
        raise MisuseError(f"a call of this wire has {VOICE_RATE} samples a second, not {audio.rate}")
    if output is OutputFormat.PCM16:
        return to_pcm16(audio.samples)
    return encode_chunk(output.value, audio.samples)

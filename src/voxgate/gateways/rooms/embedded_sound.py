"""Sound of a room of our own: Opus both ways, paced by our own clock on the way out, put in order on the way in.

Everything here runs on the event loop: to encode 20 ms takes 0.15 ms, to decode them 0.05 ms.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

from voxgate.audio.codecs.opus import MAX_PACKET_SAMPLES, OPUS_RATE, OpusCodec, packet_samples
from voxgate.audio.jitter import Hole, Reorder
from voxgate.audio.resample import Resampler
from voxgate.domain import SPEECH_RATE, Samples
from voxgate.errors import PeerError
from voxgate.gateways.rooms.media import VOICE_RATE

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext

FRAME_S: Final = 0.02
FRAME: Final = 480
"""Samples at VOICE_RATE in a packet."""
OPUS_FRAME: Final = 960
"""And by the clock of Opus."""

_BIT_RATE = 32_000
"""Of speech at 24 kHz; Opus is transparent for speech from here on (RFC 7587, 3.1.1: 28 to 40 kbit/s for fullband)."""
_TAIL = 2
"""Packets of silence behind the last of a speech, or of what was interrupted: a client that gets nothing more draws the
last sound out for a while."""
_LATE_S = 0.2
"""Packets that could not be sent in time for so long are made up for at once; beyond it, time is lost."""
_STALL_S = 0.06
"""How long packets wait for one before them, however few they are: what three of them take to come."""
_OPUS_CLOCK = Fraction(1, OPUS_RATE)


class Voice:
    """What a bot is about to say. The room puts it in, one connection at a time takes it out."""

    def __init__(self, played: Callable[[int], None]) -> None:
        """`played`: told how many samples, since the last `clear`, have left."""
        self._played = played
        self._queue: deque[Samples] = deque()
        self._filled = asyncio.Event()
        self._left = 0

    def put(self, samples: Samples) -> None:
        """Behind what is there already."""
        if len(samples):
            self._queue.append(samples)
            self._filled.set()

    def clear(self) -> None:
        """Forget what has not left; what is counted as played begins anew."""
        self._queue.clear()
        self._filled.clear()
        self._left = 0

    async def wait(self) -> None:
        """Until there is something."""
        await self._filled.wait()

    def take(self) -> Samples | None:
        """A packet's worth, filled up with silence where less is there; None: nothing is."""
        if not self._queue:
            return None
        parts: list[Samples] = []
        wanted = FRAME
        while wanted and self._queue:
            part = self._queue.popleft()
            if len(part) > wanted:
                self._queue.appendleft(part[wanted:])
                part = part[:wanted]
            parts.append(part)
            wanted -= len(part)
        if not self._queue:
            self._filled.clear()
        self._left += FRAME - wanted
        self._played(self._left)
        return np.concatenate([*parts, np.zeros(wanted, np.float32)])


class Pace:
    """When packets leave, and what they are stamped with. Pure; moments are seconds of the loop's clock."""

    def __init__(self, now: float) -> None:
        self.due = now
        """When the next one may."""
        self._begin = now
        self._stamp = -OPUS_FRAME

    def stamp(self, now: float, *, waited: bool) -> int:
        """The timestamp of a packet that leaves now, by the clock of Opus; `due` is when the next one may.

        `waited`: whether there was nothing to send when it could have been.
        """
        behind = now - self.due
        if (waited and behind > 0) or behind > _LATE_S:
            self.due = now
            self._stamp = max(self._stamp + OPUS_FRAME, round((now - self._begin) * OPUS_RATE))
        else:
            self._stamp += OPUS_FRAME
        self.due += FRAME_S
        return self._stamp


class Outlet:
    """A voice as packets, one every 20 ms while there is something to say, and none else."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        self._loop = asyncio.get_running_loop()
        self._pace = Pace(self._loop.time())
        self._encoder = Encoder()
        self._tail = 0

    async def packet(self) -> tuple[bytes, int]:
        """The next one, when it is due, and its timestamp by the clock of Opus."""
        waited = False
        while True:
            ahead = self._pace.due - self._loop.time()
            if ahead > 0:
                await asyncio.sleep(ahead)
            sound = self._voice.take()
            if sound is not None:
                self._tail = _TAIL
                break
            waited = True
            if self._tail:
                self._tail -= 1
                sound = np.zeros(FRAME, np.float32)
                break
            await self._voice.wait()
        return self._encoder.encode(sound), self._pace.stamp(self._loop.time(), waited=waited)


class Encoder:
    """FRAMEs of samples at VOICE_RATE to packets of Opus, mono."""

    def __init__(self) -> None:
        import av

        codec = av.CodecContext.create("libopus", "w")
        assert isinstance(codec, av.AudioCodecContext)
        codec.sample_rate = VOICE_RATE
        codec.layout = "mono"
        codec.format = "flt"
        codec.bit_rate = _BIT_RATE
        codec.options = {"application": "voip", "frame_duration": "20"}
        codec.open()
        self._codec: AudioCodecContext = codec
        self._at = 0

    def encode(self, sound: Samples) -> bytes:
        """One packet. `sound`: [FRAME]."""
        import av

        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[None, :]), format="flt", layout="mono")
        frame.sample_rate = VOICE_RATE
        frame.pts = self._at
        self._at += FRAME
        packets = self._codec.encode(frame)
        return b"".join(bytes(packet) for packet in packets)  # one: a frame is as long as a packet


class Ear:
    """One stream of a microphone: packets as they come, to samples at SPEECH_RATE. Needs a running event loop."""

    def __init__(self, heard: Callable[[Samples], None]) -> None:
        self.reorder = Reorder()
        self._stall: asyncio.TimerHandle | None = None
        self._awaited: int | None = None  # the packet that `_stall` is for
        self._heard = heard
        self._codec = OpusCodec()
        self._resampler = Resampler(OPUS_RATE, SPEECH_RATE, prompt=True)
        self._last = OPUS_FRAME

    def hear(self, sequence: int, timestamp: int, payload: bytes) -> None:
        """A packet, with the numbers RTP gives it."""
        try:
            self._last = packet_samples(payload)
        except PeerError:
            return  # empty, or no Opus: a client that asks for an answer to its own packets sends such
        self._play(self.reorder.push(sequence, timestamp, self._last, payload))
        if self.reorder.missing != self._awaited:
            self.close()
            self._awaited = self.reorder.missing
            if self._awaited is not None:
                self._stall = asyncio.get_running_loop().call_later(_STALL_S, self._drain)

    def close(self) -> None:
        """What still waits is not played: another stream has begun, or nobody listens."""
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _drain(self) -> None:
        self._play(self.reorder.drain())

    def _play(self, due: list[bytes | Hole]) -> None:
        if not due:
            return
        sound = np.concatenate([self._sound(one) for one in due])
        self._heard(self._resampler.feed(sound))

    def _sound(self, one: bytes | Hole) -> Samples:
        try:
            return self._codec.conceal(one.samples) if isinstance(one, Hole) else self._codec.decode(one)
        except PeerError:
            assert isinstance(one, bytes)  # nothing is decoded for a hole that did not come from a good packet
            return np.zeros(min(packet_samples(one), MAX_PACKET_SAMPLES), np.float32)

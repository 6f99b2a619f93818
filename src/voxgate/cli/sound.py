"""Microphones and loudspeakers of this machine, through PortAudio (the optional package `sounddevice`)."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from voxgate.domain import SPEECH_RATE
from voxgate.errors import PeerError, VoxgateError

INSTALL = "pip install 'voxgate[sound]'"
"""The command that adds the package."""
_PORTAUDIO = "apt-get install libportaudio2"  # Debian's and Ubuntu's; wheels for macOS and Windows bring it along
_MIN_RATE, _MAX_RATE = 8_000, 48_000  # samples per second that the server takes (contract 3)
_PIECES_PER_S = 20  # 50 ms: late enough for any machine, soon enough for partials


def _library() -> Any:
    try:
        import sounddevice
    except ModuleNotFoundError:
        raise VoxgateError(f"sound devices need a package that is not installed; run: {INSTALL}") from None
    except OSError:  # "PortAudio library not found"
        raise VoxgateError(f"sound devices need PortAudio; on Debian and Ubuntu run: {_PORTAUDIO}") from None
    return sounddevice


def devices() -> list[list[str]]:
    """A row a device: number, name, channels in, channels out. Raises VoxgateError without PortAudio."""
    return [
        [str(number), str(each["name"]), str(each["max_input_channels"]), str(each["max_output_channels"])]
        for number, each in enumerate(_library().query_devices())
    ]


class Microphone:
    """A microphone that is not listened to yet."""

    def __init__(self, device: str | None = None) -> None:
        """`device`: its number, or part of its name; None: the one the system takes. Raises VoxgateError."""
        self._library = _library()
        self._device = int(device) if device and device.isdecimal() else device
        try:
            found = self._library.query_devices(self._device, "input")
        except (ValueError, self._library.PortAudioError):
            if device:
                raise PeerError(f"there is no microphone {device!r}; --devices lists them", param="device") from None
            raise VoxgateError("PortAudio finds no microphone here; --devices lists what it finds") from None
        self.rate = self._rate(int(found["default_samplerate"]))
        """Samples per second, mono: SPEECH_RATE where the device can, else its own."""

    def _rate(self, its_own: int) -> int:
        with contextlib.suppress(self._library.PortAudioError):
            self._library.check_input_settings(device=self._device, channels=1, dtype="int16", samplerate=SPEECH_RATE)
            return SPEECH_RATE
        if not _MIN_RATE <= its_own <= _MAX_RATE:
            raise VoxgateError(f"the microphone gives {its_own} samples a second; {_MIN_RATE} to {_MAX_RATE} are taken")
        return its_own

    async def pieces(self) -> AsyncGenerator[bytes]:
        """PCM16 mono in pieces of 50 ms, until the caller leaves. Raises VoxgateError where the device is taken."""
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[bytes] = asyncio.Queue()

        def take(data: Any, *_: object) -> None:  # in PortAudio's own thread
            loop.call_soon_threadsafe(arrived.put_nowait, bytes(data))

        try:
            stream = self._library.RawInputStream(
                samplerate=self.rate,
                blocksize=self.rate // _PIECES_PER_S,
                device=self._device,
                channels=1,
                dtype="int16",
                callback=take,
            )
        except self._library.PortAudioError as error:
            raise VoxgateError(f"the microphone cannot be opened: {error}") from None
        with stream:
            while True:
                yield await arrived.get()


class Loudspeaker:
    """Plays what it is given, in order."""

    def __init__(self, stream: Any, rate: int) -> None:
        self._stream = stream
        self._piece = 2 * (rate // _PIECES_PER_S)
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._dropped = False

    def write(self, audio: bytes) -> None:
        """PCM16 mono, after what was written before. Never waits: what is not played yet is kept."""
        self._waiting.put_nowait(audio)

    async def play(self) -> None:
        """Plays until `end` or `drop`."""
        while (audio := await self._waiting.get()) is not None:
            for at in range(0, len(audio), self._piece):
                if self._dropped:
                    return
                await asyncio.to_thread(self._stream.write, audio[at : at + self._piece])

    def end(self) -> None:
        """Nothing more comes."""
        self._waiting.put_nowait(None)

    def drop(self) -> None:
        """What is not played yet never is."""
        self._dropped = True
        self.end()


@asynccontextmanager
async def loudspeaker(rate: int) -> AsyncIterator[Loudspeaker]:
    """The system's loudspeaker, for so many samples per second; left well, it plays to the end, else it stops at once.

    Raises VoxgateError where there is none.
    """
    library = _library()
    try:
        stream = library.RawOutputStream(samplerate=rate, channels=1, dtype="int16")
    except (library.PortAudioError, ValueError) as error:
        raise VoxgateError(f"there is no loudspeaker to play to ({error}); -o writes a file instead") from None
    speaker = Loudspeaker(stream, rate)
    stream.start()
    playing = asyncio.create_task(speaker.play())
    try:
        yield speaker
        speaker.end()
        await playing
        await asyncio.to_thread(stream.stop)  # returns when the last sample has been heard
    finally:  # a stream is never ended while a thread still writes to it
        speaker.drop()
        await asyncio.gather(playing, return_exceptions=True)
        stream.abort()
        stream.close()

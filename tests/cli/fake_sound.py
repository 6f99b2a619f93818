"""A `sounddevice` for tests: a microphone that says what it is given, a loudspeaker that remembers."""

from collections.abc import Callable
from types import TracebackType
from typing import Any

import pytest


class PortAudioError(Exception):
    """As PortAudio's."""


class Sounddevice:
    """Stands in for the module. `said`: what the microphone hears; `then`: called when all of it has been heard."""

    PortAudioError = PortAudioError

    def __init__(self, said: bytes = b"", then: Callable[[], None] = lambda: None, **broken: bool) -> None:
        self.said = said
        self.then = then
        self.broken = broken
        self.played = b""
        self.opened: dict[str, Any] = {}
        self.steps: list[str] = []

    def write(self, audio: bytes) -> None:
        """The loudspeaker is given this."""
        self.played += audio

    def query_devices(self, device: int | str | None = None, kind: str | None = None) -> Any:
        found = {
            "name": "Fake",
            "max_input_channels": 1,
            "max_output_channels": 2,
            "default_samplerate": float((self.broken.get("fast") and 96_000) or 44_100),
        }
        if kind is None:
            return [found]
        if device not in (None, 0, "Fake"):
            raise ValueError(f"No input device matching {device!r}")
        if self.broken.get("absent"):
            raise PortAudioError("Error querying device -1")
        return found

    def check_input_settings(self, **settings: Any) -> None:
        if self.broken.get("fixed_rate"):
            raise PortAudioError("Invalid sample rate")

    def RawInputStream(self, **settings: Any) -> "_Stream":
        return self._open(settings)

    def RawOutputStream(self, **settings: Any) -> "_Stream":
        return self._open(settings)

    def _open(self, settings: dict[str, Any]) -> "_Stream":
        if self.broken.get("taken"):
            raise PortAudioError("Device unavailable")
        self.opened = settings
        return _Stream(self)


class _Stream:
    def __init__(self, device: Sounddevice) -> None:
        self._device = device

    def __enter__(self) -> "_Stream":
        size = 2 * self._device.opened["blocksize"]
        for at in range(0, len(self._device.said), size):
            self._device.opened["callback"](memoryview(self._device.said)[at : at + size], size // 2, None, None)
        self._device.then()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._device.steps.append("left")

    def write(self, audio: bytes) -> None:
        self._device.write(audio)

    def start(self) -> None:
        self._device.steps.append("start")

    def stop(self) -> None:
        self._device.steps.append("stop")

    def abort(self) -> None:
        self._device.steps.append("abort")

    def close(self) -> None:
        self._device.steps.append("close")


def plug_in(monkeypatch: pytest.MonkeyPatch, device: Sounddevice) -> Sounddevice:
    """Let `import sounddevice` find this one."""
    import sys

    monkeypatch.setitem(sys.modules, "sounddevice", device)
    return device

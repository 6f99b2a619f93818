import asyncio
import builtins
import sys
from typing import Any

import pytest

from tests.cli.fake_sound import Sounddevice, plug_in
from voxgate.cli.sound import Microphone, devices, loudspeaker
from voxgate.errors import PeerError, VoxgateError


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ModuleNotFoundError("No module named 'sounddevice'"), r"run: pip install 'voxgate\[sound\]'"),
        (OSError("PortAudio library not found"), "apt-get install libportaudio2"),
    ],
)
def test_what_is_missing_is_told_with_the_command_that_adds_it(
    monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    found = builtins.__import__

    def absent(name: str, *rest: Any) -> Any:
        if name == "sounddevice":
            raise error
        return found(name, *rest)

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(builtins, "__import__", absent)
    for asked in (devices, Microphone):
        with pytest.raises(VoxgateError, match=told):
            asked()


def test_devices_are_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, Sounddevice())
    assert devices() == [["0", "Fake", "1", "2"]]


async def test_a_microphone_is_heard_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    said = bytes(range(250)) * 32
    device = plug_in(monkeypatch, Sounddevice(said))
    microphone = Microphone("0")
    pieces = microphone.pieces()
    heard = b"".join([await anext(pieces) for _ in range(5)])
    assert heard == said
    assert (microphone.rate, device.opened["samplerate"], device.opened["device"]) == (16_000, 16_000, 0)
    await pieces.aclose()
    assert device.steps == ["left"]


def test_a_microphone_with_a_rate_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, Sounddevice(fixed_rate=True))
    assert Microphone("Fake").rate == 44_100
    plug_in(monkeypatch, Sounddevice(fixed_rate=True, fast=True))
    with pytest.raises(VoxgateError, match="gives 96000 samples a second"):
        Microphone()


async def test_microphones_that_cannot_be_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, Sounddevice(absent=True))
    with pytest.raises(VoxgateError, match="finds no microphone here"):
        Microphone()
    for device in ("7", "nobody"):
        with pytest.raises(PeerError, match=f"there is no microphone '{device}'"):
            Microphone(device)
    plug_in(monkeypatch, Sounddevice(taken=True))
    with pytest.raises(VoxgateError, match="cannot be opened: Device unavailable"):
        await anext(Microphone().pieces())


async def test_a_loudspeaker_plays_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    device = plug_in(monkeypatch, Sounddevice())
    async with loudspeaker(24_000) as speaker:
        speaker.write(b"one")
        speaker.write(b"two")
    assert device.played == b"onetwo"
    assert device.steps[:2] == ["start", "stop"]
    assert device.opened == {"samplerate": 24_000, "channels": 1, "dtype": "int16"}


async def test_a_loudspeaker_left_in_haste_is_silent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    device = plug_in(monkeypatch, Sounddevice())
    with pytest.raises(asyncio.CancelledError):
        async with loudspeaker(24_000) as speaker:
            speaker.write(b"one")
            raise asyncio.CancelledError
    assert (device.played, device.steps) == (b"", ["start", "abort", "close"])


async def test_no_loudspeaker(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, Sounddevice(taken=True))
    with pytest.raises(VoxgateError, match=r"there is no loudspeaker to play to .* -o writes a file instead"):
        async with loudspeaker(24_000):
            pass

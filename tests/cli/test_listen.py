import json
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.audio_samples import wav
from tests.cli.conftest import Piped, Voxgate
from tests.cli.fake_sound import Sounddevice, plug_in
from tests.serving import Server
from voxgate.cli.listen import _Text
from voxgate.cli.terminal import LiveLine

pytestmark = pytest.mark.slow

SCRIPT = "This is what the script says."


@pytest.fixture
def call(served: Server, here: Path) -> Path:
    """A recording: somebody speaks, is silent, and speaks again."""
    (here / "call.wav").write_bytes(wav(1.0))
    return here / "call.wav"


def test_a_recording_is_its_lines(voxgate: Voxgate, call: Path) -> None:
    heard = voxgate("listen", "call.wav", "--fast")
    assert (heard.exit_code, heard.stdout) == (0, f"{SCRIPT}\n")
    assert heard.stderr == "heard 1.0 s for 0.016666 credits\n"


def test_it_is_sent_as_it_was_spoken(voxgate: Voxgate, call: Path) -> None:
    began = time.monotonic()
    assert voxgate("listen", "call.wav").stdout == f"{SCRIPT}\n"
    assert time.monotonic() - began >= 1.0


def test_times_on_request(voxgate: Voxgate, call: Path) -> None:
    assert re.fullmatch(rf"0:0\d\.\d  {re.escape(SCRIPT)}\n", voxgate("listen", "call.wav", "--fast", "--times").stdout)


def test_json_is_what_the_server_tells(voxgate: Voxgate, call: Path) -> None:
    told = [
        json.loads(line) for line in voxgate("listen", "call.wav", "--fast", "--json", "--words").stdout.splitlines()
    ]
    kinds = [message["type"] for message in told]
    assert (kinds[0], kinds[-2:]) == ("session.ready", ["transcript.final", "session.closed"])
    assert "transcript.partial" in kinds
    assert [word["word"] for word in told[-2]["words"]] == SCRIPT.split()
    assert told[-2]["language"] == "en"
    none = voxgate("listen", "call.wav", "--fast", "--json", "--partials", "off").stdout
    assert "transcript.partial" not in none


def test_standard_input_is_heard_as_it_comes(piped: Piped, served: Server) -> None:
    assert piped("listen", "-", stdin=wav(1.0))[:2] == (0, f"{SCRIPT}\n")
    raw = wav(1.0, rate=8_000)[44:]
    assert piped("listen", "-", "--rate", "8000", stdin=raw) == (
        0,
        f"{SCRIPT}\n",
        "heard 1.0 s for 0.016666 credits\n",
    )
    status, out, err = piped("listen", "-", stdin=b"")
    assert (status, out, err) == (2, "", "voxgate: standard input is empty\n")


def test_a_microphone_is_heard_until_ctrl_c(voxgate: Voxgate, served: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    device = plug_in(monkeypatch, Sounddevice(wav(1.0)[44:], then=lambda: signal.raise_signal(signal.SIGINT)))
    heard = voxgate("listen", "microphone", "--device", "Fake")
    assert heard.exit_code == 0
    assert device.steps == ["left"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_devices(voxgate: Voxgate, monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, Sounddevice())
    listed = voxgate("listen", "--devices")
    assert (listed.exit_code, listed.stdout) == (0, "0\tFake\t1\t2\n")


def test_another_language_than_the_one_named_is_told(
    voxgate: Voxgate, call: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = _Text(LiveLine(sys.stdout), times=False)
    text.told({"type": "warning", "code": "LANGUAGE_MISMATCH", "detected": "vi", "confidence": 0.934})
    text.told({"type": "session.expiring", "reason": "credits", "secondsLeft": 12})
    assert capsys.readouterr().err.splitlines() == [
        "this sounds like Vietnamese (93% sure), which is not the language that was named",
        "the credits are used up: 12 s are left",
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("nowhere.wav",), 2, "there is no recording at nowhere.wav"),
        (("voxgate.toml",), 2, "not audio"),
        (("call.wav", "--language", "klingon"), 2, "'klingon' is not a language"),
        (("call.wav", "--language", "thai"), 2, "no configured engine hears Thai"),
        (("call.wav", "--hint", "x" * 2_001), 2, "at most 2,000 are allowed"),
        (("call.wav", "--rate", "8000"), 2, "--rate is for standard input"),
        (("call.wav", "--device", "1"), 2, "--device is for the microphone"),
        (("call.wav", "--partials", "often"), 2, "'often' is not one of"),
        (("call.wav", "--key", "vg_wrong"), 1, "this API key is not valid"),
        (("call.wav", "--url", "http://127.0.0.1:1"), 1, "no server answers at http://127.0.0.1:1"),
    ],
)
def test_what_cannot_be_listened_to(
    voxgate: Voxgate, call: Path, arguments: tuple[str, ...], status: int, told: str
) -> None:
    failed = voxgate("listen", *arguments)
    assert (failed.exit_code, failed.stdout) == (status, "")
    assert told in failed.stderr


def test_credits_that_do_not_suffice(voxgate: Voxgate, call: Path, served: Server) -> None:
    failed = voxgate("listen", "call.wav", "--key", served.new_key("poor", "0.01"))
    assert failed.exit_code == 1
    assert "`voxgate credits add` adds some" in failed.stderr

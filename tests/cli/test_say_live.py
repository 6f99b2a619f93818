import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Piped, Voxgate
from tests.cli.fake_sound import Sounddevice, plug_in
from tests.serving import Server

pytestmark = pytest.mark.slow

WORD = 12_000  # bytes of a scripted word as PCM: 250 ms at 24 kHz


@pytest.mark.parametrize("ending", ["wav", "mp3", "opus", "flac", "pcm"])
def test_the_file_is_what_the_server_says(voxgate: Voxgate, served: Server, here: Path, ending: str) -> None:
    spoken = voxgate("say", "--live", "one two three four", "-o", f"answer.{ending}", "--voice", "alloy")
    assert (spoken.exit_code, spoken.output) == (0, "")
    raw = ["-f", "s16le", "-ar", "24000", "-ac", "1"] if ending == "pcm" else []
    decode = ["ffmpeg", "-v", "error", *raw, "-i", f"answer.{ending}", "-f", "s16le", "-ar", "24000", "-ac", "1", "-"]
    pcm = subprocess.run(decode, cwd=here, capture_output=True, check=True).stdout
    assert len(pcm) / 2 / 24_000 == pytest.approx(1.0, abs=0.1)


def test_what_it_took_on_request(voxgate: Voxgate, served: Server) -> None:
    spoken = voxgate("say", "--live", "one two", "-o", "a.wav", "--voice", "alloy", "--speed", "0.5", "--verbose")
    assert re.fullmatch(r"first audio after \d+ ms\n1\.0 s of speech for 1 credit\n", spoken.stderr)


def test_standard_input_is_one_text(piped: Piped, served: Server, here: Path) -> None:
    text = "\n\ngrüß dich.\nand one\nmore".encode()
    assert piped("say", "--live", "-", "-o", "a.pcm", "--voice", "alloy", stdin=text) == (0, "", "")
    assert 5 * WORD <= len((here / "a.pcm").read_bytes()) < 7 * WORD  # two pauses between clauses


def test_a_pipe_may_bring_more_than_one_speech_may_hold(piped: Piped, served: Server, here: Path) -> None:
    lines = 20
    text = ("four words and a number: " + "9" * 600 + "\n") * lines
    arguments = ("say", "--live", "-", "--voice", "alloy", "--normalization", "no", "--speed", "4")
    assert len(text) > 10_000
    status, _, err = piped(*arguments, "-o", "a.pcm", stdin=text.encode())
    assert (status, err) == (0, "")
    assert len((here / "a.pcm").read_bytes()) >= lines * 6 * WORD // 4
    status, _, err = piped(*arguments, "-o", "a.wav", stdin=text.encode())  # a WAV file has one header
    assert status == 2
    assert "10,000" in err


def test_speech_on_standard_output(voxgate: Voxgate, served: Server) -> None:
    piece = [sys.executable, "-m", "voxgate", "say", "--live", "one two", "-o", "-", "--voice", "alloy"]
    spoken = subprocess.run(piece, capture_output=True, check=True)
    assert spoken.stdout[:4] == b"RIFF"
    assert len(spoken.stdout) == 44 + 2 * WORD


def test_it_is_written_while_the_text_still_comes(served: Server, here: Path) -> None:
    command = [sys.executable, "-m", "voxgate", "say", "--live", "-", "-o", "-", "--voice", "alloy"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"One two.\n")
        process.stdin.flush()
        assert len(process.stdout.read(44 + WORD)) == 44 + WORD
        process.stdin.write(b"three")
        process.stdin.close()
        rest = process.stdout.read()
    assert process.returncode == 0
    assert 2 * WORD <= len(rest) < 4 * WORD  # a pause between the clauses


def test_it_is_played(voxgate: Voxgate, served: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    device = plug_in(monkeypatch, Sounddevice())
    spoken = voxgate("say", "--live", "--play", "one two", "--voice", "alloy")
    assert (spoken.exit_code, spoken.output) == (0, "")
    assert len(device.played) == 2 * WORD
    assert device.opened["samplerate"] == 24_000


def test_ctrl_c_stops_it_at_once(voxgate: Voxgate, served: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    device = plug_in(monkeypatch, Sounddevice())
    played: list[bytes] = []

    def interrupting(audio: bytes) -> None:
        if not played:
            os.kill(os.getpid(), signal.SIGINT)
        played.append(audio)

    monkeypatch.setattr(device, "write", interrupting)
    spoken = voxgate("say", "--live", "--play", "word " * 1_900, "--voice", "alloy", "--speed", "0.25")
    assert spoken.exit_code == 130
    assert sum(map(len, played)) < 1_900 * 4 * WORD
    assert device.steps == ["start", "abort", "close"]


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("hello",), 2, "nothing says where the speech should go: -o FILE writes it, --play plays it"),
        (("hello", "--play", "-o", "x.wav"), 2, "--play and --output: one of them"),
        (("hello", "-o", "x.xyz"), 2, "'xyz' is not a format speech can have"),
        (("hello", "-o", "nowhere/x.wav"), 2, "there is no folder nowhere"),
        (("hello", "-o", "x.wav", "--config", "voxgate.toml"), 2, "--config goes without --live"),
        (("hello", "-o", "x.wav", "--voice", "nobody"), 2, "there is no voice 'nobody'"),
        (("hello", "-o", "x.wav", "--voice", "alloy", "--language", "thai"), 2, "does not speak Thai"),
        (("  ", "-o", "x.wav", "--voice", "alloy"), 2, "there is nothing to say"),
        (("a" * 10_001, "-o", "x.wav", "--voice", "alloy"), 2, "10,000"),
        (("hello", "-o", "x.wav", "--key", "vg_wrong"), 1, "this API key is not valid"),
        (("hello", "-o", "x.wav", "--url", "http://127.0.0.1:1"), 1, "no server answers"),
    ],
)
def test_what_cannot_be_said(
    voxgate: Voxgate, served: Server, here: Path, arguments: tuple[str, ...], status: int, told: str
) -> None:
    failed = voxgate("say", "--live", *arguments)
    assert (failed.exit_code, failed.stdout) == (status, "")
    assert told in failed.stderr
    assert not list(here.glob("x*"))


def test_nothing_on_standard_input(piped: Piped, served: Server, here: Path) -> None:
    status, _, err = piped("say", "--live", "-", "-o", "x.wav", "--voice", "alloy", stdin=b" \n\n")
    assert (status, err) == (2, "voxgate: the text is empty: there is nothing to say\n")
    assert not list(here.glob("x*"))


def test_a_file_that_cannot_be_written(voxgate: Voxgate, served: Server, here: Path) -> None:
    (here / "taken.wav").mkdir()
    failed = voxgate("say", "--live", "hello", "-o", "taken.wav", "--voice", "alloy")
    assert failed.exit_code == 2
    assert "taken.wav cannot be written: Is a directory" in failed.stderr

import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Voxgate


@pytest.mark.parametrize("ending", ["wav", "mp3", "opus", "ogg", "flac", "aac", "WAV"])
def test_the_ending_tells_the_format(voxgate: Voxgate, here: Path, ending: str) -> None:
    said = voxgate("say", "one two three four", "-o", f"answer.{ending}", "--voice", "alloy")
    assert (said.exit_code, said.output) == (0, "")
    decode = ["ffmpeg", "-v", "error", "-i", f"answer.{ending}", "-f", "s16le", "-ar", "24000", "-ac", "1", "-"]
    pcm = subprocess.run(decode, cwd=here, capture_output=True, check=True).stdout
    assert len(pcm) / 2 / 24_000 == pytest.approx(1.0, abs=0.1)


def test_text_from_standard_input_and_a_pace(voxgate: Voxgate, here: Path) -> None:
    voxgate("say", "-", "-o", "slow.pcm", "--voice", "alloy", "--speed", "0.5", stdin="grüß dich\n".encode())
    assert len((here / "slow.pcm").read_bytes()) == 2 * 24_000  # two words of half a second


@pytest.mark.parametrize(("level", "words"), [("no", 1), ("basic", 5), ("advanced", 5)])
def test_the_level_tells_what_is_put_in_words(voxgate: Voxgate, here: Path, level: str, words: int) -> None:
    said = voxgate("say", "$3.50", "-o", "sum.pcm", "--voice", "alloy", "--normalization", level)
    assert said.exit_code == 0
    assert len((here / "sum.pcm").read_bytes()) == words * 12_000  # a scripted word lasts 250 ms


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("hello", "-o", "x.xyz"), "'xyz' is not a format speech can have"),
        (("hello", "-o", "x"), "is not a format speech can have"),
        (("hello", "-o", "nowhere/x.wav"), "there is no folder nowhere"),
        ((" ", "-o", "x.wav"), "there is nothing to say"),
        (("hello", "-o", "x.wav", "--voice", "nobody"), "there is no voice 'nobody'"),
        (("hello", "-o", "x.wav", "--voice", "alloy", "--language", "thai"), "does not speak Thai"),
        (("hello", "-o", "x.wav", "--speed", "5"), "less than or equal to 4"),
        (("a" * 10_001, "-o", "x.wav"), "at most 10,000 are allowed"),
        (("hello",), "nothing says where the speech should go: -o FILE writes it"),
        (("hello", "--play"), "--play goes with --live"),
        (("hello", "-o", "x.wav", "--url", "http://example"), "--url goes with --live"),
    ],
)
def test_what_cannot_be_said(voxgate: Voxgate, here: Path, arguments: tuple[str, ...], told: str) -> None:
    failed = voxgate("say", *arguments)
    assert failed.exit_code == 2
    assert told in failed.stderr
    assert not list(here.glob("x*"))


def test_a_file_that_cannot_be_written(voxgate: Voxgate, here: Path) -> None:
    (here / "taken.wav").mkdir()
    failed = voxgate("say", "hello", "-o", "taken.wav", "--voice", "alloy")
    assert failed.exit_code == 2
    assert "taken.wav cannot be written: Is a directory" in failed.stderr

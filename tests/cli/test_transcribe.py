import json
from pathlib import Path

import pytest

from tests.audio_samples import wav
from tests.cli.conftest import Voxgate

pytestmark = pytest.mark.slow

SCRIPT = "This is what the script says."


@pytest.fixture
def calls(here: Path) -> Path:
    """A folder of two recordings, one below another, and something else."""
    (here / "calls" / "old").mkdir(parents=True)
    (here / "calls" / "one.wav").write_bytes(wav(1.0))
    (here / "calls" / "old" / "two.WAV").write_bytes(wav(1.0))
    (here / "calls" / "notes.md").write_text("no recording")
    return here / "calls"


def test_one_recording_is_its_text(voxgate: Voxgate, calls: Path) -> None:
    result = voxgate("transcribe", "calls/one.wav")
    assert (result.exit_code, result.stdout) == (0, f"{SCRIPT}\n")


@pytest.mark.parametrize("names", [("calls",), ("calls/**/*.[wW][aA][vV]",), ("calls/one.wav", "calls/old")])
def test_folders_and_patterns_are_unfolded(voxgate: Voxgate, calls: Path, names: tuple[str, ...]) -> None:
    lines = voxgate("transcribe", *names).stdout.splitlines()
    assert sorted(lines) == [f"calls/old/two.WAV\t{SCRIPT}", f"calls/one.wav\t{SCRIPT}"]


def test_an_absolute_pattern(voxgate: Voxgate, calls: Path) -> None:
    assert voxgate("transcribe", f"{calls}/*.wav").stdout == f"{SCRIPT}\n"


def test_json_and_subtitles(voxgate: Voxgate, calls: Path) -> None:
    told = json.loads(voxgate("transcribe", "calls/one.wav", "--format", "json", "--words").stdout)
    assert (told["text"], [word["word"] for word in told["words"]]) == (SCRIPT, SCRIPT.split())
    assert voxgate("transcribe", "calls/one.wav", "--format", "srt").stdout.startswith("1\n00:00:00,")
    assert voxgate("transcribe", "calls/one.wav", "--format", "vtt").stdout.startswith("WEBVTT\n")


def test_a_file_a_recording(voxgate: Voxgate, calls: Path, here: Path) -> None:
    result = voxgate("transcribe", "calls", "--format", "srt", "-o", "out")
    assert sorted(result.stdout.split()) == ["out/one.srt", "out/two.srt"]
    assert SCRIPT in (here / "out" / "one.srt").read_text()


def test_transcripts_beside_the_recordings_are_scored(voxgate: Voxgate, calls: Path) -> None:
    (calls / "one.txt").write_text("This is what the script says today")
    (calls / "old" / "transcripts.tsv").write_text(f"file\ttranscript\ntwo.WAV\t{SCRIPT}\nother.wav\tno\n")
    result = voxgate("transcribe", "calls")
    assert f"calls/one.wav\tWER 0.143\t{SCRIPT}" in result.stdout
    assert f"calls/old/two.WAV\tWER 0.000\t{SCRIPT}" in result.stdout
    assert "WER 0.077: 1 of 13 words" in result.stderr


def test_one_bad_file_among_several_does_not_stop_the_others(voxgate: Voxgate, calls: Path) -> None:
    (calls / "broken.mp3").write_bytes(b"no sound in here")
    result = voxgate("transcribe", "calls")
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 2
    assert "calls/broken.mp3: " in result.stderr
    assert "1 of 3 files could not be read" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nowhere.wav",), "there is no recording at nowhere.wav"),
        (("calls/*.ogg",), "there is no recording at calls/*.ogg"),
        (("calls/notes.md",), "not audio"),
        (("calls/one.wav", "--language", "klingon"), "klingon"),
        (("calls/one.wav", "--fast"), "--fast goes with --live"),
        (("calls/one.wav", "--jobs", "2"), "--jobs goes with --live"),
    ],
)
def test_what_cannot_be_transcribed(voxgate: Voxgate, calls: Path, arguments: tuple[str, ...], told: str) -> None:
    result = voxgate("transcribe", *arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stdout == ""

import json
from pathlib import Path

import pytest

from voxgate.cli.reports import Report, Shape, Wanted
from voxgate.domain import SPEECH_RATE, FileSegment, FileTranscript
from voxgate.errors import PeerError, VoxgateError


def said(text: str) -> FileTranscript:
    """A second in which this is said."""
    segment = FileSegment(0, SPEECH_RATE, text, "en", (), confidence=1.0, unclear=False, raw=text, corrections=())
    return FileTranscript(text, (segment,), "en", SPEECH_RATE, None, text, ())


def wanted(shape: Shape = Shape.TEXT, output: Path | None = None) -> Wanted:
    return Wanted(None, "", words=False, raw=False, shape=shape, output=output)


def test_one_recording_is_printed_alone_and_several_with_their_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Report(1, wanted()).heard(tmp_path / "one.wav", said("Hello."))
    Report(2, wanted()).heard(tmp_path / "one.wav", said("Hello."))
    assert capsys.readouterr().out == f"Hello.\n{tmp_path / 'one.wav'}\tHello.\n"


@pytest.mark.parametrize(("files", "named"), [(1, False), (2, True)])
def test_json_names_its_file_where_there_are_several(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], files: int, named: bool
) -> None:
    Report(files, wanted(Shape.JSON)).heard(tmp_path / "one.wav", said("Hello."))
    printed = json.loads(capsys.readouterr().out)
    assert (printed["text"], "file" in printed) == ("Hello.", named)


@pytest.mark.parametrize(("shape", "suffix"), [(Shape.TEXT, "txt"), (Shape.JSON, "json"), (Shape.VTT, "vtt")])
def test_a_folder_gets_a_file_a_recording_and_its_name_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shape: Shape, suffix: str
) -> None:
    Report(1, wanted(shape, tmp_path)).heard(Path("calls/one.wav"), said("Hello."))
    target = tmp_path / f"one.{suffix}"
    assert "Hello." in target.read_text()
    assert capsys.readouterr().out == f"{target}\n"


def test_words_that_are_wrong_are_counted_over_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(2, wanted())
    for name, truth in (("one", "hello there"), ("two", "hello")):
        (tmp_path / f"{name}.txt").write_text(truth)
        report.heard(tmp_path / f"{name}.wav", said("Hello."))
    report.end()
    told = capsys.readouterr()
    assert [line.split("\t")[1] for line in told.out.splitlines()] == ["WER 0.500", "WER 0.000"]
    assert told.err == "WER 0.333: 1 of 3 words\n"


def test_one_that_cannot_be_read_stops_the_others_only_where_there_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    damaged = PeerError("this is no audio", param="file")
    with pytest.raises(PeerError, match="no audio"):
        Report(1, wanted()).failed(Path("one.wav"), damaged)
    report = Report(2, wanted())
    report.failed(Path("one.wav"), damaged)
    assert capsys.readouterr().err == "one.wav: this is no audio\n"
    with pytest.raises(VoxgateError, match="1 of 2 files"):
        report.end()

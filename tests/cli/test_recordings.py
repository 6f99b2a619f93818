from pathlib import Path

import pytest

from voxgate.cli.recordings import recordings, reference
from voxgate.errors import Code, PeerError


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "calls"
    (folder / "old").mkdir(parents=True)
    for name in ("b.wav", "a.MP3", "old/c.webm", "notes.md"):
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["calls"], ["a.MP3", "b.wav", "old/c.webm"]),
        (["calls/b.wav", "calls/old"], ["b.wav", "old/c.webm"]),
        (["calls/*.wav"], ["b.wav"]),
        (["calls/notes.md"], ["notes.md"]),  # who names a file means it
    ],
)
def test_names_are_unfolded(calls: Path, names: list[str], found: list[str]) -> None:
    assert [str(path.relative_to("calls")) for path in recordings(names)] == found
    assert [path.name for path in recordings([str(calls / "*.wav")])] == ["b.wav"]


@pytest.mark.parametrize("name", ["nowhere", "calls/*.ogg", "calls/old/*.wav", ""])
def test_a_name_that_means_nothing(calls: Path, name: str) -> None:
    with pytest.raises(PeerError, match="there is no recording") as caught:
        list(recordings([name]))
    assert caught.value.code is Code.NOT_FOUND


def test_the_transcript_beside_a_recording(calls: Path) -> None:
    assert reference(calls / "b.wav") is None
    (calls / "transcripts.tsv").write_text("file\ttranscript\nb.wav\tof the list\na.MP3\t\n")
    assert reference(calls / "b.wav") == "of the list"
    assert reference(calls / "a.MP3") is None
    assert reference(calls / "missing.wav") is None
    (calls / "b.txt").write_text("of the file")
    assert reference(calls / "b.wav") == "of the file"

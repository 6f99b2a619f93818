"""Recordings that a command is given by name, and the transcripts that lie beside them."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

_SOUND = frozenset(".wav .mp3 .m4a .mp4 .flac .ogg .oga .opus .webm .mkv .mov .aac .aiff .aif .amr .wma .3gp".split())
_LIST = "transcripts.tsv"


def recordings(names: Sequence[str]) -> Iterator[Path]:
    """The files that are meant, folders and patterns unfolded. Raises PeerError for a name that means none."""
    from voxgate.errors import Code, PeerError

    for name in names:
        path = Path(name)
        if path.is_file():
            yield path
            continue
        if name and path.is_dir():  # Path of nothing is the folder one stands in
            inside = sorted(each for each in path.rglob("*") if each.suffix.lower() in _SOUND)
        else:
            anchor = Path(path.anchor) if path.is_absolute() else Path()
            pattern = str(path.relative_to(path.anchor)) if path.is_absolute() else name
            inside = sorted(each for each in anchor.glob(pattern) if each.is_file()) if pattern else []
        if not inside:
            raise PeerError(f"there is no recording at {name}", code=Code.NOT_FOUND, param="file")
        yield from inside


def reference(file: Path) -> str | None:
    """The transcript that lies beside a recording (NAME.txt, or its row in transcripts.tsv); None where none does."""
    beside = file.with_suffix(".txt")
    if beside.is_file():
        return beside.read_text(encoding="utf-8")
    listed = file.with_name(_LIST)
    if listed.is_file():
        with listed.open(encoding="utf-8", newline="") as rows:
            for row in csv.DictReader(rows, delimiter="\t"):
                if row.get("file") == file.name:
                    return row.get("transcript") or None
    return None

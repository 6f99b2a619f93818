"""What is printed of recordings that were transcribed, here or by a server: their texts, and how right they are."""

import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from voxgate.cli.common import print_json
from voxgate.cli.recordings import reference

if TYPE_CHECKING:
    from voxgate.domain import FileTranscript
    from voxgate.errors import PeerError


class Shape(StrEnum):
    """What is printed of a transcript."""

    TEXT = "text"
    JSON = "json"
    SRT = "srt"
    VTT = "vtt"


_SHAPES: dict[Shape, Literal["text", "verbose_json", "srt", "vtt"]] = {
    Shape.TEXT: "text",
    Shape.JSON: "verbose_json",
    Shape.SRT: "srt",
    Shape.VTT: "vtt",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked about each recording, and where it goes."""

    language: str | None
    hints: str
    words: bool
    raw: bool
    shape: Shape
    output: Path | None


class Report:
    """What is printed of recordings, one after the other, and of all of them at the end."""

    def __init__(self, files: int, wanted: Wanted) -> None:
        self._files = files
        self._wanted = wanted
        self._wrong = self._spoken = self._failed = 0

    def heard(self, file: Path, transcript: "FileTranscript") -> None:
        """What a recording says, with its word error rate where a transcript lies beside it."""
        note = ""
        if (said := reference(file)) is not None:
            from voxgate.text.wer import errors

            missed, of = errors(said, transcript.raw)
            self._wrong, self._spoken = self._wrong + missed, self._spoken + of
            note = f"WER {missed / max(of, 1):.3f}"
        _give(file, transcript, self._wanted, several=self._files > 1, note=note)

    def failed(self, file: Path, error: "PeerError") -> None:
        """A recording that cannot be read is told of, and does not stop the others; one alone is the error."""
        if self._files == 1:
            raise error
        self._failed += 1
        sys.stderr.write(f"{file}: {error.message}\n")

    def end(self) -> None:
        """Raises VoxgateError where some could not be read."""
        from voxgate.errors import VoxgateError

        if self._spoken:
            sys.stderr.write(f"WER {self._wrong / self._spoken:.3f}: {self._wrong} of {self._spoken} words\n")
        if self._failed:
            raise VoxgateError(f"{self._failed} of {self._files} files could not be read")


def _give(file: Path, transcript: "FileTranscript", wanted: Wanted, *, several: bool, note: str) -> None:
    from voxgate.protocols.rest.transcripts import render

    shape, output = wanted.shape, wanted.output
    if output:
        import orjson

        body = render(transcript, _SHAPES[shape], words=wanted.words)
        target = output / f"{file.stem}.{'txt' if shape is Shape.TEXT else shape.value}"
        target.write_bytes(body.encode() if isinstance(body, str) else orjson.dumps(body, option=orjson.OPT_INDENT_2))
        sys.stdout.write(f"{target}\n" if not note else f"{target}\t{note}\n")
    elif shape is Shape.JSON:
        body = render(transcript, _SHAPES[shape], words=wanted.words)
        print_json({"file": str(file), **body} if several and isinstance(body, dict) else body)
    elif several and shape is Shape.TEXT:
        sys.stdout.write("\t".join(filter(None, (str(file), note, transcript.text))) + "\n")
    else:
        sys.stdout.write(str(render(transcript, _SHAPES[shape], words=wanted.words)))

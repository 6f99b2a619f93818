"""`voxgate transcribe`: the recognizers of this machine, without a server and without a key."""

import csv
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from voxgate.cli.common import ConfigOption, errors_told, make_plan, print_json, run

if TYPE_CHECKING:
    from voxgate.app import EngineRoom
    from voxgate.conversation.transcription import Transcriber, TranscriptionRequest
    from voxgate.domain import FileTranscript, Samples
    from voxgate.planning import Plan

_PORTS = frozenset({"stt", "vad", "decoder"})
_SOUND = frozenset(".wav .mp3 .m4a .mp4 .flac .ogg .oga .opus .webm .mkv .mov .aac .aiff .aif .amr .wma .3gp".split())
_LIST = "transcripts.tsv"
_PLAIN_EVERY_S = 60  # seconds of audio between two progress lines where the output is no terminal


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
class _Wanted:
    language: str | None
    hints: str
    words: bool
    raw: bool


def transcribe(
    files: Annotated[
        list[str], typer.Argument(help="Recordings, folders of recordings, or patterns like 'calls/*.mp3'.")
    ],
    language: Annotated[
        str | None, typer.Option(help="Language that is spoken, a name or a code; or several, separated by commas.")
    ] = None,
    hints: Annotated[str, typer.Option(help="Words that are likely to occur, separated by commas.")] = "",
    shape: Annotated[Shape, typer.Option("--format", help="What to print.")] = Shape.TEXT,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder to write one file a recording into, instead of printing."),
    ] = None,
    words: Annotated[bool, typer.Option("--words", help="Word times, with --format json.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="The recognizer's own text: no corrections.")] = False,
    config: ConfigOption = None,
) -> None:
    """Print what recordings say.

    Several recordings are a line each: name, tab, text. Where a transcript lies beside a recording (NAME.txt, or a
    transcripts.tsv with the columns file and transcript), the word error rate is printed too, and of all at the end.

    \b
    voxgate transcribe interview.mp3 --format srt > interview.srt
    voxgate transcribe calls/ --hints "Voxgate, Ojukwu"
    """
    with errors_told():
        found = list(_recordings(files))
        wanted = _Wanted(language, hints, words or shape in (Shape.SRT, Shape.VTT), raw)
        if output:
            output.mkdir(parents=True, exist_ok=True)
        run(_all(found, make_plan(config), wanted, shape, output))


def _recordings(names: Sequence[str]) -> Iterator[Path]:
    """The files that are meant, folders and patterns unfolded. Raises PeerError for a name that means none."""
    from voxgate.errors import Code, PeerError

    for name in names:
        path = Path(name)
        if path.is_file():
            yield path
            continue
        if path.is_dir():
            inside = sorted(each for each in path.rglob("*") if each.suffix.lower() in _SOUND)
        else:
            anchor = Path(path.anchor) if path.is_absolute() else Path()
            pattern = str(path.relative_to(path.anchor)) if path.is_absolute() else name
            inside = sorted(each for each in anchor.glob(pattern) if each.is_file()) if pattern else []
        if not inside:
            raise PeerError(f"there is no recording at {name}", code=Code.NOT_FOUND, param="file")
        yield from inside


async def _all(files: Sequence[Path], what: "Plan", wanted: _Wanted, shape: Shape, output: Path | None) -> None:
    """Every recording in turn. Raises VoxgateError at the end where some could not be read."""
    from voxgate.app import open_engines
    from voxgate.conversation.transcription import Transcriber, TranscriptionRequest
    from voxgate.errors import PeerError, VoxgateError
    from voxgate.observe import NoMetrics
    from voxgate.text.hints import hint_terms
    from voxgate.text.wer import errors

    wrong = spoken = failed = 0
    async with open_engines(what, NoMetrics(), _PORTS) as room:
        ears = room.switchboard.ears("valsea-transcribe", wanted.language)
        hints = hint_terms(wanted.hints, what.settings.limits.hint_terms)
        request = TranscriptionRequest(
            ears.language, hints, wanted.words, ears.among, ears.given, not wanted.raw, ears.named
        )
        transcriber = Transcriber(room.vad(), ears.stt, identifier=ears.identifier, look_ahead=what.cores)
        for file in files:
            try:
                transcript = await _one(file, room, transcriber, request)
            except PeerError as error:
                if len(files) == 1:
                    raise
                failed += 1
                sys.stderr.write(f"{file}: {error.message}\n")
                continue
            note = ""
            if (reference := _reference(file)) is not None:
                missed, of = errors(reference, transcript.raw)
                wrong, spoken = wrong + missed, spoken + of
                note = f"WER {missed / max(of, 1):.3f}"
            _give(file, transcript, wanted, shape, output, several=len(files) > 1, note=note)
    if spoken:
        sys.stderr.write(f"WER {wrong / spoken:.3f}: {wrong} of {spoken} words\n")
    if failed:
        raise VoxgateError(f"{failed} of {len(files)} files could not be read")


async def _one(
    file: Path, room: "EngineRoom", transcriber: "Transcriber", request: "TranscriptionRequest"
) -> "FileTranscript":
    with _progress(file) as told:
        async with room.decoder().open(file) as blocks:
            return await transcriber.transcribe(_counted(blocks, told), request)


async def _counted(blocks: "AsyncIterator[Samples]", told: "_Told") -> "AsyncGenerator[Samples, None]":
    """The same blocks, their seconds told."""
    from voxgate.domain import SPEECH_RATE

    samples = 0
    async for block in blocks:
        yield block
        samples += len(block)
        told(samples / SPEECH_RATE)


class _Told:
    """Progress that nobody watches on a terminal: a line a minute of audio."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._next_s = float(_PLAIN_EVERY_S)

    def __call__(self, seconds: float) -> None:
        if seconds >= self._next_s:
            self._next_s += _PLAIN_EVERY_S
            sys.stderr.write(f"{self._file.name}: {_clock(seconds)}\n")


@contextmanager
def _progress(file: Path) -> Iterator[_Told]:
    if not sys.stderr.isatty():
        yield _Told(file)
        return
    from rich.console import Console

    with Console(stderr=True).status(file.name) as status:

        class OnTerminal(_Told):
            def __call__(self, seconds: float) -> None:
                status.update(f"{file.name}  {_clock(seconds)}")

        yield OnTerminal(file)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _reference(file: Path) -> str | None:
    """The transcript that lies beside a recording; None where there is none."""
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


def _give(
    file: Path,
    transcript: "FileTranscript",
    wanted: _Wanted,
    shape: Shape,
    output: Path | None,
    *,
    several: bool,
    note: str,
) -> None:
    from voxgate.protocols.rest.transcripts import render

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

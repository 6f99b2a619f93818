"""`voxgate transcribe`: the recognizers of this machine, without a server and without a key; or, live, those of one."""

import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voxgate.cli.common import ConfigOption, errors_told, make_plan, run
from voxgate.cli.recordings import recordings
from voxgate.cli.remote import KeyOption, UrlOption
from voxgate.cli.reports import Report, Shape, Wanted

if TYPE_CHECKING:
    from voxgate.app import EngineRoom
    from voxgate.conversation.transcription import Transcriber, TranscriptionRequest
    from voxgate.domain import FileTranscript, Samples
    from voxgate.planning import Plan

_PORTS = frozenset({"stt", "vad", "decoder"})
_PLAIN_EVERY_S = 60  # seconds of audio between two progress lines where the output is no terminal


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
    live: Annotated[
        bool, typer.Option("--live", help="Send them to a running server in real time, as if they were being spoken.")
    ] = False,
    fast: Annotated[bool, typer.Option("--fast", help="With --live: as fast as the server takes them.")] = False,
    jobs: Annotated[int, typer.Option(min=1, max=100, help="With --live: how many are sent at once.")] = 1,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Print what recordings say.

    Several recordings are a line each: name, tab, text. Where a transcript lies beside a recording (NAME.txt, or a
    transcripts.tsv with the columns file and transcript), the word error rate is printed too, and of all at the end.
    With --live a running server listens to them, and how long its final texts took is printed at the end.

    \b
    voxgate transcribe interview.mp3 --format srt > interview.srt
    voxgate transcribe calls/ --hints "Voxgate, Ojukwu"
    voxgate transcribe --live --jobs 4 calls/
    """
    from voxgate.errors import PeerError

    with errors_told():
        found = list(recordings(files))
        wanted = Wanted(language, hints, words or shape in (Shape.SRT, Shape.VTT), raw, shape, output)
        misplaced = {"--config": config} if live else {"--fast": fast, "--jobs": jobs != 1, "--url": url, "--key": key}
        for option in (name for name, value in misplaced.items() if value):
            raise PeerError(f"{option} goes {'without' if live else 'with'} --live", param=option.removeprefix("--"))
        if output:
            output.mkdir(parents=True, exist_ok=True)
        if live:
            from voxgate.cli.remote import remote
            from voxgate.cli.transcribe_live import transcribe_live

            run(transcribe_live(found, remote(url, key), wanted, fast=fast, jobs=jobs))
        else:
            run(_all(found, make_plan(config), wanted))


async def _all(files: Sequence[Path], what: "Plan", wanted: Wanted) -> None:
    """Every recording in turn. Raises VoxgateError at the end where some could not be read."""
    from voxgate.app import open_engines
    from voxgate.conversation.transcription import Transcriber, TranscriptionRequest
    from voxgate.errors import PeerError
    from voxgate.observe import NoMetrics
    from voxgate.text.hints import hint_terms

    report = Report(len(files), wanted)
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
                report.failed(file, error)
            else:
                report.heard(file, transcript)
    report.end()


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

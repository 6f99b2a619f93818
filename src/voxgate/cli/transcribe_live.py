"""`voxgate transcribe --live`: recordings sent to a running server as if they were being spoken, and how it did."""

import asyncio
import math
import sys
from bisect import bisect_left
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxgate.cli.live_client import hear
from voxgate.cli.remote import Remote
from voxgate.cli.reports import Report, Wanted
from voxgate.cli.sources import file_source
from voxgate.domain import SPEECH_RATE, Correction, FileSegment, FileTranscript, Guess, Word
from voxgate.errors import PeerError

if TYPE_CHECKING:
    from rich.status import Status

_PER_MS = SPEECH_RATE // 1000
_BYTES = 2  # of a sample of PCM16
_ABOUT_A_FILE = frozenset({"file", "source"})  # `param` of errors of sources.py and of the decoder behind it


@dataclass
class Heard:
    """One recording on its way: what was sent when, and what is told of it."""

    sent: list[tuple[int, float]] = field(default_factory=list)
    """(samples sent so far, the loop's time), a pair a piece."""
    finals: list[dict[str, Any]] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    """Of each final: how long after the end of what it covers it came, where audio is sent as it is spoken."""
    warned: dict[str, Any] | None = None
    closed: dict[str, Any] = field(default_factory=dict)

    async def noted(self, pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        """The same pieces; when each of them was sent is kept."""
        now, samples = asyncio.get_running_loop().time, 0
        async for piece in pieces:
            samples += len(piece) // _BYTES
            self.sent.append((samples, now()))
            yield piece

    def told(self, message: dict[str, Any]) -> None:
        """A message of the server's."""
        match message["type"]:
            case "transcript.final" if message["text"]:
                self.finals.append(message)
                end = message["timestampMs"] * _PER_MS
                samples, sent_at = self.sent[min(bisect_left(self.sent, (end, 0.0)), len(self.sent) - 1)]
                spoken_at = sent_at - (samples - end) / SPEECH_RATE  # a piece is sent when its last sample is spoken
                self.waits_s.append(asyncio.get_running_loop().time() - spoken_at)
            case "warning":
                self.warned = message
            case "session.closed":
                self.closed = message

    def transcript(self) -> FileTranscript:
        """All finals as the transcript of one recording."""
        from voxgate.text.correct import Corrected, joined

        segments = tuple(map(_segment, self.finals))
        whole = joined([(each.glue, Corrected(each.raw, each.text, each.corrections)) for each in segments])
        spoken: dict[str, int] = {}
        for each in segments:
            spoken[each.language] = spoken.get(each.language, 0) + each.end - each.start
        other = Guess(self.warned["detected"], self.warned["confidence"]) if self.warned else None
        return FileTranscript(
            whole.text,
            segments,
            max(spoken, key=spoken.__getitem__, default="en"),
            self.closed["durationMs"] * _PER_MS,
            other,
            whole.raw,
            whole.corrections,
        )


def _segment(final: dict[str, Any]) -> FileSegment:
    """A `transcript.final` as a segment of a recording; the wire carries no confidence."""
    words = tuple(
        Word(word["word"], word["startMs"] * _PER_MS, word["endMs"] * _PER_MS, word["confidence"])
        for word in final.get("words", ())
    )
    return FileSegment(
        final["startMs"] * _PER_MS,
        final["timestampMs"] * _PER_MS,
        final["text"],
        final["language"],
        words,
        confidence=None,
        unclear=False,
        raw=final["raw_text"],
        corrections=tuple(Correction(**made) for made in final["corrections"]),
    )


async def transcribe_live(files: Sequence[Path], remote: Remote, wanted: Wanted, *, fast: bool, jobs: int) -> None:
    """Every recording, so many at once, printed in their order.

    Raises VoxgateError: at once where the server refuses or is gone, at the end where some could not be read.
    """
    options = {
        "language": wanted.language,
        "hint_text": wanted.hints,
        "enable_correction": not wanted.raw,
        "words": wanted.words,
        "partials": "off",
        "speech_events": False,
    }
    room = asyncio.Semaphore(jobs)
    report = Report(len(files), wanted)
    waits_s: list[float] = []

    async def one(file: Path) -> Heard:
        heard = Heard()
        async with room:
            source = file_source(file, fast=fast)
            await hear(remote, options, replace(source, pieces=heard.noted(source.pieces)), heard.told)
        return heard

    tasks = [asyncio.create_task(one(file)) for file in files]
    try:
        with _Progress(len(files)) as progress:
            for file, task in zip(files, tasks, strict=True):
                try:
                    heard = await task
                except PeerError as error:
                    if error.param not in _ABOUT_A_FILE:
                        raise  # what the server refuses of one it refuses of all
                    progress.next()
                    report.failed(file, error)
                else:
                    progress.next()
                    report.heard(file, heard.transcript())
                    waits_s += heard.waits_s
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if waits_s and not fast:
        sys.stderr.write(_lateness(waits_s) + "\n")
    report.end()


def _lateness(waits_s: Sequence[float]) -> str:
    """The median and the 95th percentile (nearest rank) of how long final texts took."""
    ranked = sorted(waits_s)
    half, most = (round(1000 * ranked[math.ceil(share * len(ranked)) - 1]) for share in (0.5, 0.95))
    return (
        f"final texts came {half} ms (p50) and {most} ms (p95) after the end of what they say, "
        f"the silence that ends a segment included; {len(ranked)} of them"
    )


class _Progress:
    """How many recordings are done, on a terminal."""

    def __init__(self, files: int) -> None:
        self._files = files
        self._done = 0
        self._status: Status | None = None

    def __enter__(self) -> "_Progress":
        if sys.stderr.isatty():
            from rich.console import Console

            self._status = Console(stderr=True).status(self._text)
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    @property
    def _text(self) -> str:
        return f"{self._done} of {self._files}"

    def next(self) -> None:
        """One more is done."""
        self._done += 1
        if self._status:
            self._status.update(self._text)

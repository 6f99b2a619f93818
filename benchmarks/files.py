"""A recording of an hour: how fast it is heard, and whether memory stays flat.

    python -m benchmarks.files [--minutes 60] [--language en]

The recordings of VOXGATE_SHARED are joined with pauses until they are long enough, written as an MP3, and transcribed
by the default engines on every core. Memory is that of this process and its workers together (PSS, so that what forks
share counts once), before and after, and the most in between.
"""

import argparse
import asyncio
import csv
import os
import subprocess
import tempfile
import time
import wave
from pathlib import Path

import numpy as np

from voxgate.app import open_engines
from voxgate.conversation.transcription import Transcriber, TranscriptionRequest
from voxgate.domain import SPEECH_RATE
from voxgate.observe import NoMetrics
from voxgate.planning import load_settings, plan

SHARED = Path(os.environ.get("VOXGATE_SHARED", Path(__file__).parent.parent.parent / "shared"))
PAUSE_S = 0.8


def make_recording(folder: Path, minutes: float, language: str) -> Path:
    """An MP3 of about so many minutes of speech and pauses."""
    with (SHARED / "audio" / "transcripts.tsv").open(encoding="utf-8", newline="") as rows:
        names = [row["file"] for row in csv.DictReader(rows, delimiter="\t") if row["language"] == language]
    clips = []
    for name in names:
        with wave.open(str(SHARED / "audio" / name)) as clip:
            clips.append(np.frombuffer(clip.readframes(clip.getnframes()), "<i2"))
    pause = np.zeros(int(PAUSE_S * SPEECH_RATE), "<i2")
    target = folder / "long.mp3"
    raw = ["-f", "s16le", "-ar", str(SPEECH_RATE), "-ac", "1", "-i", "-"]
    command = ["ffmpeg", "-v", "error", *raw, "-b:a", "64k", str(target)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:
        assert encoder.stdin
        written = number = 0
        while written < minutes * 60 * SPEECH_RATE:
            for piece in (clips[number % len(clips)], pause):
                encoder.stdin.write(piece.tobytes())
                written += len(piece)
            number += 1
        encoder.stdin.close()
    return target


def memory_mb() -> float:
    """PSS of this process and everything below it."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(pid): int(parent) for pid, parent in (line.split() for line in listed.splitlines())}
    family = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    total = 0
    for pid in family:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


async def hear(file: Path, language: str) -> None:
    """Transcribe it and print what it took."""
    what = await plan(load_settings(None, os.environ), os.environ)
    async with open_engines(what, NoMetrics(), frozenset({"stt", "vad", "decoder"})) as room:
        ears = room.switchboard.ears("valsea-transcribe", language)
        transcriber = Transcriber(room.vad(), ears.stt, look_ahead=what.cores)
        before = most = 0.0
        segments = 0
        began = time.perf_counter()
        async with (
            room.decoder().open(file) as blocks,
            transcriber.open(blocks, TranscriptionRequest(ears.language)) as run,
        ):
            async for segment in run:
                segments += 1
                if before == 0.0 and segment.end > 120 * SPEECH_RATE:
                    before = memory_mb()  # every arena has been used by now
                if segments % 50 == 0:
                    most = max(most, memory_mb())
            seconds = run.duration / SPEECH_RATE
        took = time.perf_counter() - began
        after = memory_mb()
    pace = f"{seconds / 60:.1f} min in {took:.0f} s, {seconds / took:.1f} x real time"
    print(f"{pace}, {segments} segments, {what.cores} cores")
    print(f"memory after 2 min {before:.0f} MB, most {max(most, after):.0f} MB, at the end {after:.0f} MB")


def main() -> None:
    """Make a recording and hear it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--language", default="en")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(hear(make_recording(Path(folder), options.minutes, options.language), options.language))


if __name__ == "__main__":
    main()

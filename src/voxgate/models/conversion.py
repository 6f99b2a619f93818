"""Fetched files to engine files, in a process of its own.

A conversion holds hundreds of megabytes for a few seconds and runs native code on a file from outside: both belong in a
process that ends afterwards. `voxgate.models.convert` is the code that runs there.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

from voxgate.errors import Code, ModelError
from voxgate.models.catalog import Conversion, Model

TIMEOUT_S = 900.0
"""A conversion takes 2 to 4 s (measured, 2026-11); this is for a machine that is a hundred times busier."""

DISK_FULL_EXIT = 28
"""The exit code by which the converting process says ENOSPC (its errno)."""


COMMAND = (sys.executable, "-m", "voxgate.models.convert")
"""What the converting process runs."""


def convert(model: Model, conversion: Conversion, source: Path, target: Path) -> tuple[str, ...]:
    """Fill the empty folder `target` from the fetched files in `source`; answers warnings.

    A file that differs from the catalogue's is no error (other versions of numpy round differently): then the
    converter's self-test decides, and the operator is told. Raises ModelError `model_broken`, `disk_full`.
    """
    _run(model, [conversion.name, str(source), str(target)])
    expected = {file.name: file.sha256 for file in conversion.files}
    made = {path.name: path for path in target.iterdir()}
    if set(made) != set(expected):
        raise ModelError(
            f"{model.name}: its conversion made {', '.join(sorted(made)) or 'nothing'} "
            f"instead of {', '.join(sorted(expected))}",
            code=Code.MODEL_BROKEN,
        )
    unmeasured = any(not digest for digest in expected.values())
    differing = [name for name, path in sorted(made.items()) if expected[name] and _digest(path) != expected[name]]
    if differing or unmeasured:
        _run(model, ["--selftest", conversion.name, str(target)])
    if not differing:
        return ()
    return (
        f"{model.name}: {', '.join(differing)} came out differently than where it was measured "
        "(other versions of numpy or onnxruntime); the self-test passed",
    )


def _run(model: Model, arguments: list[str]) -> None:
    try:
        done = subprocess.run(
            [*COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(
            f"{model.name}: its conversion did not end within {TIMEOUT_S:.0f} s", code=Code.MODEL_BROKEN
        ) from error
    if done.returncode == DISK_FULL_EXIT:
        raise ModelError(f"{model.name}: the disk is full: no room to convert it", code=Code.DISK_FULL)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        why = lines[-1][:300] if lines else f"exit code {done.returncode}"
        raise ModelError(f"{model.name}: its conversion failed: {why}", code=Code.MODEL_BROKEN)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

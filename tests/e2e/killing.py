"""Worker processes that are killed at random moments."""

import random
import subprocess
import sys
import time

from tests.conftest import ROOT


def run_and_kill(worker: str, url: str, key_id: str, org_id: str, seed: int) -> list[list[str]]:
    """What a worker, a module of this folder, wrote down before it was killed: half a second at most after its first
    line."""
    command = [sys.executable, "-m", f"tests.e2e.{worker}", url, key_id, org_id, str(seed)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(random.Random(seed).random() / 2)  # the moment of the kill is what is tried
        process.kill()
        rest = process.stdout.read()
    assert process.returncode == -9
    return [line.split() for line in (first + rest).decode().splitlines()]

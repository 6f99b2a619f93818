"""Scripts on Node, with the packages that `scripts/test-tools` installs, and Chromium for those that want it."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.conftest import absent

HERE = Path(__file__).parent / "node"


def node(*packages: str) -> str:
    """The program; skips or fails the test where it, or one of these packages, is not there."""
    program = shutil.which("node")
    if program is None:
        absent("node", "node")
    for package in packages:
        if not (HERE / "node_modules" / package).is_dir():
            absent("node", f"the package {package} for Node (scripts/test-tools installs it)")
    return str(program)


def at_home(script: Path, folder: Path, *packages: str) -> list[str]:
    """The command that runs a copy of a script in a folder where somebody typed `npm install` with these packages."""
    command = [node(*packages), script.name]
    (folder / script.name).write_bytes(script.read_bytes())
    if not (folder / "node_modules").exists():
        (folder / "node_modules").symlink_to(HERE / "node_modules")
    return command


def ran(command: list[str], folder: Path, *, timeout_s: float = 60, **environment: str) -> str:
    """What a command prints, which must end well."""
    done = subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, timeout=timeout_s
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def in_chromium(script: str, folder: Path, *arguments: str, timeout_s: float = 60) -> str:
    """What one of our scripts prints that drives a browser."""
    browser = shutil.which("chromium")
    if browser is None:
        absent("chromium", "Chromium (Debian: chromium)")
    command = [node("playwright-core"), str(HERE / script), *arguments]
    return ran(command, folder, timeout_s=timeout_s, VOXGATE_CHROMIUM=str(browser))

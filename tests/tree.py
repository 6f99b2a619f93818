"""The files of this repository, for tests that look at the repository itself."""

import subprocess
from pathlib import Path

from tests.conftest import ROOT

_TEXT = {".py", ".md", ".toml", ".txt", ".js", ".mjs", ".json", ".yml", ".yaml", ".in", ""}
_TOPS = ("src", "tests", "docs", "scripts", "benchmarks", "examples")


def committed() -> list[Path]:
    """Every text file that git tracks, so that work in progress is nobody's fault; outside of git, all files."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False).stdout.decode()
    files = [ROOT / name for name in listed.split("\0") if name]
    if not files:
        files = [file for top in _TOPS for file in (ROOT / top).rglob("*") if "node_modules" not in file.parts]
    return sorted(file for file in files if file.suffix in _TEXT and file.is_file())

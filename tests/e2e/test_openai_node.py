"""The official OpenAI SDK for Node, and plain fetch, against a real server."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import absent
from tests.e2e.real import FIXTURES
from tests.serving import Server

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent / "node"


def run(script: str, server: Server, second_key: str) -> None:
    """Run a script of Node tests; every one must have run and passed."""
    node = shutil.which("node")
    if node is None:
        absent("node", "node")
    if not (HERE / "node_modules" / "openai").is_dir():
        absent("node", "the openai package for Node (scripts/test-tools installs it)")
    environment = os.environ | {
        "VOXGATE_URL": server.url,
        "VOXGATE_KEY": server.key,
        "VOXGATE_OTHER_KEY": second_key,
        "VOXGATE_FIXTURES": str(FIXTURES),
    }
    ran = subprocess.run(
        [str(node), "--test", "--test-reporter=tap", script],
        cwd=HERE,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    written = len(re.findall(r"^test\(", (HERE / script).read_text(), re.MULTILINE))
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    passed = re.search(r"^# pass (\d+)$", ran.stdout, re.MULTILINE)
    assert passed, ran.stdout
    assert int(passed[1]) == written


def test_real_engines(real_server: Server) -> None:
    run("real.test.mjs", real_server, real_server.new_key("poor in Node", "0"))


def test_failing_engines(shaky_server: Server) -> None:
    run("shaky.test.mjs", shaky_server, shaky_server.new_key("repeats in Node", "100"))

"""A real `voxgate serve` process for tests: started with a configuration, stopped and looked through at the end."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

SCRIPTED = """
[routing]
stt = ["scripted_stt"]
tts = ["scripted_tts"]
llm = ["scripted_llm"]
vad = "scripted_vad"
turn = "scripted_turn"
[voices.aliases]
alloy = {gender = "neutral", use = ["scripted_tts/tone"]}
"""
"""Engines that cost nothing and say the same every time; audio is really decoded and really encoded."""

_PATIENCE_S = 60  # a loaded CI machine; a server is ready after two seconds


class Server:
    """One running server."""

    def __init__(
        self, folder: Path, config: str, environment: dict[str, str] | None = None, *, python: str = sys.executable
    ) -> None:
        """`python`: of the environment whose Voxgate is to run."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.data = folder / "data"
        (folder / "voxgate.toml").write_text(config)
        self._out = folder / "stdout.txt"
        self._log = folder / "stderr.txt"
        cleaned = {k: v for k, v in os.environ.items() if not k.startswith(("VOXGATE__", "OPENAI_"))}
        self.environment = cleaned | {"VOXGATE_DATA_DIR": str(self.data)} | (environment or {})
        with self._out.open("wb") as out, self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [python, "-m", "voxgate", "serve", "--port", "0", "--config", str(folder / "voxgate.toml")],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                cwd=folder,
                env=self.environment,
            )
        began = time.monotonic()
        while " is ready at " not in self.out:
            if self.process.poll() is not None or time.monotonic() - began > _PATIENCE_S:
                self.process.kill()
                raise RuntimeError(f"the server did not become ready:\n{self.out}\n{self.log}")
            time.sleep(0.02)
        self.ready_after_s = time.monotonic() - began
        self.url = re.findall(r" is ready at (https?://\S+)", self.out)[0]
        keys = re.findall(r"vg_[\w-]{32,}", self.out)
        self.key = keys[0] if keys else ""

    @property
    def out(self) -> str:
        """What it printed."""
        return self._out.read_text()

    @property
    def log(self) -> str:
        """What it logged."""
        return self._log.read_text()

    def client(self, key: str | None = None) -> httpx.Client:
        """An HTTP client with this server's key, or another."""
        return httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {key or self.key}"}, timeout=60, trust_env=False
        )

    def voxgate(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run another `voxgate` command on the same data."""
        return subprocess.run(
            [sys.executable, "-m", "voxgate", *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=check,
        )

    def new_key(self, org: str, credits_: str) -> str:
        """A key of an organization with so many credits."""
        made = self.voxgate("keys", "create", "--org", org, "--credits", credits_)
        return made.stdout.strip()

    def children(self) -> list[int]:
        """Process ids of its workers, and theirs."""
        listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        parents = {int(pid): int(parent) for pid, parent in (line.split() for line in listed.splitlines())}
        found = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return sorted(found - {self.process.pid})

    def stop(self) -> int:
        """End it as an operator would; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

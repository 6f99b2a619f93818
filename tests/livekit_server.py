"""LiveKit's own server on loopback, for the tests that meet it: started on free ports, stopped at the end."""

import os
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import httpx

from tests.conftest import ROOT, absent

API_KEY = "devkey"
API_SECRET = "a-secret-of-tests-of-32-characters"  # shorter ones make PyJWT warn

_PATIENCE_S = 30
_CONFIG = """
port: {http}
bind_addresses: ["127.0.0.1"]
rtc:
  tcp_port: {tcp}
  udp_port: {udp}
  node_ip: 127.0.0.1
  use_external_ip: false
  enable_loopback_candidate: true
room:
  auto_create: false
keys:
  {key}: {secret}
logging:
  level: warn
  json: true
"""
_WEBHOOK = """
webhook:
  api_key: {key}
  urls: ["{url}"]
"""


def program() -> Path:
    """The server's program; skips or fails the test where it was not built."""
    found = sorted((ROOT / ".cache" / "livekit-server").glob("*/livekit-server"))
    if not found or not os.access(found[-1], os.X_OK):
        absent("livekit", "LiveKit's server (make livekit-server builds it)")
    return found[-1]


def free_ports() -> tuple[int, int, int]:
    """Three ports nobody has: of HTTP, of ICE over TCP and of ICE over UDP."""
    with ExitStack() as held:
        kinds = (socket.SOCK_STREAM, socket.SOCK_STREAM, socket.SOCK_DGRAM)
        sockets = [held.enter_context(socket.socket(socket.AF_INET, kind)) for kind in kinds]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        http, tcp, udp = (each.getsockname()[1] for each in sockets)
        return http, tcp, udp


class LiveKitServer:
    """One running server, which makes no rooms by itself: whoever carries one says so first."""

    def __init__(self, folder: Path, *, webhook: str = "", ports: tuple[int, int, int] | None = None) -> None:
        """`webhook`: address that is told of joins and leaves. `ports`: of `free_ports`, to know them before."""
        folder.mkdir(parents=True, exist_ok=True)
        http, tcp, udp = ports or free_ports()
        self.url = f"ws://127.0.0.1:{http}"
        config = _CONFIG.format(http=http, tcp=tcp, udp=udp, key=API_KEY, secret=API_SECRET)
        if webhook:
            config += _WEBHOOK.format(key=API_KEY, url=webhook)
        (folder / "livekit.yaml").write_text(config)
        self._log = folder / "livekit.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [program(), "--config", str(folder / "livekit.yaml")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
            )
        began = time.monotonic()
        while not self._answers(f"http://127.0.0.1:{http}/"):
            if self.process.poll() is not None or time.monotonic() - began > _PATIENCE_S:
                self.stop()
                raise RuntimeError(f"LiveKit's server did not become ready:\n{self.log}")
            time.sleep(0.05)

    @property
    def log(self) -> str:
        """What it logged."""
        return self._log.read_text()

    def stop(self) -> None:
        """End it at once: rooms that are open would keep it up."""
        self.process.kill()
        self.process.wait(10)

    @staticmethod
    def _answers(url: str) -> bool:
        try:
            return httpx.get(url, timeout=2, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

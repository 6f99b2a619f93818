"""Servers with scripted engines whose calls in rooms are carried by this provider or that."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.livekit_server import API_KEY, API_SECRET, LiveKitServer, free_ports
from tests.serving import SCRIPTED, Server

_LIVEKIT = """
[rooms]
provider = "livekit"
[rooms.livekit]
url = "ws://127.0.0.1:{port}"
api_key = "{key}"
api_secret = "{secret}"
"""


@dataclass
class Carrier:
    """A server, and who carries its rooms."""

    name: str
    server: Server
    livekit: LiveKitServer | None = None


@contextmanager
def carried(name: str, folder: Path) -> Iterator[Carrier]:
    """A server with the provider `embedded` or `livekit`, webhooks and all; its end and its log are looked at."""
    if name == "embedded":
        made = Carrier(name, Server(folder, SCRIPTED))
    else:
        ports = free_ports()
        server = Server(folder, SCRIPTED + _LIVEKIT.format(port=ports[0], key=API_KEY, secret=API_SECRET))
        livekit = LiveKitServer(folder / "livekit", webhook=f"{server.url}/livekit/webhook", ports=ports)
        made = Carrier(name, server, livekit)
    try:
        yield made
        status = made.server.stop()
    finally:
        made.server.process.kill()
        if made.livekit is not None:
            made.livekit.stop()
    assert status == 0
    assert "Traceback" not in made.server.log

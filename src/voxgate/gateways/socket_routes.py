"""What answers on which socket path."""

from collections.abc import Mapping

from voxgate.gateways.sockets import Route, Sockets

LIVE, SPEECH = "/v1/realtime", "/v1/realtime/tts"
"""Live transcription, and realtime speech."""


def routes(sockets: Sockets) -> Mapping[str, Route]:
    """Path -> what answers there. A new one has to be opened to client secrets in `auth.SCOPED`, on purpose."""
    return {}

"""What answers on which socket path."""

from collections.abc import Mapping

from voxgate.gateways.live import SUBPROTOCOL, live
from voxgate.gateways.sockets import Route, Sockets
from voxgate.gateways.speaking import speaking

LIVE, SPEECH = "/v1/realtime", "/v1/realtime/tts"
"""Live transcription, and realtime speech."""


def routes(sockets: Sockets) -> Mapping[str, Route]:
    """Path -> what answers there. A new one has to be opened to client secrets in `auth.SCOPED`, on purpose."""
    return {LIVE: Route(live(sockets), subprotocols=(SUBPROTOCOL,)), SPEECH: Route(speaking(sockets), token_first=True)}

"""Which WebSocket messages python-engineio and python-socketio can take: it looks before they do. Pure.

Read off their sources (4.15.1, 5.18.1): a packet they cannot read raises where nobody cleans up, JSON without an
event's name is parsed first and refused later, and an event that announces attachments collects whatever comes until
there are as many, a billion for instance.
"""

import re

from voxgate.errors import PeerError

MOST_ATTACHMENTS = 4
"""Binary parts an event may have. Ours have one."""

_CONTROL_CHARACTERS = 16  # of a packet of Engine.IO that carries no message: "2probe", "3", "5"
_WITH_ATTACHMENTS = re.compile(r"4[56](\d{1,10})-")


class Screen:
    """What one connection sends, message by message."""

    def __init__(self) -> None:
        self._awaited = 0

    def look(self, message: str | bytes) -> None:
        """Let a message pass. Raises PeerError for one that the libraries must not see."""
        if isinstance(message, bytes):
            if not self._awaited:
                raise PeerError("a binary message that no event has announced")
            self._awaited -= 1
            return
        if self._awaited:
            raise PeerError("the binary part of an event is missing: a text message came in its place")
        kind = message[:1]
        if kind == "4":
            if message[1:2] not in ("0", "1", "2", "3", "5", "6"):
                raise PeerError("no Socket.IO packet")
            if (announced := _WITH_ATTACHMENTS.match(message)) is not None:
                count = int(announced[1])
                if not 0 < count <= MOST_ATTACHMENTS:
                    raise PeerError(f"an event has at most {MOST_ATTACHMENTS} binary parts")
                self._awaited = count
            elif message[1:2] in ("5", "6"):
                raise PeerError("no Socket.IO packet")
        elif kind not in ("1", "2", "3", "5", "6") or len(message) > _CONTROL_CHARACTERS:
            raise PeerError("no Engine.IO packet")

    def missing(self) -> bool:
        """Whether an attachment is awaited; where it is, it counts as having come: it was too large to be read."""
        if not self._awaited:
            return False
        self._awaited -= 1
        return True

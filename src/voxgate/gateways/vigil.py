"""What time says about one socket: when to ping, when to give up. Pure; moments are seconds of the loop's clock."""

import math
from dataclasses import dataclass
from enum import Enum, auto

from voxgate.gateways.limits import LimitSettings

_LOOK_S = 1.0
"""A socket is looked at this often at least: what a session knows of its own end, its credits, changes unseen."""
_SOON_S = 0.01
"""And at most this often, so that a deadline met a hair too early spins nothing."""


class Act(Enum):
    """What is to be done now."""

    WAIT = auto()
    PING = auto()
    STUCK = auto()
    """What was posted is not read: break the connection off."""
    SILENT = auto()
    """Not even pings are answered: the peer is gone without a word."""
    IDLE = auto()
    """It answers pings, and has sent no message for too long."""
    OVER = auto()
    """The longest session there is has come to its end."""
    UNAUTHENTICATED = auto()
    """No credential came in time."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a socket at some moment."""

    heard: float
    """When the last byte of any kind came, or when we went on reading after a pause of our own."""
    told: float
    """When the last byte was written."""
    reading: bool
    """False while we read nothing: silence then is our own doing."""
    waiting_since: float | None
    """Since when the session has waited for a message; None while it is busy with one."""
    stuck_since: float | None
    """Since when the peer has left too much unread; None while it takes what it is sent."""
    leaving: bool
    """The peer has said that it sends no more."""


class Vigil:
    """The deadlines of one socket."""

    def __init__(self, limits: LimitSettings, opened: float, *, authenticated: bool) -> None:
        self._limits = limits
        self._opened = opened
        self._pinged = opened
        self._asked = -math.inf  # the last ping that was sent
        self.authenticated = authenticated
        """Whether its credential has come."""
        self.key_until: float | None = None
        """When its key ends; None: it does not, or has not come."""

    def look(self, now: float, seen: Seen) -> Act:
        """What is due. A ping counts as sent from here on."""
        limits = self._limits
        if seen.stuck_since is not None and now - seen.stuck_since >= limits.slow_reader_s:
            return Act.STUCK
        if seen.leaving:
            return Act.WAIT
        if not self.authenticated and now - self._opened >= limits.socket_unauthenticated_s:
            return Act.UNAUTHENTICATED
        if now - self._opened >= limits.session_s:
            return Act.OVER
        if seen.waiting_since is not None and now - seen.waiting_since >= limits.socket_idle_s:
            return Act.IDLE
        # A ping must have gone unanswered: after a standstill of our own, nothing was read and nothing was asked.
        if seen.reading and self._asked > seen.heard and now - seen.heard >= limits.socket_silent_s:
            return Act.SILENT
        # Quiet in either direction: proxies close connections on which a server says nothing for a minute, however
        # much audio comes the other way.
        if now - self._pinged >= limits.socket_ping_s and now - min(seen.heard, seen.told) >= limits.socket_ping_s:
            self._pinged = self._asked = now
            return Act.PING
        return Act.WAIT

    def left_s(self, now: float, seen: Seen) -> dict[str, float]:
        """Seconds until each limit ends the session, by the reason `session.expiring` gives."""
        left = {"session": self._opened + self._limits.session_s - now}
        if seen.waiting_since is not None:
            left["idle"] = seen.waiting_since + self._limits.socket_idle_s - now
        if self.key_until is not None:
            left["key"] = self.key_until - now
        return left

    def next_s(self, now: float, seen: Seen) -> float:
        """Seconds after which it is time to look again."""
        limits = self._limits
        due = [
            self._opened + limits.session_s,
            max(self._pinged, min(seen.heard, seen.told)) + limits.socket_ping_s,
            seen.heard + limits.socket_silent_s,
        ]
        if seen.stuck_since is not None:
            due.append(seen.stuck_since + limits.slow_reader_s)
        if seen.waiting_since is not None:
            due.append(seen.waiting_since + limits.socket_idle_s)
        if not self.authenticated:
            due.append(self._opened + limits.socket_unauthenticated_s)
        ahead = [moment - now for moment in due if moment > now]
        # when an end is to be announced
        ahead += [more for left in self.left_s(now, seen).values() if (more := left - limits.session_expiring_s) > 0]
        # a wait that begins right after this look does not end before the next
        return max(_SOON_S, min([_LOOK_S, limits.socket_idle_s, *ahead]))

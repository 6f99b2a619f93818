"""Time in a room: how long its person was inside, and when a session is over. Pure: time comes from whoever asks.

Only presence is billed. A session that nobody joins costs its first minute and no more, and the minute for which a room
is kept for somebody who may come back is not counted, whether he does or not.
"""

from dataclasses import dataclass
from typing import Protocol

from voxgate.rooms import Lived, RoomEnd
from voxgate.services.billing import Tariff

MINUTE_MS = 60_000


class RoomRules(Protocol):
    """What ends sessions; the configuration of rooms carries it out. Seconds."""

    @property
    def token_s(self) -> float:
        """How long a person's token lets him join."""
        ...

    @property
    def empty_s(self) -> float:
        """How long a room that somebody was in may be empty."""
        ...

    @property
    def grace_s(self) -> float:
        """How long one whose token has run out may be away."""
        ...

    @property
    def longest_s(self) -> float:
        """How long a person may be inside altogether."""
        ...

    @property
    def announce_s(self) -> float:
        """How long before its end a session says so, and before its end a minute is held the next one for."""
        ...


class Presence:
    """A stopwatch that runs while the person is inside. Times are monotonic seconds."""

    def __init__(self, now: float) -> None:
        self._before_s = 0.0
        self._since = now
        self.inside = False
        self.joined_once = False

    def joined(self, now: float) -> None:
        """He is inside; again changes nothing."""
        if not self.inside:
            self.inside = self.joined_once = True
            self._since = now

    def left(self, now: float) -> None:
        """He is not there; again changes nothing."""
        if self.inside:
            self._before_s += now - self._since
            self.inside = False
            self._since = now

    def inside_s(self, now: float) -> float:
        """How long he was inside, altogether."""
        return self._before_s + (now - self._since if self.inside else 0.0)

    def empty_s(self, now: float) -> float:
        """For how long nobody has been inside."""
        return 0.0 if self.inside else now - self._since


def lived(tariff: Tariff, inside_s: float, minutes_held: int) -> Lived:
    """What is billed of a session: whole begun minutes, at least one, and never more than were held for.

    `tariff`: in milliseconds. A step that comes late at the end of the last minute costs nobody anything: presence
    beyond what was held does not count.
    """
    duration_ms = min(int(inside_s * 1000), minutes_held * MINUTE_MS)
    minutes = max(1, -(-duration_ms // MINUTE_MS))
    return Lived(duration_ms, minutes, tariff.charge(minutes * MINUTE_MS))


@dataclass(frozen=True, slots=True)
class Situation:
    """A session at one moment."""

    inside: bool
    joined_once: bool
    empty_s: float
    inside_s: float
    token_left_s: float
    """Negative once it has run out."""
    held_left_s: float
    """How much longer he may be inside with what is held."""
    next_minute: RoomEnd | None
    """Why the next minute is not held yet, though it was tried: `credits`, or `failed` where the database did not
    answer; None where nothing went wrong."""


def ending(rules: RoomRules, now: Situation) -> RoomEnd | None:
    """Why the session is over; None while it goes on."""
    if now.inside:
        if now.inside_s >= rules.longest_s:
            return RoomEnd.EXPIRED
        return (now.next_minute or RoomEnd.FAILED) if now.held_left_s <= 0 else None
    if now.token_left_s <= 0 and (not now.joined_once or now.empty_s >= rules.grace_s):
        return RoomEnd.EXPIRED
    return RoomEnd.LEFT if now.joined_once and now.empty_s >= rules.empty_s else None


@dataclass(frozen=True, slots=True)
class Notice:
    """A session is about to end."""

    reason: RoomEnd
    """`credits` or `expired`."""
    seconds: float
    """Until then."""


def notice(rules: RoomRules, now: Situation) -> Notice | None:
    """What is to be announced to a person inside; None where the end is not near."""
    if not now.inside:
        return None
    coming = [Notice(RoomEnd.EXPIRED, rules.longest_s - now.inside_s)]
    if now.next_minute is RoomEnd.CREDITS:
        coming.append(Notice(RoomEnd.CREDITS, now.held_left_s))
    first = min(coming, key=lambda each: each.seconds)
    return first if 0 < first.seconds <= rules.announce_s else None

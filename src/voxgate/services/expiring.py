"""Limits that will end a session announce themselves first: what `session.expiring` says, and when. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

LEAD_S = 30.0
"""How long before its end a session is told (contract, Limits)."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One `session.expiring`."""

    reason: str
    """Which limit: `credits`, `session`, `key` …"""
    seconds_left: int
    """Whole seconds, rounded down: nobody is promised more than there is."""


class Expiring:
    """Watches the limits of one session; each is announced once, and again only after it has moved away."""

    def __init__(self, *, lead_s: float = LEAD_S) -> None:
        self._lead_s = lead_s
        self._told: set[str] = set()

    def look(self, left_s: Mapping[str, float]) -> list[Notice]:
        """What is to be announced now, soonest first. `left_s`: seconds until each limit would end the session."""
        self._told = {reason for reason in self._told if left_s.get(reason, self._lead_s + 1) <= self._lead_s}
        near = {reason: left for reason, left in left_s.items() if left <= self._lead_s and reason not in self._told}
        self._told |= near.keys()
        return [Notice(reason, max(0, int(near[reason]))) for reason in sorted(near, key=lambda name: near[name])]

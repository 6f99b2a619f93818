"""How often, and how much at once: token buckets and places. Pure: time comes from the clock that is handed in.

State is a number or two for each name, in memory, of this process: several servers behind one balancer each allow
the whole rate. Names nobody used for long are forgotten first, so that no flood of addresses can fill the memory.
"""

from collections import OrderedDict

from voxgate.clock import Clock

REMEMBERED = 100_000
"""Names a table holds at most: some 10 MB."""

_MINUTE_NS = 60 * 10**9


class Buckets:
    """A token bucket a name: `per_minute` at once from a full one, which fills evenly in a minute.

    Kept as the generic cell rate algorithm does (ITU-T I.371, annex A): of each bucket only the moment at which it will
    be full again. A bucket that is full is as good as forgotten, so forgetting the one that was used longest ago costs
    the least; an integer of nanoseconds never drifts.
    """

    def __init__(self, per_minute: int, clock: Clock, *, remembered: int = REMEMBERED) -> None:
        self._interval = max(1, _MINUTE_NS // per_minute)
        self._burst = self._interval * (per_minute - 1)
        self._clock = clock
        self._remembered = remembered
        self._full_at: OrderedDict[str, int] = OrderedDict()

    def wait_s(self, name: str) -> float:
        """Seconds until the bucket holds a token: 0 where it does."""
        now = self._now()
        return max(0, self._full_at.get(name, now) - now - self._burst) / 10**9

    def take(self, name: str) -> float:
        """Take a token: 0. Where there is none nothing is taken, and the answer is the seconds until there is one."""
        wait = self.wait_s(name)
        if wait > 0:
            return wait
        now = self._now()
        self._full_at[name] = max(now, self._full_at.get(name, now)) + self._interval
        self._full_at.move_to_end(name)
        if len(self._full_at) > self._remembered:
            self._full_at.popitem(last=False)
        return 0.0

    def __len__(self) -> int:
        return len(self._full_at)

    def _now(self) -> int:
        return round(self._clock.monotonic() * 10**9)


class Places:
    """How many of a name are inside at once."""

    def __init__(self) -> None:
        self._inside: dict[str, int] = {}

    def enter(self, name: str, most: int) -> bool:
        """Go in, unless `most` of that name are inside; whoever went in leaves once."""
        inside = self._inside.get(name, 0)
        if inside >= most:
            return False
        self._inside[name] = inside + 1
        return True

    def leave(self, name: str) -> None:
        """Go out again."""
        self._inside[name] -= 1
        if not self._inside[name]:
            del self._inside[name]

    def __len__(self) -> int:
        return len(self._inside)


class Recent:
    """The names that were noted last."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._names: OrderedDict[bytes, None] = OrderedDict()

    def note(self, name: bytes) -> None:
        """Remember it, longer than any noted before."""
        self._names[name] = None
        self._names.move_to_end(name)
        if len(self._names) > self._remembered:
            self._names.popitem(last=False)

    def __contains__(self, name: bytes) -> bool:
        return name in self._names

"""Packets of a stream as the network brought them, put in order, and holes where some are missing. Pure.

A packet in order goes straight on: there is no delay but what loss makes. Behind a missing one, packets wait until it
comes or until `depth` of them wait, which at 20 ms a packet and a depth of 3 is 60 ms; then it is given up for lost,
everything that waited goes on, and the delay is gone again. (aiortc's own buffer holds 80 ms back at all times and,
after one lost packet, 300 ms for the rest of the call.)
"""

from dataclasses import dataclass

_FAR = 100
"""Packets. A number further away than this is no neighbour: somebody began anew, or was away for two seconds."""
_SEQUENCES = 1 << 16
_TIMESTAMPS = 1 << 32


@dataclass(frozen=True, slots=True)
class Hole:
    """Sound that is missing."""

    samples: int
    """By the stream's own clock."""


class Reorder:
    """One stream of RTP."""

    def __init__(self, *, depth: int = 3, longest_hole: int = 48_000) -> None:
        """`longest_hole`: in samples by the stream's clock; what is missing beyond it was a pause, or another clock,
        and is passed over."""
        self.lost = 0
        """Packets that were given up."""
        self.late = 0
        """Packets that came twice, or after they were given up."""
        self._depth = depth
        self._longest_hole = longest_hole
        self._held: dict[int, tuple[int, int, bytes]] = {}  # sequence number -> timestamp, samples, payload
        self._next: int | None = None  # the sequence number that is due
        self._timestamp = 0  # the one it should have

    @property
    def waiting(self) -> int:
        """Packets that wait for one before them."""
        return len(self._held)

    @property
    def missing(self) -> int | None:
        """The number of the packet that is waited for: where it is the same for too long, `drain`."""
        return self._next if self._held else None

    def push(self, sequence: int, timestamp: int, samples: int, payload: bytes) -> list[bytes | Hole]:
        """What can be played, in order, once this packet is there.

        `sequence`, `timestamp`: as RTP has them, of 16 and 32 bits. `samples`: how long the packet plays, by the same
        clock as `timestamp`.
        """
        due: list[bytes | Hole] = []
        if self._next is None:
            self._next, self._timestamp = sequence, timestamp
        ahead = _distance(sequence, self._next, _SEQUENCES)
        if abs(ahead) > _FAR:
            due = self.drain()
            self._next, self._timestamp = sequence, timestamp
        elif ahead < 0 or sequence in self._held:
            self.late += 1
            return due
        self._held[sequence] = (timestamp, samples, payload)
        due += self._ready()
        if len(self._held) >= self._depth:
            due += self._skip()
        return due

    def drain(self) -> list[bytes | Hole]:
        """Everything that waits, with holes for what it waited for."""
        due: list[bytes | Hole] = []
        while self._held:
            due += self._skip()
        return due

    def _skip(self) -> list[bytes | Hole]:
        """Give up what is missing before the nearest that waits."""
        assert self._next is not None  # packets wait
        following = self._next
        nearest = min(self._held, key=lambda sequence: _distance(sequence, following, _SEQUENCES))
        self.lost += _distance(nearest, following, _SEQUENCES)
        self._next = nearest
        return self._ready()

    def _ready(self) -> list[bytes | Hole]:
        due: list[bytes | Hole] = []
        assert self._next is not None
        while (packet := self._held.pop(self._next, None)) is not None:
            timestamp, samples, payload = packet
            missing = _distance(timestamp, self._timestamp, _TIMESTAMPS)
            if 0 < missing <= self._longest_hole:
                due.append(Hole(missing))
            due.append(payload)
            self._next = (self._next + 1) % _SEQUENCES
            self._timestamp = (timestamp + samples) % _TIMESTAMPS
        return due


def _distance(later: int, earlier: int, modulus: int) -> int:
    """How far one number lies behind another on a circle, the short way round; negative where it lies before."""
    return (later - earlier + modulus // 2) % modulus - modulus // 2

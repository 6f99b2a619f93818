"""Playing a reply to somebody: what was sent, what has been played, what is due. Pure.

Times are samples of the reply's own rate, on a clock that is handed in. A client plays what it gets from the moment it
gets it, and waits where nothing is left; that is how the position is known, unless the client reports it.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from voxgate.domain import Samples


class PlayoutMode(StrEnum):
    """How a client plays."""

    STREAM = "stream"
    """It queues what it gets (`pcm16`): chunks of one length, a little ahead."""
    PIECES = "pieces"
    """It plays each chunk on arrival, over whatever still plays (`mp3`, `wav`, `opus`, each chunk a file of its own):
    cut at quiet points, one after the other."""


@dataclass(frozen=True, slots=True)
class PlayoutSettings:
    """How a reply is cut up and how far ahead it is sent (contract, section 6)."""

    mode: PlayoutMode = PlayoutMode.STREAM
    chunk_ms: int = 100
    """STREAM: the length of a chunk. A Socket.IO event costs 0.5 ms, so shorter ones cost more than they are worth."""
    lead_ms: int = 200
    """STREAM: how far what was sent runs ahead of what is played, and how long an interrupted client plays on."""
    shortest_ms: int = 200
    """PIECES: the shortest chunk, and the first one where it can be cut there; the last may be shorter."""
    first_ms: int = 300
    """PIECES: the longest first chunk: it is sent while the rest is still being made."""
    longest_ms: int = 600
    """PIECES: the longest chunk, and how long an interrupted client plays on at most."""
    between_ms: int = 40
    """PIECES: how long after the end of a chunk the next one is sent. In Chromium an element ends 50 to 75 ms after the
    length of its sound, and networks are not even: with this, neither overlap nor gap reaches 60 ms."""
    ahead_ms: int = 800
    """How much audio is to be at hand, unsent: the longest piece and the shortest behind it. More would be made in
    vain when the reply is interrupted."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Audio to be sent now."""

    index: int
    """Counts the chunks of a reply from 0."""
    start: int
    """Its first sample, counted from the beginning of the reply."""
    samples: Samples


_FRAME_MS = 10
"""Resolution of the search for a quiet point."""
_QUIET = 0.05
"""Share of the mean power of the stretch that is searched: below it a frame is as good as silent, and the last such
frame is taken, since every cut costs a client a gap."""


class Playout:
    """One reply on its way to the ear. Audio in, chunks out; holds what was not sent yet."""

    def __init__(self, settings: PlayoutSettings, rate: int, *, begins_at: int = 0) -> None:
        """`rate`: samples per second. `begins_at`: until then the client still plays what came before."""
        self._settings = settings
        self._rate = rate
        self._unsent: deque[Samples] = deque()
        self._waiting = 0  # samples in `_unsent`
        self._finished = False
        self._held = False
        self._stopped = False
        self._chunks = 0
        self._sent = 0
        self._at, self._position = begins_at, 0  # the client was, or will be, at this position at this time

    @property
    def sent(self) -> int:
        """Samples that were sent."""
        return self._sent

    @property
    def chunks(self) -> int:
        """Chunks that were sent."""
        return self._chunks

    @property
    def hungry(self) -> bool:
        """Whether more audio should be fetched from the voice."""
        return not self._finished and not self._stopped and self._waiting < self._samples(self._settings.ahead_ms)

    def add(self, audio: Samples) -> None:
        """More of the reply, in order; after `stop` it is thrown away."""
        if len(audio) and not self._stopped:
            self._unsent.append(audio)
            self._waiting += len(audio)

    def finish(self) -> None:
        """All of the reply was added."""
        self._finished = True

    def hold(self) -> None:
        """Send no more until `resume`; what was sent plays on. Idempotent."""
        self._held = True

    def resume(self) -> None:
        """Send on, from the sample behind the last that was sent. Idempotent."""
        self._held = False

    def stop(self, now: int) -> int:
        """The reply was interrupted, the client told to fall silent: samples that were heard. Idempotent."""
        if not self._stopped:
            self._at, self._position = now, self.heard(now)
            self._stopped = True
            self._unsent.clear()
            self._waiting = 0
        return self._position

    def heard(self, now: int) -> int:
        """Samples that were played by `now`; never more than were sent."""
        if self._stopped:
            return self._position
        return min(self._sent, self._position + max(0, now - self._at))

    def report(self, position: int, now: int) -> None:
        """The client says that it has played so many samples of the reply; kept within what was sent."""
        if not self._stopped:
            self._at, self._position = now, min(max(position, 0), self._sent)

    def played_out(self, now: int) -> bool:
        """Whether everything was made, sent and played."""
        return self._finished and not self._stopped and not self._waiting and self.heard(now) == self._sent

    def ends_at(self, now: int) -> int:
        """When the client will have played what was sent, if no more is."""
        return now if self._stopped else max(now, self._at + self._sent - self._position)

    def next_at(self, now: int) -> int | None:
        """When to ask `due` or `played_out` again; None while only more audio, `finish` or `resume` can change them."""
        if self._stopped:
            return None
        if self._held or not self._ready():
            waits = self._finished and not self._waiting and self.heard(now) < self._sent
            return self.ends_at(now) if waits else None
        return max(now, self._sendable_at())

    def due(self, now: int) -> Chunk | None:
        """The next chunk, if it is time; taken out, counted as sent. Ask until there is none."""
        if self._held or self._stopped or not self._ready() or now < self._sendable_at():
            return None
        start, heard = self._sent, self.heard(now)
        if heard == self._sent:
            self._at, self._position = max(now, self._at), heard  # the client had run dry
        samples = self._take(self._cut())
        self._sent += len(samples)
        self._chunks += 1
        return Chunk(self._chunks - 1, start, samples)

    def _sendable_at(self) -> int:
        """When there is room for the next chunk on the client's side."""
        ends = self._at + self._sent - self._position
        if self._settings.mode is PlayoutMode.PIECES:
            return ends + (self._samples(self._settings.between_ms) if self._sent else 0)
        room = self._samples(self._settings.lead_ms) - min(self._waiting, self._samples(self._settings.chunk_ms))
        return ends - max(0, room)

    def _ready(self) -> bool:
        """Whether there is enough for a chunk."""
        least = self._settings.chunk_ms if self._settings.mode is PlayoutMode.STREAM else self._settings.shortest_ms
        return self._waiting >= (1 if self._finished else self._samples(least))

    def _cut(self) -> int:
        """Length of the next chunk."""
        settings = self._settings
        if settings.mode is PlayoutMode.STREAM:
            return min(self._waiting, self._samples(settings.chunk_ms))
        shortest, longest = self._samples(settings.shortest_ms), self._samples(settings.longest_ms)
        if self._finished and self._waiting <= longest:
            return self._waiting
        most = min(self._waiting, self._samples(settings.first_ms) if self._chunks == 0 else longest)
        if self._finished:
            most = min(most, max(shortest, self._waiting - shortest))  # so that no scrap is left for the end
        return self._quiet_point(shortest, most)

    def _quiet_point(self, least: int, most: int) -> int:
        """Where to cut between `least` and `most` samples: in the last frame that is all but silent, else the quietest.

        Of frames that are equally quiet the later one is taken.
        """
        frame = self._samples(_FRAME_MS)
        count = (most - least) // frame
        if count < 1:
            return most
        audio = self._peek(least + count * frame)[least:]
        powers = np.square(audio.reshape(count, frame)).mean(axis=1)
        silent = np.flatnonzero(powers <= _QUIET * powers.mean())
        best = int(silent[-1]) if len(silent) else count - 1 - int(np.argmin(powers[::-1]))
        return least + best * frame + frame // 2

    def _peek(self, samples: int) -> Samples:
        """The first unsent samples."""
        parts: list[Samples] = []
        for part in self._unsent:
            parts.append(part[: samples - sum(map(len, parts))])
            if sum(map(len, parts)) == samples:
                break
        return np.concatenate(parts)

    def _take(self, samples: int) -> Samples:
        taken = self._peek(samples)
        self._waiting -= samples
        left = samples
        while left:
            part = self._unsent.popleft()
            if len(part) > left:
                self._unsent.appendleft(part[left:])
            left -= min(left, len(part))
        return taken

    def _samples(self, milliseconds: int) -> int:
        return milliseconds * self._rate // 1000

"""How far what is sent may run ahead of what has been heard. Pure: samples, on a clock that is handed in.

A listener plays what arrives from the moment it arrives, and waits where nothing is left. What was sent but not yet
played is the lead; it may grow to a limit, so that a cancel finds little to take back and a client little to hold.
"""


class Pacing:
    """The lead of one stream of audio over its listener."""

    def __init__(self, ahead_s: float, rate: int) -> None:
        """`ahead_s`: the longest lead, in seconds; `rate`: samples per second of everything counted here."""
        self._most = ahead_s
        self._rate = rate
        self._since = 0.0
        """When the listener last had nothing left, on the clock."""
        self._samples = 0
        """Sent since then."""

    def lead_s(self, now_s: float) -> float:
        """Seconds of audio that the listener still has at `now_s`."""
        return max(0.0, self._samples / self._rate - (now_s - self._since))

    def wait_s(self, samples: int, now_s: float) -> float:
        """Seconds from `now_s` until so many more samples may be sent; 0 where they may go at once.

        A piece that is longer than the longest lead goes when the listener has nothing left.
        """
        lead = self.lead_s(now_s)
        return min(lead, max(0.0, lead + samples / self._rate - self._most))

    def sent(self, samples: int, now_s: float) -> None:
        """So many samples have left at `now_s`."""
        if self.lead_s(now_s) == 0:
            self._since, self._samples = now_s, 0
        self._samples += samples

    def thrown_away(self, samples: int, now_s: float) -> None:
        """The listener drops the last `samples` that were sent, as far as they were not played yet at `now_s`."""
        self._samples -= min(samples, round(self.lead_s(now_s) * self._rate))

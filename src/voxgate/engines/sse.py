"""Server-sent events, read from bytes that may be cut anywhere. Pure.

The grammar is the WHATWG HTML standard's, §9.2.6 "Interpreting an event stream": lines end in CR, LF or CRLF, a line
that begins with a colon is a comment, `data` lines of one event are joined by LF, a blank line ends the event.
"""

import codecs
import re
from dataclasses import dataclass

_LINE_END = re.compile(r"\r\n|\n|\r")

MAX_EVENT = 4 * 1024 * 1024
"""Characters one event may have: a model's whole answer in one event is a thousandth of it."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream."""

    data: str
    name: str = ""
    """The `event` field; empty for an ordinary message."""


class EventReader:
    """Bytes in, events out."""

    def __init__(self, *, limit: int = MAX_EVENT) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._limit = limit
        self._line: list[str] = []
        self._data: list[str] = []
        self._name = ""
        self._size = 0  # of the data lines that are complete
        self._pending = 0  # of the line that is not
        self._after_cr = False

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete. Raises ValueError where one event grows beyond the limit."""
        text = self._decoder.decode(data)
        if not text:
            return []
        if self._after_cr and text[0] == "\n":
            text = text[1:]
        self._after_cr = text[-1:] == "\r"
        *lines, rest = _LINE_END.split(text)
        events = []
        for line in lines:
            event = self._take("".join((*self._line, line)))
            self._line.clear()
            self._pending = 0
            if event is not None:
                events.append(event)
        if rest:
            self._line.append(rest)
            self._pending += len(rest)
        if self._size + self._pending > self._limit:
            raise ValueError(f"an event of more than {self._limit} characters")
        return events

    def close(self) -> list[Event]:
        """The last event of a server that ended without the blank line; the standard drops it, some servers need it."""
        events = self.feed(b"\n\n")
        self._decoder.reset()
        return events

    def _take(self, line: str) -> Event | None:
        if not line:
            event = Event("\n".join(self._data), self._name) if self._data else None
            self._data.clear()
            self._name = ""
            self._size = 0
            return event
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
            self._size += len(value) + 1
        elif field == "event":
            self._name = value
        return None

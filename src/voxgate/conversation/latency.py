"""Where the milliseconds between a person's last sound and the first sound of the answer went. Pure.

Everything is noted in seconds on one clock, whenever it happens; what is told counts from the last sound.
"""

from dataclasses import dataclass

from voxgate.calls import Latency, Stage


@dataclass(slots=True)
class HeardAt:
    """When the turn of a person was heard."""

    ended: float
    """The last sound, or when it was written: the zero."""
    decided: float | None = None
    """When the turn was decided to be over; None of a written one."""
    asked: float | None = None
    """When the final transcript was asked for; the last sound, where the recognizer had it ready in the pause."""
    known: float | None = None
    """When that was known."""


@dataclass(slots=True)
class MadeAt:
    """When a reply was made."""

    asked: float
    """The question went to the model, or the reply began with a text of its own."""
    token: float | None = None
    clause: float | None = None
    audio: float | None = None
    """The first audio of the voice."""
    sent: float | None = None
    """The first audio that went to the wire."""


def latency(heard: HeardAt, made: MadeAt) -> Latency:
    """The stages of one exchange."""

    def stage(start: float | None, end: float | None) -> Stage | None:
        if start is None or end is None:
            return None
        return Stage((start - heard.ended) * 1000, (end - heard.ended) * 1000)

    due = None if made.audio is None else max(made.audio, heard.decided or made.audio)
    return Latency(
        endpointing=stage(heard.ended, heard.decided),
        stt_final=stage(heard.asked, heard.known),
        first_token=stage(made.asked, made.token),
        first_clause=stage(made.token, made.clause),
        first_audio=stage(made.clause, made.audio),
        wire=stage(due, made.sent),
    )

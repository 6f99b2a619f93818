"""Turns to keep."""

from datetime import datetime

from voxgate.calls import Latency, Outcome, Stage, TurnRecord


def turn(
    session: str,
    reply: int,
    heard: str,
    *,
    text: str,
    at: datetime,
    spoken: str | None = None,
    outcome: Outcome = Outcome.HEARD,
) -> TurnRecord:
    """One exchange, answered 700 ms after the person had spoken."""
    return TurnRecord(
        call=session,
        turn=reply,
        reply=reply,
        ended_at=at,
        ended_by="silence" if heard else None,
        heard=heard,
        language="en",
        purpose="answer" if heard else "greeting",
        text=text,
        spoken=text if spoken is None else spoken,
        reply_language="en",
        outcome=outcome,
        latency=Latency(wire=Stage(600, 700)),
        speech_ms=900,
        played_ms=1000,
        suspected=0,
        guessed=False,
        discarded=0,
    )

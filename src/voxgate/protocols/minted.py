"""What a client secret was minted for, as the sockets of ours take it: defaults of their `session.start`."""

from collections.abc import Mapping
from typing import Any

from voxgate.audio.codecs.formats import parse_format
from voxgate.errors import PeerError
from voxgate.protocols.live.messages import NULL_SAYS_SOMETHING
from voxgate.protocols.live.messages import SessionStart as LiveStart
from voxgate.protocols.realtime import read
from voxgate.protocols.speech.messages import SessionStart as SpeechStart

LIVE, SPEECH = "transcription", "speech"
"""`type` of a `session` that holds defaults for live transcription, or for realtime speech. Of any other (OpenAI's
is `realtime`, with models and fields of its own) nothing is taken."""


def defaults(session: Mapping[str, Any] | None, kind: str) -> Mapping[str, Any]:
    """The fields of `session.start` that a client secret brings to sockets of this kind; none from an API key."""
    if session is None or session.get("type") != kind:
        return {}
    return {name: value for name, value in session.items() if name != "type"}


def check_minted(session: Mapping[str, Any]) -> None:
    """Say what is wrong with a `session` to whoever mints for it, not to the browser that uses it.

    Raises PeerError naming the field.
    """
    try:
        if session.get("type") == LIVE:
            read(LiveStart, defaults(session, LIVE), keep_null=NULL_SAYS_SOMETHING)
        elif session.get("type") == SPEECH:
            parse_format(read(SpeechStart, defaults(session, SPEECH)).response_format)
    except PeerError as error:
        param = "session" if error.param is None else f"session.{error.param}"
        raise PeerError(f"session: {error.message}", code=error.code, param=param) from None

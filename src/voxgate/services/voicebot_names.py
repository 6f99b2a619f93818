"""Whether the names in a voicebot mean something here, and fit each other."""

from collections.abc import Iterator
from contextlib import contextmanager

from voxgate.errors import Code, EngineError, PeerError
from voxgate.languages import Language, parse, serving
from voxgate.services.casting import HEARS, SPEAKS
from voxgate.services.switchboard import Switchboard


def check_names(board: Switchboard, voice: str, language: str | None, model: str) -> str | None:
    """The BCP-47 tag of `language`, if there is one, once voice, language and model can be used together.

    What only a running engine can tell is not asked of one that is not running: a session asks it again. Raises
    PeerError naming `voice`, `language` or `model`, RefusedError (licence of the voice).
    """
    wanted = None if language is None else parse(language)
    tag = None if wanted is None else wanted.tag
    with _unless_stopped():
        board.mouth(SPEAKS, voice, tag, "")
    if wanted is not None:
        _check_promise(board, voice, wanted)
        with _unless_stopped():
            board.ears(HEARS, wanted.tag)
    with _unless_stopped():
        board.mind(model)
    return tag


@contextmanager
def _unless_stopped() -> Iterator[None]:
    try:
        yield
    except EngineError as error:
        if error.code is not Code.ENGINE_UNAVAILABLE:
            raise


def _check_promise(board: Switchboard, voice: str, wanted: Language) -> None:
    """Refuse a language that a voice name is not for, whatever runs. Raises PeerError."""
    promised = next((each["languages"] for each in board.voices() if each["id"] == voice), ())
    if promised and serving(wanted, promised) is None:
        raise PeerError(
            f"the voice {voice!r} does not speak {wanted.name}; it speaks {', '.join(promised)}",
            code=Code.UNSUPPORTED_VOICE,
            param="voice",
        )

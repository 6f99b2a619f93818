"""Who takes part in a conversation: ears, voices and a mind for the voice and the language a caller asks for. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from voxgate.errors import Code, PeerError
from voxgate.languages import parse, serving
from voxgate.services.hearing import Ears
from voxgate.services.switchboard import Mind, Mouth, Switchboard

HEARS, SPEAKS, ANSWERS = "valsea-rtt", "valsea-tts-realtime", "valsea-fast"
"""Names of models (`routing.models`) that take part where a caller names none."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part."""

    ears: Ears
    mouths: Mapping[str, Mouth]
    """BCP-47 tag -> who speaks it with the voice that was asked for."""
    spoken: str
    """The tag of `mouths` for what is heard in a language that the voice does not speak."""
    mind: Mind
    reads_ahead: bool
    """Whether the model remembers what it has read, so that it pays to let it read before it is asked."""
    remote: bool
    """Whether the model is somebody else's, and paid for by the token."""
    language: str | None
    """The tag that replies are in, whatever is spoken; None: the language that is."""


def cast(board: Switchboard, voice: str, language: str | None, *, model: str = ANSWERS) -> Cast:
    """The parts of a conversation. With a language both it must be heard and the voice must speak it.

    Whatever is spoken is understood, if somebody can tell languages apart; what is taken for spoken until that is known
    is the language asked for. Raises PeerError, RefusedError (licence), EngineError `engine_unavailable`.
    """
    wanted = None
    if language is not None and language.strip().lower() not in ("", "auto"):
        if "," in language:
            raise PeerError(
                "name one language to be answered in, or none: then it is the one that is spoken",
                code=Code.UNSUPPORTED_LANGUAGE,
                param="language",
            )
        wanted = parse(language)
    if wanted is None:
        mouths = board.mouths(SPEAKS, voice)
        ears = board.ears(HEARS, "auto")
    else:
        only = board.ears(HEARS, wanted.tag)  # raises where it is not heard
        mouth = board.mouth(SPEAKS, voice, wanted.tag, "")
        mouths = {mouth.language: mouth}
        ears = board.ears(HEARS, "auto", default=wanted) if only.identifier is not None else only
    usual = serving(board.default_language, mouths)
    mind = board.mind(model)
    return Cast(
        ears,
        mouths,
        usual or next(iter(mouths)),
        mind,
        reads_ahead=bool(getattr(mind.llm, "reads_ahead", False)),
        remote=bool(getattr(mind.llm, "remote", False)),
        language=None if wanted is None else wanted.tag,
    )

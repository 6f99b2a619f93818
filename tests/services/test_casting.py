"""Who takes part in a conversation."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from tests.services.test_switchboard import ESPEAK, MOONSHINE, PIPER, Answers, Hears
from voxgate.domain import Guess, Samples
from voxgate.errors import Code, EngineError, PeerError, RefusedError
from voxgate.services.casting import cast
from voxgate.services.routing import RoutingSettings, VoiceSettings
from voxgate.services.switchboard import Running, Switchboard


@dataclass
class Tells(Hears):
    """A recognizer that tells languages apart."""

    async def identify(self, audio: Samples, among: Sequence[str]) -> Sequence[Guess]:
        raise AssertionError("a switchboard does no work")


@dataclass
class Elsewhere(Answers):
    """Somebody else's model."""

    remote: bool = True


WHISPER = Running("whisper", "stt", Tells({"en": "good", "vi": "fair", "th": "weak"}))
HERE = Running("llama", "llm", Answers("demo"))


def board(*engines: Running, voices: VoiceSettings | None = None) -> Switchboard:
    return Switchboard(engines, routing=RoutingSettings(), voices=voices or VoiceSettings(), llm_order=("llama",))


ALL = board(MOONSHINE, WHISPER, PIPER, ESPEAK, HERE)


def test_without_a_language_every_language_of_the_voice_has_its_engine() -> None:
    found = cast(ALL, "valsea-neutral", None)
    assert {tag: mouth.name for tag, mouth in found.mouths.items()} == {"en": "piper", "vi": "espeak", "am": "espeak"}
    assert (found.spoken, found.language) == ("en", None)
    assert (found.ears.language, set(found.ears.among), found.ears.given) == ("en", {"en", "vi"}, False)
    assert (found.mind.name, found.remote) == ("llama", False)


def test_a_language_is_the_only_one_spoken_and_the_first_that_is_expected() -> None:
    found = cast(ALL, "valsea-neutral", "Vietnamese")
    assert list(found.mouths) == ["vi"]
    assert (found.spoken, found.language) == ("vi", "vi")
    assert (found.ears.language, set(found.ears.among), found.ears.given) == ("vi", {"en", "vi"}, False)


def test_a_language_that_is_heard_poorly_is_expected_where_it_is_named() -> None:
    with pytest.raises(PeerError) as raised:
        cast(ALL, "valsea-neutral", "thai")  # nobody speaks it here
    assert raised.value.param == "voice"
    thai = board(MOONSHINE, WHISPER, Running("espeak", "tts", ESPEAK.engine), HERE)
    assert "th" not in cast(thai, "valsea-neutral", None).ears.among


def test_where_nobody_tells_languages_apart_the_one_that_was_named_is_heard() -> None:
    found = cast(board(MOONSHINE, PIPER, HERE), "valsea-neutral", "en-SG")
    assert (found.ears.language, found.ears.given, found.language) == ("en", True, "en-SG")


def test_the_published_class_is_told_what_is_missing() -> None:
    with pytest.raises(PeerError) as raised:
        cast(ALL, "mekdes", "am")
    assert raised.value.code is Code.UNSUPPORTED_LANGUAGE
    assert raised.value.param == "language"
    assert "hears Amharic" in raised.value.message


def test_a_voice_without_a_language_answers_in_its_own() -> None:
    found = cast(ALL, "mekdes", None)
    assert (list(found.mouths), found.spoken) == (["am"], "am")


def test_one_language_or_none() -> None:
    with pytest.raises(PeerError, match="one language"):
        cast(ALL, "valsea-neutral", "en, vi")
    assert cast(ALL, "valsea-neutral", "auto").language is None


def test_whose_model_it_is_decides_what_a_guess_costs() -> None:
    assert cast(board(MOONSHINE, PIPER, Running("llama", "llm", Elsewhere("big"))), "valsea-neutral", "en").remote


def test_a_licence_that_is_in_doubt_is_refused_only_where_nothing_else_speaks() -> None:
    careful = VoiceSettings(commercial_only=True)
    found = cast(board(MOONSHINE, WHISPER, PIPER, ESPEAK, HERE, voices=careful), "valsea-neutral", None)
    assert {mouth.name for mouth in found.mouths.values()} == {"espeak"}
    with pytest.raises(RefusedError):
        cast(board(MOONSHINE, WHISPER, PIPER, HERE, voices=careful), "onyx", None)


def test_without_a_model_it_says_how_to_get_one() -> None:
    with pytest.raises(EngineError) as raised:
        cast(board(MOONSHINE, PIPER), "valsea-neutral", "en")
    assert raised.value.code is Code.ENGINE_UNAVAILABLE

from collections.abc import Sequence

import pytest

from voxgate.domain import Voice
from voxgate.errors import Code, PeerError, RefusedError
from voxgate.services.routing import RoutingSettings, VoiceSettings, voice_alias
from voxgate.services.switchboard import Running, Switchboard
from voxgate.services.voicebot_names import check_names

ALIASES = {
    "mai": voice_alias("female", "mouth/mai"),
    "mekdes": voice_alias("female", "mouth/*", languages=("am",)),
}


class Ears:
    def __init__(self) -> None:
        self.languages = {"en": "well", "vi": "well"}


class Mouth:
    def __init__(self, *, commercial: bool = True) -> None:
        self.voices: Sequence[Voice] = [Voice("mai", "mouth", ("en", "vi", "de"), "female", commercial=commercial)]


class Mind:
    remote = False


def board(*, running: bool = True, commercial: bool = True) -> Switchboard:
    engines = [
        Running("ears", "stt", Ears() if running else None, "is still being loaded"),
        Running("mouth", "tts", Mouth(commercial=commercial) if running else None, "is still being loaded"),
        Running("mind", "llm", Mind() if running else None, "is still being loaded"),
    ]
    routing = RoutingSettings(stt=("ears",), tts=("mouth",), llm=("mind",))
    voices = VoiceSettings(aliases=ALIASES, commercial_only=True)
    return Switchboard(engines, routing=routing, voices=voices, llm_order=["mind"])


def refused(voice: str, language: str | None, model: str, *, running: bool) -> tuple[Code, str | None]:
    with pytest.raises(PeerError) as caught:
        check_names(board(running=running), voice, language, model)
    return caught.value.code, caught.value.param


@pytest.mark.parametrize("running", [True, False])
def test_names_that_fit_give_the_language_s_tag(running: bool) -> None:
    assert check_names(board(running=running), "mai", "Vietnamese", "valsea-fast") == "vi"
    assert check_names(board(running=running), "mai", "vi-VN", "gpt-4o") == "vi"
    assert check_names(board(running=running), "mai", None, "valsea-fast") is None


@pytest.mark.parametrize("running", [True, False])
def test_names_nobody_knows_are_refused_whatever_runs(running: bool) -> None:
    assert refused("nobody", None, "valsea-fast", running=running) == (Code.UNSUPPORTED_VOICE, "voice")
    assert refused("mai", "klingon", "valsea-fast", running=running) == (Code.UNSUPPORTED_LANGUAGE, "language")
    assert refused("mai", None, "no-model", running=running) == (Code.MODEL_NOT_FOUND, "model")
    assert refused("mai", None, "whisper-1", running=running) == (Code.MODEL_NOT_FOUND, "model")


@pytest.mark.parametrize("running", [True, False])
def test_a_voice_name_for_one_language_is_for_no_other(running: bool) -> None:
    assert refused("mekdes", "english", "valsea-fast", running=running) == (Code.UNSUPPORTED_VOICE, "voice")


def test_what_only_a_running_engine_can_tell_is_told_by_it() -> None:
    assert refused("mai", "thai", "valsea-fast", running=True) == (Code.UNSUPPORTED_VOICE, "voice")
    assert refused("mai", "german", "valsea-fast", running=True) == (Code.UNSUPPORTED_LANGUAGE, "language")
    assert check_names(board(running=False), "mai", "thai", "valsea-fast") == "th"


def test_a_voice_without_a_licence_is_refused() -> None:
    with pytest.raises(RefusedError):
        check_names(board(commercial=False), "mai", "en", "valsea-fast")

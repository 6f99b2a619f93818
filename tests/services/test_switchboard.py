from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import pytest

from voxgate.domain import Recognition, Transcript, Utterance, Voice
from voxgate.errors import Code, EngineError, PeerError, RefusedError, VoxgateError
from voxgate.services.routing import RoutingSettings, VoiceSettings, voice_alias
from voxgate.services.switchboard import Running, Switchboard


@dataclass
class Hears:
    """A recognizer, as far as a switchboard looks."""

    languages: Mapping[str, str]
    max_seconds: float = 30.0

    async def recognize(self, request: Recognition) -> Transcript:
        raise AssertionError("a switchboard does no work")


@dataclass
class Speaks:
    """A voice engine, as far as a switchboard looks."""

    voices: tuple[Voice, ...]

    def open(self, utterance: Utterance) -> AbstractAsyncContextManager[Any]:
        raise AssertionError("a switchboard does no work")


@dataclass
class Answers:
    """A language model, as far as a switchboard looks."""

    model: str
    demo: bool = False

    def open(self, body: Mapping[str, Any]) -> AbstractAsyncContextManager[Any]:
        raise AssertionError("a switchboard does no work")


JOE = Voice("joe", "piper", ("en",), "male", licence="unclear", commercial=False)
PLAIN = tuple(
    Voice(name, "espeak", (tag,), gender, licence="GPL", quality="plain")
    for name, tag, gender in [
        ("en-us", "en", "male"),
        ("en-us+f2", "en", "female"),
        ("vi", "vi", "male"),
        ("vi+f1", "vi", "female"),
        ("am", "am", "male"),
        ("am+f1", "am", "female"),
    ]
)
MOONSHINE = Running("moonshine", "stt", Hears({"en": "good"}))
PIPER = Running("piper", "tts", Speaks((JOE,)))
ESPEAK = Running("espeak", "tts", Speaks(PLAIN))
LLAMA = Running("llama", "llm", Answers("smollm2", demo=True))
FULL = (MOONSHINE, PIPER, ESPEAK, LLAMA)


def board(
    *engines: Running, routing: RoutingSettings | None = None, voices: VoiceSettings | None = None, llm: str = "llama"
) -> Switchboard:
    return Switchboard(
        engines or FULL, routing=routing or RoutingSettings(), voices=voices or VoiceSettings(), llm_order=[llm]
    )


def stopped(running: Running, problem: str = "smollm is not here", remedy: str = "") -> Running:
    return Running(running.name, running.port, None, problem, remedy)


# hearing


@pytest.mark.parametrize("model", ["valsea-transcribe", "valsea-rtt", "whisper-1", "valsea-english-rtt"])
@pytest.mark.parametrize("language", [None, "", "auto", " AUTO ", "english", "en-GB", "singlish"])
def test_names_of_models_and_languages_lead_to_ears(model: str, language: str | None) -> None:
    ears = board().ears(model, language)
    assert (ears.name, ears.language) == ("moonshine", "en")


def test_the_language_in_a_models_name_counts_where_none_is_given() -> None:
    two = Running("whisper", "stt", Hears({"vi": "fair", "en": "good", "en-SG": "good"}))
    switchboard = board(MOONSHINE, two, routing=RoutingSettings(stt=("moonshine", "whisper")))
    assert switchboard.ears("valsea-vietnamese-rtt", None).name == "whisper"
    assert switchboard.ears("valsea-vietnamese-rtt", "english").name == "moonshine"
    assert switchboard.ears("valsea-singlish-rtt", None).language == "en", "the first that serves it is used"
    assert switchboard.heard_languages() == {
        "en": ("moonshine", "good"),
        "vi": ("whisper", "fair"),
        "en-SG": ("whisper", "good"),
    }


def test_an_alias_may_name_the_engine() -> None:
    two = Running("whisper", "stt", Hears({"en": "fair"}))
    switchboard = board(MOONSHINE, two, routing=RoutingSettings(stt=("moonshine",), models={"careful": "whisper"}))
    assert switchboard.ears("careful", "en").name == "whisper"


def told(error: pytest.ExceptionInfo[VoxgateError]) -> tuple[Code, str | None, str]:
    return error.value.code, error.value.param, error.value.message


@pytest.mark.parametrize("model", ["valsea-klingon-rtt", "valsea-*-rtt", "nothing", "", "valsea--rtt", "x" * 5000])
def test_a_model_nobody_knows(model: str) -> None:
    with pytest.raises(PeerError) as caught:
        board().ears(model, None)
    code, param, message = told(caught)
    assert (code, param) == (Code.MODEL_NOT_FOUND, "model")
    assert "valsea-transcribe" in message
    assert len(message) < 1000


@pytest.mark.parametrize("model", ["tts-1", "valsea-fast", "gpt-4o"])
def test_a_model_for_something_else_names_those_that_fit(model: str) -> None:
    with pytest.raises(PeerError) as caught:
        board().ears(model, None)
    assert told(caught)[:2] == (Code.MODEL_NOT_FOUND, "model")
    assert "transcribes: valsea-transcribe" in caught.value.message


def test_a_language_nobody_hears_names_those_that_are_heard() -> None:
    with pytest.raises(PeerError) as caught:
        board().ears("whisper-1", "amharic")
    code, param, message = told(caught)
    assert (code, param) == (Code.UNSUPPORTED_LANGUAGE, "language")
    assert "no configured engine hears Amharic; served: English" in message


def test_ears_that_do_not_run_say_why_and_what_helps() -> None:
    with pytest.raises(EngineError) as caught:
        board(stopped(MOONSHINE, "no weights", "voxgate models pull moonshine")).ears("whisper-1", None)
    assert caught.value.code is Code.ENGINE_UNAVAILABLE
    assert "moonshine: no weights (`voxgate models pull moonshine` adds it)" in caught.value.message


def test_the_default_language_is_configuration() -> None:
    two = Running("moonshine", "stt", Hears({"vi": "fair", "en": "good"}))
    assert board(two, routing=RoutingSettings(default_language="vietnamese")).ears("whisper-1", None).language == "vi"


# speaking


@pytest.mark.parametrize(
    ("voice", "language", "spoken"),
    [
        ("valsea-default", None, ("piper", "joe", "en")),
        ("valsea-default", "vi", ("espeak", "vi", "vi")),
        ("valsea-female", "vi-VN", ("espeak", "vi+f1", "vi")),
        ("valsea-female", "singlish", ("espeak", "en-us+f2", "en")),
        ("andrew", "auto", ("piper", "joe", "en")),
        ("mekdes", None, ("espeak", "am+f1", "am")),
        ("ameha", "amharic", ("espeak", "am", "am")),
        ("espeak/vi", None, ("espeak", "vi", "vi")),
    ],
)
def test_a_voice_and_a_language_lead_to_a_mouth(voice: str, language: str | None, spoken: tuple[str, str, str]) -> None:
    mouth = board().mouth("tts-1", voice, language, "hello there")
    assert (mouth.name, mouth.voice.id, mouth.language) == spoken


def test_without_a_language_the_text_tells() -> None:
    assert board().mouth("tts-1", "valsea-neutral", None, "Xin chào, hôm nay trời đẹp quá").language == "vi"
    assert board().mouth("tts-1", "valsea-neutral", None, "ሰላም እንዴት ነህ").language == "am"
    assert board().mouth("tts-1", "valsea-neutral", None, "42").language == "en"


def test_where_the_best_voice_does_not_run_the_next_one_speaks() -> None:
    assert board(stopped(PIPER), ESPEAK).mouth("tts-1", "onyx", "en", "hello").voice.id == "en-us"


def test_an_english_voice_asked_for_another_language_names_those_that_fit() -> None:
    with pytest.raises(PeerError) as caught:
        board().mouth("tts-1", "onyx", "amharic", "hello")
    code, param, message = told(caught)
    assert (code, param) == (Code.UNSUPPORTED_VOICE, "voice")
    assert "'onyx' does not speak Amharic; voices that do: " in message
    assert "mekdes" in message
    assert "andrew" not in message
    with pytest.raises(PeerError, match="no voice of this installation does"):
        board().mouth("tts-1", "onyx", "thai", "hello")


@pytest.mark.parametrize("voice", ["nobody", "", "x" * 5000])
def test_a_voice_nobody_knows(voice: str) -> None:
    with pytest.raises(PeerError) as caught:
        board().mouth("tts-1", voice, None, "hello")
    assert told(caught)[:2] == (Code.UNSUPPORTED_VOICE, "voice")
    assert "valsea-default" in caught.value.message
    assert len(caught.value.message) < 1000


@pytest.mark.parametrize("voice", ["ubax", "muuse", "espeak/nobody", "nobody/joe"])
def test_a_voice_that_no_engine_can_speak_is_refused(voice: str) -> None:
    with pytest.raises(PeerError) as caught:
        board().mouth("tts-1", voice, None, "hello")
    assert told(caught)[:2] == (Code.UNSUPPORTED_VOICE, "voice")
    assert "is not available" in caught.value.message


def test_voices_that_do_not_run_say_why_and_what_helps() -> None:
    with pytest.raises(EngineError) as caught:
        board(stopped(PIPER, "no espeak", "pip install 'voxgate[espeak]'"), stopped(ESPEAK)).mouth(
            "tts-1", "onyx", None, "hello"
        )
    assert caught.value.code is Code.ENGINE_UNAVAILABLE
    assert "pip install 'voxgate[espeak]'" in caught.value.message


def test_only_clear_licences_where_that_is_asked_for() -> None:
    clear = VoiceSettings(commercial_only=True)
    assert board(voices=clear).mouth("tts-1", "onyx", "en", "hello").voice.id == "en-us"
    with pytest.raises(RefusedError, match="commercial") as caught:
        board(PIPER, voices=clear).mouth("tts-1", "onyx", "en", "hello")
    assert caught.value.code is Code.PERMISSION_DENIED
    listed = {voice["id"]: voice for voice in board(PIPER, voices=clear).voices()}
    assert listed["onyx"]["available"] is False


def test_the_list_of_voices_tells_who_speaks_what_under_which_licence() -> None:
    listed = {voice["id"]: voice for voice in board().voices()}
    assert listed["onyx"] == {
        "id": "onyx",
        "object": "voice",
        "gender": "male",
        "languages": ["en"],
        "available": True,
        "engine": "piper",
        "quality": "natural",
        "licence": "unclear",
        "commercial_use": "unclear",
    }
    assert listed["nova"]["available"] is False
    assert listed["ubax"] == {
        "id": "ubax",
        "object": "voice",
        "gender": "female",
        "languages": ["so"],
        "available": False,
        "engine": None,
    }
    assert listed["valsea-neutral"]["languages"] == ["am", "en", "vi"]
    assert listed["mekdes"]["quality"] == "plain"


def test_a_voice_of_the_operators_own() -> None:
    mine = VoiceSettings(aliases={"anna": voice_alias("female", "espeak/*", languages=("vi", "am"))})
    assert board(voices=mine).mouth("tts-1", "anna", "am", "x").voice.id == "am+f1"
    with pytest.raises(PeerError, match="does not speak English"):
        board(voices=mine).mouth("tts-1", "anna", "en", "x")


# answering


def test_models_lead_to_a_mind_and_its_upstreams_model() -> None:
    upstream = Running("openai", "llm", Answers("gpt-4o-mini"))
    routing = RoutingSettings(models={"smart": "openai/gpt-4.1", "mine": "openai", "gpt-4*": "openai/gpt-4o"})
    switchboard = board(LLAMA, upstream, routing=routing)
    found = {name: switchboard.mind(name) for name in ("valsea-fast", "smart", "mine", "gpt-4o-mini", "gpt-3.5")}
    assert {name: (mind.name, mind.model) for name, mind in found.items()} == {
        "valsea-fast": ("llama", None),
        "smart": ("openai", "gpt-4.1"),
        "mine": ("openai", None),
        "gpt-4o-mini": ("openai", "gpt-4o"),
        "gpt-3.5": ("llama", None),
    }


def test_a_mind_that_does_not_run_names_both_ways_to_get_one() -> None:
    for switchboard in (board(MOONSHINE), board(stopped(LLAMA))):
        with pytest.raises(EngineError) as caught:
            switchboard.mind("valsea-fast")
        assert caught.value.code is Code.ENGINE_UNAVAILABLE
        assert "OPENAI_BASE_URL" in caught.value.message
        assert "voxgate models pull smollm2-135m-instruct-q4_1" in caught.value.message


def test_a_mind_that_is_being_loaded_says_so() -> None:
    with pytest.raises(EngineError, match=r"llama: is still being loaded"):
        board(stopped(LLAMA, "is still being loaded")).mind("valsea-fast")


def test_ears_do_not_answer_chats() -> None:
    with pytest.raises(PeerError, match=r"one that answers chats: valsea-fast, gpt-\*"):
        board().mind("whisper-1")


# the list of models


def test_the_list_of_models_tells_what_each_is_for_and_who_serves_it() -> None:
    listed = {model["id"]: model for model in board().models()}
    assert not [name for name in listed if "*" in name]
    assert listed["whisper-1"]["task"] == "transcription"
    assert listed["whisper-1"]["languages"] == {"en": "good"}
    assert listed["tts-1"] == {
        "id": "tts-1",
        "object": "model",
        "created": 0,
        "owned_by": "voxgate",
        "task": "speech",
        "available": True,
        "engine": "piper",
    }
    assert (listed["valsea-fast"]["answered_by"], listed["valsea-fast"]["demo"]) == ("smollm2", True)
    assert "valsea-singlish-rtt" in listed
    assert "valsea-vietnamese-rtt" not in listed


def test_every_listed_name_can_be_asked_for() -> None:
    switchboard = board()
    for model in switchboard.models():
        match model["task"]:
            case "transcription":
                assert switchboard.ears(model["id"], None).name == model["engine"]
            case "speech":
                assert switchboard.mouth(model["id"], "valsea-default", None, "hello").name == model["engine"]
            case _:
                assert switchboard.mind(model["id"]).name == model["engine"]


def test_models_without_an_engine_are_listed_as_not_available() -> None:
    listed = board(*(stopped(engine) for engine in FULL)).models()
    assert listed
    assert not any(model["available"] or model["engine"] for model in listed)

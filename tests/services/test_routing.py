import pytest
from pydantic import ValidationError

from voxgate.languages import parse
from voxgate.services.routing import CHATTING, HEARING, SPEAKING, RoutingSettings, VoiceSettings, voice_alias


def test_the_names_of_the_contract_are_known() -> None:
    models = RoutingSettings().models
    by_kind = {kind: {name for name, target in models.items() if target == kind} for kind in models.values()}
    assert by_kind[HEARING] >= {"valsea-transcribe", "valsea-rtt", "valsea-*-rtt", "whisper-1"}
    assert by_kind[SPEAKING] >= {"valsea-tts", "valsea-tts-realtime", "tts-1"}
    assert by_kind[CHATTING] >= {"valsea-fast", "gpt-*"}
    voices = VoiceSettings().aliases
    assert {"valsea-neutral", "valsea-male", "valsea-female", "valsea-default"} <= set(voices)
    assert {"alloy", "echo", "fable", "onyx", "nova", "shimmer", "aria", "andrew"} <= {
        name for name, voice in voices.items() if voice.languages == ("en",)
    }
    genders = {
        ("am", "female"): {"mekdes", "betty"},
        ("am", "male"): {"ameha"},
        ("so", "female"): {"ubax"},
        ("so", "male"): {"muuse"},
        ("ti", "male"): {"sami"},
        ("om", "male"): {"ibsaa"},
    }
    for (tag, gender), names in genders.items():
        assert {n for n, v in voices.items() if v.languages == (tag,) and v.gender == gender} == names


def test_every_voice_language_is_one_the_registry_knows() -> None:
    for voice in VoiceSettings().aliases.values():
        assert [parse(tag).tag for tag in voice.languages] == list(voice.languages)


def test_given_models_are_added_and_come_first() -> None:
    models = RoutingSettings(models={"gpt-4*": "openai/gpt-4o", "whisper-1": "moonshine", "tts-1": ""}).models
    assert list(models)[:2] == ["gpt-4*", "whisper-1"]
    assert models["whisper-1"] == "moonshine"
    assert "tts-1" not in models
    assert models["gpt-*"] == CHATTING


def test_given_voices_are_added_or_change_ours() -> None:
    mine = voice_alias("female", "piper/joe")
    aliases = VoiceSettings(aliases={"alloy": mine, "mine": mine}).aliases
    assert aliases["alloy"] == aliases["mine"] == mine
    assert aliases["nova"] == VoiceSettings().aliases["nova"]


def test_every_engine_that_is_to_run_is_named_once() -> None:
    routing = RoutingSettings(
        stt=("moonshine",), tts=("piper", "espeak"), models={"a": "openai/x", "b": "openai", "c": "moonshine"}
    )
    assert routing.engines(["llama"]) == (
        "moonshine",
        "piper",
        "espeak",
        "llama",
        "openai",
        "silero",
        "smart_turn",
        "pyav",
    )
    assert routing.alias_engines() == ("openai", "moonshine")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"default_language": "klingon"}, "'klingon' is not a language"),
        ({"stt": "moonshine"}, "valid tuple"),
        ({"models": {"a": 1}}, "valid string"),
    ],
)
def test_wrong_routing_is_refused(given: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        RoutingSettings.model_validate(given)


def test_a_voice_has_one_of_three_genders() -> None:
    with pytest.raises(ValidationError, match="'female', 'male' or 'neutral'"):
        VoiceSettings.model_validate({"aliases": {"a": {"gender": "other", "use": ["piper/joe"]}}})


def test_women_are_kokoros_where_it_is_pulled_and_espeaks_where_not() -> None:
    voices = VoiceSettings().aliases
    names = ("valsea-female", "aria", "nova", "shimmer", "alloy")
    firsts = [voices[name].use[0] for name in names]
    assert len(set(firsts)) == len(names)
    assert all(first.startswith(("kokoro/af_", "kokoro/bf_")) for first in firsts)
    behind = [next(use for use in voices[name].use if use.startswith("espeak/")) for name in names]
    assert len(set(behind)) == len(names)


def test_a_man_is_never_spoken_by_a_woman_of_kokoros() -> None:
    for alias in VoiceSettings().aliases.values():
        if alias.gender == "male":
            assert not [use for use in alias.use if use == "kokoro/*" or (use.startswith("kokoro/") and use[8] == "f")]


def test_a_turn_detector_is_not_needed() -> None:
    with_it, without = RoutingSettings().engines(()), RoutingSettings(turn="").engines(())
    assert set(with_it) - set(without) == {"smart_turn"}
    assert "" not in without


def test_optional_engines_are_asked_for_by_default() -> None:
    routing = RoutingSettings()
    assert set(routing.optional) <= set(routing.engines(()))

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from voxgate.errors import Code, PeerError
from voxgate.protocols.rest.schemas import ChatRequest, SpeechRequest, TranscriptionFields, check_length

SPEECH = {"model": "tts-1", "input": "hello", "voice": "alloy"}
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
HEARING = {"model": "whisper-1"}


def test_defaults_are_openais() -> None:
    speech = SpeechRequest.model_validate(SPEECH)
    assert (speech.response_format, speech.speed, speech.stream_format) == ("mp3", 1.0, "audio")
    hearing = TranscriptionFields.model_validate(HEARING)
    assert (hearing.response_format, hearing.languages, hearing.wants_words) == ("json", None, False)
    assert not ChatRequest.model_validate(CHAT).stream


def test_fields_of_other_servers_are_ignored_or_passed_on() -> None:
    assert not hasattr(SpeechRequest.model_validate(SPEECH | {"instructions": "warmly"}), "instructions")
    passed = ChatRequest.model_validate(CHAT | {"tools": [1], "model_config": "x", "copy": 2})
    assert passed.model_dump(exclude_unset=True) == CHAT | {"tools": [1], "model_config": "x", "copy": 2}


def test_granularities_come_under_openais_name() -> None:
    fields = TranscriptionFields.model_validate(HEARING | {"timestamp_granularities[]": ["word", "segment"]})
    assert fields.wants_words


@pytest.mark.parametrize(
    ("given", "languages"), [([], None), (["vi"], "vi"), (["vi", "en"], "vi,en"), (["vi,en"], "vi,en")]
)
def test_languages_once_or_several_times(given: list[str], languages: str | None) -> None:
    assert TranscriptionFields.model_validate(HEARING | {"language": given}).languages == languages


@pytest.mark.parametrize(
    ("schema", "body"),
    [
        (SpeechRequest, SPEECH | {"input": ""}),
        (SpeechRequest, SPEECH | {"input": " \n"}),
        (SpeechRequest, SPEECH | {"input": "\ud800"}),
        (SpeechRequest, SPEECH | {"input": None}),
        (SpeechRequest, SPEECH | {"voice": ""}),
        (SpeechRequest, SPEECH | {"voice": "v" * 101}),
        (SpeechRequest, SPEECH | {"speed": 0.24}),
        (SpeechRequest, SPEECH | {"speed": 4.01}),
        (SpeechRequest, SPEECH | {"speed": float("nan")}),
        (SpeechRequest, SPEECH | {"response_format": "ogg"}),
        (SpeechRequest, SPEECH | {"audio_quality": 31}),
        (SpeechRequest, SPEECH | {"normalization": "some"}),
        (TranscriptionFields, HEARING | {"model": ""}),
        (TranscriptionFields, HEARING | {"temperature": "2"}),
        (TranscriptionFields, HEARING | {"response_format": "xml"}),
        (TranscriptionFields, HEARING | {"timestamp_granularities[]": ["letter"]}),
        (ChatRequest, CHAT | {"messages": []}),
        (ChatRequest, CHAT | {"n": 129}),
        (ChatRequest, CHAT | {"max_tokens": 10_000_001}),
        (ChatRequest, CHAT | {"stream_options": "x"}),
    ],
)
def test_what_is_out_of_range_is_refused(schema: type[BaseModel], body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        schema.model_validate(body)


def test_a_length_is_counted_in_characters() -> None:
    check_length("input", "ü" * 5, 5)
    with pytest.raises(PeerError) as caught:
        check_length("input", "ü" * 12_346, 12_345)
    assert (caught.value.code, caught.value.param) == (Code.INPUT_TOO_LONG, "input")
    assert caught.value.message == "'input' has 12,346 characters; at most 12,345 are allowed"

"""The official OpenAI SDK for Python, as a user has it installed, against a real server."""

import io
import wave
from collections.abc import Callable, Iterator
from decimal import Decimal

import httpx
import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam

from tests.audio_samples import wav
from tests.e2e.real import SPOKEN, level, recording, said, until
from tests.serving import Server

pytestmark = pytest.mark.slow

ASKED: list[ChatCompletionMessageParam] = [{"role": "user", "content": SPOKEN["question"]}]


@pytest.fixture(scope="module")
def sdk(real_server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{real_server.url}/v1", api_key=real_server.key, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def shaky(shaky_server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{shaky_server.url}/v1", api_key=shaky_server.key, max_retries=0) as client:
        yield client


def balance(server: Server, key: str) -> Decimal:
    """What can be spent once nothing is held any more."""
    with server.client(key) as client:
        until(lambda: client.get("/v1/credits").json()["held"] == 0)
        return Decimal(client.get("/v1/credits").json(parse_float=Decimal)["balance"])


def test_transcription_in_three_shapes(sdk: OpenAI) -> None:
    plain = sdk.audio.transcriptions.create(model="whisper-1", file=recording("question"))
    assert said(plain.text) == said(SPOKEN["question"])
    with recording("question").open("rb") as file:
        text = sdk.audio.transcriptions.create(model="whisper-1", file=file, response_format="text")
    assert said(text) == said(SPOKEN["question"])
    verbose = sdk.audio.transcriptions.create(
        model="whisper-1",
        file=("lights.flac", recording("lights").read_bytes()),
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert said(verbose.text) == said(SPOKEN["lights"])
    assert verbose.language == "english"
    assert verbose.segments
    assert verbose.words
    assert said(" ".join(word.word for word in verbose.words)) == said(SPOKEN["lights"])
    times = [time for word in verbose.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= float(verbose.duration)


def test_speech_whole_and_streamed(sdk: OpenAI) -> None:
    whole = sdk.audio.speech.create(
        model="tts-1", voice="onyx", input="It is five o'clock.", response_format="wav"
    ).content
    heard = sdk.audio.transcriptions.create(model="whisper-1", file=("clock.wav", whole))
    assert said(heard.text) == said("It is five o'clock.")
    streamed = bytearray()
    pieces = 0
    with sdk.audio.speech.with_streaming_response.create(
        model="tts-1", voice="onyx", input=SPOKEN["lights"] + " " + SPOKEN["question"], response_format="wav"
    ) as response:
        assert response.headers["content-type"] == "audio/wav"
        for piece in response.iter_bytes():
            streamed += piece
            pieces += 1
    assert pieces > 2
    with wave.open(io.BytesIO(streamed)) as reader:
        assert (reader.getframerate(), reader.getnchannels(), reader.getsampwidth()) == (24_000, 1, 2)


def test_chat_plain_streamed_and_with_usage(sdk: OpenAI) -> None:
    plain = sdk.chat.completions.create(model="valsea-fast", messages=ASKED, temperature=0)
    assert "Paris" in str(plain.choices[0].message.content)
    assert plain.choices[0].finish_reason == "stop"
    assert plain.usage
    assert plain.usage.completion_tokens > 0
    chunks = list(sdk.chat.completions.create(model="gpt-4o-mini", messages=ASKED, temperature=0, stream=True))
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert "Paris" in text
    assert sum(bool(chunk.choices[0].delta.content) for chunk in chunks) > 2
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks)
    with_usage = list(
        sdk.chat.completions.create(
            model="gpt-4o-mini",
            messages=ASKED,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert with_usage[-1].usage
    assert with_usage[-1].usage.total_tokens > with_usage[-1].usage.completion_tokens > 0


def test_a_stream_that_is_left_ends_the_work(real_server: Server, sdk: OpenAI) -> None:
    long: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": "Tell me a long story about a small house by the sea."}
    ]
    with sdk.chat.completions.create(model="valsea-fast", messages=long, stream=True, max_tokens=500) as stream:
        assert next(iter(stream)).choices
        assert level(real_server, "active", "llama") == 1
    until(lambda: level(real_server, "active", "llama") == 0)


def test_models(sdk: OpenAI) -> None:
    listed = {model.id for model in sdk.models.list()}
    assert {"whisper-1", "tts-1", "valsea-fast", "valsea-transcribe"} <= listed
    assert sdk.models.retrieve("whisper-1").owned_by == "voxgate"


@pytest.mark.parametrize(
    ("call", "kind", "code"),
    [
        (lambda c: c.models.retrieve("no-such-model"), openai.NotFoundError, "model_not_found"),
        (
            lambda c: c.chat.completions.create(model="no-such-model", messages=ASKED),
            openai.NotFoundError,
            "model_not_found",
        ),
        (
            lambda c: c.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"junk" * 100)),
            openai.BadRequestError,
            "invalid_audio",
        ),
        (
            lambda c: c.audio.speech.create(model="tts-1", voice="nobody", input="x"),
            openai.BadRequestError,
            "unsupported_voice",
        ),
        (
            lambda c: c.audio.speech.create(model="tts-1", voice="alloy", input="x" * 10_001),
            openai.BadRequestError,
            "input_too_long",
        ),
        (
            lambda c: c.with_options(api_key="vg_" + "x" * 43).models.list(),
            openai.AuthenticationError,
            "invalid_api_key",
        ),
    ],
)
def test_errors_arrive_as_their_classes(
    sdk: OpenAI, call: Callable[[OpenAI], object], kind: type[openai.APIStatusError], code: str
) -> None:
    with pytest.raises(kind) as caught:
        call(sdk)
    assert caught.value.code == code
    assert str(caught.value.request_id).startswith("req_")


def test_no_credits_is_a_status_error_of_402(real_server: Server, sdk: OpenAI) -> None:
    poor = sdk.with_options(api_key=real_server.new_key("poor", "0"), max_retries=2)
    for call in (
        lambda: poor.audio.transcriptions.create(model="whisper-1", file=recording("question")),
        lambda: poor.audio.speech.create(model="tts-1", voice="onyx", input="Hello."),
    ):
        with pytest.raises(openai.APIStatusError) as caught:
            call()
        assert (caught.value.status_code, caught.value.code) == (402, "insufficient_credits")


def test_refusals_and_failures_arrive_as_their_classes(shaky: OpenAI) -> None:
    def chat(model: str) -> object:
        return shaky.chat.completions.create(model=model, messages=ASKED)

    with pytest.raises(openai.PermissionDeniedError) as denied:
        shaky.audio.speech.create(model="tts-1", voice="doubtful", input="Hello.")
    assert denied.value.code == "permission_denied"
    with pytest.raises(openai.InternalServerError) as busy:
        chat("gpt-busy")
    assert (busy.value.status_code, busy.value.code) == (503, "busy")
    assert busy.value.response.headers["retry-after"] == "1"
    with pytest.raises(openai.PermissionDeniedError, match="said the upstream"):
        chat("gpt-refused")
    with pytest.raises(openai.RateLimitError, match="said the upstream"):
        chat("gpt-limited")
    with pytest.raises(openai.APITimeoutError):
        shaky.with_options(timeout=0.5).chat.completions.create(model="gpt-hang", messages=ASKED)


def test_a_request_the_sdk_repeats_is_charged_once(shaky_server: Server, shaky: OpenAI) -> None:
    key = shaky_server.new_key("repeats", "100000")
    patient = shaky.with_options(api_key=key, max_retries=2)
    sound = wav(3.0)

    def chat() -> ChatCompletion:
        return patient.chat.completions.create(model="gpt-4o", messages=ASKED)

    def hear() -> object:
        return patient.audio.transcriptions.create(model="whisper-1", file=("a.wav", sound))

    def speak() -> object:
        return patient.audio.speech.create(model="tts-1", voice="shaky", input="Four words are here")

    def spent(call: Callable[[], object]) -> Decimal:
        before = balance(shaky_server, key)
        call()
        return before - balance(shaky_server, key)

    usage = chat().usage
    assert usage
    for _ in range(3):  # of two requests to an engine one fails, so some of these are repeated
        assert spent(chat) == usage.total_tokens
        assert spent(hear) == Decimal("0.05")
        assert spent(speak) == 1
    metrics = httpx.get(f"{shaky_server.url}/metrics", trust_env=False).text
    for route in ("chat/completions", "audio/transcriptions", "audio/speech"):
        assert f'method="POST",route="/v1/{route}",status="500"' in metrics

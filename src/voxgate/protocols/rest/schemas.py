"""The bodies and forms of REST requests, each field with its range. Fields that clients send and we have no use for
are accepted and ignored, as OpenAI's own servers do."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from voxgate.errors import Code, PeerError


def _blank_is_absent(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def _sayable(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty: there is nothing to say")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half a surrogate pair, which is no character") from None
    return value


class TranscriptionFields(BaseModel):
    """`POST /v1/audio/transcriptions`, all of the form but its file."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True, use_attribute_docstrings=True)

    model: str = Field(min_length=1, max_length=200)
    """A name that `GET /v1/models` lists with task `transcription`."""
    language: list[str] = Field(default_factory=list)
    """English names, ISO 639 codes or BCP-47 tags, separated by commas or given several times. One: it is heard as
    that. Several: told apart among these. Absent or `auto`: told apart among the languages that are heard well."""
    prompt: str = ""
    """Words that are likely to occur, separated by commas or in a sentence."""
    response_format: Literal["json", "text", "verbose_json", "srt", "vtt"] = "json"
    stream: bool = False
    """Server-sent events while it is recognized, instead of one answer."""
    temperature: float = Field(default=0.0, ge=0, le=1)
    """Accepted for compatibility; recognition is always deterministic."""
    timestamp_granularities: list[Literal["segment", "word"]] = Field(
        default_factory=list, alias="timestamp_granularities[]"
    )
    """`word` adds word times to `verbose_json`."""
    enable_correction: bool = True
    """Fillers, stutters, spoken numbers, spelling and capitals put right; the raw text stays in `raw_transcript`."""

    @property
    def languages(self) -> str | None:
        """All of `language`, separated by commas; None where there is none."""
        return ",".join(self.language) or None

    @property
    def wants_words(self) -> bool:
        """Whether the answer holds word times."""
        return "word" in self.timestamp_granularities


class SpeechRequest(BaseModel):
    """`POST /v1/audio/speech`."""

    model_config = ConfigDict(extra="ignore", use_attribute_docstrings=True)

    model: str = Field(min_length=1, max_length=200)
    """A name that `GET /v1/models` lists with task `speech`."""
    input: Annotated[str, AfterValidator(_sayable)]
    """What to say."""
    voice: str = Field(min_length=1, max_length=100)
    """A name that `GET /v1/audio/voices` lists."""
    language: Annotated[str | None, BeforeValidator(_blank_is_absent)] = None
    """Absent or `auto`: taken from the text, among the languages the voice speaks."""
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    """`pcm`: 24 kHz mono signed 16-bit little-endian without a header."""
    speed: float = Field(default=1.0, ge=0.25, le=4.0)
    """Pace, not pitch."""
    normalization: Literal["no", "basic", "advanced"] = "basic"
    audio_quality: int | None = Field(default=None, ge=32, le=320)
    """Bit rate in kbit/s of mp3, opus and aac; the nearest rate the format has is used."""
    stream_format: Literal["audio", "sse"] = "audio"


class ChatRequest(BaseModel):
    """`POST /v1/chat/completions`: what Voxgate itself looks at; everything else is passed on untouched."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    model: str = Field(min_length=1, max_length=200)
    messages: list[dict[str, Any]] = Field(min_length=1)
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    n: int | None = Field(default=None, ge=1, le=128)
    """How many answers; one where absent."""
    max_tokens: int | None = Field(default=None, ge=1, le=10_000_000)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=10_000_000)


def check_length(field: str, text: str, limit: int) -> None:
    """Refuse a text longer than `limit` characters. Raises PeerError naming the field."""
    if len(text) > limit:
        raise PeerError(
            f"{field!r} has {len(text):,} characters; at most {limit:,} are allowed",
            code=Code.INPUT_TOO_LONG,
            param=field,
        )

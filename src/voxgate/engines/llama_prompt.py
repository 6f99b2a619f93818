"""What the demo model is asked: a chat request checked, cut to what a small model can use, and nothing else. Pure.

Upstreams get requests as they come. This model runs in our own process, so its requests are read strictly: a field
that would change the answer and cannot be honoured is refused by name, one that would not is accepted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from voxgate.errors import Code, PeerError

Turn = dict[str, str]
"""`{"role", "content"}`, as the model's template takes it."""

_MESSAGE_TOKENS = 8
"""What the ChatML template adds to a message (`<|im_start|>`, role, `<|im_end|>`, line ends): 5 or 6, rounded up."""

_STEP = 4
"""Messages leave the history by fours. The model keeps the work it did on an unchanged beginning; were one message to
leave with each new one, every prompt would begin differently and be read anew (about 3 ms a token on one core)."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _TextPart(_Strict):
    type: Literal["text"]
    text: str


class _Message(_Strict):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[_TextPart]
    name: str | None = None


class _StreamOptions(_Strict):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class _ResponseFormat(_Strict):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: dict[str, Any] | None = None


class _Request(_Strict):
    """The request fields that mean something to the demo model."""

    model: str | None = None
    messages: list[_Message] = Field(min_length=1)
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    seed: int | None = Field(default=None, ge=0, lt=2**32)
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    response_format: _ResponseFormat | None = None
    # asking for what is done anyway
    n: Literal[1] | None = None
    logprobs: Literal[False] | None = None
    tools: Annotated[list[Any], Field(max_length=0)] | None = None
    tool_choice: Literal["none", "auto"] | None = None
    modalities: list[Literal["text"]] | None = None


_NO_EFFECT = frozenset(
    {
        "metadata",
        "parallel_tool_calls",
        "prompt_cache_key",
        "reasoning_effort",
        "safety_identifier",
        "service_tier",
        "store",
        "user",
        "verbosity",
    }
)
"""Fields of OpenAI's that tell a big service how to work; the answer is as valid without them."""

_SAMPLING = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "stop")


@dataclass(frozen=True, slots=True)
class ChatJob:
    """One request as it travels to the worker. Picklable."""

    turns: tuple[Turn, ...]
    max_tokens: int
    """Most tokens of the reply."""
    sampling: Mapping[str, Any]
    """llama.cpp's names and values, which are OpenAI's for all that we pass."""


@dataclass(frozen=True, slots=True)
class ChatAsk:
    """A checked request."""

    job: ChatJob
    stream: bool
    show_usage: bool


def parse(
    body: Mapping[str, Any],
    *,
    default_tokens: int,
    most_tokens: int,
    temperature: float,
    system: str = "",
    guidance: str = "",
) -> ChatAsk:
    """Read a `POST /v1/chat/completions` body. Raises PeerError naming the field, as `messages[0].content`.

    A reply has at most `most_tokens` tokens, whatever is asked, and `default_tokens` where nothing is. `system` is the
    system message of a conversation that brings none; `guidance` is added to its last one, whoever wrote it.
    """
    try:
        request = _Request.model_validate({key: value for key, value in body.items() if key not in _NO_EFFECT})
    except ValidationError as error:
        raise _peer_error(error) from None
    turns = tuple(_turn(index, message) for index, message in enumerate(request.messages))
    if all(turn["role"] == "system" for turn in turns):
        raise PeerError("messages holds nothing to answer: a message of role 'user' is missing", param="messages")
    if system and all(turn["role"] != "system" for turn in turns):
        turns = ({"role": "system", "content": system}, *turns)
    if guidance and (told := [index for index, turn in enumerate(turns) if turn["role"] == "system"]):
        last = turns[told[-1]]
        guided = {**last, "content": f"{last['content']}\n{guidance}"}
        turns = (*turns[: told[-1]], guided, *turns[told[-1] + 1 :])
    asked = request.max_completion_tokens or request.max_tokens or default_tokens
    sampling = {name: value for name in _SAMPLING if (value := getattr(request, name)) is not None}
    sampling.setdefault("temperature", temperature)
    if request.response_format is not None and request.response_format.type != "text":
        sampling["response_format"] = request.response_format.model_dump(exclude_none=True)
    options = request.stream_options
    return ChatAsk(
        ChatJob(turns, min(asked, most_tokens), sampling),
        stream=bool(request.stream),
        show_usage=bool(options and options.include_usage),
    )


def _turn(index: int, message: _Message) -> Turn:
    role = "system" if message.role == "developer" else message.role
    content = message.content
    text = content if isinstance(content, str) else "\n".join(part.text for part in content)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PeerError(
            f"messages[{index}].content holds half of a surrogate pair, which is no character",
            param=f"messages[{index}].content",
        ) from None
    return {"role": role, "content": text}


def _peer_error(error: ValidationError) -> PeerError:
    """The first thing that is wrong, said of the field that holds it."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = _field(first["loc"])
    kind = first["type"]
    if kind == "missing":
        return PeerError(f"{where} is missing", code=Code.MISSING_FIELD, param=where)
    if kind == "extra_forbidden" or where.partition("[")[0] in ("tools", "tool_choice", "n", "logprobs", "modalities"):
        return PeerError(
            f"{where} is not supported by the demo model; configure an upstream language model for it", param=where
        )
    if where.endswith(".content"):
        return PeerError(f"{where} must be text: the demo model sees no images and hears no audio", param=where)
    return PeerError(f"{where}: {first['msg']}", param=where)


def _field(location: Sequence[int | str]) -> str:
    """`messages[0].content` for pydantic's path into a body, without the branches of unions."""
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        elif step == "str" or step.startswith(("list[", "constrained-")):
            break  # from here on pydantic names its attempts, not the client's fields
        else:
            path += f".{step}" if path else step
    return path


def estimate(turns: Sequence[Turn]) -> int:
    """How many tokens a prompt has, guessed from above: a third of its ASCII characters, and the bytes of the rest.

    English in SmolLM2's vocabulary has 4.2 characters a token; a byte-level BPE never needs more tokens than bytes.
    """
    return sum(_MESSAGE_TOKENS + _estimate(turn["content"]) for turn in turns)


def _estimate(text: str) -> int:
    size = len(text.encode())
    plain = sum(char < "\x80" for char in text)
    return -(-plain // 3) + size - plain


def fit(turns: Sequence[Turn], budget: int) -> tuple[Turn, ...]:
    """The turns without the oldest ones, until their estimate is at most `budget` tokens.

    System messages and the last turn always stay, so the result may be larger than the budget. Turns leave by fours
    (see `_STEP`), except that the last one stays.
    """
    spoken = [index for index, turn in enumerate(turns) if turn["role"] != "system"]
    kept = tuple(turns)
    for dropped in range(0, len(spoken) + _STEP, _STEP):
        gone = set(spoken[: min(dropped, len(spoken) - 1)])
        kept = tuple(turn for index, turn in enumerate(turns) if index not in gone)
        if estimate(kept) <= budget:
            break
    return kept

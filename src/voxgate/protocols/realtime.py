"""What the sessions on WebSockets share: a text frame to a message, and complaints that name the field."""

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from voxgate.errors import Code, PeerError

Model = TypeVar("Model", bound=BaseModel)

_SHOWN = 40  # characters of a client's own words that a complaint repeats: enough to find them, too few to fill a log

_NO_OBJECT = frozenset({"model_type", "model_attributes_type"})  # pydantic's own words name our classes


def parse_message(raw: str, known: Collection[str]) -> dict[str, Any]:
    """A text frame as a message whose `type` is one of `known`, its fields as they came.

    Raises PeerError for anything else.
    """
    try:
        message = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise PeerError(f"the message is not valid JSON: {error.msg}", code=Code.INVALID_JSON) from None
    if not isinstance(message, dict):
        raise PeerError("a message is a JSON object", code=Code.INVALID_JSON)
    kind = message.get("type")
    if isinstance(kind, str) and kind in known:
        return message
    if kind is None:
        raise PeerError("'type' is required", code=Code.MISSING_FIELD, param="type")
    if not isinstance(kind, str):
        raise PeerError("'type': input should be a string", param="type")
    raise PeerError(f"'type': {_shown(kind)} is none of {', '.join(known)}", param="type")


def read(model: type[Model], message: Mapping[str, Any], *, keep_null: Collection[str] = ()) -> Model:
    """The fields of a message as its model. Raises PeerError naming the first field that is wrong.

    A field that is null counts as absent, as clients that serialise whole objects mean it; not those of `keep_null`,
    where null says something.
    """
    fields = {name: value for name, value in message.items() if value is not None or name in keep_null}
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise _complaint(error) from None


def with_defaults(
    message: Mapping[str, Any], defaults: Mapping[str, Any], *, keep_null: Collection[str] = ()
) -> dict[str, Any]:
    """A message whose absent fields are those of `defaults`; null is absent where `read` takes it so."""
    said = {name: value for name, value in message.items() if value is not None or name in keep_null}
    return {**defaults, **said}


def text_of(message: Mapping[str, Any]) -> str:
    """A message as the text frame it is sent in."""
    return orjson.dumps(message).decode()


def _complaint(error: ValidationError) -> PeerError:
    """The first of pydantic's complaints, as a client is told it."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    param = ".".join(str(part) for part in first["loc"]) or None
    if first["type"] == "missing":
        return PeerError(f"'{param}' is required", code=Code.MISSING_FIELD, param=param)
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] in _NO_OBJECT:
        message = "input should be an object"
    named = f"'{param}': " if param else ""
    return PeerError(f"{named}{message[:1].lower()}{message[1:]}", param=param)


def _shown(text: str) -> str:
    """The beginning of what a client wrote, in quotes, fit for one line."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")

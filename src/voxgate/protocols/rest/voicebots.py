"""`/v1/voicebots`: bodies, and voicebots and their images as JSON."""

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from voxgate.rooms import BotImage, Voicebot

_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}

IMAGES = "/images/"
"""Where addresses of images begin. They need no key: who shows a picture is a browser, and its page's visitors."""


class VoicebotChanges(BaseModel):
    """`PATCH /v1/voicebots/{id}`: what is absent stays as it is, what is null becomes its default."""

    # An unknown field is refused: a slip of the keyboard would otherwise be a voicebot that does not do as it is told.
    model_config = ConfigDict(extra="forbid", populate_by_name=True, use_attribute_docstrings=True)

    name: str | None = None
    """What people see; at most 100 characters."""
    avatar_url: str | None = Field(default=None, alias="avatarUrl")
    """An http or https address of a picture of it."""
    instructions: str | None = None
    """What the model is told about its part, at most 20,000 characters."""
    language: str | None = None
    """The language of its replies: an English name, an ISO 639 code or a BCP-47 tag, which its voice speaks. Absent or
    `auto`: the language that is spoken to it."""
    voice: str | None = None
    """A name that `GET /v1/audio/voices` lists; `valsea-default` where absent."""
    greeting: str | None = None
    """What it says when somebody joins; absent: it waits."""
    model: str | None = None
    """A chat model that `GET /v1/models` lists; `valsea-fast` where absent."""

    def fields(self) -> dict[str, str | None]:
        """What the client named."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class VoicebotRequest(VoicebotChanges):
    """`POST /v1/voicebots`."""

    name: str
    """What people see; at most 100 characters."""


def image_url(base_url: str, voicebot_id: str, image: BotImage) -> str:
    """The public address of an image. Another content has another address, so each may be kept for ever.

    `base_url`: `https://voice.example.com`, without a slash at the end.
    """
    return f"{base_url}{IMAGES}{voicebot_id}/{image.digest}.{_EXTENSIONS[image.media_type]}"


def image_mapping(base_url: str, voicebot_id: str, image: BotImage) -> dict[str, str]:
    """An image as sessions and the library tell it: `{"key", "url", "description"?}`."""
    mapping = {"key": image.key, "url": image_url(base_url, voicebot_id, image)}
    return mapping | ({"description": image.description} if image.description else {})


def image_mappings(base_url: str, voicebot: Voicebot) -> list[dict[str, str]]:
    """All images of a voicebot, in their order."""
    return [image_mapping(base_url, voicebot.id, image) for image in voicebot.images]


def shown_image(base_url: str, voicebot_id: str, image: BotImage) -> dict[str, Any]:
    """An image as its owner sees it."""
    mapping = image_mapping(base_url, voicebot_id, image)
    return mapping | {"mediaType": image.media_type, "size": image.size, "sha256": image.digest}


def shown_voicebot(base_url: str, voicebot: Voicebot) -> dict[str, Any]:
    """A voicebot as its owner sees it."""
    return {
        "id": voicebot.id,
        "name": voicebot.name,
        "avatarUrl": voicebot.avatar_url,
        "instructions": voicebot.instructions,
        "language": voicebot.language,
        "voice": voicebot.voice,
        "greeting": voicebot.greeting,
        "model": voicebot.model,
        "images": [shown_image(base_url, voicebot.id, image) for image in voicebot.images],
        "createdAt": moment(voicebot.created_at),
        "updatedAt": moment(voicebot.updated_at),
    }


def moment(at: datetime) -> str:
    """A moment as browsers write it: UTC, to the millisecond, `Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

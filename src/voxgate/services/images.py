"""The image library of voicebots: what may be shown, where its content lies, and that none is left behind.

A content lies in an object of its own, which no other image shares (decision 13). Objects are written before they are
named and removed after they are not named any more: what a crash or a failing storage can leave is an object without a
name, never a name without an object.
"""

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from voxgate.clock import Clock
from voxgate.errors import Code, PeerError, StoreError
from voxgate.rooms import BotImage, ImageStorage, Voicebot, VoicebotStore
from voxgate.services.pictures import EXTENSIONS, Pictures
from voxgate.services.voicebots import VoicebotSettings

_log = structlog.get_logger(__name__)

_KEY = re.compile(r"\w[\w.-]*")
_FILE = re.compile(r"([0-9a-f]{64})\.(png|jpg|webp)")


@dataclass(frozen=True, slots=True)
class Shown:
    """What lies at an image's address."""

    stored: str
    """Its object."""
    media_type: str
    digest: str
    """SHA-256 of the content, in hex."""


class Images:
    """The use cases behind `/v1/voicebots/{id}/images`. Every method may raise StoreError."""

    def __init__(self, store: VoicebotStore, storage: ImageStorage, settings: VoicebotSettings, clock: Clock) -> None:
        self._store = store
        self._storage = storage
        self._settings = settings
        self._clock = clock
        self._pictures = Pictures(settings.image_pixels)

    async def add(
        self, voicebot: Voicebot, key: str, description: str, content: bytes, *, by: str
    ) -> tuple[BotImage, bool]:
        """Add an image to a voicebot, or put it in the place of the one with its key; whether it did that.

        Raises PeerError naming `key`, `description` or `file`, or `not_found` where the voicebot was deleted meanwhile.
        """
        key, description = self.checked_key(key), self._checked_description(description)
        self.check_size(len(content))
        if key not in {image.key for image in voicebot.images}:
            self._check_count(len(voicebot.images))
        media_type = await self._pictures.media_type(content)
        digest = hashlib.sha256(content).hexdigest()
        image = BotImage(key, description, media_type, digest, len(content))
        name = f"{digest[:2]}/{digest}-{secrets.token_hex(8)}.{EXTENSIONS[media_type]}"
        await self._storage.put(name, content, media_type)
        # Where the database does not answer, the object stays: the row may have been written.
        done, old = await self._store.put_image(
            voicebot.id, image, name, most=self._settings.images, at=self._clock.now()
        )
        if not done:
            await self.discard([name])
            self._check_count(len(await self._now(voicebot.id)))
            raise PeerError("images came and went meanwhile; send this one again", param="key")
        if old is not None:
            await self.discard([old])
        _log.info(
            "voicebot image added", voicebot_id=voicebot.id, org_id=voicebot.org_id, by=by, bytes=image.size,
            replaced=old is not None,
        )  # fmt: skip
        return image, old is not None

    async def remove(self, voicebot: Voicebot, key: str, *, by: str) -> str:
        """Remove an image, and its content; its key as it was kept. Raises PeerError `not_found`."""
        key = unicodedata.normalize("NFC", key)
        old = await self._store.take_image(voicebot.id, key, self._clock.now())
        if old is None:
            raise PeerError("this voicebot has no image of this key", code=Code.NOT_FOUND, param="key")
        await self.discard([old])
        _log.info("voicebot image removed", voicebot_id=voicebot.id, org_id=voicebot.org_id, by=by)
        return key

    async def at(self, voicebot_id: str, file: str) -> Shown:
        """What lies at an image's address: `file` is `{digest}.{extension}`. Raises PeerError `not_found`."""
        named = _FILE.fullmatch(file)
        found = None if named is None else await self._store.object_of(voicebot_id, named[1])
        if named is None or found is None or EXTENSIONS[found[1]] != named[2]:
            raise _no_image()
        return Shown(found[0], found[1], named[1])

    async def content(self, shown: Shown) -> bytes:
        """Its content. Raises PeerError `not_found` where it was removed since the look."""
        content = await self._storage.get(shown.stored)
        if content is None:
            raise _no_image()
        return content

    async def discard(self, objects: Sequence[str]) -> None:
        """Remove contents that nothing names any more. Where the storage fails they stay, and the log names them."""
        try:
            await self._storage.remove(objects)
        except StoreError as error:
            _log.warning("image contents left behind", objects=list(objects), error=error.message)

    def checked_key(self, key: str) -> str:
        """The key as it is kept. Raises PeerError."""
        key = unicodedata.normalize("NFC", key.strip())
        most = self._settings.image_key_characters
        if len(key) > most or _KEY.fullmatch(key) is None:
            raise PeerError(
                f"'key' has 1 to {most} letters, digits, '_', '-' and '.', and begins with none of the last two "
                "(voicebots.image_key_characters)",
                param="key",
            )
        return key

    def _checked_description(self, description: str) -> str:
        description = description.strip()
        most = self._settings.image_description_characters
        if len(description) > most or not description.isprintable():
            raise PeerError(
                f"'description' has at most {most} printable characters (voicebots.image_description_characters)",
                param="description",
            )
        return description

    def check_size(self, size: int) -> None:
        """Refuse a file of so many bytes where there may not be so many. Raises PeerError."""
        if size > self._settings.image_bytes:
            raise PeerError(
                f"'file' has {size:,} bytes; at most {self._settings.image_bytes:,} are allowed "
                "(voicebots.image_bytes)",
                code=Code.TOO_LARGE,
                param="file",
            )
        if size == 0:
            raise PeerError("'file' is empty", param="file")

    def _check_count(self, count: int) -> None:
        if count >= self._settings.images:
            raise PeerError(
                f"this voicebot has {count} images, as many as it may (voicebots.images); remove one, or replace one "
                "by sending its key",
                param="key",
            )

    async def _now(self, voicebot_id: str) -> Sequence[BotImage]:
        """The images it has at this moment. Raises PeerError."""
        voicebot = await self._store.find(voicebot_id)
        if voicebot is None:
            raise PeerError("there is no voicebot with this id", code=Code.NOT_FOUND, param="id")
        return voicebot.images


def _no_image() -> PeerError:
    return PeerError("there is no image at this address", code=Code.NOT_FOUND)

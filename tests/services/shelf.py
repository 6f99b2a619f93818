"""Voicebots and contents of images in memory: fakes of the two ports of rooms.py."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from voxgate.errors import StoreError
from voxgate.rooms import BotImage, Voicebot


class Shelf:
    """`rooms.VoicebotStore`."""

    def __init__(self) -> None:
        self.bots: dict[str, Voicebot] = {}
        self.objects: dict[tuple[str, str], str] = {}

    async def add(self, voicebot: Voicebot, *, most: int) -> bool:
        if sum(bot.org_id == voicebot.org_id for bot in self.bots.values()) >= most:
            return False
        self.bots[voicebot.id] = voicebot
        return True

    async def find(self, voicebot_id: str) -> Voicebot | None:
        return self.bots.get(voicebot_id)

    async def page(self, org_id: str | None, *, limit: int, offset: int) -> tuple[Sequence[Voicebot], int]:
        found = [bot for bot in self.bots.values() if org_id in (None, bot.org_id)]
        return found[offset : offset + limit], len(found)

    async def change(self, voicebot_id: str, changes: Mapping[str, str | None], at: datetime) -> Voicebot | None:
        if voicebot_id in self.bots:
            self.bots[voicebot_id] = replace(self.bots[voicebot_id], updated_at=at, **changes)  # type: ignore[arg-type]
        return self.bots.get(voicebot_id)

    async def remove(self, voicebot_id: str) -> Sequence[str] | None:
        bot = self.bots.pop(voicebot_id, None)
        return None if bot is None else [self.objects.pop((bot.id, image.key)) for image in bot.images]

    async def put_image(
        self, voicebot_id: str, image: BotImage, stored: str, *, most: int, at: datetime
    ) -> tuple[bool, str | None]:
        bot = self.bots.get(voicebot_id)
        if bot is None or (image.key not in {each.key for each in bot.images} and len(bot.images) >= most):
            return False, None
        old = self.objects.get((voicebot_id, image.key))
        images = [image if each.key == image.key else each for each in bot.images]
        self.bots[voicebot_id] = replace(bot, images=images if old else [*images, image], updated_at=at)
        self.objects[voicebot_id, image.key] = stored
        return True, old

    async def take_image(self, voicebot_id: str, key: str, at: datetime) -> str | None:
        old = self.objects.pop((voicebot_id, key), None)
        if old is not None:
            bot = self.bots[voicebot_id]
            self.bots[voicebot_id] = replace(bot, images=[each for each in bot.images if each.key != key])
        return old

    async def object_of(self, voicebot_id: str, digest: str) -> tuple[str, str] | None:
        bot = self.bots.get(voicebot_id)
        for image in bot.images if bot else ():
            if image.digest == digest:
                return self.objects[voicebot_id, image.key], image.media_type
        return None


class Cupboard:
    """`rooms.ImageStorage`."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.broken = False

    async def put(self, name: str, content: bytes, media_type: str) -> None:
        self._check()
        assert name not in self.contents
        self.contents[name] = content

    async def get(self, name: str) -> bytes | None:
        self._check()
        return self.contents.get(name)

    async def remove(self, names: Sequence[str]) -> None:
        self._check()
        for name in names:
            self.contents.pop(name, None)

    async def aclose(self) -> None:
        """Nothing is held."""

    def _check(self) -> None:
        if self.broken:
            raise StoreError("the storage of the images does not answer")

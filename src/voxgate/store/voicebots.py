"""Voicebots and what they can show: one row each, and one an image. Contents of images lie elsewhere."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from voxgate.rooms import BotImage, Voicebot
from voxgate.store.database import Database
from voxgate.store.schema import organizations, voicebot_images, voicebots

_bot = voicebots.c
_image = voicebot_images.c

_OF_ONE = select(voicebots).where(_bot.id == bindparam("bot"))
_IMAGES = select(voicebot_images).where(_image.voicebot_id.in_(bindparam("bots", expanding=True))).order_by(_image.id)
# Locked on PostgreSQL, so that two who add at once are counted one after the other; SQLite has one writer.
_LOCK_ORG = select(organizations.c.id).where(organizations.c.id == bindparam("org")).with_for_update(key_share=True)
_COUNT = select(func.count()).select_from(voicebots).where(_bot.org_id == bindparam("org"))
_NEW = insert(voicebots)
_LOCK_BOT = select(_bot.id).where(_bot.id == bindparam("bot")).with_for_update()
_TOUCH = update(voicebots).where(_bot.id == bindparam("bot")).values(updated_at=bindparam("at"))
_REMOVE = delete(voicebots).where(_bot.id == bindparam("bot"))
_OBJECTS = select(_image.object).where(_image.voicebot_id == bindparam("bot")).order_by(_image.id)
_OBJECT_OF_KEY = select(_image.object).where(_image.voicebot_id == bindparam("bot"), _image.key == bindparam("named"))
_COUNT_IMAGES = select(func.count()).select_from(voicebot_images).where(_image.voicebot_id == bindparam("bot"))
_REPLACE_IMAGE = update(voicebot_images).where(_image.voicebot_id == bindparam("bot"), _image.key == bindparam("named"))
_NEW_IMAGE = insert(voicebot_images)
_TAKE_IMAGE = (
    delete(voicebot_images)
    .where(_image.voicebot_id == bindparam("bot"), _image.key == bindparam("named"))
    .returning(_image.object)
)
# Two keys of one voicebot may hold the same content; either object will do.
_OBJECT_OF = (
    select(_image.object, _image.media_type)
    .where(_image.voicebot_id == bindparam("bot"), _image.digest == bindparam("digest"))
    .order_by(_image.id)
    .limit(1)
)
_FIELDS = (
    "id", "org_id", "name", "avatar_url", "instructions", "language", "voice", "greeting", "model", "created_at",
    "updated_at",
)  # fmt: skip


class SqlVoicebots:
    """`rooms.VoicebotStore` on the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, voicebot: Voicebot, *, most: int) -> bool:
        async def write(connection: AsyncConnection) -> bool:
            org = {"org": voicebot.org_id}
            await connection.execute(_LOCK_ORG, org)
            if ((await connection.scalar(_COUNT, org)) or 0) >= most:
                return False
            await connection.execute(_NEW, {name: getattr(voicebot, name) for name in _FIELDS})
            return True

        return await self._database.write(write)

    async def find(self, voicebot_id: str) -> Voicebot | None:
        async def look(connection: AsyncConnection) -> Voicebot | None:
            return await _found(connection, voicebot_id)

        return await self._database.snapshot(look)

    async def page(self, org_id: str | None, *, limit: int, offset: int) -> tuple[Sequence[Voicebot], int]:
        wanted = select(voicebots).order_by(_bot.created_at, _bot.id).limit(limit).offset(offset)
        counted = select(func.count()).select_from(voicebots)
        if org_id is not None:
            wanted, counted = wanted.where(_bot.org_id == org_id), counted.where(_bot.org_id == org_id)

        async def look(connection: AsyncConnection) -> tuple[list[Voicebot], int]:
            total = await connection.scalar(counted)
            rows = (await connection.execute(wanted)).all()
            return await _with_images(connection, rows), total or 0

        return await self._database.snapshot(look)

    async def change(self, voicebot_id: str, changes: Mapping[str, str | None], at: datetime) -> Voicebot | None:
        changed = update(voicebots).where(_bot.id == voicebot_id).values(**changes, updated_at=at)

        async def write(connection: AsyncConnection) -> Voicebot | None:
            await connection.execute(changed)
            return await _found(connection, voicebot_id)

        return await self._database.write(write)

    async def remove(self, voicebot_id: str) -> Sequence[str] | None:
        bot = {"bot": voicebot_id}

        async def write(connection: AsyncConnection) -> Sequence[str] | None:
            # Locked first: an image that is being added is there already, or will find no voicebot.
            if await connection.scalar(_LOCK_BOT, bot) is None:
                return None
            objects = list(await connection.scalars(_OBJECTS, bot))
            await connection.execute(_REMOVE, bot)
            return objects

        return await self._database.write(write)

    async def put_image(
        self, voicebot_id: str, image: BotImage, stored: str, *, most: int, at: datetime
    ) -> tuple[bool, str | None]:
        bot = {"bot": voicebot_id}
        row = {
            "description": image.description,
            "media_type": image.media_type,
            "digest": image.digest,
            "size": image.size,
            "object": stored,
        }

        async def write(connection: AsyncConnection) -> tuple[bool, str | None]:
            if (await connection.execute(_TOUCH, bot | {"at": at})).rowcount == 0:
                return False, None
            old = await connection.scalar(_OBJECT_OF_KEY, bot | {"named": image.key})
            if old is not None:
                await connection.execute(_REPLACE_IMAGE.values(**row), bot | {"named": image.key})
                return True, old
            if ((await connection.scalar(_COUNT_IMAGES, bot)) or 0) >= most:
                return False, None
            await connection.execute(_NEW_IMAGE, {"voicebot_id": voicebot_id, "key": image.key, **row})
            return True, None

        return await self._database.write(write)

    async def take_image(self, voicebot_id: str, key: str, at: datetime) -> str | None:
        bot = {"bot": voicebot_id}

        async def write(connection: AsyncConnection) -> str | None:
            await connection.execute(_LOCK_BOT, bot)
            old: str | None = await connection.scalar(_TAKE_IMAGE, bot | {"named": key})
            if old is not None:
                await connection.execute(_TOUCH, bot | {"at": at})
            return old

        return await self._database.write(write)

    async def object_of(self, voicebot_id: str, digest: str) -> tuple[str, str] | None:
        async def look(connection: AsyncConnection) -> tuple[str, str] | None:
            row = (await connection.execute(_OBJECT_OF, {"bot": voicebot_id, "digest": digest})).one_or_none()
            return None if row is None else (row.object, row.media_type)

        return await self._database.read(look)


async def _found(connection: AsyncConnection, voicebot_id: str) -> Voicebot | None:
    rows = (await connection.execute(_OF_ONE, {"bot": voicebot_id})).all()
    return next(iter(await _with_images(connection, rows)), None)


async def _with_images(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> list[Voicebot]:
    images: dict[str, list[BotImage]] = {row.id: [] for row in rows}
    if images:
        for row in await connection.execute(_IMAGES, {"bots": list(images)}):
            shown = BotImage(row.key, row.description, row.media_type, row.digest, row.size)
            images[row.voicebot_id].append(shown)
    return [Voicebot(**{name: getattr(row, name) for name in _FIELDS}, images=tuple(images[row.id])) for row in rows]

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from voxgate.domain import Principal, Tier
from voxgate.rooms import BotImage, Voicebot
from voxgate.store.accounts import SqlAccounts
from voxgate.store.database import Database
from voxgate.store.voicebots import SqlVoicebots

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
CAT = BotImage("cat", "a cat on a sofa", "image/png", "c" * 64, 100)
DOG = BotImage("dog", "", "image/webp", "d" * 64, 200)


@pytest.fixture
def store(database: Database) -> SqlVoicebots:
    return SqlVoicebots(database)


def made(who: Principal, number: int = 1) -> Voicebot:
    return Voicebot(
        id=f"{number:024x}",
        org_id=who.org_id,
        name="Mai",
        avatar_url="https://example.com/mai.png",
        instructions="Be brief.",
        language="vi",
        voice="aria",
        greeting="Xin chào!",
        model="valsea-fast",
        images=(),
        created_at=NOON + timedelta(seconds=number),
        updated_at=NOON + timedelta(seconds=number),
    )


async def test_what_is_kept_is_found_as_it_was(store: SqlVoicebots, who: Principal) -> None:
    bot = made(who)
    bare = replace(made(who, 2), avatar_url=None, language=None, instructions="", greeting="")
    assert await store.add(bot, most=2)
    assert await store.add(bare, most=2)
    assert await store.find(bot.id) == bot
    assert await store.find(bare.id) == bare
    assert await store.find("f" * 24) is None


async def test_an_organization_has_no_more_than_it_may_also_where_they_come_at_once(
    store: SqlVoicebots, who: Principal
) -> None:
    kept = await asyncio.gather(*(store.add(made(who, number), most=3) for number in range(8)))
    assert sum(kept) == 3
    assert (await store.page(who.org_id, limit=10, offset=0))[1] == 3


async def test_pages_hold_one_organization_s_oldest_first(
    store: SqlVoicebots, who: Principal, accounts: SqlAccounts
) -> None:
    added = await accounts.add_key("vg_" + "o" * 40, org="other", tier=Tier.FREE, grant=0, label="", expires_at=None)
    assert added is not None
    foreign = replace(made(who, 9), org_id=added[0].id)
    mine = [made(who, number) for number in (1, 2, 3)]
    for bot in (*reversed(mine), foreign):
        await store.add(bot, most=9)
    await store.put_image(mine[1].id, CAT, "o1", most=9, at=mine[1].updated_at)
    mine[1] = replace(mine[1], images=(CAT,))
    assert await store.page(who.org_id, limit=2, offset=0) == (mine[:2], 3)
    assert await store.page(who.org_id, limit=2, offset=2) == (mine[2:], 3)
    assert await store.page(who.org_id, limit=2, offset=3) == ([], 3)
    assert await store.page(None, limit=9, offset=0) == ([*mine, foreign], 4)


async def test_a_change_leaves_what_it_does_not_name(store: SqlVoicebots, who: Principal) -> None:
    bot = made(who)
    await store.add(bot, most=1)
    await store.put_image(bot.id, CAT, "o1", most=9, at=NOON)
    changed = replace(bot, name="Lan", language=None, images=(CAT,), updated_at=LATER)
    assert await store.change(bot.id, {"name": "Lan", "language": None}, LATER) == changed
    assert await store.find(bot.id) == changed
    assert await store.change("f" * 24, {"name": "Lan"}, LATER) is None


async def test_images_keep_their_order_and_a_new_one_takes_the_place_of_its_key(
    store: SqlVoicebots, who: Principal
) -> None:
    bot = made(who)
    await store.add(bot, most=1)
    assert await store.put_image(bot.id, CAT, "o1", most=2, at=NOON) == (True, None)
    assert await store.put_image(bot.id, DOG, "o2", most=2, at=NOON) == (True, None)
    assert await store.put_image(bot.id, replace(CAT, key="cow"), "o3", most=2, at=LATER) == (False, None)
    newer = replace(CAT, digest="e" * 64, description="another", media_type="image/jpeg", size=7)
    assert await store.put_image(bot.id, newer, "o4", most=2, at=LATER) == (True, "o1")
    assert await store.find(bot.id) == replace(bot, images=(newer, DOG), updated_at=LATER)
    assert await store.put_image("f" * 24, CAT, "o5", most=9, at=LATER) == (False, None)


async def test_contents_are_found_by_voicebot_and_digest(store: SqlVoicebots, who: Principal) -> None:
    bot, other = made(who), made(who, 2)
    await store.add(bot, most=2)
    await store.add(other, most=2)
    await store.put_image(bot.id, CAT, "o1", most=9, at=NOON)
    await store.put_image(bot.id, replace(CAT, key="same"), "o2", most=9, at=NOON)
    assert await store.object_of(bot.id, CAT.digest) == ("o1", "image/png")
    assert await store.object_of(other.id, CAT.digest) is None
    assert await store.take_image(bot.id, "cat", LATER) == "o1"
    assert await store.take_image(bot.id, "cat", LATER) is None
    assert await store.object_of(bot.id, CAT.digest) == ("o2", "image/png")
    assert await store.find(bot.id) == replace(bot, images=(replace(CAT, key="same"),), updated_at=LATER)


async def test_a_voicebot_that_is_removed_names_the_objects_it_leaves_behind(
    store: SqlVoicebots, who: Principal
) -> None:
    bot = made(who)
    await store.add(bot, most=1)
    await store.put_image(bot.id, CAT, "o1", most=9, at=NOON)
    await store.put_image(bot.id, DOG, "o2", most=9, at=NOON)
    assert await store.remove(bot.id) == ["o1", "o2"]
    assert await store.remove(bot.id) is None
    assert await store.find(bot.id) is None
    assert await store.object_of(bot.id, CAT.digest) is None


async def test_one_key_written_by_many_at_once_leaves_one_object(store: SqlVoicebots, who: Principal) -> None:
    bot = made(who)
    await store.add(bot, most=1)
    objects = {f"o{number}" for number in range(6)}
    answers = await asyncio.gather(*(store.put_image(bot.id, CAT, name, most=9, at=NOON) for name in sorted(objects)))
    assert all(done for done, _ in answers)
    replaced = {old for _, old in answers if old is not None}
    found = await store.object_of(bot.id, CAT.digest)
    assert found is not None
    assert objects - replaced == {found[0]}

"""Whatever is added, replaced, removed and deleted at the same time: what is named is there, and nothing else stays."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.images import image
from tests.services.shelf import Cupboard, Shelf
from tests.services.test_images import BOT
from voxgate.clock import FakeClock
from voxgate.errors import PeerError
from voxgate.rooms import BotImage
from voxgate.services.images import Images
from voxgate.services.voicebots import VoicebotSettings

CONTENTS = [image("png", shade=shade) for shade in (1, 2)]
Turns = Callable[[], Awaitable[None]]


class SlowShelf(Shelf):
    """Others come in before and after every transaction."""

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self._turns = turns

    async def put_image(
        self, voicebot_id: str, image: BotImage, stored: str, *, most: int, at: datetime
    ) -> tuple[bool, str | None]:
        await self._turns()
        answer = await super().put_image(voicebot_id, image, stored, most=most, at=at)
        await self._turns()
        return answer

    async def take_image(self, voicebot_id: str, key: str, at: datetime) -> str | None:
        await self._turns()
        answer = await super().take_image(voicebot_id, key, at)
        await self._turns()
        return answer


class SlowCupboard(Cupboard):
    """Others come in before and after every change."""

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self._turns = turns

    async def put(self, name: str, content: bytes, media_type: str) -> None:
        await self._turns()
        await super().put(name, content, media_type)
        await self._turns()

    async def remove(self, names: Sequence[str]) -> None:
        await self._turns()
        await super().remove(names)
        await self._turns()


ADD = st.tuples(st.just("add"), st.sampled_from("ab"), st.integers(0, 1))
REMOVE = st.tuples(st.just("remove"), st.sampled_from("ab"), st.just(0))
DELETE = st.tuples(st.just("delete"), st.just(""), st.just(0))


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.one_of(ADD, ADD, REMOVE, DELETE), min_size=2, max_size=8),
    delays=st.lists(st.integers(0, 3), min_size=1, max_size=20),
)
def test_what_is_named_is_there_and_nothing_else_stays(steps: list[tuple[str, str, int]], delays: list[int]) -> None:
    def endless() -> Iterator[int]:
        while True:
            yield from delays

    waits = endless()

    async def run() -> None:
        async def turns() -> None:
            for _ in range(next(waits)):
                await asyncio.sleep(0)
            assert set(shelf.objects.values()) <= cupboard.contents.keys()

        shelf, cupboard = SlowShelf(turns), SlowCupboard(turns)
        await shelf.add(BOT, most=1)
        images = Images(shelf, cupboard, VoicebotSettings(images=1), FakeClock())

        async def work(what: str, key: str, content: int) -> None:
            bot = shelf.bots.get(BOT.id, BOT)
            try:
                if what == "add":
                    await images.add(bot, key, "", CONTENTS[content], by="key_1")
                elif what == "remove":
                    await images.remove(bot, key, by="key_1")
                else:
                    await images.discard(await shelf.remove(BOT.id) or ())
            except PeerError:
                pass  # too many, not there any more

        await asyncio.gather(*(work(*step) for step in steps))
        assert set(shelf.objects.values()) == cupboard.contents.keys()

    asyncio.run(run())

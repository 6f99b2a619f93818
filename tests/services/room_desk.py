"""One server's sessions over a real ledger; the clock moves when it is told to."""

from collections.abc import Collection

from tests.services.test_room_time import Rules
from voxgate.clock import FakeClock
from voxgate.domain import Principal, Tier
from voxgate.errors import EngineError
from voxgate.rooms import Grant, RoomEnd, Voicebot
from voxgate.services.billing import PerMinute
from voxgate.services.rooms import OpenRoom, Rooms, Tick
from voxgate.store.accounts import SqlAccounts
from voxgate.store.database import Database
from voxgate.store.ledger import SqlLedger
from voxgate.store.rooms import SqlRooms
from voxgate.store.spending import SqlSpending

PRICE = 100
TARIFF = PerMinute("rooms", PRICE, 1000)
RULES = Rules()


class Carrier:
    """A house that carries nothing, and settles what it is told to end."""

    def __init__(self) -> None:
        self.carried: dict[str, OpenRoom] = {}
        self.ended: list[tuple[str, RoomEnd]] = []
        self.fails = False

    async def opened(self, room: OpenRoom, bot: Voicebot, base_url: str) -> Grant:
        if self.fails:
            raise EngineError("nobody carries rooms", engine="embedded")
        self.carried[room.plan.room] = room
        return Grant(base_url.replace("http", "ws"), "token")

    async def end(self, room: str, reason: RoomEnd) -> None:
        self.ended.append((room, reason))
        if room in self.carried:
            await self.carried[room].end(reason)


class Desk:
    """One server's sessions."""

    def __init__(self, database: Database, clock: FakeClock) -> None:
        self.database, self.clock = database, clock
        self.ledger = SqlLedger(database, clock)
        self.store = SqlRooms(database, clock, self.ledger)
        self.gone: set[str] = set()
        self.house = Carrier()
        self.flushed = 0
        self.rooms = Rooms(
            self.store,
            SqlSpending(database),
            clock,
            RULES,
            tariff=TARIFF,
            flush=self._flush,
            ended_keys=self._ended,
            others_s=0.4,
        )
        self.rooms.house = self.house

    async def _flush(self) -> None:
        self.flushed += 1

    async def _ended(self, keys: Collection[str]) -> frozenset[str]:
        return frozenset(keys) & self.gone

    async def left(self, who: Principal) -> tuple[int, int]:
        balance = await self.ledger.balance(who.org_id)
        return balance.available, balance.held


async def somebody(database: Database, org: str = "acme", *, grant: int = 1000) -> Principal:
    added = await SqlAccounts(database, FakeClock()).add_key(
        f"vg_{org:k<40}", org=org, tier=Tier.FREE, grant=grant, label="", expires_at=None
    )
    assert added is not None
    return Principal(added[1].id, added[0].id, org, Tier.FREE)


def bot(clock: FakeClock, who: Principal) -> Voicebot:
    return Voicebot(
        id="665f5aa613e4fe2f12ab34cd",
        org_id=who.org_id,
        name="Guide",
        avatar_url=None,
        instructions="",
        language=None,
        voice="alloy",
        greeting="Hello!",
        model="valsea-fast",
        images=(),
        created_at=clock.now(),
        updated_at=clock.now(),
    )


async def begun(desk: Desk, who: Principal) -> OpenRoom:
    room, _ = await desk.rooms.begin(who, bot(desk.clock, who), "Ada", request_id="req", base_url="http://here")
    return room


async def stay(desk: Desk, room: OpenRoom, seconds: int) -> list[Tick]:
    """Somebody is there for so long, and it is ticked every second; until it is to end."""
    ticks = []
    for _ in range(seconds):
        desk.clock.advance(1)
        ticks.append(await room.tick())
        if ticks[-1].ending:
            break
    return ticks

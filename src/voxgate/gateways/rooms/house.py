"""Every call in rooms of this process: from the session that was created to the last settlement.

    opened      the bot goes into its room, and waits for its person
    carried     room -> RoomCall <-> Conversation, beside a clock that asks the session what it needs (`OpenRoom.tick`):
                minutes are held before they begin, the end is announced, and comes
    over        for whichever reason was first: settled, the conversation ended, the room closed

A call is a task of the house, not of a request. Whoever ends it, here or over REST, waits until it is over.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

import structlog

from voxgate.calls import AnnounceIn, CallProblem, CallRequest, EndIn, EndReason
from voxgate.clock import Clock
from voxgate.errors import Code, MisuseError, RefusedError, VoxgateError
from voxgate.gateways.agent_calls import Conversation
from voxgate.gateways.rooms.call import RoomCall
from voxgate.gateways.rooms.media import VOICE_RATE, MediaProvider, RoomMedia
from voxgate.gateways.rooms.settings import RoomSettings
from voxgate.ports import Metrics
from voxgate.records import Record, SessionOpened
from voxgate.rooms import Grant, RoomEnd, Voicebot
from voxgate.services.room_time import Notice
from voxgate.services.rooms import OpenRoom
from voxgate.text.phrases import Phrase

_log = structlog.get_logger(__name__)

_END_S = 2.0
"""How long a conversation that was told to end may take, before it is cancelled."""
_BUSY_RETRY_S = 30  # sessions last minutes

_ANNOUNCED = {RoomEnd.CREDITS: Phrase.CREDITS_END, RoomEnd.EXPIRED: Phrase.TIME_ENDS}
_ENDED_BY = {EndReason.LOST: RoomEnd.LEFT, EndReason.FAILED: RoomEnd.FAILED}

Converse = Callable[[CallRequest, str, str], Conversation]
"""Who holds a call with a voice and a model. Raises PeerError, RefusedError, EngineError (`calling.Calls.converse`)."""

ImagesOf = Callable[[str, Voicebot], Mapping[str, Mapping[str, str]]]
"""(address of this server, voicebot) -> key of each image -> what an `image` packet holds."""


class RoomHouse:
    """Carries out `services.rooms.House`."""

    def __init__(
        self,
        provider: MediaProvider,
        converse: Converse,
        record: Record,
        settings: RoomSettings,
        *,
        images_of: ImagesOf,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._provider = provider
        self._converse = converse
        self._record = record
        self._settings = settings
        self._images_of = images_of
        self._clock = clock
        self._metrics = metrics
        self._calls: dict[str, _Carried] = {}
        self._opening = 0
        self._closing = False

    async def opened(self, room: OpenRoom, bot: Voicebot, base_url: str) -> Grant:
        """Carry the call from now on. Raises RefusedError `busy`, `shutting_down`, licence; PeerError (a voice, a
        language or a model of the bot that there is no more); EngineError `engine_unavailable`."""
        if self._closing:
            raise RefusedError("the server is stopping", code=Code.SHUTTING_DOWN, retry_after_s=_BUSY_RETRY_S)
        if len(self._calls) + self._opening >= self._settings.most:
            raise RefusedError(
                f"the server has {self._settings.most:,} sessions open, as many as it may (rooms.most)",
                code=Code.BUSY,
                retry_after_s=_BUSY_RETRY_S,
            )
        images = self._images_of(base_url, bot)
        conversation = self._converse(self._request(room, bot, images), bot.voice, bot.model)
        self._opening += 1
        try:
            media = await self._provider.open(room.plan)
            call = RoomCall(
                media,
                room,
                images,
                self._clock,
                typed_characters=self._settings.typed_characters,
                listen_s=self._settings.listen_s,
            )
            carried = _Carried(room, bot, media, call, conversation, self._record, self._clock)
            self._calls[room.plan.room] = carried
        finally:
            self._opening -= 1
        carried.begin(self._is_over)
        self._count()
        if self._closing:  # meanwhile
            await carried.end(RoomEnd.SHUTDOWN)
        return self._provider.grant(room.plan, base_url)

    async def end(self, room: str, reason: RoomEnd) -> None:
        """End the call in a room, and settle it. One that is not carried here is left alone."""
        carried = self._calls.get(room)
        if carried is not None:
            await carried.end(reason)

    async def aclose(self) -> None:
        """End every call, and let go of the provider."""
        self._closing = True
        await asyncio.gather(*(carried.end(RoomEnd.SHUTDOWN) for carried in list(self._calls.values())))
        await self._provider.aclose()

    def _request(self, room: OpenRoom, bot: Voicebot, images: Mapping[str, Mapping[str, str]]) -> CallRequest:
        return CallRequest(
            room.plan.session,
            language=bot.language,
            instructions=bot.instructions,
            greeting=bot.greeting,
            rate=VOICE_RATE,
            grace_s=self._settings.empty_s,
            images={key: image.get("description", "") for key, image in images.items()},
            captions=True,
        )

    def _is_over(self, room: str) -> None:
        self._calls.pop(room, None)
        self._count()

    def _count(self) -> None:
        self._metrics.gauge("conversations", len(self._calls), engine="rooms")


class _Carried:
    """One call, from the room that was opened to the one that is closed."""

    def __init__(
        self,
        room: OpenRoom,
        bot: Voicebot,
        media: RoomMedia,
        call: RoomCall,
        conversation: Conversation,
        record: Record,
        clock: Clock,
    ) -> None:
        self._room, self._bot, self._media, self._call = room, bot, media, call
        self._conversation, self._record, self._clock = conversation, record, clock
        self._reason: RoomEnd | None = None
        self._over = asyncio.Event()
        self._announced: RoomEnd | None = None
        self._task: asyncio.Task[None]

    def begin(self, is_over: Callable[[str], None]) -> None:
        """Carry it; `is_over` is called with the room's name at the end."""
        self._task = asyncio.create_task(self._carry())
        self._task.add_done_callback(lambda _: is_over(self._room.plan.room))

    async def end(self, reason: RoomEnd) -> None:
        """End it, for this reason where nobody gave one before; returns when it is over."""
        self._stop(reason)
        await asyncio.shield(self._task)

    def _stop(self, reason: RoomEnd) -> None:
        if self._reason is None:
            self._reason = reason
            self._over.set()

    async def _carry(self) -> None:
        work = {
            "arrivals": asyncio.create_task(self._call.carry()),
            "conversation": asyncio.create_task(self._converse()),
            "clock": asyncio.create_task(self._watch()),
        }
        for name, task in work.items():
            task.add_done_callback(partial(self._part_over, name))
        try:
            await self._over.wait()
        finally:
            await self._leave(work["conversation"], list(work.values()))

    async def _leave(self, conversing: "asyncio.Task[None]", work: "list[asyncio.Task[None]]") -> None:
        reason = self._reason or RoomEnd.SHUTDOWN
        settling = asyncio.create_task(self._room.end(reason))  # what closing takes is nobody's time
        self._call.tell(EndIn(EndReason.SERVER))
        if self._call.ready.is_set():
            await asyncio.wait({conversing}, timeout=_END_S)
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        try:
            await self._media.aclose(reason)
        except VoxgateError as error:
            _log.warning("room not closed", session_id=self._room.plan.session, error=error.message)
        await settling

    def _part_over(self, name: str, task: "asyncio.Task[None]") -> None:
        """The room is closed, the conversation is over, or something broke."""
        if task.cancelled():
            return
        failure = task.exception()
        if failure is not None:
            _log.error("room session failed", session_id=self._room.plan.session, part=name, exc_info=failure)
            self._call.send(CallProblem(_told(failure, self._room.plan.session)))
            self._stop(RoomEnd.FAILED)
        elif name == "arrivals" and self._reason is None:
            _log.info("room closed from outside", session_id=self._room.plan.session, why=self._call.closed)
            self._stop(RoomEnd.LEFT)

    async def _converse(self) -> None:
        await self._call.ready.wait()
        plan, bot = self._room.plan, self._bot
        opened = SessionOpened(
            plan.session, self._room.org_id, self._room.key_id, "rooms", bot.voice, bot.language, self._clock.now()
        )
        self._record.open(opened)
        reason = EndReason.SERVER
        try:
            reason = await self._conversation.run(self._call)
        finally:
            self._record.close(plan.session, reason)
        self._stop(_ENDED_BY.get(reason, RoomEnd.REQUESTED))

    async def _watch(self) -> None:
        """Ask the session what it needs, for as long as it lasts."""
        while True:
            tick = await self._room.tick()
            if tick.ending is not None:
                self._stop(tick.ending)
                return
            self._announce(tick.notice)
            await asyncio.sleep(tick.wait_s)

    def _announce(self, notice: Notice | None) -> None:
        """Say once that the end is near; once more where it was put off meanwhile."""
        if notice is not None and notice.reason is not self._announced:
            self._call.expiring(notice.reason.value, round(notice.seconds))
            if self._call.ready.is_set():
                self._call.tell(AnnounceIn(_ANNOUNCED[notice.reason]))
        self._announced = notice.reason if notice is not None else None


def _told(failure: BaseException, session_id: str) -> VoxgateError:
    """What the person's client is told of what ended the call."""
    if isinstance(failure, VoxgateError) and not isinstance(failure, MisuseError):
        return failure
    return MisuseError(f"something went wrong on our side; the session is {session_id} in our log")

"""One client of the voice agent, from its credential to its last event.

One task carries out event after event; a second looks once a second whether a limit ends the session. Decisions are
elsewhere: `protocols/agent/session.py` says what an event means and how a call is told, the conversation what is said.
"""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import parse_qsl

import structlog
from starlette.datastructures import Headers
from starlette.types import Scope

from voxgate.calls import AudioIn, CallRequest, Dropped, EndIn, EndReason, Returned
from voxgate.domain import Principal, Samples
from voxgate.errors import Code, EngineError, MisuseError, PeerError, RefusedError, StoreError, VoxgateError
from voxgate.gateways.agent_call import AgentCall
from voxgate.gateways.agent_calls import AgentCalls
from voxgate.gateways.agent_settings import AgentSettings
from voxgate.gateways.auth import socket_credential
from voxgate.gateways.intake import Pace
from voxgate.gateways.socketio import Link
from voxgate.gateways.sockets import Sockets
from voxgate.languages import parse
from voxgate.protocols.agent.messages import NAMESPACE, Audio, Command, End, OutputFormat, Start, Tell
from voxgate.protocols.agent.session import AgentSession, Event, error_event, expiring_event
from voxgate.protocols.agent.sound import VOICE_RATE, Microphone
from voxgate.protocols.status import NORMAL, POLICY, STATUS
from voxgate.services.expiring import Expiring

_log = structlog.get_logger(__name__)

_UNREAD = 4
"""Events of a client that wait to be carried out; who sends more is not read meanwhile."""
_LOOK_S = 1.0
_QUIET_S = 0.15
"""Audio that did not come for so long is over for now: what decoders hold back of it belongs to the turn."""
_END_S = 3.0
"""How long what is told at the very end may take."""
_COMES_BACK = (Code.BUSY, Code.SHUTTING_DOWN)
"""Errors after which clients of Socket.IO should connect again by themselves."""

_Item = tuple[str, Sequence[Any]] | PeerError | None
"""An event, a message that was refused before it was one, or the end."""


class Namespace(Protocol):
    """What a client is connected to: `agent.Agent`."""

    async def emit(self, sid: str, event: Event) -> None:
        """Tell a client something; waits where it does not take what it is sent."""

    async def dismiss(self, sid: str) -> None:
        """Take a client out of the namespace: it does not connect again by itself."""

    async def drop(self, client: "AgentClient", code: int) -> None:
        """Close the connection of a client, after everything that was sent to it."""


class AgentClient:
    """One connection to the namespace."""

    def __init__(
        self,
        namespace: Namespace,
        calls: AgentCalls,
        sockets: Sockets,
        settings: AgentSettings,
        *,
        sid: str,
        eio_sid: str,
        link: Link,
        scope: Scope,
        auth: Any,
    ) -> None:
        """`scope`: of the request the connection began with; `auth`: what the client sent along."""
        said: Mapping[str, Any] = auth if isinstance(auth, dict) else {}
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        self.sid = sid
        self.eio_sid = eio_sid
        self.link = link
        self.principal: Principal
        self._namespace, self._calls, self._settings = namespace, calls, settings
        self._admission = sockets.admission
        self._limits = sockets.limits
        self._clock = sockets.clock
        self._key = socket_credential(Headers(scope=scope), scope["query_string"]) or _text(said.get("api_key"))
        self._resume = _text(said.get("resume"))
        self._session = AgentSession(
            _text(said.get("voice")) or query.get("voice") or None,
            instructions_characters=settings.instructions_characters,
        )
        self._inbox: asyncio.Queue[_Item] = asyncio.Queue(_UNREAD)
        self._is_gone = False
        self._call: AgentCall | None = None
        self._released = asyncio.Event()
        self._microphone = Microphone()
        self._is_holding = False  # whether decoders may hold something back
        self._pace = Pace(self._limits.audio_ahead_s, self._now)
        self._began = self._active = self._now
        self._life: asyncio.Timeout | None = None
        self._failure: VoxgateError | None = None

    # what comes from below

    async def put(self, item: _Item) -> None:
        """Queue what has come; waits while the client is ahead of what is done for it."""
        if not self._is_gone:
            await self._inbox.put(item)

    def gone(self) -> None:
        """It has disconnected."""
        self._is_gone = True
        while not self._inbox.empty():
            self._inbox.get_nowait()
        self._inbox.put_nowait(None)

    # its whole life

    async def run(self) -> None:
        """From its credential to its last event. Raises nothing."""
        link, error = self.link, None
        watching: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(None) as self._life:
                link.complain = self.put
                link.on_shutdown = self._shut_down
                async with self._admission.let_in(self._key, link.address, NAMESPACE) as self.principal:
                    self._check_tier()
                    await link.admit()
                    await self._greet()
                    watching = asyncio.create_task(self._watch())
                    await self._listen()
                    watching.cancel()
                    await self._grace()
        except TimeoutError as late:
            error = self._failure or _hidden(late, self.sid)
        except VoxgateError as raised:
            error = raised
            if isinstance(raised, MisuseError):
                error = _hidden(raised, self.sid)
        except Exception as raised:
            error = _hidden(raised, self.sid)
        finally:
            if watching is not None:
                watching.cancel()
            link.complain = link.on_shutdown = None
        await self._leave(error)

    # agent_call.Holder

    def released(self) -> None:
        """Its conversation is over."""
        self._call = None
        self._released.set()

    def displaced(self) -> None:
        """Another connection has its conversation: leave."""
        self.released()
        if not self._is_gone:
            self.gone()

    def _check_tier(self) -> None:
        settings, tier = self._settings, self.principal.tier
        if not settings.admits(tier):
            raise RefusedError(
                f"conversations need the tier '{settings.tier}', and this organization has '{tier}' (agent.tier)"
            )

    async def _greet(self) -> None:
        """Tell the client that it may begin, or that its conversation goes on."""
        call = self._calls.get(self._resume, self.principal.org_id) if self._resume else None
        if call is None:
            await self._emit(self._session.connected(self.sid, resumed=False if self._resume else None))
            if self._resume:
                await self._emit(error_event(_NOT_RESUMED))
            return
        call.detach()
        call.tell(Dropped())
        call.holder.displaced()
        call.holder, self._call, self._session = self, call, call.session
        await self._emit(self._session.connected(self.sid, resumed=True))
        await self._emit(self._session.begun())
        call.tell(Returned())
        call.attach(self._emit)

    async def _grace(self) -> None:
        """The connection broke: keep its place until the client is back on another one, or has been gone too long."""
        call = self._call
        if call is None:
            return
        call.detach()
        call.tell(Dropped())
        await self._released.wait()

    async def _leave(self, error: VoxgateError | None) -> None:
        """Tell what ended it, end a conversation that is still held, and close the connection."""
        call, code = self._call, NORMAL
        if error is not None:
            code = STATUS[error.code].close or POLICY
            await self._emit(error_event(error))
        if call is not None:
            call.tell(EndIn(EndReason.SERVER))
            try:
                async with asyncio.timeout(_END_S):
                    await call.finished.wait()
            except TimeoutError:
                _log.warning("a conversation did not end in time", session_id=call.id)
        if error is not None and error.code not in _COMES_BACK:
            await self._namespace.dismiss(self.sid)
        await self._namespace.drop(self, code)

    # what it asks for

    async def _listen(self) -> None:
        """Carry out event after event, until it disconnects."""
        while True:
            item = await self._next()
            if item is None:
                return
            try:
                if isinstance(item, PeerError):
                    raise item
                self._active = self._now
                command = self._session.receive(*item)
                if command is not None:
                    await self._carry_out(command)
            except (PeerError, RefusedError, EngineError, StoreError) as error:
                await self._complain(error)

    async def _next(self) -> _Item:
        """What has come next; where nothing does, what decoders held back of the audio before is heard meanwhile."""
        if not self._is_holding:
            return await self._inbox.get()
        try:
            async with asyncio.timeout(_QUIET_S):
                return await self._inbox.get()
        except TimeoutError:
            self._is_holding = False
            await self._hear(self._microphone.drain())
        return await self._inbox.get()

    async def _carry_out(self, command: Command) -> None:
        match command:
            case Start():
                await self._start(command)
            case Audio():
                await self._decode(command)
            case Tell(what):
                if self._call is not None:
                    self._call.tell(what)
            case End():
                await self._hear(self._microphone.end())
                self._session.ending()
                if self._call is not None:
                    self._call.tell(EndIn(EndReason.CLIENT))

    async def _start(self, start: Start) -> None:
        options = start.options
        if self._call is not None:  # its last word was told, and it is being put away
            await self._released.wait()
        request = CallRequest(
            call=f"agent_{secrets.token_hex(12)}",
            language=options.language,
            instructions=options.instructions,
            greeting=options.greeting,
            pieces=start.output is not OutputFormat.PCM16,
            loudness_gate=options.vad_threshold,
            interrupt_windows=options.interrupt_threshold,
            silence_ms=options.silence_ms,
            stall_ms=options.stall_ms,
            echo_guard=options.echo_guard,
        )
        conversation = self._calls.converse(request, start.voice)
        asked = (options.language or "auto").strip().lower()
        language = None if asked in ("", "auto") else parse(asked).tag
        call = AgentCall(request.call, self._session, self.principal.org_id, self._now, self)
        self._microphone, self._is_holding = Microphone(), False
        self._released.clear()
        await self._calls.begin(call, conversation, self.principal, start.voice, language)
        self._call = call
        await self._emit(self._session.started(request.call, start, language, VOICE_RATE))
        call.attach(self._emit)

    async def _decode(self, chunk: Audio) -> None:
        most = self._limits.socket_message_bytes
        if len(chunk.data) > most:  # of who polls; on a WebSocket it would not have come so far
            raise PeerError(
                f"'audio' has {len(chunk.data):,} bytes; {most:,} are allowed (limits.socket_message_bytes)",
                code=Code.TOO_LARGE,
                param="audio",
            )
        self._is_holding = True
        for count, samples in enumerate(self._microphone.feed(chunk)):
            if count:
                await asyncio.sleep(0)  # a chunk may hold a minute: others come between
            await self._hear(samples)

    async def _hear(self, samples: Samples) -> None:
        call = self._call
        if call is None or not len(samples):
            return
        if (wait_s := self._pace.take(len(samples), self._now)) > 0:
            await asyncio.sleep(wait_s)
        await call.hear(AudioIn(samples))

    # what it is told

    async def _emit(self, event: Event) -> None:
        if event[0] == "audio_chunk":
            self._active = self._now  # who listens has nothing to say meanwhile
        await self._namespace.emit(self.sid, event)

    async def _complain(self, error: VoxgateError) -> None:
        """Tell of an error; more is read when it was taken: who reads nothing makes no heap of answers."""
        await self._emit(error_event(error))
        await self.link.drained()

    # what ends it

    async def _watch(self) -> None:
        """Announce limits that will end the session, and end it when they are reached."""
        limits = self._limits
        expiring = Expiring(lead_s=limits.session_expiring_s)
        while True:
            await asyncio.sleep(min(_LOOK_S, limits.session_s / 10, limits.socket_idle_s / 10))
            call = self._call
            left = {
                "session": (self._began if call is None else call.began) + limits.session_s - self._now,
                "idle": self._active + limits.socket_idle_s - self._now,
            }
            if (ends := self.principal.expires_at) is not None:
                left["key"] = (ends - self._clock.now()).total_seconds()
            if left["session"] <= 0:
                self._fail(f"a session lasts {limits.session_s:g} s at most (limits.session_s)", Code.SESSION_TIMEOUT)
            elif left["idle"] <= 0:
                self._fail(f"no event came for {limits.socket_idle_s:g} s (limits.socket_idle_s)", Code.SESSION_TIMEOUT)
            else:
                for notice in expiring.look({**left, **({} if call is None else call.left_s())}):
                    await self._emit(expiring_event(notice.reason, notice.seconds_left))

    def _shut_down(self) -> None:
        self._fail("the server is shutting down; connect again", Code.SHUTTING_DOWN)

    def _fail(self, why: str, code: Code) -> None:
        if self._failure is None and self._life is not None:
            self._failure = RefusedError(why, code=code)
            self._life.reschedule(asyncio.get_running_loop().time())

    @property
    def _now(self) -> float:
        return self._clock.monotonic()


_NOT_RESUMED = PeerError(
    "'resume': the session is over, or never was; send start_session to begin another",
    code=Code.SESSION_NOT_STARTED,
    param="resume",
)


def _text(value: object) -> str | None:
    """A field of `auth`, if it is one."""
    return value if isinstance(value, str) and value else None


def _hidden(error: Exception, sid: str) -> MisuseError:
    """In place of an error nobody expected: nothing but that it happened."""
    _log.error("agent client failed", sid=sid, exc_info=error)
    return MisuseError(f"something went wrong on our side; the connection is {sid} in our log")

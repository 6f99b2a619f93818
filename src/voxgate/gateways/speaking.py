"""`/v1/realtime/tts`: texts come in, speech goes out, one after the other and not far ahead of its listener.

Two tasks a session: one reads what the client sends, one speaks what waits. Each speech is a task of its own, so that
a cancel ends that and nothing else, and another makes its audio: of the next one already while the end of the one
before waits to leave. Decisions are elsewhere: `protocols/speech/session.py` says what a message means and what is
answered, `conversation/pacing.py` when the next piece may leave, the switchboard who speaks.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice

import structlog

from voxgate.audio.codecs.encoder import open_encoder
from voxgate.audio.codecs.formats import ENCODED_RATE, parse_format
from voxgate.conversation.pacing import Pacing
from voxgate.conversation.speech import Ahead, LiveText, speak_each
from voxgate.domain import Principal, Utterance
from voxgate.errors import Code, MisuseError, PeerError, RefusedError, VoxgateError
from voxgate.gateways.sockets import Handler, Peer, Sockets, credits_left
from voxgate.gateways.tasks import end, first_of
from voxgate.languages import parse
from voxgate.protocols import minted
from voxgate.protocols.sockets import expiring_message
from voxgate.protocols.speech.messages import Append, Cancel, Command, Commit, Create, SessionStart, Start, Stop
from voxgate.protocols.speech.session import SpeechSession, State
from voxgate.services.metering import Meter
from voxgate.services.switchboard import Mouth
from voxgate.text.normalize import conventions, normalize

log = structlog.get_logger(__name__)

_MINUTE = 60 * ENCODED_RATE
"""Samples in what is paid for at a time."""
_READY = 4
"""Pieces of a speech that may lie ready, half a second each at most and mostly less: while the last ones leave, the
engine, which is free again, can make the first audio of the next speech (0.1 s, Piper)."""


def speaking(sockets: Sockets) -> Handler:
    """What answers on the speech socket."""

    async def session(peer: Peer, principal: Principal) -> None:
        await _Speaking(sockets, peer, principal).run()

    return session


@dataclass(slots=True)
class _Speech:
    """One that waits or is spoken."""

    id: str
    options: SessionStart
    text: LiveText
    audio: Ahead[tuple[bytes, int]] | None = None
    """Its file while it is made, as `_file` gives it."""
    made: int | None = None
    """Samples at ENCODED_RATE in all of it, once it is made and its engine is free again."""
    work: asyncio.Task[None] | None = None
    """Who sends it, once its turn has come."""
    over: bool = False
    """Its end was told: nothing of it may follow."""
    sent: int = 0
    """Samples at ENCODED_RATE."""
    before: Decimal = field(default_factory=Decimal)
    """Credits the session had used when its turn came."""


class _Speaking:
    """One session."""

    def __init__(self, sockets: Sockets, peer: Peer, principal: Principal) -> None:
        limits = sockets.limits
        self._sockets = sockets
        self._peer = peer
        self._principal = principal
        self._session = SpeechSession(
            f"tts_{secrets.token_hex(12)}",
            input_characters=limits.speech_input_characters,
            queue=limits.speech_queue,
            defaults=minted.defaults(principal.session, minted.SPEECH),
        )
        self._tariff = sockets.prices.speech(ENCODED_RATE)
        self._pacing = Pacing(limits.speech_ahead_s, ENCODED_RATE)
        self._options = SessionStart()
        self._speeches: dict[str, _Speech] = {}
        self._stopping: list[Ahead[tuple[bytes, int]]] = []  # audio of cancelled ones
        self._news = asyncio.Event()
        self._resources = AsyncExitStack()
        self._meter: Meter | None = None
        self._sent = 0
        self._credits_announced = False

    async def run(self) -> None:
        """From the first message to the last. Raises what ends a session other than by its own will."""
        peer, session = self._peer, self._session
        board = self._sockets.switchboard()
        voices = [voice for voice in board.voices() if voice["available"]]
        languages = dict.fromkeys(parse(tag).name.lower() for voice in voices for tag in voice["languages"])
        models = [model["id"] for model in board.models() if model["task"] == "speech"]
        peer.post(session.created(models, [voice["id"] for voice in voices], list(languages)))
        try:
            async with self._resources:
                with peer.announcing(self._left_s):
                    await first_of(self._read(), self._speak())
                if self._meter is not None:
                    await self._meter.settle()
                if session.state is State.STOPPING:
                    peer.post(session.closed(_ms(self._sent), _text(self._used)))
        finally:
            log.info(
                "speech session",
                session_id=session.id,
                audio_ms=_ms(self._sent),
                credits=_text(self._used),
            )

    # what the client sends

    async def _read(self) -> None:
        """Carry out message after message, until the client has gone."""
        while True:
            try:
                message = await self._peer.receive()
            except PeerError as error:
                await self._complain(error)
                continue
            if message is None:
                return
            try:
                commands = self._session.receive(message)
            except (PeerError, RefusedError) as error:
                await self._complain(error)
                continue
            try:
                for command in commands:
                    await self._carry_out(command)
            except PeerError as error:
                await self._complain(error)

    async def _complain(self, error: VoxgateError) -> None:
        """Tell of an error, and read on only when it has been taken: who reads nothing makes no heap of answers."""
        self._peer.error(error)
        await self._peer.drained()

    async def _carry_out(self, command: Command) -> None:
        match command:
            case Start(options):
                await self._start(options)
            case Create():
                self._create(command)
            case Append(speech_id, text):
                self._speeches[speech_id].text.append(text)
                self._session.appended(command)
            case Commit(speech_id):
                self._commit(speech_id)
            case Cancel(speech_ids):
                for speech_id in speech_ids:
                    self._cancel(self._speeches[speech_id])
            case Stop():
                if (unfinished := self._session.open_speech) is not None:
                    self._commit(unfinished)
                self._session.stopping()
                self._news.set()

    async def _start(self, options: SessionStart) -> None:
        """Find out whether such a session can be; what it is spoken with is looked up again for every speech."""
        self._mouth(options, "")
        balance = await self._sockets.ledger.balance(self._principal.org_id)
        if balance.available < self._tariff.held(0):
            raise RefusedError("there are not enough credits for a minute of speech", code=Code.INSUFFICIENT_CREDITS)
        # The first encoder of a process loads its library, which takes 60 ms: now, not when the first speech waits.
        fmt = parse_format(options.response_format)
        (await asyncio.to_thread(open_encoder, fmt, ENCODED_RATE, options.audio_quality)).close()
        self._options = options
        self._peer.post(self._session.ready(options.model))

    def _create(self, wanted: Create) -> None:
        named = {"voice": wanted.voice, "response_format": wanted.response_format}
        options = self._options.model_copy(update={key: value for key, value in named.items() if value is not None})
        self._mouth(options, "")  # whether there is a voice; which one, the text may decide when its turn comes
        text = LiveText(wanted.text if wanted.complete else None)
        if not wanted.complete:
            text.append(wanted.text)
        self._session.queued(wanted)
        self._speeches[wanted.speech_id] = _Speech(wanted.speech_id, options, text)
        self._prepare()
        self._news.set()

    def _commit(self, speech_id: str) -> None:
        self._speeches[speech_id].text.end()
        self._session.committed(speech_id)

    def _cancel(self, speech: _Speech) -> None:
        """Tell its end at once; the engine stops when it has noticed."""
        if speech.audio is not None:
            speech.audio.cancel()
            self._stopping.append(speech.audio)
        if speech.work is not None:
            speech.work.cancel()
            self._pacing.thrown_away(speech.sent, self._sockets.clock.monotonic())  # as who cancels does
        self._peer.post(self._session.cancelled(speech.id, *self._account_of(speech)))

    # what waits

    async def _speak(self) -> None:
        """Speak one after the other, until the session stops and nothing is left."""
        try:
            while self._speeches or self._session.state is not State.STOPPING:
                if not self._speeches:
                    self._news.clear()
                    await self._news.wait()
                    continue
                speech = next(iter(self._speeches.values()))
                speech.work = asyncio.create_task(self._say(speech))
                try:
                    await asyncio.wait({speech.work})
                finally:
                    await end(speech.work, told=speech.over)
                    await self._stopped(speech)
                if not speech.work.cancelled() and (error := speech.work.exception()) is not None:
                    if not speech.over:
                        raise error
                    log.warning("a cancelled speech ended badly", session_id=self._session.id, error=repr(error))
        finally:
            await self._stopped(*self._speeches.values())

    async def _stopped(self, *speeches: _Speech) -> None:
        """See that nothing is made any more of these, nor of what was cancelled."""
        making = [*self._stopping, *(speech.audio for speech in speeches if speech.audio is not None)]
        self._stopping.clear()
        for audio in making:
            if (error := await audio.aclose()) is not None:
                log.warning("a cancelled speech ended badly", session_id=self._session.id, error=repr(error))

    def _begin(self, speech: _Speech, at: int) -> Ahead[tuple[bytes, int]]:
        """Have its audio made, if it is not yet. `at`: samples of the session that are sent before it."""
        if speech.audio is None:
            speech.audio = Ahead(self._file(speech, at), _READY)
        return speech.audio

    def _prepare(self) -> None:
        """Have the next speech made, where all of the one before it is: so its first audio follows at once."""
        first, after = [*islice(self._speeches.values(), 2), None, None][:2]
        if first is not None and first.made is not None and after is not None:
            # Where the one before is cancelled now, what is sent before this one is less by a piece or two, and as much
            # of its last paid minute may be withheld.
            self._begin(after, self._sent + first.made - first.sent)

    async def _say(self, speech: _Speech) -> None:
        """One speech, from its turn to its end. Raises what ends the session."""
        meter = await self._open_meter()
        speech.before = self._used
        self._peer.post(self._session.started(speech.id))
        audio = self._begin(speech, self._sent)
        self._prepare()
        try:
            async for data, samples in audio:
                await self._hold(meter, samples)
                await self._send(speech, meter, data, samples)
        except PeerError as error:
            if speech.over:
                raise
            self._peer.error(error)
            self._peer.post(self._session.cancelled(speech.id, *self._account_of(speech)))
        else:
            self._peer.post(self._session.finished(speech.id, *self._account_of(speech)))

    async def _file(self, speech: _Speech, at: int) -> AsyncGenerator[tuple[bytes, int], None]:
        """The bytes of its file, never empty but maybe at the end, each with the samples that leave in them.

        `at`: samples of the session before it.
        """
        options = speech.options
        first = await anext(aiter(speech.text), None)
        mouth = self._mouth(options, first or "")
        metrics = self._sockets.metrics
        made = held_back = 0
        async with (
            aclosing(_utterances(first, speech.text, mouth, options)) as utterances,
            aclosing(
                speak_each(
                    mouth.tts,
                    utterances,
                    parse_format(options.response_format),
                    options.audio_quality,
                    on_first=lambda seconds: metrics.observe("first_audio", seconds, engine=mouth.name),
                    mark_at=_MINUTE - at % _MINUTE,  # all of a minute that was paid for can be sent
                    mark_every=_MINUTE,
                )
            ) as pieces,
        ):
            async for piece in pieces:
                made += piece.samples
                held_back += piece.samples
                if piece.data:
                    yield piece.data, held_back
                    held_back = 0
        if held_back:
            raise MisuseError("an encoder kept speech to itself")
        speech.made = made
        self._prepare()

    async def _hold(self, meter: Meter, samples: int) -> None:
        """Have credits for what is about to leave. Raises RefusedError, announced at the latest now, and StoreError."""
        try:
            await meter.ahead(samples)
        except RefusedError:
            if not self._credits_announced:
                self._peer.post(expiring_message("credits", 0))
            raise

    async def _send(self, speech: _Speech, meter: Meter, data: bytes, samples: int) -> None:
        """A piece of the file, as soon as its listener is near enough and the client takes it."""
        clock = self._sockets.clock
        if (wait_s := self._pacing.wait_s(samples, clock.monotonic())) > 0:
            await asyncio.sleep(wait_s)
        await self._peer.drained()
        if speech.over:
            return
        self._peer.post(data)
        self._peer.stir()  # who listens to a long text has nothing to say meanwhile
        self._pacing.sent(samples, clock.monotonic())
        meter.delivered(samples)
        speech.sent += samples
        self._sent += samples

    # what it costs

    async def _open_meter(self) -> Meter:
        """The session's meter, holding for its first minute. Raises RefusedError `insufficient_credits`, StoreError."""
        if self._meter is None:
            meter = Meter(self._sockets.ledger, self._principal, self._tariff, request_id=self._session.id)
            self._meter = await self._resources.enter_async_context(meter)
            self._peer.look_again()
        return self._meter

    @property
    def _used(self) -> Decimal:
        """Credits, if the session ended now."""
        return Decimal() if self._meter is None else Decimal(self._meter.used)

    def _account_of(self, speech: _Speech) -> tuple[int, str]:
        """Close a speech: the milliseconds that were sent of it, and by how many credits it made the session dearer."""
        if speech.over:
            raise MisuseError("a speech ends once")
        speech.over = True
        del self._speeches[speech.id]
        return _ms(speech.sent), _text(self._used - speech.before if speech.work is not None else Decimal())

    def _left_s(self) -> Mapping[str, float]:
        """Seconds of speech until credits end the session."""
        if self._meter is None:
            return {}
        lead_s = self._sockets.limits.session_expiring_s
        left = credits_left(self._meter, ENCODED_RATE, lead_s)
        self._credits_announced = left["credits"] <= lead_s
        return left

    def _mouth(self, options: SessionStart, text: str) -> Mouth:
        """Who speaks a text. Raises PeerError, EngineError `engine_unavailable`."""
        try:
            return self._sockets.switchboard().mouth(options.model, options.voice, options.language, text)
        except RefusedError as error:  # of the voice, by its licence: another voice of the same session may do
            raise PeerError(error.message, code=Code.UNSUPPORTED_VOICE, param="voice") from None


async def _utterances(
    first: str | None, rest: LiveText, mouth: Mouth, options: SessionStart
) -> AsyncGenerator[Utterance, None]:
    """The pieces of a text as they are said."""
    language = conventions(options.language, mouth.language)
    piece = first
    while piece is not None:
        # beside the loop: a hostile text takes 0.1 s
        said = await asyncio.to_thread(normalize, piece, options.normalization, language)
        yield Utterance(said, mouth.voice.id, mouth.language, options.speed)
        piece = await anext(aiter(rest), None)


def _ms(samples: int) -> int:
    """Milliseconds, begun ones whole, as the usage record counts them."""
    return -(-samples * 1000 // ENCODED_RATE)


def _text(credits_: Decimal) -> str:
    """Credits as a JSON number: `1`, `0.25`."""
    return f"{credits_.normalize():f}"

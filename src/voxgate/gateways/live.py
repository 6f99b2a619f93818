"""`/v1/realtime`: audio comes in as it is spoken, transcripts go out.

One task a session carries out message after message; a second waits for the engine to fail, and does nothing else.
Decisions are elsewhere: `protocols/live/session.py` says what a message means and how an event is told,
`conversation/live.py` what a segment is, the switchboard who hears, `intake.py` when audio is heard.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import parse_qsl

import structlog

from voxgate.audio.codecs.stream import StreamDecoder, in_steps, open_stream
from voxgate.conversation.endpoint import EndpointSettings
from voxgate.conversation.live import LiveTranscriber, LiveTranscription, LiveWanted, TranscriptionRequest
from voxgate.domain import SPEECH_RATE, FinalHeard, LiveEvent, PartialHeard, Principal, SpeechEdge
from voxgate.errors import Code, MisuseError, PeerError, RefusedError
from voxgate.gateways.intake import Intake, Lags
from voxgate.gateways.sockets import Handler, Peer, Sockets, credits_left
from voxgate.protocols import minted
from voxgate.protocols.live.messages import DEFAULT_MODEL, Audio, Command, Commit, SessionStart, Start, Stop
from voxgate.protocols.live.session import LiveSession
from voxgate.protocols.sockets import expiring_message
from voxgate.protocols.status import POLICY
from voxgate.services.hearing import Ears
from voxgate.services.metering import Meter
from voxgate.services.switchboard import Switchboard
from voxgate.text.hints import hint_terms

_log = structlog.get_logger(__name__)

_OTHER_DIALECT: Final = "gpt-realtime"
"""What the models of OpenAI's Realtime API are called."""
SUBPROTOCOL: Final = "realtime"
"""Its subprotocol, which its clients in browsers offer beside others."""


def live(sockets: Sockets) -> Handler:
    """What answers on the socket of live transcription."""

    async def session(peer: Peer, principal: Principal) -> None:
        model = dict(parse_qsl(peer.query.decode("latin-1"))).get("model", "")
        offered = {name.strip() for name in peer.headers.get("sec-websocket-protocol", "").split(",")}
        if model.startswith(_OTHER_DIALECT) or SUBPROTOCOL in offered:
            await _refuse_dialect(peer)
        else:
            await _Live(sockets, peer, principal, model).run()

    return session


async def _refuse_dialect(peer: Peer) -> None:
    peer.error(
        PeerError(
            "OpenAI's Realtime protocol is not spoken here yet; connect without '?model=gpt-realtime…' and without the "
            f"subprotocol 'realtime', and send session.start with the model '{DEFAULT_MODEL}'",
            code=Code.MODEL_NOT_FOUND,
            param="model",
        )
    )
    await peer.close(POLICY, "UNSUPPORTED_MODEL")


class _Live:
    """One session."""

    def __init__(self, sockets: Sockets, peer: Peer, principal: Principal, model: str) -> None:
        """`model`: of the address; it stands where `session.start` names none. May be empty."""
        minted_for = minted.defaults(principal.session, minted.LIVE)
        self._sockets = sockets
        self._peer = peer
        self._principal = principal
        self._session = LiveSession(
            f"rtt_{secrets.token_hex(12)}",
            hint_characters=sockets.limits.prompt_characters,
            defaults={**minted_for, "model": model} if model else minted_for,
        )
        self._engine = ""
        self._by_commit = False  # whether nothing else ends segments
        self._meter: Meter | None = None  # while it runs
        self._credits_announced = False
        self._lags = Lags(self._observe, sockets.clock)
        self._heard = 0  # samples
        self._used = "0"  # decimal credits
        self._finals = 0

    async def run(self) -> None:
        """From the first message to the last. Raises what ends a session other than by the client's will."""
        peer, session = self._peer, self._session
        peer.post(session.created(_models(self._sockets.switchboard())))
        with peer.announcing(self._left_s):
            started = await self._started()
            if started is not None:
                await self._hear(*started)
        peer.post(session.closed(self._heard, self._used))

    async def _started(self) -> tuple[SessionStart, Ears] | None:
        """How the session is to be heard, and who can; None where the client stops or leaves before that."""
        while isinstance(command := await self._command(), Start):
            options = command.options
            try:
                return options, self._sockets.switchboard().ears(options.model or DEFAULT_MODEL, options.language)
            except PeerError as error:
                self._session.refused()
                await self._complain(error)
        return None

    async def _hear(self, options: SessionStart, ears: Ears) -> None:
        """All of the audio, paid for."""
        sockets, session = self._sockets, self._session
        transcriber = LiveTranscriber(sockets.vad(), ears.stt, identifier=ears.identifier)
        decoder = open_stream(options.encoding, options.sample_rate)
        wanted = _wanted(options, ears, sockets.limits.hint_terms)
        tariff = sockets.prices.transcription(SPEECH_RATE)
        meter = Meter(sockets.ledger, self._principal, tariff, request_id=session.id)
        self._engine = ears.name
        self._by_commit = options.turn_detection is None
        try:
            async with meter, transcriber.open(wanted, self._told) as hearing, _unless_it_fails(hearing):
                intake = Intake(hearing, meter, self._lags, sockets.clock, ahead_s=sockets.limits.audio_ahead_s)
                self._meter = meter
                self._peer.post(session.ready())
                self._peer.look_again()
                try:
                    await self._listen(hearing, intake, decoder)
                finally:
                    self._meter = None
                    self._heard = intake.heard
        finally:
            self._used = meter.used
            _log.info(
                "live session",
                session_id=session.id,
                engine=ears.name,
                encoding=options.encoding,
                audio_ms=self._heard * 1000 // SPEECH_RATE,
                finals=self._finals,
                credits=self._used,
            )

    async def _listen(self, hearing: LiveTranscription, intake: Intake, decoder: StreamDecoder) -> None:
        """Message after message until the client stops or leaves, and then what is pending."""
        try:
            while not isinstance(command := await self._command(), Stop | None):
                match command:
                    case Audio(data):
                        await self._decode(decoder, data, intake)
                    case Commit():
                        await intake.take(decoder.drain())
                        self._over(hearing.position)
                        await hearing.commit()
                    case Start():
                        raise MisuseError("a session was started twice")
                await self._peer.drained()
            await intake.take(decoder.flush())
        except RefusedError as error:
            # Credits or time have run out, which was announced: what was heard by now is still told.
            if error.code is Code.INSUFFICIENT_CREDITS and not self._credits_announced:
                self._peer.post(expiring_message("credits", 0))
            await hearing.stop()
            raise
        self._over(hearing.position)
        await hearing.stop()

    async def _decode(self, decoder: StreamDecoder, data: bytes, intake: Intake) -> None:
        """Hear what a message brings; one that is damaged is told of, and the stream goes on."""
        try:
            for audio in in_steps(decoder, data):
                await intake.take(audio)
        except PeerError as error:
            await self._complain(error)

    async def _command(self) -> Command | None:
        """The next thing the client asks for; None where it has left. Whatever is wrong is told, and passed over."""
        while True:
            try:
                message = await self._peer.receive()
                return None if message is None else self._session.receive(message)
            except PeerError as error:
                await self._complain(error)

    async def _complain(self, error: PeerError) -> None:
        """Tell of an error; read on when it was taken: who reads nothing makes no heap of answers."""
        self._peer.error(error)
        await self._peer.drained()

    def _told(self, event: LiveEvent) -> None:
        """Something was heard."""
        match event:
            case PartialHeard():
                self._lags.partial(event.end)
            case FinalHeard():
                self._finals += 1
                self._lags.final(event.heard.end)
            case SpeechEdge(started=False, at=at) if not self._by_commit:
                self._lags.decided(at)
        message = self._session.told(event)
        if message is not None:
            self._peer.post(message)

    def _over(self, position: int) -> None:
        """The client has ended the segment; if somebody spoke until now, its end is told as that of the speech."""
        if self._by_commit:
            self._lags.asked()
        else:
            self._lags.decided(position)

    def _left_s(self) -> Mapping[str, float]:
        """Seconds of audio until credits end the session."""
        if self._meter is None:
            return {}
        lead_s = self._sockets.limits.session_expiring_s
        left = credits_left(self._meter, SPEECH_RATE, lead_s)
        self._credits_announced = left["credits"] <= lead_s
        return left

    def _observe(self, stage: str, seconds: float) -> None:
        self._sockets.metrics.observe(stage, seconds, engine=self._engine)


@asynccontextmanager
async def _unless_it_fails(hearing: LiveTranscription) -> AsyncIterator[None]:
    """Do the block; where the engine fails while it waits for something else, it ends with that error, in a group."""
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(hearing.failure())
        yield
        watching.cancel()


def _wanted(options: SessionStart, ears: Ears, most_hints: int) -> LiveWanted:
    """What is asked of the session's ears."""
    request = TranscriptionRequest(
        language=ears.language,
        hints=hint_terms(options.hint_text, most_hints),
        words=options.words,
        among=ears.among,
        given=ears.given,
        correct=options.enable_correction,
        named=ears.named,
    )
    detection = options.turn_detection
    endpoint = None
    if detection is not None:
        endpoint = EndpointSettings(threshold=detection.threshold, silence_ms=detection.silence_ms)
    # edges are wanted whether they are told or not: the lag of finals is counted from them
    return LiveWanted(request, endpoint, options.stall_ms, options.showing, speech_events=True)


def _models(board: Switchboard) -> list[str]:
    """Names that a session may be started with."""
    return [entry["id"] for entry in board.models() if entry["task"] == "transcription" and entry["available"]]

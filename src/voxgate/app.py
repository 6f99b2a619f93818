"""The one file that knows everyone: wires the rooms together, starts and stops them."""

import asyncio
import fcntl
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from starlette.types import ASGIApp

from voxgate.audio.codecs.formats import Format
from voxgate.clock import SystemClock
from voxgate.conversation.speech import speak_file
from voxgate.domain import Utterance
from voxgate.engines.registry import Configured, absent, bring_up
from voxgate.errors import ConfigError, VoxgateError
from voxgate.gateways.admission import Admission
from voxgate.gateways.agent import Agent
from voxgate.gateways.calling import Calls
from voxgate.gateways.http import HttpServer, read_tls
from voxgate.gateways.proxies import TrustedProxies, parse_networks
from voxgate.gateways.rest.api import build
from voxgate.gateways.rest.context import Readiness, Rest
from voxgate.gateways.shell import SocketShell
from voxgate.gateways.socket_routes import routes
from voxgate.gateways.sockets import Sockets
from voxgate.hosting import Hosted, beside, open_rooms, open_voicebots
from voxgate.observe import Prometheus
from voxgate.planning import Plan, VoxgateSettings
from voxgate.ports import AudioDecoder, CallObserver, Metrics, TurnDetector, Vad
from voxgate.services.accounts import Accounts
from voxgate.services.client_secrets import ClientSecrets
from voxgate.services.idempotency import Idempotency
from voxgate.services.spending import DailyLimits
from voxgate.services.sweeping import Sweeper
from voxgate.services.switchboard import Running, Switchboard
from voxgate.services.transcripts import Transcripts
from voxgate.services.usage import UsageReports
from voxgate.services.warming import warm
from voxgate.tracing import open_traces

if TYPE_CHECKING:  # SQLAlchemy takes a third of a second to import: only those who open a database pay for it
    from voxgate.store.database import Database

log = structlog.get_logger(__name__)

_LOADING = "is still being loaded"


class EngineRoom:
    """The engines of one process, from the first that is loaded to the last that is closed."""

    def __init__(self, what: Plan, metrics: Metrics) -> None:
        self._plan = what
        self._metrics = metrics
        self._running = {e.name: Running(e.name, e.plugin.port, None, _LOADING) for e in what.engines}
        self._loading = set(self._running)
        self._board = self._new_board()

    @property
    def switchboard(self) -> Switchboard:
        """Routes over what is running at this moment."""
        return self._board

    def vad(self) -> Vad:
        """The voice detector. Raises EngineError."""
        vad: Vad = self._engine(self._plan.settings.routing.vad, "voice detection")
        return vad

    def turn(self) -> TurnDetector | None:
        """What tells ends of turns by the sound; None where nothing does, and pauses and words decide."""
        running = self._running.get(self._plan.settings.routing.turn)
        return running.engine if running else None

    def decoder(self) -> AudioDecoder:
        """What reads audio files. Raises EngineError."""
        decoder: AudioDecoder = self._engine(self._plan.settings.routing.decoder, "audio decoding")
        return decoder

    def readiness(self) -> Readiness:
        """What is loaded and what is not; optional engines whose models were not pulled are not missed."""
        offered = {r.name for r in self.offered()}
        stopped = [r for r in self._stopped() if r.name not in offered]
        return Readiness(
            ready=not self._loading,
            loading=tuple(sorted(self._loading)),
            missing=tuple(dict.fromkeys(model for r in stopped for model in r.missing)),
            problems=tuple(f"{r.name}: {r.problem}" + (f"; run: {r.remedy}" if r.remedy else "") for r in stopped),
        )

    def offered(self) -> tuple[Running, ...]:
        """Optional engines (`routing.optional`) that would run if their models were pulled; `remedy` is the command."""
        optional = self._plan.settings.routing.optional
        return tuple(r for r in self._stopped() if r.missing and r.name in optional)

    async def start(self, ports: frozenset[str] | None = None) -> None:
        """Load every engine, or those of some ports, side by side. Those that cannot run say why on the switchboard."""
        wanted = [e for e in self._plan.engines if ports is None or e.plugin.port in ports]
        self._loading &= {e.name for e in wanted}
        await asyncio.gather(*(self._start_one(engine) for engine in wanted))

    async def aclose(self) -> None:
        """Close every engine."""
        engines = [r.engine for r in self._running.values() if r.engine is not None]
        self._running = {name: replace(r, engine=None, problem="is shut down") for name, r in self._running.items()}
        self._board = self._new_board()
        await asyncio.gather(*(engine.aclose() for engine in engines))

    async def _start_one(self, wanted: Configured) -> None:
        outcome = await bring_up(wanted, folder=self._plan.models.path, metrics=self._metrics, cores=self._plan.cores)
        self._running[wanted.name] = Running(
            wanted.name, wanted.plugin.port, outcome.engine, outcome.problem, outcome.remedy, outcome.missing
        )
        self._loading.discard(wanted.name)
        self._board = self._new_board()

    def _stopped(self) -> list[Running]:
        return [r for r in self._running.values() if r.engine is None and r.name not in self._loading]

    def _engine(self, name: str, what: str) -> Any:
        engine = self._running[name].engine
        if engine is None:
            raise absent(what)
        return engine

    def _new_board(self) -> Switchboard:
        settings = self._plan.settings
        return Switchboard(
            self._running.values(), routing=settings.routing, voices=settings.voices, llm_order=self._plan.llm_order
        )


@asynccontextmanager
async def open_database(settings: VoxgateSettings) -> AsyncIterator["Database"]:
    """The database as it is, whatever its schema. Raises ConfigError, StoreError."""
    from voxgate.store.database import Database

    url = settings.store.url.get_secret_value()
    if not url:
        folder = settings.server.data_dir.absolute()
        _make_data_dir(folder)
        url = f"sqlite:///{folder / 'voxgate.db'}"
    database = await Database.open(url)
    try:
        yield database
    finally:
        await database.aclose()


@asynccontextmanager
async def open_store(settings: VoxgateSettings) -> AsyncIterator[tuple["Database", Accounts]]:
    """The database, at the current schema, and the accounts in it. Raises ConfigError, StoreError."""
    from voxgate.store.accounts import SqlAccounts

    async with open_database(settings) as database:
        await database.upgrade()
        yield database, Accounts(SqlAccounts(database, SystemClock()))


def _make_data_dir(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"the data directory {folder} cannot be made: {error.strerror}; choose another with --data-dir or "
            "VOXGATE_DATA_DIR",
            param="server.data_dir",
        ) from None


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep a second server out of a data directory; the lock ends with this process, however that ends.

    Raises ConfigError where another server is running on it, or nothing can be written there.
    """
    _make_data_dir(folder)
    try:
        lock = (folder / "serve.lock").open("a")
    except OSError as error:
        raise ConfigError(
            f"nothing can be written into the data directory {folder}: {error.strerror}", param="server.data_dir"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"another server is running on the data directory {folder}; stop it, or choose another folder with "
                "--data-dir or VOXGATE_DATA_DIR",
                param="server.data_dir",
            ) from None
        yield


@asynccontextmanager
async def open_engines(what: Plan, metrics: Metrics, ports: frozenset[str] | None = None) -> AsyncIterator[EngineRoom]:
    """Engines that are loaded when the block is entered, and closed when it is left."""
    room = EngineRoom(what, metrics)
    try:
        await room.start(ports)
        yield room
    finally:
        await room.aclose()


HELLO = "Hello from your own voice gateway. Speech goes in, and speech comes out, all on your own machine."
"""What hello.wav in the data directory says."""


async def _make_hello(room: EngineRoom, data_dir: Path) -> Path | None:
    path = data_dir / "hello.wav"
    if path.exists():
        return path
    try:
        mouth = room.switchboard.mouth("valsea-tts", "valsea-default", "en", HELLO)
        utterance = Utterance(HELLO, mouth.voice.id, mouth.language)
        sound = await speak_file(mouth.tts, utterance, Format.WAV)
        new = path.with_suffix(".new")
        new.write_bytes(sound)
        new.rename(path)
    except VoxgateError as error:
        log.info("hello.wav was not made", reason=error.message)
        return None
    except OSError as error:
        log.warning("hello.wav was not written", reason=error.strerror)
        return None
    return path


@dataclass(frozen=True, slots=True)
class Assembled:
    """A whole server, but for the socket it listens on."""

    app: ASGIApp
    room: EngineRoom
    """Not started yet."""
    accounts: Accounts
    metrics: Prometheus
    sweeper: Sweeper
    """Not started yet."""
    record: Transcripts
    """Where calls are opened and closed."""
    observers: tuple[CallObserver, ...]
    """Who is told of every turn: the record, and the traces where a collector is configured."""
    sockets: Sockets
    hosted: Hosted


@asynccontextmanager
async def assemble(what: Plan) -> AsyncIterator[Assembled]:
    """Everything wired together. Raises ConfigError, StoreError."""
    from voxgate.store.stores import Stores

    metrics = Prometheus()
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        database, accounts = await stack.enter_async_context(open_store(what.settings))
        stores = Stores.over(database, clock, notify=bool(what.settings.webhooks.url))
        stack.push_async_callback(stores.keys.aclose)
        room = EngineRoom(what, metrics)
        stack.push_async_callback(room.aclose)
        idempotency = Idempotency(stores.idempotency)
        sweeper = Sweeper(stores.ledger, stores.books, idempotency, clock, what.settings.ledger)
        stack.push_async_callback(sweeper.aclose)
        record = Transcripts(stores.sessions, clock, what.settings.transcripts)
        stack.push_async_callback(record.aclose)
        await stack.enter_async_context(beside(record.run()))
        observers: tuple[CallObserver, ...] = (record,)
        if endpoint := what.settings.observe.otlp_endpoint:
            traces = open_traces(endpoint, clock)
            stack.push_async_callback(traces.aclose)
            observers = (record, traces)
        admission = Admission(stores.credentials, what.settings.limits, clock)
        await stack.enter_async_context(beside(admission.live.run()))
        ledger = DailyLimits(stores.ledger, stores.spending, clock)
        voicebots, images = await stack.enter_async_context(
            open_voicebots(what.settings, stores.voicebots, lambda: room.switchboard)
        )
        calls = Calls(
            what.settings.turns,
            switchboard=lambda: room.switchboard,
            vad=room.vad,
            turn=room.turn,
            cores=what.cores,
            metrics=metrics,
            observers=observers,
        )
        hosted = await stack.enter_async_context(
            open_rooms(what.settings, stores, calls.converse, record, clock, metrics)
        )
        rest = Rest(
            admission=admission,
            client_secrets=ClientSecrets(stores.secrets, clock),
            ledger=ledger,
            usage=UsageReports(stores.usage),
            idempotency=idempotency,
            voicebots=voicebots,
            images=images,
            rooms=hosted.rooms,
            prices=what.settings.prices,
            limits=what.settings.limits,
            public_url=what.settings.server.public_url,
            metrics=metrics,
            cores=what.cores,
            switchboard=lambda: room.switchboard,
            vad=room.vad,
            decoder=room.decoder,
            store_answers=database.ping,
            readiness=room.readiness,
        )
        sockets = Sockets(
            admission=admission,
            ledger=ledger,
            prices=what.settings.prices,
            limits=what.settings.limits,
            metrics=metrics,
            clock=clock,
            cores=what.cores,
            switchboard=lambda: room.switchboard,
            vad=room.vad,
        )
        address = what.settings.server
        api = build(rest, hosted.routers, allowed_origins=address.allowed_origins, public_url=address.public_url)
        shell = SocketShell(api, routes(sockets), sockets, allowed_origins=address.allowed_origins)
        agent = Agent(sockets, what.settings.agent, calls.converse, record, allowed_origins=address.allowed_origins)
        stack.push_async_callback(agent.aclose)
        app = TrustedProxies(hosted.before(agent.before(shell)), parse_networks(address.trusted_proxies))
        yield Assembled(app, room, accounts, metrics, sweeper, record, observers, sockets, hosted)


@dataclass(frozen=True, slots=True)
class Started:
    """What whoever started a server is told once it can do its work."""

    url: str
    room: EngineRoom
    hello: Path | None
    """A recording to try the installation with, spoken by itself; None where nothing speaks."""


def _spare_what_stays() -> None:
    """Let the garbage collector, which stops everybody's audio while it works, never again look through what is loaded.

    Those are 157,000 objects, and 0.1 s each time. What sessions leave behind is then all there is to look through: a
    hundred objects each, in circles. It is collected often instead, so that it neither grows nor takes long.
    """
    gc.collect()
    gc.freeze()
    gc.collect()  # of nothing: how much it found last is what the collector waits for a quarter of
    gc.set_threshold(700, 10, 2)


async def serve(what: Plan, *, on_key: Callable[[str], None], on_ready: Callable[[Started], None]) -> None:
    """Run the server until it is told to stop.

    `on_key`: called once in the life of an installation, with the key of its development organization.
    `on_ready`: called when everything that can be loaded is. Raises ConfigError, StoreError.
    """
    address = what.settings.server
    tls = read_tls(address.tls_certificate, address.tls_key) if address.tls_certificate and address.tls_key else None
    with closing(HttpServer.bind(address.host, address.port, tls=tls)) as listener, _alone_in(what.data_dir):
        async with assemble(what) as server:
            if created := await server.accounts.ensure_development_org():
                on_key(created.key)

            async def load() -> None:
                await asyncio.gather(server.room.start(), asyncio.to_thread(warm))
                hello = await _make_hello(server.room, what.data_dir)
                _spare_what_stays()
                on_ready(Started(listener.url, server.room, hello))
                await asyncio.to_thread(server.hosted.warm)
                _spare_what_stays()

            loading = asyncio.create_task(load())
            watching = asyncio.create_task(server.metrics.watch_loop(what.settings.observe.loop_lag_interval_s))
            sweeping = asyncio.create_task(server.sweeper.run())
            try:
                await listener.run(server.app, grace_s=address.shutdown_grace_s, beside=loading)
            finally:
                for task in (loading, watching, sweeping):
                    task.cancel()
                await asyncio.gather(loading, watching, sweeping, return_exceptions=True)

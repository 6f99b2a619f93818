"""The one file that knows everyone: reads the configuration, wires the rooms together, starts and stops them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog
from pydantic import Field
from starlette.types import ASGIApp

from voxgate import config
from voxgate.audio.codecs.encoder import Format
from voxgate.clock import SystemClock
from voxgate.config import Loaded, Settings
from voxgate.conversation.speech import speak_file
from voxgate.domain import Utterance
from voxgate.engines.registry import Configured, absent, bring_up, configure, usable_cores
from voxgate.errors import ConfigError, VoxgateError
from voxgate.gateways.http import HttpServer
from voxgate.gateways.limits import LimitSettings
from voxgate.gateways.rest.api import build
from voxgate.gateways.rest.context import Readiness, Rest
from voxgate.models.store import ModelSettings, ModelStore, models_root
from voxgate.observe import LogSettings, ObserveSettings, Prometheus
from voxgate.ports import AudioDecoder, Metrics, Vad
from voxgate.services.accounts import Accounts
from voxgate.services.billing import PriceSettings
from voxgate.services.routing import RoutingSettings, VoiceSettings
from voxgate.services.switchboard import Running, Switchboard
from voxgate.store.accounts import SqlAccounts
from voxgate.store.database import Database
from voxgate.store.keys import SqlKeys
from voxgate.store.ledger import SqlLedger

log = structlog.get_logger(__name__)

CONFIG_NAME = "voxgate.toml"
"""The configuration file of the folder one stands in, where no other is named."""

_BY_ENVIRONMENT = {"VOXGATE_HOST": "server.host", "VOXGATE_PORT": "server.port", "VOXGATE_DATA_DIR": "server.data_dir"}
_LOADING = "is still being loaded"


class ServerSettings(Settings):
    """`[server]`"""

    host: str = "127.0.0.1"
    """Address to listen on; `0.0.0.0` or `::` for every one of the machine."""
    port: int = Field(default=8080, ge=0, le=65535)
    """0 takes any free port and prints it."""
    data_dir: Path = Path("data")
    """Folder of the database and of everything else this installation remembers."""
    allowed_origins: tuple[str, ...] = ("*",)
    """Origins of web pages that may call the API; keys, never cookies, authenticate."""
    shutdown_grace_s: int = Field(default=10, ge=0)
    """How long requests under way may take to end when the server stops."""
    cores: int = Field(default=0, ge=0)
    """Processor cores the engines may use; 0: every one this process may run on."""


class StoreSettings(Settings):
    """`[store]`"""

    url: str = ""
    """SQLAlchemy's address of the database; empty: `voxgate.db` in the data directory."""


class VoxgateSettings(Settings):
    """The whole configuration."""

    server: ServerSettings = ServerSettings()
    log: LogSettings = LogSettings()
    observe: ObserveSettings = ObserveSettings()
    store: StoreSettings = StoreSettings()
    limits: LimitSettings = LimitSettings()
    prices: PriceSettings = PriceSettings()
    models: ModelSettings = ModelSettings()
    routing: RoutingSettings = RoutingSettings()
    voices: VoiceSettings = VoiceSettings()
    engines: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """`[engines.NAME]`: the settings of each engine, read by its plugin; `plugin` where NAME is a name of your own."""


def load_settings(
    path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, Any] | None = None
) -> Loaded[VoxgateSettings]:
    """The configuration of this process: file, environment, command line. Raises ConfigError.

    `path`: as given by `--config`; else VOXGATE_CONFIG, else voxgate.toml where there is one.
    """
    if path is None:
        named = environ.get("VOXGATE_CONFIG")
        here = Path(CONFIG_NAME)
        path = Path(named) if named else (here if here.exists() else None)
    short = {key: environ[name] for name, key in _BY_ENVIRONMENT.items() if environ.get(name)}
    spelled = {f"{config.PREFIX}{key.upper().replace('.', '__')}": value for key, value in short.items()}
    return config.load(VoxgateSettings, path=path, environ=spelled | dict(environ), overrides=overrides)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to run: the configuration with every engine resolved."""

    loaded: Loaded[VoxgateSettings]
    engines: tuple[Configured, ...]
    llm_order: tuple[str, ...]
    models: ModelStore
    cores: int

    @property
    def settings(self) -> VoxgateSettings:
        """The configuration."""
        return self.loaded.settings

    @property
    def data_dir(self) -> Path:
        """Folder of the database, absolute."""
        return self.settings.server.data_dir.absolute()

    def rows(self) -> list[tuple[str, str, str]]:
        """(dotted key, value, origin) of the whole effective configuration, engines included, without secrets."""
        plain = self.settings.model_copy(update={"engines": {}})
        rows = [row for row in config.rows(plain, "", self.loaded.origins) if row[0] != "engines"]
        for engine in self.engines:
            rows.extend(config.rows(engine.settings, f"engines.{engine.name}", self.loaded.origins))
        return rows


async def plan(loaded: Loaded[VoxgateSettings], environ: Mapping[str, str]) -> Plan:
    """Resolve `routing.llm = ["auto"]` and the settings of every engine. Raises ConfigError."""
    settings = loaded.settings
    sections = dict(settings.engines)
    order: list[str] = []
    for name in settings.routing.llm:
        order.extend([name] if name != "auto" else [await _find_llm(sections, environ)])
    engines = configure(settings.routing.engines(order), sections, loaded.origins)
    root = models_root(environ, settings.models.dir)
    return Plan(
        loaded=loaded,
        engines=tuple(engines),
        llm_order=tuple(order),
        models=ModelStore(root, mirror=settings.models.mirror, hub=settings.models.hub),
        cores=settings.server.cores or usable_cores(),
    )


async def _find_llm(sections: dict[str, dict[str, Any]], environ: Mapping[str, str]) -> str:
    """The language model to use where none is named; puts what was found out into its section."""
    base_url, api_key = environ.get("OPENAI_BASE_URL"), environ.get("OPENAI_API_KEY")
    if "openai" in sections:
        return "openai"
    if base_url or api_key:
        seed = {"base_url": base_url, "api_key": api_key, "models": {"valsea-fast": "gpt-4o-mini"}}
        sections["openai"] = {key: value for key, value in seed.items() if value}
        return "openai"
    if "llama" in sections:
        return "llama"
    from voxgate.engines.ollama import find_ollama

    if found := await find_ollama():
        sections["ollama"] = {"plugin": "openai", "base_url": found.base_url, "model": found.model}
        return "ollama"
    return "llama"


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

    def decoder(self) -> AudioDecoder:
        """What reads audio files. Raises EngineError."""
        decoder: AudioDecoder = self._engine(self._plan.settings.routing.decoder, "audio decoding")
        return decoder

    def readiness(self) -> Readiness:
        """What is loaded and what is not."""
        stopped = [r for r in self._running.values() if r.engine is None and r.name not in self._loading]
        return Readiness(
            ready=not self._loading,
            loading=tuple(sorted(self._loading)),
            missing=tuple(dict.fromkeys(model for r in stopped for model in r.missing)),
            problems=tuple(f"{r.name}: {r.problem}" + (f"; run: {r.remedy}" if r.remedy else "") for r in stopped),
        )

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
async def open_store(what: Plan) -> AsyncIterator[tuple[Database, Accounts]]:
    """The database, at the current schema, and the accounts in it. Raises ConfigError, StoreError."""
    url = what.settings.store.url
    if not url:
        try:
            what.data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"the data directory {what.data_dir} cannot be made: {error.strerror}", param="server.data_dir"
            ) from None
        url = f"sqlite:///{what.data_dir / 'voxgate.db'}"
    database = await Database.open(url)
    try:
        await database.upgrade()
        yield database, Accounts(SqlAccounts(database, SystemClock()))
    finally:
        await database.aclose()


@asynccontextmanager
async def open_engines(what: Plan, metrics: Metrics, ports: frozenset[str] | None = None) -> AsyncIterator[EngineRoom]:
    """Engines that are loaded when the block is entered, and closed when it is left."""
    room = EngineRoom(what, metrics)
    try:
        await room.start(ports)
        yield room
    finally:
        await room.aclose()


HELLO = "Hello from Voxgate. Speech goes in, and speech comes out, all on your own machine."
"""What hello.wav in the data directory says."""


async def _make_hello(room: EngineRoom, data_dir: Path) -> Path | None:
    path = data_dir / "hello.wav"
    if path.exists():
        return path
    try:
        mouth = room.switchboard.mouth("valsea-tts", "valsea-default", "en", HELLO)
        utterance = Utterance(HELLO, mouth.voice.id, mouth.language)
        sound = await speak_file(mouth.tts, utterance, Format.WAV)
    except VoxgateError as error:
        log.info("hello.wav was not made", reason=error.message)
        return None
    new = path.with_suffix(".new")
    new.write_bytes(sound)
    new.rename(path)
    return path


@dataclass(frozen=True, slots=True)
class Assembled:
    """A whole server, but for the socket it listens on."""

    app: ASGIApp
    room: EngineRoom
    """Not started yet."""
    accounts: Accounts
    metrics: Prometheus


@asynccontextmanager
async def assemble(what: Plan) -> AsyncIterator[Assembled]:
    """Everything wired together. Raises ConfigError, StoreError."""
    metrics = Prometheus()
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        database, accounts = await stack.enter_async_context(open_store(what))
        keys = SqlKeys(database, clock)
        stack.push_async_callback(keys.aclose)
        room = EngineRoom(what, metrics)
        stack.push_async_callback(room.aclose)
        rest = Rest(
            keys=keys,
            ledger=SqlLedger(database, clock),
            prices=what.settings.prices,
            limits=what.settings.limits,
            metrics=metrics,
            cores=what.cores,
            switchboard=lambda: room.switchboard,
            vad=room.vad,
            decoder=room.decoder,
            store_answers=database.ping,
            readiness=room.readiness,
        )
        app = build(rest, allowed_origins=what.settings.server.allowed_origins)
        yield Assembled(app, room, accounts, metrics)


@dataclass(frozen=True, slots=True)
class Started:
    """What whoever started a server is told once it can do its work."""

    url: str
    room: EngineRoom
    hello: Path | None
    """A recording to try the installation with, spoken by itself; None where nothing speaks."""


async def serve(what: Plan, *, on_key: Callable[[str], None], on_ready: Callable[[Started], None]) -> None:
    """Run the server until it is told to stop.

    `on_key`: called once in the life of an installation, with the key of its development organization.
    `on_ready`: called when everything that can be loaded is. Raises ConfigError, StoreError.
    """
    address = what.settings.server
    with closing(HttpServer.bind(address.host, address.port)) as listener:
        async with assemble(what) as server:
            if created := await server.accounts.ensure_development_org():
                on_key(created.key)

            async def load() -> None:
                await server.room.start()
                on_ready(Started(listener.url, server.room, await _make_hello(server.room, what.data_dir)))

            loading = asyncio.create_task(load())
            watching = asyncio.create_task(server.metrics.watch_loop(what.settings.observe.loop_lag_interval_s))
            try:
                await listener.run(server.app, grace_s=address.shutdown_grace_s, beside=loading)
            finally:
                for task in (loading, watching):
                    task.cancel()
                await asyncio.gather(loading, watching, return_exceptions=True)

"""What is to run: the whole configuration as one schema, and every engine it asks for with its own settings."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from voxgate import config
from voxgate.config import Loaded, Settings
from voxgate.conversation.turn_settings import TurnSettings
from voxgate.engines.registry import Configured, configure, usable_cores
from voxgate.errors import ConfigError
from voxgate.gateways.agent_settings import AgentSettings
from voxgate.gateways.limits import LimitSettings
from voxgate.gateways.proxies import parse_networks
from voxgate.gateways.rooms.settings import RoomSettings
from voxgate.models.store import ModelSettings, ModelStore, models_root
from voxgate.observe import LogSettings, ObserveSettings
from voxgate.services.billing import PriceSettings
from voxgate.services.routing import RoutingSettings, VoiceSettings
from voxgate.services.sweeping import LedgerSettings
from voxgate.services.transcripts import TranscriptSettings
from voxgate.services.voicebots import VoicebotSettings
from voxgate.services.webhooks import WebhookSettings
from voxgate.store.image_bucket import ImageSettings

CONFIG_NAME = "voxgate.toml"
"""The configuration file of the folder one stands in, where no other is named."""

_BY_ENVIRONMENT = {"VOXGATE_HOST": "server.host", "VOXGATE_PORT": "server.port", "VOXGATE_DATA_DIR": "server.data_dir"}
_OPENAI = {"OPENAI_BASE_URL": "base_url", "OPENAI_API_KEY": "api_key"}


class ServerSettings(Settings):
    """`[server]`"""

    host: str = "127.0.0.1"
    """Address to listen on; `0.0.0.0` or `::` for every one of the machine."""
    port: int = Field(default=8080, ge=0, le=65535)
    """0 takes any free port and prints it."""
    data_dir: Path = Path("data")
    """Folder of the database and of everything else this installation remembers."""
    public_url: str = ""
    """Address clients reach the server by, such as `https://voice.example.com`, where it is not the one it listens on;
    what goes into addresses that answers hold."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and ranges of proxies in front, such as `["10.0.0.7", "fd00::/8"]`: only theirs are the
    `X-Forwarded-For` and `X-Forwarded-Proto` that are believed."""
    tls_certificate: Path | None = None
    """File with the certificate, and those between it and its root, as PEM: the server then speaks HTTPS."""
    tls_key: Path | None = None
    """File with its private key as PEM, without a password."""
    allowed_origins: tuple[str, ...] = ("*",)
    """Origins of web pages that may call the API; keys, never cookies, authenticate."""
    shutdown_grace_s: int = Field(default=10, ge=0)
    """How long requests under way may take to end when the server stops."""
    cores: int = Field(default=0, ge=0)
    """Processor cores the engines may use; 0: every one this process may run on."""

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        parse_networks(value)
        return value

    @field_validator("public_url")
    @classmethod
    def _plain_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment):
            raise ValueError("must be an address such as https://voice.example.com")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _both_or_neither(self) -> "ServerSettings":
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together; one of them is missing")
        return self


class StoreSettings(Settings):
    """`[store]`"""

    url: SecretStr = SecretStr("")
    """Address of the database, `sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/NAME`, secret for its password;
    empty: `voxgate.db` in the data directory."""


class VoxgateSettings(Settings):
    """The whole configuration."""

    server: ServerSettings = ServerSettings()
    log: LogSettings = LogSettings()
    observe: ObserveSettings = ObserveSettings()
    store: StoreSettings = StoreSettings()
    limits: LimitSettings = LimitSettings()
    agent: AgentSettings = AgentSettings()
    turns: TurnSettings = TurnSettings()
    prices: PriceSettings = PriceSettings()
    ledger: LedgerSettings = LedgerSettings()
    transcripts: TranscriptSettings = TranscriptSettings()
    voicebots: VoicebotSettings = VoicebotSettings()
    images: ImageSettings = ImageSettings()
    rooms: RoomSettings = RoomSettings()
    webhooks: WebhookSettings = WebhookSettings()
    models: ModelSettings = ModelSettings()
    routing: RoutingSettings = RoutingSettings()
    voices: VoiceSettings = VoiceSettings()
    engines: dict[str, dict[str, Any]] = Field(default_factory=dict, repr=False)
    """`[engines.NAME]`: the settings of each engine, read by its plugin; `plugin` where NAME is a name of your own."""
    # kept out of repr: what a plugin declares a secret is still plain text here


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
    return config.load(VoxgateSettings, path=path, environ=environ, names=_BY_ENVIRONMENT, overrides=overrides)


def model_store(settings: VoxgateSettings, environ: Mapping[str, str]) -> ModelStore:
    """The weights on this machine's disk."""
    root = models_root(environ, settings.models.dir)
    return ModelStore(root, mirror=settings.models.mirror, hub=settings.models.hub)


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
    sections = {name: dict(section) for name, section in settings.engines.items()}
    origins = dict(loaded.origins)
    order: list[str] = []
    for name in settings.routing.llm:
        order.extend([name] if name != "auto" else [await _find_llm(sections, environ)])
    wanted = settings.routing.engines(order)
    if "openai" in wanted:
        _seed_openai(sections, origins, environ)
    engines = configure(wanted, sections, origins)
    _check_ports(engines, settings.routing, order)
    return Plan(
        loaded=replace(loaded, origins=origins),
        engines=tuple(engines),
        llm_order=tuple(order),
        models=model_store(settings, environ),
        cores=settings.server.cores or usable_cores(),
    )


async def _find_llm(sections: dict[str, dict[str, Any]], environ: Mapping[str, str]) -> str:
    """The language model to use where none is named; puts an Ollama server that was found into its section."""
    if "openai" in sections or any(environ.get(name) for name in _OPENAI):
        return "openai"
    if "llama" in sections:
        return "llama"
    from voxgate.engines.ollama import find_ollama

    if found := await find_ollama():
        sections["ollama"] = {"plugin": "openai", "base_url": found.base_url, "model": found.model}
        return "ollama"
    return "llama"


def _seed_openai(sections: dict[str, dict[str, Any]], origins: dict[str, str], environ: Mapping[str, str]) -> None:
    """Fill the section of the engine `openai` from the variables that OpenAI's own clients read.

    Not where the section names a server of its own: a key is never sent to a server it was not meant for.
    """
    section = sections.setdefault("openai", {})
    if "base_url" in section or section.get("plugin", "openai") != "openai":
        return
    if not {"model", "models"} & set(section):
        section["models"] = {"valsea-fast": "gpt-4o-mini"}
    for name, key in _OPENAI.items():
        if environ.get(name) and key not in section and f"{key}_file" not in section:
            section[key] = environ[name]
            origins[f"engines.openai.{key}"] = f"environment {name}"


def _check_ports(engines: Iterable[Configured], routing: RoutingSettings, llm_order: Iterable[str]) -> None:
    """Refuse an engine in a place that is not its own. Raises ConfigError."""
    ports = {engine.name: engine.plugin.port for engine in engines}
    places: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
        "stt": (routing.stt, ("stt",)),
        "tts": (routing.tts, ("tts",)),
        "llm": (tuple(llm_order), ("llm",)),
        "vad": ((routing.vad,), ("vad",)),
        "turn": ((routing.turn,) if routing.turn else (), ("turn",)),
        "decoder": ((routing.decoder,), ("decoder",)),
        "models": (routing.alias_engines(), ("stt", "tts", "llm")),
    }
    for key, (names, fitting) in places.items():
        for name in names:
            if ports[name] not in fitting:
                raise ConfigError(
                    f"routing.{key} names the engine {name!r}, which is {ports[name]}, not {' or '.join(fitting)}",
                    param=f"routing.{key}",
                )

"""What operators see: structured logs and Prometheus metrics. Neither ever holds speech, prompts or keys."""

import asyncio
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from pydantic import Field, field_validator
from structlog.dev import plain_traceback
from structlog.typing import Processor

from voxgate.config import Settings
from voxgate.errors import without_credentials

CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"
"""Of what `Prometheus.text` answers."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class LogSettings(Settings):
    """`[log]`"""

    format: Literal["auto", "console", "json"] = "auto"
    """`auto`: coloured lines on a terminal, JSON anywhere else."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important line that is written."""


class ObserveSettings(Settings):
    """`[observe]`"""

    loop_lag_interval_s: float = Field(default=0.5, gt=0)
    """How often the delay of the event loop is sampled."""
    otlp_endpoint: str = ""
    """Address of an OpenTelemetry collector, such as `http://localhost:4318` (OTLP over HTTP; `/v1/traces` is added),
    that each turn of a call is sent to as a trace; empty: nothing is sent. Needs `voxgate[tracing]`."""

    @field_validator("otlp_endpoint")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        parts = urlsplit(value)
        odd = parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc
        if value and (odd or parts.query or parts.fragment):
            raise ValueError("must be an address such as http://localhost:4318, without a password in it")
        return value.rstrip("/").removesuffix("/v1/traces")


def configure_logging(settings: LogSettings) -> None:
    """Send every log line of this process, ours and the libraries', through one formatter to stderr."""
    as_json = settings.format == "json" or (settings.format == "auto" and not sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if as_json
        # plain: structlog's own choice shows the local variables of every frame, and those hold keys and what was said
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain_traceback)]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(settings.level.upper())),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        _WithoutCredentials(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.level.upper())
    for chatty in ("httpx", "httpcore", "uvicorn", "alembic", "aiosqlite", "asyncio", "aioice", "aiortc"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


class _WithoutCredentials(structlog.stdlib.ProcessorFormatter):
    """The last line of defence: nothing logs keys, but a path, or a library's exception, may hold one."""

    def format(self, record: logging.LogRecord) -> str:
        return without_credentials(super().format(record))


@dataclass(frozen=True, slots=True)
class Family:
    """One metric, for people."""

    name: str
    """As it is scraped; of a histogram, without `_bucket`, `_sum` and `_count`."""
    kind: str
    labels: tuple[str, ...]
    meaning: str


class Prometheus:
    """The metrics of one server, as `ports.Metrics` and for the HTTP layer."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._stages = Histogram(
            "voxgate_stage_seconds",
            "Time of one stage of the work (queue_wait, decode, first_audio, first_token …)",
            ("stage", "engine"),
            registry=self._registry,
            buckets=_SECONDS,
        )
        self._events = Counter(
            "voxgate_engine_events",
            "Things that happened in engines (worker_restart, refused_busy, guards …)",
            ("event", "engine"),
            registry=self._registry,
        )
        self._levels = Gauge(
            "voxgate_engine_level",
            "Levels of engines (active, queued, workers)",
            ("level", "engine"),
            registry=self._registry,
        )
        self._requests = Histogram(
            "voxgate_http_request_seconds",
            "From the request's first byte to the answer's last",
            ("route", "method", "status"),
            registry=self._registry,
            buckets=_SECONDS,
        )
        self._active = Gauge("voxgate_http_requests_active", "HTTP requests being answered", registry=self._registry)
        self._sockets = Gauge("voxgate_sockets_active", "WebSockets that are open", ("path",), registry=self._registry)
        self._messages = Counter(
            "voxgate_socket_messages",
            "Messages on WebSockets (received, sent)",
            ("path", "direction"),
            registry=self._registry,
        )
        self._closes = Counter(
            "voxgate_socket_closes",
            "WebSockets that ended, by close code (1006: the connection broke)",
            ("path", "code"),
            registry=self._registry,
        )
        self._lag = Histogram(
            "voxgate_event_loop_lag_seconds",
            "How late the event loop wakes a sleeper",
            registry=self._registry,
            buckets=_SECONDS,
        )

    def observe(self, stage: str, seconds: float, *, engine: str) -> None:
        """A stage of an engine's work took this long."""
        self._stages.labels(stage, engine).observe(seconds)

    def count(self, event: str, *, engine: str, times: int = 1) -> None:
        """Something happened once, or so many times."""
        self._events.labels(event, engine).inc(times)

    def gauge(self, name: str, value: float, *, engine: str) -> None:
        """A level is now this."""
        self._levels.labels(name, engine).set(value)

    def request_began(self) -> Callable[[str, str, int], None]:
        """Count a request as active; call the answer with (route, method, status) when it is over."""
        began = time.perf_counter()
        self._active.inc()

        def over(route: str, method: str, status: int) -> None:
            self._active.dec()
            self._requests.labels(route, method, str(status)).observe(time.perf_counter() - began)

        return over

    def socket_opened(self, path: str) -> "SocketCounts":
        """Count a WebSocket as open, until its counts are told that it is closed."""
        self._sockets.labels(path).inc()
        received, sent = (self._messages.labels(path, direction) for direction in ("received", "sent"))

        def over(code: int) -> None:
            self._sockets.labels(path).dec()
            self._closes.labels(path, str(code)).inc()

        return SocketCounts(received, sent, over)

    async def watch_loop(self, interval_s: float) -> None:
        """Sample the event loop's lag until cancelled."""
        while True:
            before = time.perf_counter()
            await asyncio.sleep(interval_s)
            self._lag.observe(max(0.0, time.perf_counter() - before - interval_s))

    def families(self) -> tuple[Family, ...]:
        """Every metric there is, whether it was measured yet or not."""
        measured = (
            self._stages,
            self._events,
            self._levels,
            self._requests,
            self._active,
            self._sockets,
            self._messages,
            self._closes,
            self._lag,
        )
        found = []
        for metric in measured:
            (family,) = metric.collect()
            name = f"{family.name}_total" if family.type == "counter" else family.name
            found.append(Family(name, family.type, tuple(metric._labelnames), family.documentation))
        return tuple(found)

    def text(self) -> bytes:
        """Everything measured, in Prometheus' text format."""
        return generate_latest(self._registry)


class SocketCounts:
    """What is counted of one WebSocket."""

    def __init__(self, received: Counter, sent: Counter, over: Callable[[int], None]) -> None:
        """Use `Prometheus.socket_opened`."""
        self._received = received
        self._sent = sent
        self._over = over
        self._counted = (0, 0)

    def messages(self, received: int, sent: int) -> None:
        """So many messages were received and sent since it was opened."""
        before_received, before_sent = self._counted
        self._received.inc(received - before_received)
        self._sent.inc(sent - before_sent)
        self._counted = (received, sent)

    def closed(self, code: int) -> None:
        """It is over."""
        self._over(code)


class NoMetrics:
    """A `ports.Metrics` that forgets: for the command line."""

    def observe(self, stage: str, seconds: float, *, engine: str) -> None:
        """Nothing."""

    def count(self, event: str, *, engine: str, times: int = 1) -> None:
        """Nothing."""

    def gauge(self, name: str, value: float, *, engine: str) -> None:
        """Nothing."""

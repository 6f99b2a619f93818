"""Each turn of a call as an OpenTelemetry trace, for whoever configures a collector (`observe.otlp_endpoint`).

A turn is one trace: the span `turn`, from the person's first sound to the end of the answer, with a span for the speech
and one for each stage on the way to the answer. They hold times, counts and ids, never what was said.
OpenTelemetry is imported only where it is used: the import takes 60 ms.
"""

import asyncio
from dataclasses import fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from voxgate import __version__
from voxgate.calls import Latency, Outcome, TurnRecord
from voxgate.clock import Clock
from voxgate.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

EXPORT_TIMEOUT_S = 3.0
"""How long one batch may take to be sent, tries included; and how long, at the end, all that was not sent yet."""


class Traces:
    """A `ports.CallObserver` that makes spans."""

    def __init__(self, provider: "TracerProvider", exporter: "SpanExporter", clock: Clock) -> None:
        """Use `open_traces`. `provider` exports by `exporter`; both are closed with this."""
        self._provider = provider
        self._exporter = exporter
        self._tracer = provider.get_tracer("voxgate", __version__)
        self._clock = clock

    def turn(self, record: TurnRecord) -> None:
        from opentelemetry.trace import Span, Status, StatusCode, set_span_in_context

        zero = round(record.ended_at.timestamp() * 1e9)

        def at(after_ms: float) -> int:
            return zero + round(after_ms * 1e6)

        stages = {
            each.name: stage for each in fields(Latency) if (stage := getattr(record.latency, each.name)) is not None
        }
        now_ms = (self._clock.now() - record.ended_at) / timedelta(milliseconds=1)
        begin_ms = min([-record.speech_ms, *(stage.start_ms for stage in stages.values())])
        end_ms = max([now_ms, *(stage.end_ms for stage in stages.values())])
        turn: Span = self._tracer.start_span("turn", start_time=at(begin_ms), attributes=_attributes(record))
        inside = set_span_in_context(turn)
        if record.speech_ms:
            self._tracer.start_span("speech", inside, start_time=at(-record.speech_ms)).end(at(0))
        for name, stage in stages.items():
            self._tracer.start_span(name, inside, start_time=at(stage.start_ms)).end(at(stage.end_ms))
        if record.outcome is Outcome.FAILED:
            turn.set_status(Status(StatusCode.ERROR))
        turn.end(at(end_ms))

    async def aclose(self) -> None:
        """Send what was not sent yet, for at most about two times EXPORT_TIMEOUT_S; the rest is lost."""
        sending = asyncio.create_task(asyncio.to_thread(self._provider.shutdown))
        await asyncio.wait({sending}, timeout=EXPORT_TIMEOUT_S)
        if not sending.done():
            self._exporter.shutdown()  # ends the waiting between tries; what is still queued is then refused
        await sending


def _attributes(record: TurnRecord) -> dict[str, Any]:
    """Of the span of a turn. `session.id` is OpenTelemetry's own name, the others are ours."""
    told = {
        "session.id": record.call,
        "voxgate.turn": record.turn,
        "voxgate.reply": record.reply,
        "voxgate.ended_by": record.ended_by,
        "voxgate.language": record.language,
        "voxgate.purpose": record.purpose,
        "voxgate.reply_language": record.reply_language,
        "voxgate.outcome": record.outcome.value,
        "voxgate.speech_ms": record.speech_ms,
        "voxgate.played_ms": record.played_ms,
        "voxgate.suspected": record.suspected,
        "voxgate.guessed": record.guessed,
        "voxgate.discarded": record.discarded,
        "voxgate.total_ms": record.latency.total_ms,
    }
    return {name: value for name, value in told.items() if value is not None}


def open_traces(endpoint: str, clock: Clock) -> Traces:
    """Traces that are sent to the collector at `endpoint` (OTLP over HTTP), in batches, from a thread of their own.

    A collector that does not answer delays nothing and nobody; what it misses is lost, and the log says so.
    Raises ConfigError where OpenTelemetry is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        raise ConfigError(
            "observe.otlp_endpoint needs OpenTelemetry, which is not installed: pip install 'voxgate[tracing]'",
            param="observe.otlp_endpoint",
        ) from error
    exporter = OTLPSpanExporter(f"{endpoint}/v1/traces", timeout=EXPORT_TIMEOUT_S)
    resource = Resource.create({SERVICE_NAME: "voxgate", SERVICE_VERSION: __version__})
    # never made the global one: what libraries trace of themselves may hold more than ids
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Traces(provider, exporter, clock)

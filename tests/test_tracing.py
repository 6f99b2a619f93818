import asyncio
import http.server
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from voxgate import tracing
from voxgate.calls import Latency, Outcome, Stage, TurnRecord
from voxgate.clock import FakeClock
from voxgate.errors import ConfigError
from voxgate.tracing import Traces, open_traces

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TURN = TurnRecord(
    call="sess_1",
    turn=3,
    reply=4,
    ended_at=NOON,
    ended_by="cue",
    heard="my password is swordfish",
    language="en",
    purpose="answer",
    text="It is a secret.",
    spoken="It is",
    reply_language="en",
    outcome=Outcome.CUT,
    latency=Latency(
        endpointing=Stage(0, 200), stt_final=Stage(100, 190), first_audio=Stage(190, 240), wire=Stage(240, 241.5)
    ),
    speech_ms=1500,
    played_ms=700,
    suspected=1,
    guessed=True,
    discarded=0,
)


def told(record: TurnRecord, *, now_s: float = 2) -> dict[str, ReadableSpan]:
    """The spans of a turn by name."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    clock = FakeClock(NOON)
    clock.advance(now_s)
    Traces(provider, exporter, clock).turn(record)
    spans = exporter.get_finished_spans()
    assert len({span.name for span in spans}) == len(spans)
    return {span.name: span for span in spans}


def span_ms(span: ReadableSpan) -> tuple[float, float]:
    """Begin and end in milliseconds after the end of the turn."""
    assert span.start_time is not None
    assert span.end_time is not None
    zero = NOON.timestamp() * 1e9
    return round((span.start_time - zero) / 1e6, 1), round((span.end_time - zero) / 1e6, 1)


def test_a_turn_is_one_trace_with_a_span_for_each_stage() -> None:
    spans = told(TURN)
    assert {name: span_ms(span) for name, span in spans.items()} == {
        "turn": (-1500, 2000),
        "speech": (-1500, 0),
        "endpointing": (0, 200),
        "stt_final": (100, 190),
        "first_audio": (190, 240),
        "wire": (240, 241.5),
    }
    root = spans.pop("turn")
    assert root.parent is None
    assert root.context is not None
    assert all(span.parent == root.context for span in spans.values())
    assert root.status.status_code is StatusCode.UNSET


def test_a_turn_says_what_it_was_and_nothing_of_what_was_said() -> None:
    spans = told(TURN)
    assert spans["turn"].attributes == {
        "session.id": "sess_1",
        "voxgate.turn": 3,
        "voxgate.reply": 4,
        "voxgate.ended_by": "cue",
        "voxgate.language": "en",
        "voxgate.purpose": "answer",
        "voxgate.reply_language": "en",
        "voxgate.outcome": "cut",
        "voxgate.speech_ms": 1500,
        "voxgate.played_ms": 700,
        "voxgate.suspected": 1,
        "voxgate.guessed": True,
        "voxgate.discarded": 0,
        "voxgate.total_ms": 241.5,
    }
    everything = "".join(span.to_json() for span in spans.values())
    assert not any(word in everything for word in ("swordfish", "secret", "It is"))


def test_a_greeting_has_neither_speech_nor_an_end_of_turn() -> None:
    spans = told(replace(TURN, turn=0, ended_by=None, speech_ms=0, latency=Latency()))
    assert list(spans) == ["turn"]
    assert span_ms(spans["turn"]) == (0, 2000)
    assert spans["turn"].attributes is not None
    assert not {"voxgate.ended_by", "voxgate.total_ms"} & set(spans["turn"].attributes)


def test_a_turn_spans_its_stages_even_if_the_wall_clock_was_put_back() -> None:
    early = replace(TURN, latency=replace(TURN.latency, first_token=Stage(-2000, 50)))
    assert span_ms(told(early, now_s=-60)["turn"]) == (-2000, 241.5)


def test_a_reply_that_failed_is_an_error() -> None:
    assert told(replace(TURN, outcome=Outcome.FAILED))["turn"].status.status_code is StatusCode.ERROR


@contextmanager
def collector(*, answers: bool = True) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Its address, and what was sent to it: (path, body). One that does not answer takes requests and is silent."""
    received: list[tuple[str, bytes]] = []
    over = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            if not answers:
                over.wait(30)
                self.close_connection = True
                return
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", received
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()


async def test_a_collector_is_sent_what_there_is_when_the_server_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with collector() as (url, received):
        traces = open_traces(url, FakeClock(NOON))
        traces.turn(TURN)
        await traces.aclose()
    [(path, body)] = received
    assert path == "/v1/traces"
    [of_us] = ExportTraceServiceRequest.FromString(body).resource_spans
    resource = {each.key: each.value.string_value for each in of_us.resource.attributes}
    assert resource["service.name"] == "voxgate"
    [scope] = of_us.scope_spans
    assert sorted(span.name for span in scope.spans) == [
        "endpointing", "first_audio", "speech", "stt_final", "turn", "wire",
    ]  # fmt: skip
    assert b"swordfish" not in body


async def test_a_collector_that_does_not_answer_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(tracing, "EXPORT_TIMEOUT_S", 0.5)
    with collector(answers=False) as (url, received):
        traces = open_traces(url, FakeClock(NOON))
        for reply in range(100):  # with its stages more than one batch, which is sent at once
            traces.turn(replace(TURN, reply=reply))
        async with asyncio.timeout(20):
            while not received:
                await asyncio.sleep(0.01)
            traces.turn(TURN)  # returns, although the thread that sends is held up
            await traces.aclose()


def test_nothing_is_made_of_it_for_other_libraries() -> None:
    told(TURN)
    assert not isinstance(trace.get_tracer_provider(), TracerProvider)


def test_opentelemetry_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("opentelemetry.exporter")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter", None)
    with pytest.raises(ConfigError, match=r"pip install 'voxgate\[tracing\]'") as raised:
        open_traces("http://localhost:4318", FakeClock())
    assert raised.value.param == "observe.otlp_endpoint"

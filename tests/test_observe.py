import asyncio
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families
from pydantic import ValidationError

from voxgate.observe import CONTENT_TYPE, LogSettings, NoMetrics, ObserveSettings, Prometheus, configure_logging


@pytest.fixture
def logging_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def samples(metrics: Prometheus) -> dict[str, float]:
    """Sample name with its labels -> value."""
    families = text_string_to_metric_families(metrics.text().decode())
    return {
        f"{sample.name}{','.join(f'{k}={v}' for k, v in sorted(sample.labels.items()))}": sample.value
        for family in families
        for sample in family.samples
    }


@pytest.mark.usefixtures("logging_restored")
def test_json_lines_hold_what_is_bound_and_who_logs(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(format="json", level="info"))
    with structlog.contextvars.bound_contextvars(request_id="req_1"):
        structlog.get_logger("voxgate.test").info("request", status=200)
        logging.getLogger("library").warning("told %s", "so")
    structlog.get_logger("voxgate.test").debug("not asked for")
    captured = capsys.readouterr()
    assert captured.out == ""
    ours, theirs = (json.loads(line) for line in captured.err.splitlines())
    assert {"event": "request", "status": 200, "request_id": "req_1", "level": "info"}.items() <= ours.items()
    assert ours["logger"] == "voxgate.test"
    assert ours["timestamp"].endswith("Z")
    assert (theirs["event"], theirs["level"], theirs["request_id"]) == ("told so", "warning", "req_1")


@pytest.mark.usefixtures("logging_restored")
def test_a_traceback_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(format="auto"))  # captured: no terminal, so JSON
    try:
        raise KeyError("broken")
    except KeyError:
        structlog.get_logger("a").exception("request failed")
    (line,) = capsys.readouterr().err.splitlines()
    assert "KeyError: 'broken'" in json.loads(line)["exception"]


@pytest.mark.usefixtures("logging_restored")
def test_console_lines_are_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(format="console", level="warning"))
    structlog.get_logger("a").info("hidden")
    structlog.get_logger("a").warning("shown", after_s=3)
    (line,) = capsys.readouterr().err.splitlines()
    assert "shown" in line
    assert "after_s=3" in line
    assert not line.startswith("{")


@pytest.mark.usefixtures("logging_restored")
def test_libraries_do_not_chatter(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(format="json", level="debug"))
    logging.getLogger("httpx").info('HTTP Request: GET http://u/?api_key=vg_secret "200"')
    logging.getLogger("uvicorn.access").info("GET /?api_key=vg_secret")
    assert capsys.readouterr().err == ""


def test_stages_events_and_levels() -> None:
    metrics = Prometheus()
    metrics.observe("decode", 0.2, engine="moonshine")
    metrics.count("worker_restart", engine="moonshine")
    metrics.count("worker_restart", engine="moonshine")
    metrics.gauge("active", 3, engine="piper")
    metrics.gauge("active", 2, engine="piper")
    found = samples(metrics)
    assert found["voxgate_stage_seconds_sumengine=moonshine,stage=decode"] == pytest.approx(0.2)
    assert found["voxgate_stage_seconds_bucketengine=moonshine,le=0.25,stage=decode"] == 1
    assert found["voxgate_stage_seconds_bucketengine=moonshine,le=0.1,stage=decode"] == 0
    assert found["voxgate_engine_events_totalengine=moonshine,event=worker_restart"] == 2
    assert found["voxgate_engine_levelengine=piper,level=active"] == 2


def test_requests_are_active_until_they_are_over() -> None:
    metrics = Prometheus()
    first, second = metrics.request_began(), metrics.request_began()
    assert samples(metrics)["voxgate_http_requests_active"] == 2
    first("/v1/models", "GET", 200)
    second("unmatched", "POST", 404)
    found = samples(metrics)
    assert found["voxgate_http_requests_active"] == 0
    assert found["voxgate_http_request_seconds_countmethod=GET,route=/v1/models,status=200"] == 1
    assert found["voxgate_http_request_seconds_countmethod=POST,route=unmatched,status=404"] == 1


async def test_the_lag_of_the_event_loop_is_sampled_until_cancelled() -> None:
    metrics = Prometheus()
    watching = asyncio.create_task(metrics.watch_loop(0.001))
    while samples(metrics)["voxgate_event_loop_lag_seconds_count"] < 2:
        await asyncio.sleep(0)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching


def test_the_content_type_is_the_one_of_the_text() -> None:
    from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0

    assert CONTENT_TYPE_PLAIN_1_0_0.startswith(CONTENT_TYPE.removesuffix("; charset=utf-8"))


def test_two_servers_of_one_process_count_apart() -> None:
    one, other = Prometheus(), Prometheus()
    one.count("x", engine="e")
    assert "voxgate_engine_events_totalengine=e,event=x" not in samples(other)


def test_metrics_that_forget_take_everything() -> None:
    forgetful = NoMetrics()
    forgetful.observe("a", 1.0, engine="e")
    forgetful.count("a", engine="e")
    forgetful.gauge("a", 1.0, engine="e")
    assert vars(forgetful) == {}


def test_the_interval_must_pass() -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        ObserveSettings(loop_lag_interval_s=0)


KEY, SECRET = "vg_" + "aB3-_" * 9, "ek_" + "x" * 43


@pytest.mark.usefixtures("logging_restored")
@pytest.mark.parametrize("style", ["json", "console"])
def test_no_line_holds_a_credential(capsys: pytest.CaptureFixture[str], style: str) -> None:
    configure_logging(LogSettings.model_validate({"format": style}))
    structlog.get_logger("voxgate.test").info("request", path=f"/v1/models/{KEY}?api_key={SECRET}")
    logging.getLogger("library").warning("sent %s", {"Authorization": f"Bearer {KEY}"})
    try:
        raise ValueError(f"no such key: {SECRET}")
    except ValueError:
        structlog.get_logger("voxgate.test").exception("failed")
    told = capsys.readouterr().err
    assert "vg_aB3" not in told
    assert "ek_x" not in told
    assert "/v1/models/vg_**********?api_key=ek_**********" in told
    assert "ValueError" in told


def test_sockets_are_counted_by_path_while_they_are_open() -> None:
    metrics = Prometheus()
    first, second = metrics.socket_opened("/v1/realtime"), metrics.socket_opened("/v1/realtime")
    first.messages(3, 1)
    first.messages(5, 1)
    second.messages(1, 0)
    first.closed(1008)
    measured = samples(metrics)
    assert measured["voxgate_sockets_activepath=/v1/realtime"] == 1
    assert measured["voxgate_socket_messages_totaldirection=received,path=/v1/realtime"] == 6
    assert measured["voxgate_socket_messages_totaldirection=sent,path=/v1/realtime"] == 1
    assert measured["voxgate_socket_closes_totalcode=1008,path=/v1/realtime"] == 1


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("", ""),
        ("http://localhost:4318", "http://localhost:4318"),
        ("https://otel.example.com/tenant/", "https://otel.example.com/tenant"),
        ("http://localhost:4318/v1/traces", "http://localhost:4318"),
    ],
)
def test_the_address_of_a_collector(given: str, kept: str) -> None:
    assert ObserveSettings(otlp_endpoint=given).otlp_endpoint == kept


@pytest.mark.parametrize(
    "bad", ["localhost:4318", "grpc://h:4317", "http://", "http://u:p@h", "http://h?k=v", "http://h#x"]
)
def test_what_is_no_address_of_a_collector(bad: str) -> None:
    with pytest.raises(ValidationError, match="otlp_endpoint"):
        ObserveSettings(otlp_endpoint=bad)

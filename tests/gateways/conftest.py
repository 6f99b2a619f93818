import asyncio
from collections.abc import Callable, Iterator, Mapping

import httpx
import pytest
import uvloop

from tests.serving import SCRIPTED, Server

LIMITS = """
[limits]
upload_bytes = 400_000
json_body_bytes = 20_000
form_overhead_bytes = 4_000
speech_input_characters = 2_000
slow_reader_s = 1
body_idle_s = 1
"""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with scripted engines and small limits."""
    running = Server(tmp_path_factory.mktemp("rest"), SCRIPTED + LIMITS)
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log
    assert running.key not in running.log
    assert "script says" not in running.log


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """What goes over a wire is tested on the loop servers run on, which calls protocols at moments of its own."""
    if item.path.name == "test_websocket.py":
        return {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}

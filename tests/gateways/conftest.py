from collections.abc import Iterator

import httpx
import pytest

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

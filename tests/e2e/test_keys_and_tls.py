"""A real server over HTTPS, and a key that is revoked on the command line while an answer streams from it."""

import shutil
import ssl
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from tests.conftest import absent
from tests.serving import SCRIPTED, Server

pytestmark = pytest.mark.slow

TRICKLE = "[engines.scripted_tts]\npiece_ms = 100\n"
SPEECH = {"model": "tts-1", "voice": "alloy", "input": "word " * 1_900, "response_format": "pcm"}


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for this machine and its key, made on the spot."""
    if shutil.which("openssl") is None:
        absent("openssl", "openssl")
    signed, key = tmp_path / "own.crt", tmp_path / "own.key"
    command = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout {key}"
    about = ["-out", str(signed), "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command.split(), *about], check=True, capture_output=True)
    return signed, key


def test_a_revocation_ends_a_stream_within_five_seconds(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    signed, key = certificate
    tls = f'[server]\ntls_certificate = "{signed}"\ntls_key = "{key}"\n'
    server = Server(tmp_path / "server", SCRIPTED + TRICKLE + tls)
    try:
        assert server.url.startswith("https://127.0.0.1:")
        verify = ssl.create_default_context(cafile=signed)
        headers = {"X-API-Key": server.key}
        with httpx.Client(base_url=server.url, verify=verify, headers=headers, trust_env=False, timeout=30) as client:
            assert client.get("/v1/credits").json()["held"] == 0
            with client.stream("POST", "/v1/audio/speech", json=SPEECH) as answer:
                pieces = answer.iter_raw()
                next(pieces)
                server.voxgate("keys", "revoke", server.key[:11])
                revoked = time.monotonic()
                with pytest.raises(httpx.RemoteProtocolError):
                    for _ in pieces:
                        assert time.monotonic() - revoked < 5
            assert client.get("/v1/credits").status_code == 401
        shown = server.voxgate("credits", "show", "development").stdout
        assert shown == "development\towner\t999999\t0\n", "the minute that was sent is sold, nothing stays held"
    finally:
        assert server.stop() == 0
    assert '"event": "key_ended"' in server.log
    assert "Traceback" not in server.log
    assert server.key not in server.log


def test_a_certificate_that_does_not_fit_stops_the_start(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    signed, _ = certificate
    tls = f'[server]\ntls_certificate = "{signed}"\ntls_key = "{signed}"\n'
    with pytest.raises(RuntimeError, match="no PEM file"):
        Server(tmp_path / "server", SCRIPTED + tls)

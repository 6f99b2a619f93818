"""What the server adds to its engines: first byte of speech over HTTP beside first audio alone, and starting up.

    python -m benchmarks.rest [--runs 40]

Starts a real `voxgate serve` with the default models, and the voice once more in this process; requests to the two take
turns. Models must be pulled. Ratios and differences within one run count; absolute times are this machine's.
"""

import argparse
import asyncio
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from tests.serving import SCRIPTED, Server
from voxgate.app import EngineRoom, open_engines
from voxgate.domain import Utterance
from voxgate.observe import NoMetrics
from voxgate.planning import load_settings, plan

TEXT = "The train to the coast leaves from platform nine at half past seven today so please be there early."
"""99 characters without a comma: nothing shorter can be said first."""


def p(values: Sequence[float], percent: int) -> float:
    """A percentile."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def first_byte_ms(connection: http.client.HTTPConnection, key: str, voice: str, fmt: str) -> float:
    """From the request to the first byte of audio, on a connection that is open."""
    body = json.dumps({"model": "tts-1", "voice": voice, "input": TEXT, "response_format": fmt})
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    began = time.perf_counter()
    connection.request("POST", "/v1/audio/speech", body, headers)
    response = connection.getresponse()
    response.read(45)  # one byte more than a WAV header
    first = time.perf_counter() - began
    response.read()
    assert response.status == 200
    return first * 1000


async def engine_ms(room: EngineRoom) -> float:
    """From the text to the engine's first audio, in this process."""
    mouth = room.switchboard.mouth("tts-1", "onyx", "en", TEXT)
    began = time.perf_counter()
    async with mouth.tts.open(Utterance(TEXT, mouth.voice.id)) as pieces:
        await anext(pieces)
        first = time.perf_counter() - began
        async for _ in pieces:
            pass
    return first * 1000


async def speech(folder: Path, runs: int) -> None:
    """POST /v1/audio/speech beside the engine alone."""
    server = Server(folder / "real", "")
    print(f"ready {server.ready_after_s:.2f} s after `voxgate serve`, models in place, first start")
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port)
    what = await plan(load_settings(None, {}), {})
    async with open_engines(what, NoMetrics(), frozenset({"tts"})) as room:
        print(
            "first byte of a 99-character sentence, ms        p50    p95   difference to the engine's first audio, p50"
        )
        for fmt in ("wav", "pcm", "mp3", "opus"):
            over_http: list[float] = []
            alone: list[float] = []
            for run in range(runs + 3):
                mine = await asyncio.to_thread(first_byte_ms, connection, server.key, "onyx", fmt)
                engine = await engine_ms(room)
                if run >= 3:
                    over_http.append(mine)
                    alone.append(engine)
            gaps = [mine - engine for mine, engine in zip(over_http, alone, strict=True)]
            print(f"  {fmt:<6}{'':37}{p(over_http, 50):>8.1f}{p(over_http, 95):>7.1f}   {p(gaps, 50):+.1f}")
        print(f"  the engine alone{'':27}{p(alone, 50):>8.1f}{p(alone, 95):>7.1f}")
    connection.close()
    server.stop()


def gateway(folder: Path, runs: int) -> None:
    """The server alone, with engines that cost nothing."""
    server = Server(folder / "scripted", SCRIPTED)
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port)
    times = [first_byte_ms(connection, server.key, "alloy", "wav") for _ in range(runs * 5)][5:]
    print(f"the gateway alone (scripted voice): first byte p50 {p(times, 50):.1f} ms, p95 {p(times, 95):.1f} ms")
    connection.close()
    server.stop()


def startup(runs: int) -> None:
    """Imports and --help, each in a fresh process."""
    for name, command in {
        "import voxgate.app": [sys.executable, "-c", "import voxgate.app"],
        "voxgate --help": [sys.executable, "-m", "voxgate", "--help"],
        "python -c pass": [sys.executable, "-c", "pass"],
    }.items():
        seconds = []
        for _ in range(runs):
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, env=os.environ | {"NO_COLOR": "1"})
            seconds.append(time.perf_counter() - began)
        print(f"{name:<20} min {min(seconds):.3f} s, median {statistics.median(seconds):.3f} s")


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40)
    options = parser.parse_args()
    startup(max(5, options.runs // 4))
    with tempfile.TemporaryDirectory() as folder:
        gateway(Path(folder), options.runs)
        asyncio.run(speech(Path(folder), options.runs))


if __name__ == "__main__":
    main()

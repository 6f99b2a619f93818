"""How long creating and ending a session in a room takes over REST, everything but the socket included.

    python benchmarks/rooms_create.py                   SQLite in a temporary folder, scripted engines, embedded rooms
    python benchmarks/rooms_create.py --url postgresql://USER:PASSWORD@HOST/EMPTY_DATABASE

The application is called in its own process. Target (issue 14): created in <= 15 ms p50 on SQLite. `sessions` are made
and ended one after the other; `at_once` many side by side, which SQLite's one writer puts in a row.
"""

import argparse
import asyncio
import json
import logging
import statistics
import tempfile
import time
from decimal import Decimal
from pathlib import Path

import httpx
import structlog

from voxgate.app import assemble
from voxgate.planning import load_settings, plan

SESSIONS = "/v1/voicebot-livekit/session"
ENGINES = """
[routing]
stt = ["scripted_stt"]
tts = ["scripted_tts"]
llm = ["scripted_llm"]
vad = "scripted_vad"
turn = "scripted_turn"
[voices.aliases]
alloy = {gender = "neutral", use = ["scripted_tts/tone"]}
"""


def summary(times: list[float]) -> dict[str, float]:
    """Median and 95th percentile of seconds, in milliseconds."""
    cuts = statistics.quantiles(times, n=20)
    return {"p50_ms": round(statistics.median(times) * 1000, 2), "p95_ms": round(cuts[18] * 1000, 2)}


async def run(folder: Path, url: str, count: int, together: int) -> dict[str, object]:
    """Measure one database."""
    path = folder / "voxgate.toml"
    path.write_text(ENGINES + (f'[store]\nurl = "{url}"\n' if url else ""))
    environ = {"VOXGATE_DATA_DIR": str(folder / "data"), "VOXGATE_MODELS_DIR": str(folder / "models")}
    what = await plan(load_settings(path, environ), environ)
    async with assemble(what) as server:
        await server.room.start()
        made = await server.accounts.create_key(f"benchmark {time.time_ns()}", credits=Decimal(1_000_000))
        transport = httpx.ASGITransport(server.app)
        headers = {"Authorization": f"Bearer {made.key}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://inside", headers=headers) as client:
            bot = (await client.post("/v1/voicebots", json={"name": "Guide", "voice": "alloy"})).json()["id"]

            async def create(times: list[float]) -> str:
                began = time.perf_counter()
                answer = await client.post(SESSIONS, json={"voicebotId": bot})
                times.append(time.perf_counter() - began)
                return str(answer.raise_for_status().json()["roomName"])

            async def end(room: str, times: list[float]) -> None:
                began = time.perf_counter()
                (await client.delete(f"{SESSIONS}/{room}")).raise_for_status()
                times.append(time.perf_counter() - began)

            for _ in range(10):
                await end(await create([]), [])
            created, ended, crowded = list[float](), list[float](), list[float]()
            for _ in range(count):
                await end(await create(created), ended)
            began = time.perf_counter()
            rooms = await asyncio.gather(*(create(crowded) for _ in range(together)))
            seconds = time.perf_counter() - began
            await asyncio.gather(*(end(room, []) for room in rooms))
    return {
        "sessions": count,
        "create": summary(created),
        "end": summary(ended),
        "at_once": {"sessions": together, "seconds": round(seconds, 3), **summary(crowded)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="", help="database to measure; default: SQLite in a temporary folder")
    parser.add_argument("--sessions", type=int, default=200, help="how many one after the other (default 200)")
    parser.add_argument("--at-once", type=int, default=50, help="how many side by side (default 50)")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(run(Path(folder), given.url, given.sessions, given.at_once)), indent=2))


if __name__ == "__main__":
    main()

"""Ten thousand sequences of any messages: the server lives, a neighbour notices nothing, every session is billed."""

import asyncio
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.hostile import Hostile, LiveClient, Neighbour, SpeechClient
from tests.e2e.real import look_through, resident_mib, until
from tests.serving import SCRIPTED, Server

pytestmark = pytest.mark.slow

CONFIG = (
    SCRIPTED
    + """
[routing.models]
steady = "steady_stt"
[engines.steady_stt]
plugin = "scripted_stt"
[engines.scripted_stt]
fail_every = 97
busy_every = 89
[engines.scripted_tts]
word_ms = 500
piece_audio_ms = 500
fail_every = 97
busy_every = 89
[limits]
speech_ahead_s = 100_000
speech_queue = 3
speech_input_characters = 60
socket_message_bytes = 65_536
socket_frame_bytes = 131_072
socket_linger_s = 1
requests_per_minute_per_key = 1_000_000
requests_per_minute_per_address = 1_000_000
failed_keys_per_minute_per_address = 1_000_000
"""
)
"""Now and then the engines fail or are full, but for the neighbour's."""
SEQUENCES = 10_000
AT_ONCE = 24
CREDITS = 100_000
PATIENCE_S = 120
"""A client that has not ended by then never does, also where many others want the machine."""
CLOSES = {1000, 1002, 1007, 1008, 1009, 1011, 1013}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path / "server", CONFIG)
    yield running
    assert running.stop() == 0
    look_through(running)


async def crowd(url: str, key: str, sequences: int, seeds: Iterator[int]) -> list[Hostile]:
    """Hostile clients, some at once, until so many sequences of messages were sent."""
    everybody: list[Hostile] = []
    sent = 0

    async def some() -> None:
        nonlocal sent
        while sent < sequences:
            seed = next(seeds)
            client = LiveClient(seed) if seed % 2 else SpeechClient(seed)
            sent += client.sequences
            everybody.append(client)
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await client.run(url, key)
            except TimeoutError:
                raise AssertionError(f"never ended: {client}") from None

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(some())
    return everybody


def usage(client: httpx.Client) -> dict[str, tuple[str, dict[str, int], float]]:
    """Every usage record of the key's organization: (surface, units, credits) by session; one a session."""
    found: dict[str, tuple[str, dict[str, int], float]] = {}
    query = {"limit": "1000"}
    while True:
        page = client.get("/v1/usage", params=query).json()
        for row in page["data"]:
            assert row["request_id"] not in found, "billed twice"
            found[row["request_id"]] = row["surface"], row["units"], float(row["credits"])
        if not page["has_more"]:
            return found
        query["after"] = page["data"][-1]["id"]


@pytest.mark.timeout(900)
def test_ten_thousand_sequences(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    key = server.new_key("hostile", str(CREDITS))
    url = server.url.replace("http", "ws")
    neighbour = Neighbour()
    memory = []

    async def everything() -> list[Hostile]:
        seeds = itertools.count()
        async with neighbour.talking(server):
            warm = await crowd(url, key, SEQUENCES // 5, seeds)
            memory.append(resident_mib(server.process.pid))
            return warm + await crowd(url, key, SEQUENCES - SEQUENCES // 5, seeds)

    began = time.monotonic()
    everybody = asyncio.run(everything())
    took_s = time.monotonic() - began
    memory.append(resident_mib(server.process.pid))

    with server.client(key) as http:
        until(lambda: http.get("/v1/credits").json()["held"] == 0)
        books = usage(http)
        balance = http.get("/v1/credits").json()["balance"]
    sessions = {client.session: client for client in everybody if client.session}
    lags = sorted(neighbour.took_s)
    with capsys.disabled():
        print(
            f"\n{SEQUENCES:,} sequences of {sum(client.messages for client in everybody):,} messages by "
            f"{len(everybody):,} clients in {took_s:.1f} s; {len(books):,} sessions billed; "
            f"{memory[0]:.0f} MiB after a fifth, {memory[1]:.0f} MiB at the end; {len(lags)} finals of a neighbour: "
            f"median {lags[len(lags) // 2] * 1000:.0f} ms, latest {lags[-1] * 1000:.0f} ms"
        )

    assert {client.code for client in everybody if client.end != "close"} - {None} <= CLOSES
    told = [error for client in everybody for error in client.errors]
    assert all("as scripted" in message for code, message in told if code == "ENGINE_ERROR")
    for session, client in sessions.items():
        surface, units, credits_ = books.pop(session, ("", {}, 0.0))
        assert surface in ("", "transcription" if isinstance(client, LiveClient) else "speech")
        client.owed(units, credits_)
    strangers = sum(not client.session for client in everybody)
    assert len(books) <= strangers, "billed for a session that nobody had"
    assert sum(client.closed is not None for client in everybody) > len(everybody) / 4
    assert server.voxgate("credits", "audit").returncode == 0
    assert balance <= CREDITS
    assert memory[1] - memory[0] < 24
    assert len(lags) > 5, "it was answered all along"
    assert lags[len(lags) // 2] < 2, "as if nobody else were there, but for the machine that all of them share"

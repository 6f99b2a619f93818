"""Recorded people, in real time, over the live socket of a real server: what is heard, and what is shown before."""

import asyncio
import csv
import json
import time
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.e2e.live import clip, silence, texts
from tests.serving import Server
from voxgate.text.wer import errors, wer

pytestmark = pytest.mark.slow

ENGLISH = (
    ("jfk.wav", "ls_6930.wav"),
    ("lj_0004.wav", "lj_0006.wav", "lj_0013.wav"),
    ("sense_0870.wav", "sense_0890.wav"),
    ("kolja_01.wav", "kolja_03.wav"),
)
"""Who speaks in which session, one after the other."""
VIETNAMESE = "vi_vivos01_002.wav"
PAUSE_S = 0.9
FRAME_BYTES, FRAME_S = 3200, 0.1
Told = list[dict[str, Any]]


def transcripts(shared: Path) -> dict[str, str]:
    """What each recording says."""
    with (shared / "audio" / "transcripts.tsv").open(encoding="utf-8") as file:
        return {row["file"]: row["transcript"] for row in csv.DictReader(file, delimiter="\t")}


async def call(server: Server, audio: bytes, **options: Any) -> Told:
    """Everything that one is told who speaks in real time."""
    address = server.url.replace("http", "ws") + "/v1/realtime"
    async with connect(address, additional_headers={"X-API-Key": server.key}) as ws:

        async def speak() -> None:
            began = time.monotonic()
            for number, at in enumerate(range(0, len(audio), FRAME_BYTES), start=1):
                await ws.send(audio[at : at + FRAME_BYTES])
                await asyncio.sleep(max(0.0, began + number * FRAME_S - time.monotonic()))
            await ws.send('{"type": "session.stop"}')

        # A sender that a busy machine keeps waiting has not stopped speaking.
        await ws.send(json.dumps({"type": "session.start", "stall_ms": 5_000, **options}))
        speaking = asyncio.create_task(speak())
        told = [json.loads(raw) async for raw in ws]
        await speaking
    assert ws.close_code == 1000
    assert told[-1]["type"] == "session.closed"
    assert not [message for message in told if message["type"] in ("error", "warning")]
    return told


def shown_first(told: Told) -> tuple[int, int]:
    """(finals that were shown in partials while they came about, finals); no partial may follow its final."""
    shown: set[str] = set()
    ended: dict[str, bool] = {}
    for message in told:
        if message["type"] == "transcript.partial":
            assert message["segmentId"] not in ended
            shown.add(message["segmentId"])
        elif message["type"] == "transcript.final":
            assert message["segmentId"] not in ended
            ended[message["segmentId"]] = message["segmentId"] in shown
    return sum(ended.values()), len(ended)


async def test_everybody_at_once(real_server: Server, shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Four speak English, one Vietnamese: of him no partials are asked, since Whisper's are the first to be shed."""
    said = transcripts(shared)

    def sound(name: str) -> bytes:
        return clip(shared / "audio" / name) + silence(PAUSE_S)  # that the last one is ended by a pause too

    *english, vietnamese = await asyncio.gather(
        *(call(real_server, b"".join(map(sound, names)), language="english") for names in ENGLISH),
        call(real_server, sound(VIETNAMESE), language="vietnamese"),
    )
    pairs, everywhere = [], []
    for names, told in zip(ENGLISH, english, strict=True):
        shown, finals = shown_first(told)
        everywhere.append((shown, finals))
        pairs.append((" ".join(said[name] for name in names), " ".join(texts(told))))
    rate = wer(pairs)
    wrong, words = errors(said[VIETNAMESE], " ".join(texts(vietnamese)))
    with capsys.disabled():
        each = ", ".join(f"{wer([pair]):.3f}" for pair in pairs)
        print(f"\nlive English: WER {rate:.3f} ({each}); live Vietnamese: {wrong} of {words} words wrong")
    assert sum(shown for shown, _ in everywhere) > 0, "not of all: a busy machine has no time for partials"
    assert all(finals >= len(names) for names, (_, finals) in zip(ENGLISH, everywhere, strict=True))
    assert rate <= 0.1
    assert wrong <= 0.36 * words
    assert {message["language"] for message in vietnamese if message["type"] == "transcript.final"} == {"vi"}

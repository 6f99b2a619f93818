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

CALLS = (
    ("jfk.wav", "card_005.wav"),
    ("lj_0004.wav", "lj_0006.wav", "lj_0013.wav"),
    ("sense_0870.wav", "sense_0880.wav", "sense_0890.wav"),
    ("kolja_01.wav", "kolja_03.wav", "ls_6930.wav"),
)
"""Who speaks in which session, one after the other; all sessions at once. The digits are left out: they are written."""
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

        await ws.send(json.dumps({"type": "session.start", **options}))
        speaking = asyncio.create_task(speak())
        told = [json.loads(raw) async for raw in ws]
        await speaking
    assert ws.close_code == 1000
    assert told[-1]["type"] == "session.closed"
    assert not [message for message in told if message["type"] in ("error", "warning")]
    return told


def shown_first(told: Told) -> None:
    """Each final was shown as it came about, in partials of its segment, and in none behind it."""
    shown: set[str] = set()
    ended: set[str] = set()
    for message in told:
        if message["type"] == "transcript.partial":
            assert message["segmentId"] not in ended
            shown.add(message["segmentId"])
        elif message["type"] == "transcript.final":
            assert message["segmentId"] not in ended
            assert message["segmentId"] in shown, message
            ended.add(message["segmentId"])
    assert ended


async def test_english_in_real_time(real_server: Server, shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = transcripts(shared)
    audio = [
        b"".join(clip(shared / "audio" / name) + silence(PAUSE_S) for name in names) for names in CALLS
    ]  # that the last one is ended by a pause too
    everything = await asyncio.gather(*(call(real_server, sound, language="english") for sound in audio))
    pairs = []
    for names, told in zip(CALLS, everything, strict=True):
        shown_first(told)
        pairs.append((" ".join(said[name] for name in names), " ".join(texts(told))))
    rate = wer(pairs)
    with capsys.disabled():
        each = ", ".join(f"{wer([pair]):.3f}" for pair in pairs)
        print(f"\nlive English, {len(CALLS)} speakers at once: WER {rate:.3f} ({each})")
    assert rate <= 0.1


async def test_vietnamese_in_real_time(real_server: Server, shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Partials are not asked for: Whisper shows what two decodes agree on, and a busy machine makes no second one."""
    name = "vi_vivos01_002.wav"
    told = await call(real_server, clip(shared / "audio" / name) + silence(PAUSE_S), language="vietnamese")
    assert {message["language"] for message in told if message["type"] == "transcript.final"} == {"vi"}
    wrong, words = errors(transcripts(shared)[name], " ".join(texts(told)))
    with capsys.disabled():
        print(f"\nlive Vietnamese: {wrong} of {words} words wrong")
    assert wrong <= 0.36 * words

#!/usr/bin/env python3
"""Talk with the voice agent: a recording is the caller, the bot's voice goes to a file.

    pip install "python-socketio[asyncio_client]"
    export VOXGATE_URL=http://127.0.0.1:8080 VOXGATE_API_KEY=vg_…
    python examples/voice-agent/voice_agent.py question.wav -o answer.wav

With a microphone in place of the file it is a conversation: send what it records, as it records it.
"""

import argparse
import asyncio
import base64
import os
import sys
import wave
from pathlib import Path
from typing import Any

import socketio

URL = os.environ.get("VOXGATE_URL", "http://127.0.0.1:8080")
KEY = os.environ.get("VOXGATE_API_KEY", "")
AGENT = "/v1/audio/agent"
SYSTEM = "You are a helpful voice assistant. Answer in one short English sentence."


async def speak(client: socketio.AsyncClient, question: Path) -> None:
    """Send a recording as a microphone would: a tenth of a second every tenth of a second.

    When nothing more comes, the server takes what was said for a turn.
    """
    with wave.open(str(question)) as recording:
        if (recording.getnchannels(), recording.getsampwidth()) != (1, 2):
            sys.exit(f"{question} is not mono with 16 bits")
        rate = recording.getframerate()
        while piece := recording.readframes(rate // 10):
            await client.emit("audio_chunk", {"audio": piece, "format": "pcm16", "sample_rate": rate}, namespace=AGENT)
            await asyncio.sleep(0.1)


async def converse(question: Path, voice: str, answer: Path) -> str:
    """One question and its answer. What went wrong, if anything did."""
    client = socketio.AsyncClient()
    trouble: list[str] = []
    over = asyncio.Event()

    async def connected(_: dict[str, Any]) -> None:
        options = {"instructions": SYSTEM, "output_format": "pcm16"}
        await client.emit("start_session", options, namespace=AGENT)

    async def session_started(session: dict[str, Any]) -> None:
        file.setframerate(session["sample_rate"])
        client.start_background_task(speak, client, question)

    async def transcription(told: dict[str, Any]) -> None:
        if told["is_final"]:
            print(f"heard    {told['text']}")

    async def response(told: dict[str, Any]) -> None:
        print(f"answered {told['text']}")

    async def audio_chunk(chunk: dict[str, Any]) -> None:
        file.writeframes(base64.b64decode(chunk["audio"]))

    async def latency(told: dict[str, Any]) -> None:
        print(f"spoke    {answer}, {told['total_ms']:.0f} ms after the last word")
        await client.emit("end_session", namespace=AGENT)

    async def session_ended(_: dict[str, Any]) -> None:
        over.set()

    async def error(told: dict[str, Any]) -> None:
        trouble.append(f"{told['type']}: {told['message']}")
        over.set()

    for handler in (connected, session_started, transcription, response, audio_chunk, latency, session_ended, error):
        client.on(handler.__name__, handler, namespace=AGENT)

    with wave.open(str(answer), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(24_000)
        auth = {"api_key": KEY, "voice": voice}
        await client.connect(URL, auth=auth, namespaces=[AGENT], transports=["websocket"], wait_timeout=10)
        await over.wait()
        await client.disconnect()
    return "\n".join(trouble)


def main() -> None:
    """Read what was asked for on the command line, and do it."""
    arguments = argparse.ArgumentParser(description="Ask the voice agent a recorded question; keep its voice.")
    arguments.add_argument("question", type=Path, help="a WAV file, mono, 16 bits")
    arguments.add_argument("-o", "--output", type=Path, default=Path("answer.wav"), help="file of the spoken answer")
    arguments.add_argument("--voice", default="valsea-default", help="GET /v1/audio/voices lists them")
    chosen = arguments.parse_args()
    if not KEY:
        sys.exit("set VOXGATE_API_KEY to the key that voxgate serve printed")
    if trouble := asyncio.run(converse(chosen.question, chosen.voice, chosen.output)):
        sys.exit(trouble)


if __name__ == "__main__":
    main()

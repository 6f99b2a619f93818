#!/usr/bin/env python3
"""Ask a recorded question and hear the answer: transcription, chat, realtime speech.

    pip install httpx websockets
    export VOXGATE_URL=http://127.0.0.1:8080 VOXGATE_API_KEY=vg_…
    python examples/voice-flow/voice_flow.py question.wav -o answer.mp3

The speech is written to the file while it is being made: a player that reads along starts long before the last word.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import connect

URL = os.environ.get("VOXGATE_URL", "http://127.0.0.1:8080")
KEY = os.environ.get("VOXGATE_API_KEY", "")
SYSTEM = "You are a helpful voice assistant. Answer in one short English sentence."


async def transcribe(api: httpx.AsyncClient, recording: bytes) -> str:
    """What was asked. Step 1: one utterance in, its text out."""
    form = {"model": "valsea-transcribe"}
    answer = await api.post("/v1/audio/transcriptions", files={"file": recording}, data=form)
    return str(checked(answer)["text"])


async def think(api: httpx.AsyncClient, messages: list[dict[str, str]]) -> str:
    """What is answered. Step 2: the conversation in, its next message out."""
    answer = await api.post("/v1/chat/completions", json={"model": "valsea-fast", "messages": messages})
    return str(checked(answer)["choices"][0]["message"]["content"])


async def speak(text: str, voice: str, output: Path) -> float:
    """Step 3: text in, an MP3 file out, piece by piece. Seconds until its first piece came."""
    began, first = time.perf_counter(), 0.0
    async with connect(f"{URL.replace('http', 'ws', 1)}/v1/realtime/tts", max_size=None) as socket:
        with output.open("wb") as file:
            await socket.send(json.dumps({"token": KEY}))
            async for message in socket:
                if isinstance(message, bytes):
                    first = first or time.perf_counter() - began
                    file.write(message)
                    continue
                event = json.loads(message)
                if event["type"] == "successful-authentication":
                    wanted = {"type": "speak", "text": text, "voice": voice, "audio_format": "mp3"}
                    await socket.send(json.dumps(wanted))
                elif event["type"] == "speech.finished":
                    await socket.send(json.dumps({"type": "session.stop"}))
                elif event["type"] == "error":
                    sys.exit(f"{event['code']}: {event['message']}")
    return first


def checked(answer: httpx.Response) -> dict[str, Any]:
    """The body of an answer; where it is an error, the server's own words, and the end."""
    body: dict[str, Any] = answer.json()
    if answer.is_error:
        sys.exit(f"{answer.status_code}: {body['error']['message']}")
    return body


async def converse(recording: bytes, voice: str, output: Path) -> None:
    """Recording -> text -> answer -> speech, with the time each step takes."""
    async with httpx.AsyncClient(base_url=URL, headers={"Authorization": f"Bearer {KEY}"}, timeout=60) as api:
        began = time.perf_counter()
        question = await transcribe(api, recording)
        heard = time.perf_counter()
        print(f"heard    {heard - began:5.2f} s  {question}")

        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
        answer = await think(api, messages)
        thought = time.perf_counter()
        print(f"answered {thought - heard:5.2f} s  {answer}")

    first = await speak(answer, voice, output)
    spoken = time.perf_counter() - thought
    print(f"spoke    {spoken:5.2f} s  {output} (first audio after {first * 1000:.0f} ms)")


def main() -> None:
    """Read what was asked for on the command line, and do it."""
    arguments = argparse.ArgumentParser(description="Ask a recorded question; hear the answer.")
    arguments.add_argument("question", type=Path, help="a recording of a question, in any common format")
    arguments.add_argument("-o", "--output", type=Path, default=Path("answer.mp3"), help="file of the spoken answer")
    arguments.add_argument("--voice", default="valsea-default", help="GET /v1/audio/voices lists them")
    chosen = arguments.parse_args()
    if not KEY:
        sys.exit("set VOXGATE_API_KEY to the key that voxgate serve printed")
    asyncio.run(converse(chosen.question.read_bytes(), chosen.voice, chosen.output))


if __name__ == "__main__":
    main()

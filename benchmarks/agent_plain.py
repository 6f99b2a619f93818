"""The core of the voice agent without a gateway: conversations over bare TCP, for agent.py.

    python -m benchmarks.agent_plain [--speculate off]

Prints the port it listens on, and serves until its standard input ends. A connection is a call: `start_session` as
JSON, then audio in frames; back come the events of Socket.IO as JSON, and the bot's voice as bytes.
"""

import argparse
import asyncio
import json
import sys
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Final

import numpy as np
import orjson
import uvloop

from benchmarks.agent_calls import CHUNK, HEAD
from benchmarks.moonshine import NoMetrics
from voxgate.audio.framing import to_pcm16
from voxgate.calls import AudioIn, AudioOut, CallInput, CallOutput, CallRequest, EndIn, OnWire
from voxgate.conversation.conversation import Conversation
from voxgate.conversation.finals import TranscriptionRequest
from voxgate.conversation.parts import Parts
from voxgate.conversation.reply import Thinking, Voicing
from voxgate.conversation.speculation import Load, Speculate
from voxgate.conversation.turn_settings import TurnSettings
from voxgate.engines import silero_vad
from voxgate.ports import EngineContext, Vad
from voxgate.protocols.agent.session import AgentSession
from voxgate.testing.scripted import (
    ScriptedLanguageModel,
    ScriptedLlmSettings,
    ScriptedSpeechToText,
    ScriptedSttSettings,
    ScriptedTextToSpeech,
    ScriptedTtsSettings,
)

WORDS: Final = "Which train goes to the coast tonight, and when does it leave from the main station?"
SENTENCE: Final = "The train leaves from platform nine at seven."
"""Eight words: a stop is sure with the token behind it, the ninth, 80 ms after the first."""
COSTS: Final[dict[str, dict[str, Any]]] = {
    "scripted_stt": {"text": WORDS},
    "scripted_llm": {"text": " ".join([SENTENCE] * 10), "first_token_ms": 50, "token_ms": 10},
    "scripted_tts": {"first_audio_ms": 20, "piece_audio_ms": 20},
}
"""What each engine says and how long it takes. A reply lasts 20 seconds."""
WAITS_MS: Final = 50 + 8 * 10 + 20
"""From the final transcript to the first audio, if nothing but the engines took time."""


class Wire(asyncio.Protocol):
    """One connection and its call: `ports.CallTransport`."""

    def __init__(self, vad: Vad, settings: TurnSettings) -> None:
        self._vad, self._settings = vad, settings
        self._load = Load(cores=64)
        self._held = b""
        self._inputs: deque[CallInput] = deque()
        self._arrived = asyncio.Event()
        self._session = AgentSession(None, instructions_characters=1_000)
        self._transport: asyncio.WriteTransport
        self._running: asyncio.Task[object] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        if self._running is not None:
            self._running.cancel()

    def data_received(self, data: bytes) -> None:
        held = self._held + data
        while len(held) >= HEAD.size:
            kind, length = HEAD.unpack_from(held)
            if len(held) < HEAD.size + length:
                break
            payload, held = held[HEAD.size : HEAD.size + length], held[HEAD.size + length :]
            if kind == b"a":
                self._put(AudioIn(np.frombuffer(payload, "<i2").astype(np.float32) / np.float32(32_768)))
            else:
                self._asked(*json.loads(payload))
        self._held = held

    async def inputs(self) -> AsyncIterator[CallInput]:
        """See the port."""
        while True:
            while not self._inputs:
                self._arrived.clear()
                await self._arrived.wait()
            yield self._inputs.popleft()

    def send(self, output: CallOutput) -> None:
        """See the port."""
        if not isinstance(output, AudioOut):
            for event in self._session.told(output):
                self._tell(orjson.dumps(event))
            return
        pcm = to_pcm16(output.samples)
        self._transport.write(HEAD.pack(b"a", CHUNK.size + len(pcm)) + CHUNK.pack(output.reply, output.index) + pcm)
        if output.index == 0:
            self._put(OnWire(output.reply, asyncio.get_running_loop().time()))

    def _tell(self, event: bytes) -> None:
        self._transport.write(HEAD.pack(b"j", len(event)) + event)

    def _put(self, what: CallInput) -> None:
        self._inputs.append(what)
        self._arrived.set()

    def _asked(self, name: str, fields: dict[str, Any]) -> None:
        if name == "end_session":
            self._put(EndIn())
            return
        request = CallRequest("plain", language="en", silence_ms=fields["silence_ms"])
        conversation = Conversation(request, _parts(self._vad, self._load), self._settings)
        self._running = asyncio.create_task(conversation.run(self))
        self._tell(orjson.dumps(("session_started", {})))


def _parts(vad: Vad, load: Load) -> Parts:
    tts: Any = ScriptedTextToSpeech("scripted_tts", ScriptedTtsSettings(**COSTS["scripted_tts"]))
    return Parts(
        vad=vad,
        stt=ScriptedSpeechToText("scripted_stt", ScriptedSttSettings(**COSTS["scripted_stt"])),
        hearing=TranscriptionRequest("en"),
        identifier=None,
        turn=None,
        thinking=Thinking(ScriptedLanguageModel("scripted_llm", ScriptedLlmSettings(**COSTS["scripted_llm"]))),
        remote=False,
        voices={"en": Voicing(tts, "tone", "en")},
        spoken="en",
        load=load,
        metrics=NoMetrics(),
    )


async def serve(settings: TurnSettings) -> None:
    """Serve until the standard input ends."""
    vad = await silero_vad.create(EngineContext("silero", {}, NoMetrics(), 1), silero_vad.Settings())
    server = await asyncio.get_running_loop().create_server(lambda: Wire(vad, settings), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speculate", type=Speculate, default=Speculate.OFF)
    uvloop.run(serve(TurnSettings(speculate=parser.parse_args().speculate)))

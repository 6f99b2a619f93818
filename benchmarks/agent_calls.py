"""Callers for agent.py and agent_real.py: clients that cost next to nothing, and what became of each of their turns.

A `Caller` speaks Socket.IO, or, with `plain`, to agent_plain.py. A `Talker` sends one session's audio frame by frame
and decides what it says next; `judged` runs the same detector over the same audio afterwards, so that it is known at
which sample a turn was over, or an interruption begun, and when the frame that holds that sample was sent.
"""

import asyncio
import base64
import json
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from websockets.frames import Frame, Opcode

from benchmarks import live
from voxgate.audio.framing import to_pcm16
from voxgate.conversation.detector import Detector
from voxgate.conversation.endpoint import Endpointer, EndpointSettings, SpeechEnded
from voxgate.conversation.gate import EnergyGate
from voxgate.conversation.listener import LoudnessGate
from voxgate.domain import SPEECH_RATE, Samples
from voxgate.ports import Vad
from voxgate.protocols.agent.messages import NAMESPACE

HEAD: Final = struct.Struct(">cI")
"""What precedes every message of the plain transport: `j` for JSON or `a` for audio, and how many bytes follow."""
CHUNK: Final = struct.Struct(">II")
"""What precedes the samples of a reply there: its number, and the chunk's index."""
PATIENCE_S: Final = 6.0
"""A turn without the first sound of an answer for so long is lost."""

Told = Callable[[str, dict[str, Any], float], None]
"""An event, what it carries, and when it was read (`time.perf_counter`)."""


class Caller(live.Caller):
    """A connection over which an agent is talked to."""

    def __init__(self, key: str, told: Told, *, plain: bool = False) -> None:
        super().__init__(key, lambda _message, _at: None)
        self._happened = told
        self._plain = plain
        self._awaited: dict[str, asyncio.Future[dict[str, Any]]] = {}
        if plain:
            self._upgraded.set()

    @classmethod
    async def dial(cls, address: tuple[str, int], key: str, told: Told, *, plain: bool = False) -> "Caller":
        """A connection that is ready for a session."""
        loop = asyncio.get_running_loop()
        _, caller = await loop.create_connection(lambda: cls(key, told, plain=plain), *address)
        if not plain:
            connected = caller.event("connected")
            await caller._upgraded.wait()
            caller.write(f"40{NAMESPACE},{json.dumps({'api_key': key})}")
            await connected
        return caller

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        if not self._plain:
            self.transport.write(
                b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                b"Sec-WebSocket-Version: 13\r\n\r\n"
            )

    def data_received(self, data: bytes) -> None:
        if not self._plain:
            super().data_received(data)
            return
        at, held = time.perf_counter(), self._held + data
        while len(held) >= HEAD.size:
            kind, length = HEAD.unpack_from(held)
            if len(held) < HEAD.size + length:
                break
            payload, held = held[HEAD.size : HEAD.size + length], held[HEAD.size + length :]
            if kind == b"a":
                reply, index = CHUNK.unpack_from(payload)
                self._tell("audio_chunk", {"response_id": f"resp_{reply}", "index": index}, at)
            else:
                name, fields = json.loads(payload)
                self._tell(name, fields, at)
        self._held = held

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for waiting in self._awaited.values():
            waiting.cancel()

    def write(self, text: str) -> None:
        """One packet of Engine.IO."""
        self.transport.write(Frame(Opcode.TEXT, text.encode()).serialize(mask=True))

    def emit(self, name: str, **fields: Any) -> None:
        """One event."""
        packed = json.dumps([name, fields])
        if self._plain:
            self.transport.write(HEAD.pack(b"j", len(packed)) + packed.encode())
        else:
            self.write(f"42{NAMESPACE},{packed}")

    def event(self, name: str) -> asyncio.Future[dict[str, Any]]:
        """What the next event of a name will carry. Cancelled where the connection ends before."""
        self._awaited[name] = asyncio.get_running_loop().create_future()
        return self._awaited[name]

    async def begin(self, **options: Any) -> None:
        """Start a session."""
        started = self.event("session_started")
        self.emit("start_session", **{"voice": "alloy", "output_format": "pcm16"} | options)
        await started

    async def end(self) -> None:
        """End it, and the connection."""
        ended = self.event("session_ended")
        self.emit("end_session")
        await ended
        self.transport.close()

    def _frame(self, opcode: int, payload: bytes, at: float) -> None:
        if opcode != Opcode.TEXT:
            super()._frame(opcode, payload, at)
        elif payload[:1] == b"2":
            self.write("3")
        elif payload[:2] == b"42":
            name, fields = json.loads(payload[payload.index(b",") + 1 :])
            self._tell(name, fields, at)

    def _tell(self, name: str, fields: dict[str, Any], at: float) -> None:
        self._happened(name, fields, at)
        waiting = self._awaited.pop(name, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(fields)


@dataclass(frozen=True, slots=True)
class Sound:
    """Audio as it goes over a wire, frame by frame."""

    wire: Sequence[bytes]
    frames: Sequence[Samples]


def sound(audio: Samples, frame: int, *, plain: bool) -> Sound:
    """`audio` in frames of `frame` samples; what is left over is filled up with silence."""
    padded = np.concatenate([audio, np.zeros(-len(audio) % frame, np.float32)])
    frames = [padded[at : at + frame] for at in range(0, len(padded), frame)]
    return Sound([_packed(to_pcm16(each), plain=plain) for each in frames], frames)


def _packed(pcm: bytes, *, plain: bool) -> bytes:
    if plain:
        return HEAD.pack(b"a", len(pcm)) + pcm
    fields = {"audio": base64.b64encode(pcm).decode(), "format": "pcm16", "sample_rate": SPEECH_RATE}
    text = f"42{NAMESPACE},{json.dumps(['audio_chunk', fields])}"
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=True)


@dataclass
class Talker:
    """One session: a room, in which something is said now and then; each time over the bot, once it has spoken."""

    clips: Sequence[Sound]
    room: Sound
    begins_after_s: float = 0.0
    """Before the first is said, so that not all callers speak at once."""
    interrupts_after_s: float = 1.0
    """Of what is heard of an answer, before the next is said."""
    sent: list[float] = field(default_factory=list)
    """When each frame was."""
    audio: list[Samples] = field(default_factory=list)
    """What was in it."""
    said: list[tuple[int, int]] = field(default_factory=list)
    """The first frame of each clip, and the first behind it."""
    answered: int = 0
    """Answers that have begun."""
    events: list[tuple[float, str, dict[str, Any]]] = field(default_factory=list)
    _due: float | None = None  # when the next clip is said; None: only the room is heard, or an answer is awaited
    _talks: bool = False
    _clip: int = 0
    _at: int | None = None  # the frame of the clip that comes next; None: the room

    def talk(self) -> None:
        """From now on something is said."""
        self._talks, self._due = True, time.perf_counter() + self.begins_after_s

    def rest(self) -> None:
        """From now on only the room is heard, once the clip is over."""
        self._talks, self._due = False, None

    def told(self, name: str, fields: dict[str, Any], at: float) -> None:
        """See Told."""
        if name == "audio_chunk":
            if fields["index"] == 0:
                self.answered += 1
                if self._talks:
                    self._due = at + self.interrupts_after_s
            fields = {"response_id": fields["response_id"], "index": fields["index"]}
        self.events.append((at, name, fields))

    def next(self, now: float) -> bytes:
        """The next frame of the session."""
        if self._at is None and self._due is not None and now >= self._due:
            self._at = 0
            self.said.append((len(self.sent), len(self.sent) + len(self.clips[self._clip].wire)))
        if self._at is None:
            source, at = self.room, len(self.sent) % len(self.room.wire)
        else:
            source, at = self.clips[self._clip], self._at
            self._at += 1
            if self._at == len(source.wire):
                self._at, self._clip = None, (self._clip + 1) % len(self.clips)
                self._due = now + PATIENCE_S if self._talks else None
        self.sent.append(now)
        self.audio.append(source.frames[at])
        return source.wire[at]


async def play(callers: Sequence[Caller], talkers: Sequence[Talker], seconds: float, frame: int) -> None:
    """All of them send for so long in real time, evenly spread over the length of a frame."""
    count, began, step = len(callers), time.perf_counter(), frame / SPEECH_RATE
    for tick in range(round(seconds / step) * count):
        late = time.perf_counter() - began - tick * step / count
        if late < 0:
            await asyncio.sleep(-late)
        number = tick % count
        callers[number].transport.write(talkers[number].next(time.perf_counter()))


@dataclass(frozen=True, slots=True)
class Edges:
    """What the detector makes of a session, in samples since it began."""

    ends: Sequence[tuple[int, int]]
    """Of each turn: where its last sound ends, and where the silence that ends it is complete."""
    runs: Sequence[int]
    """Where each run of speech became long enough to interrupt."""


def judged(vad: Vad, audio: Samples, *, silence_ms: int, ask_ms: int, windows: int, loudness: int) -> Edges:
    """The edges of `audio`, judged as conversation/listener.py does. `windows`: how long a run must be."""
    endpoint = EndpointSettings(silence_ms=ask_ms)
    detector = Detector(LoudnessGate(vad, loudness, endpoint), EnergyGate(vad.window, endpoint.released_below))
    endpointer, ends, runs = Endpointer(endpoint), list[tuple[int, int]](), list[int]()
    run, awaits = 0, False
    for window, probability in detector.judge(detector.windows(audio)):
        awaits = any(isinstance(e, SpeechEnded) for e in endpointer.feed(probability, len(window))) or awaits
        voiced = endpointer.voiced_until == endpointer.position
        run = run + 1 if voiced else 0
        if run == windows:
            runs.append(endpointer.position)
        if endpointer.is_open:
            awaits = False
        elif awaits and (endpointer.position - endpointer.voiced_until) * 1000 >= silence_ms * SPEECH_RATE:
            ends.append((endpointer.voiced_until, endpointer.position))
            awaits = False
    return Edges(ends, runs)


@dataclass
class Turns:
    """What became of the turns of some sessions, in milliseconds."""

    answers: list[float] = field(default_factory=list)
    """From the frame that ends a turn to the first sound of the answer."""
    voices: list[float] = field(default_factory=list)
    """The same, and before it the silence that ended the turn: from its last sound."""
    told: list[float] = field(default_factory=list)
    """From the frame with which speech is long enough to interrupt, to `interrupted`."""
    chunks: list[float] = field(default_factory=list)
    """From there to the last chunk of the reply; below 0 where none followed."""
    lost: int = 0
    """Turns without an answer."""
    deaf: int = 0
    """Interruptions that did not interrupt."""
    errors: list[str] = field(default_factory=list)

    def add(self, talker: Talker, edges: Edges) -> None:
        """Of one more session."""
        frame = len(talker.audio[0])

        def sent(position: int) -> float:
            return talker.sent[min((position - 1) // frame, len(talker.sent) - 1)]

        chunks = [(at, said["response_id"], said["index"]) for at, name, said in talker.events if name == "audio_chunk"]
        firsts = [(at, reply) for at, reply, index in chunks if index == 0]
        for voiced, decided in edges.ends:
            if any(begin * frame < decided <= end * frame for begin, end in talker.said):
                continue  # a pause within a clip: it goes on before anything is heard of an answer
            since = sent(decided)
            spoken_to = any(at < since for at, _ in firsts)
            begun = max((begin for begin, _ in talker.said if begin * frame < decided), default=0)
            if spoken_to and not any(begun * frame < run <= decided for run in edges.runs):
                continue  # too little speech to interrupt: the bot rightly goes on
            first = next((at for at, _ in firsts if since - 0.02 <= at <= since + PATIENCE_S), None)
            if first is None:
                self.lost += 1
                continue
            self.answers.append((first - since) * 1000)
            self.voices.append((first - since + (decided - voiced) / SPEECH_RATE) * 1000)
        cuts = {said["response_id"]: at for at, name, said in talker.events if name == "interrupted"}
        for begun, _ in talker.said:
            since = talker.sent[begun]
            playing = [reply for at, reply in firsts if at < since][-1:]
            run = next((each for each in edges.runs if each > begun * frame), None)
            if not playing or run is None:
                continue
            reached = sent(run)
            if playing[0] not in cuts:
                self.deaf += 1
                continue
            self.told.append((cuts[playing[0]] - reached) * 1000)
            self.chunks.append((max(at for at, reply, _ in chunks if reply == playing[0]) - reached) * 1000)
        self.errors += [str(said.get("code")) for _, name, said in talker.events if name == "error"]

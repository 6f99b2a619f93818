import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import pytest

from tests.cli.agent_server import AgentServer, agent_server
from voxgate.cli.remote import Remote
from voxgate.cli.sources import Source
from voxgate.cli.talk_client import conversation, refused
from voxgate.errors import PeerError, RefusedError, VoxgateError

KEY = "vg_" + "k" * 40


@pytest.fixture
async def server() -> AsyncIterator[AgentServer]:
    async with agent_server() as server:
        yield server


class Heard:
    """What the client told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, Any]]] = []

    def told(self, event: str, data: Mapping[str, Any]) -> None:
        self.events.append((event, data))

    @property
    def kinds(self) -> list[str]:
        return [event for event, _ in self.events]


def source(*pieces: bytes) -> Source:
    async def audio() -> AsyncGenerator[bytes]:
        for piece in pieces:
            yield piece

    return Source(audio(), 16_000)


def endless() -> Source:
    async def audio() -> AsyncGenerator[bytes]:
        yield b"\0\0"
        await asyncio.Event().wait()

    return Source(audio(), 16_000)


async def talk(
    server: AgentServer, heard: Heard, audio: Source, *, stop: asyncio.Event | None = None, quiet_s: float = 0.05
) -> None:
    async with asyncio.timeout(20), conversation(Remote(server.url, KEY), {"voice": "aria"}) as call:
        assert (call.session_id, call.sample_rate) == ("agent_1", 24_000)
        await call.run(audio, heard.told, stop or asyncio.Event(), quiet_s=quiet_s)


async def test_a_recording_is_sent_and_the_session_ended(server: AgentServer) -> None:
    heard = Heard()
    await talk(server, heard, source(b"\1\0" * 800, b"", b"\2\0" * 100))
    assert server.connections == [{"api_key": KEY}]
    assert server.told == [
        ("start_session", {"voice": "aria"}),
        ("audio_chunk", (1600, "pcm16", 16_000)),
        ("audio_chunk", (200, "pcm16", 16_000)),
        ("end_session", {}),
    ]
    assert heard.kinds == ["session_ended"]


async def test_the_last_answer_is_waited_for(server: AgentServer) -> None:
    answering: list[asyncio.Task[None]] = []
    thinking = asyncio.Event()

    async def think(server: AgentServer, _data: Any) -> None:
        await server.tell("state", state="thinking")
        answering.append(asyncio.create_task(answer(server)))

    async def answer(server: AgentServer) -> None:
        await asyncio.sleep(0.2)  # four times as long as it may be quiet while it listens
        await server.tell("response", text="It is five.", response_id="resp_1", interrupted=False)
        await server.tell("state", state="listening")

    async def audio() -> AsyncGenerator[bytes]:
        yield b"\0\0"
        await thinking.wait()

    class Watching(Heard):
        def told(self, event: str, data: Mapping[str, Any]) -> None:
            super().told(event, data)
            thinking.set()

    server.on["audio_chunk"] = think
    heard = Watching()
    await talk(server, heard, Source(audio()))
    assert heard.kinds == ["state", "response", "state", "session_ended"]


async def test_it_ends_when_it_is_stopped(server: AgentServer) -> None:
    stop = asyncio.Event()

    async def press(_server: AgentServer, _data: Any) -> None:
        stop.set()

    server.on["audio_chunk"] = press
    await talk(server, Heard(), endless(), stop=stop, quiet_s=60)
    assert [event for event, _ in server.told] == ["start_session", "audio_chunk", "end_session"]


async def test_it_ends_when_the_server_ends_it(server: AgentServer) -> None:
    async def end(server: AgentServer, _data: Any) -> None:
        await server.tell("error", type="session_error", code="insufficient_credits", message="no credits are left")
        await server.tell("session_ended", session_id="agent_1", status="ended")

    server.on["audio_chunk"] = end
    heard = Heard()
    await talk(server, heard, endless())
    assert heard.kinds == ["error", "session_ended"]
    assert "end_session" not in [event for event, _ in server.told]


async def test_what_the_source_could_not_read_is_raised_after_a_good_end(server: AgentServer) -> None:
    async def broken() -> AsyncGenerator[bytes]:
        yield b"\0\0"
        raise PeerError("the recording is damaged", param="source")

    with pytest.raises(PeerError, match="damaged"):
        await talk(server, Heard(), Source(broken()), quiet_s=60)
    assert server.told[-1] == ("end_session", {})


async def test_a_connection_that_breaks_is_made_again_and_the_conversation_goes_on(
    server: AgentServer,
) -> None:
    broken = asyncio.Event()

    async def break_once(server: AgentServer, _data: Any) -> None:
        if not broken.is_set():
            broken.set()
            server.break_off()
        else:
            await server.tell("state", state="listening")
            stop.set()

    stop = asyncio.Event()

    async def audio() -> AsyncGenerator[bytes]:
        while True:
            yield b"\0\0"
            await asyncio.sleep(0.05)

    server.on["audio_chunk"] = break_once
    await talk(server, Heard(), Source(audio()), stop=stop, quiet_s=60)
    assert server.connections == [{"api_key": KEY}, {"api_key": KEY, "resume": "agent_1"}]
    assert server.told[-1] == ("end_session", {})


async def test_a_conversation_that_the_server_has_given_up_is_told(server: AgentServer) -> None:
    async def forget(server: AgentServer, auth: Mapping[str, str]) -> None:
        await server.tell("connected", status="connected", sid="1", **({"resumed": False} if "resume" in auth else {}))

    async def break_off(server: AgentServer, _data: Any) -> None:
        server.break_off()

    server.on |= {"connect": forget, "audio_chunk": break_off}
    with pytest.raises(VoxgateError, match="longer than the server waits"):
        await talk(server, Heard(), endless(), quiet_s=60)


async def test_a_server_that_closes_says_why(server: AgentServer) -> None:
    async def revoke(server: AgentServer, _data: Any) -> None:
        await server.tell("error", type="authentication_error", code="invalid_api_key", message="the key was revoked")
        await server.disconnect()

    server.on["audio_chunk"] = revoke
    heard = Heard()
    with pytest.raises(RefusedError, match=r"the key was revoked \(--key"):
        await talk(server, heard, endless(), quiet_s=60)
    assert heard.kinds == ["error"]


@pytest.mark.parametrize("at", ["connect", "start_session"])
async def test_who_is_not_let_in_is_told_why(server: AgentServer, at: str) -> None:
    async def refuse(server: AgentServer, _data: Any) -> None:
        await server.tell("error", type="authorization_error", code="permission_denied", message="owners only")

    server.on[at] = refuse
    with pytest.raises(RefusedError, match="owners only"):
        await talk(server, Heard(), source())


async def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(VoxgateError, match=r"no server answers at http://127\.0\.0\.1:9: `voxgate serve`"):
        async with conversation(Remote("http://127.0.0.1:9", KEY), {}):
            pass


async def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(VoxgateError, match=r"pip install 'voxgate\[talk\]'"):
        async with conversation(Remote("http://127.0.0.1:9", KEY), {}):
            pass


@pytest.mark.parametrize(
    ("kind", "error"),
    [("validation_error", PeerError), ("authentication_error", RefusedError), ("session_error", VoxgateError)],
)
def test_what_errors_stand_for(kind: str, error: type[VoxgateError]) -> None:
    made = refused({"type": kind, "code": "c", "message": "m", "param": "voice"})
    assert type(made) is error
    assert made.param == ("voice" if kind == "validation_error" else None)

import asyncio
import json
from typing import Any

import httpx
import pytest
import websockets
from structlog.testing import capture_logs
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.gateways.socket_server import KEY, LIVE, SPEECH, Served, served
from voxgate.domain import Principal
from voxgate.errors import Code, EngineError, MisuseError, PeerError, RefusedError, StoreError
from voxgate.gateways.sockets import Peer

pytestmark = pytest.mark.slow


async def whoami(peer: Peer, principal: Principal) -> None:
    peer.post(principal.key_id)
    while (message := await peer.receive()) is not None:
        peer.post(message)


async def ended(url: str, *say: str, **options: Any) -> tuple[list[str | bytes], int, str]:
    """What a client was told, and the code and reason its socket was closed with."""
    told = []
    async with websockets.connect(url, **options) as client:
        for message in say:
            await client.send(message)
        try:
            while True:
                told.append(await client.recv())
        except ConnectionClosed:
            assert client.close_code is not None
            return told, client.close_code, client.close_reason or ""


def errors_in(told: list[str | bytes]) -> list[str]:
    """The codes of the errors among these messages."""
    return [json.loads(message)["code"] for message in told if isinstance(message, str) and '"error"' in message]


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        (f"?api_key={KEY}", {}),
        ("", {"Authorization": f"Bearer {KEY}"}),
        ("", {"X-API-Key": KEY}),
        ("?api_key=vg_wrong", {"X-API-Key": KEY}),
    ],
)
@pytest.mark.parametrize("path", [LIVE, SPEECH])
async def test_a_key_may_stand_in_headers_or_in_the_address(path: str, query: str, headers: dict[str, str]) -> None:
    async with (
        served(whoami) as server,
        websockets.connect(server.at(path, query), additional_headers=headers) as client,
    ):
        assert await client.recv() == "key_a"


@pytest.mark.parametrize("query", ["", "?api_key=", "?api_key=vg_wrong"])
async def test_without_a_right_key_the_live_socket_says_so_and_closes(query: str) -> None:
    async with served(whoami) as server:
        told, code, reason = await ended(server.at(LIVE, query))
    assert (errors_in(told), len(told), code, reason) == (["UNAUTHORIZED"], 1, 1008, "UNAUTHORIZED")
    assert "vg_wrong" not in str(told)


async def test_the_speech_socket_takes_the_key_as_its_first_message() -> None:
    async with served(whoami) as server, websockets.connect(server.at(SPEECH, "")) as client:
        await client.send(json.dumps({"token": KEY}))
        assert json.loads(await client.recv()) == {"type": "successful-authentication"}
        assert await client.recv() == "key_a"
        await client.send("goes on")
        assert await client.recv() == "goes on"


@pytest.mark.parametrize("first", ['{"token": "vg_wrong"}', '{"type": "session.start"}', "junk", "x" * 2_000])
async def test_a_first_message_that_is_no_right_key_closes_the_speech_socket(first: str) -> None:
    async with served(whoami, socket_message_bytes=1_000) as server:
        told, code, _ = await ended(server.at(SPEECH, ""), first)
    assert (errors_in(told), code) == (["UNAUTHORIZED"], 1008)


async def test_who_sends_no_key_is_told_nothing_until_the_wait_is_over() -> None:
    async with served(whoami, socket_unauthenticated_s=0.1) as server:
        told, code, _ = await ended(server.at(SPEECH, ""))
    assert (errors_in(told), len(told), code) == (["UNAUTHORIZED"], 1, 1008)
    assert "limits.socket_unauthenticated_s" in str(told[0])


async def test_a_wrong_key_in_the_handshake_is_not_asked_for_again() -> None:
    async with served(whoami) as server:
        told, code, _ = await ended(server.at(SPEECH, "?api_key=vg_wrong"))
    assert (errors_in(told), code) == (["UNAUTHORIZED"], 1008)


async def test_client_secrets_open_what_they_were_minted_for() -> None:
    async with served(whoami) as server:
        async with websockets.connect(server.at(SPEECH, "?api_key=ek_speech")) as client:
            assert await client.recv() == "key_a"
        told, code, _ = await ended(server.at(LIVE, "?api_key=ek_speech"))
        assert (errors_in(told), code) == (["UNAUTHORIZED"], 1008)
        assert "'transcription'" in str(told[0])


async def test_two_hundred_that_never_begin_are_sent_away_and_stop_nobody() -> None:
    async with served(whoami, socket_unauthenticated_s=1, concurrent_requests=300) as server:
        silent = [await server.connect(SPEECH, "") for _ in range(200)]
        async with websockets.connect(server.at()) as client:
            assert await client.recv() == "key_a"
        frames = await asyncio.gather(*(client.rest() for client in silent))
        assert {int.from_bytes(sent[-1][1][:2]) for sent in frames} == {1008}
        assert server.measured('voxgate_sockets_active{path="/v1/realtime/tts"} 0.0')


async def test_a_server_that_is_full_says_try_later_and_a_key_that_is_says_never() -> None:
    async with served(whoami, concurrent_requests=2) as server:
        async with websockets.connect(server.at(LIVE, "?api_key=vg_single")) as first:
            assert await first.recv() == "key_single"
            told, code, reason = await ended(server.at(LIVE, "?api_key=vg_single"))
            assert (errors_in(told), code, reason) == (["RATE_LIMITED"], 1008, "RATE_LIMITED")
            async with websockets.connect(server.at()) as second:
                assert await second.recv() == "key_a"
                told, code, _ = await ended(server.at())
                assert (errors_in(told), code) == (["RATE_LIMITED"], 1013)
        async with websockets.connect(server.at()) as again:  # places are given back
            assert await again.recv() == "key_a"


async def test_those_that_wait_with_a_credential_to_come_have_places_of_their_own() -> None:
    async with served(whoami, concurrent_requests=1) as server:
        waiting = await server.connect(SPEECH, "")
        told, code, _ = await ended(server.at(SPEECH, ""))
        assert (errors_in(told), code) == (["RATE_LIMITED"], 1013)
        async with websockets.connect(server.at()) as client:
            assert await client.recv() == "key_a"
        waiting.leave()


async def test_an_address_that_connects_too_often_is_told_and_a_proxy_names_the_address() -> None:
    async with served(whoami, requests_per_minute_per_address=2, proxies=("127.0.0.1",)) as server:

        async def from_(address: str) -> int:
            return (await ended(server.at(LIVE, ""), additional_headers={"X-Forwarded-For": address}))[1]

        assert [await from_("192.0.2.1") for _ in range(2)] == [1008, 1008]
        told, code, _ = await ended(server.at(), additional_headers={"X-Forwarded-For": "192.0.2.1"})
        assert (errors_in(told), code) == (["RATE_LIMITED"], 1008)
        async with websockets.connect(server.at(), additional_headers={"X-Forwarded-For": "192.0.2.2"}) as other:
            assert await other.recv() == "key_a"


async def test_a_key_that_is_revoked_ends_its_sessions() -> None:
    async with served(whoami, key_check_s=0.05) as server, websockets.connect(server.at()) as client:
        assert await client.recv() == "key_a"
        server.keys.over.add("key_a")
        assert json.loads(await client.recv())["code"] == "UNAUTHORIZED"
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1008


@pytest.mark.parametrize(
    ("allowed", "origin", "status"),
    [
        (("*",), "https://anybody.example", 101),
        (("https://ours.example",), "https://ours.example", 101),
        (("https://ours.example",), None, 101),
        (("https://ours.example",), "https://ours.example.evil", 403),
        (("https://ours.example",), "null", 403),
        ((), "https://ours.example", 403),
    ],
)
async def test_pages_of_other_origins_open_nothing(allowed: tuple[str, ...], origin: str | None, status: int) -> None:
    async with served(whoami, origins=allowed) as server:
        client = await server.connect(headers={"Origin": origin} if origin else {})
        assert int(client.head.split()[1]) == status


async def test_where_nothing_is_the_handshake_is_answered_in_the_shape_of_the_api() -> None:
    async with served(whoami) as server:
        for path in ("/", "/v1/realtime/", "/v1/realtime/other", "/v1/audio/transcriptions"):
            with pytest.raises(InvalidStatus) as caught:
                await websockets.connect(server.at(path))
            assert caught.value.response.status_code == 404
            assert json.loads(bytes(caught.value.response.body or b""))["error"]["code"] == "not_found"
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(server.at().replace("ws", "http", 1))).status_code == 404  # REST's own


NO_CREDITS = RefusedError("no credits", code=Code.INSUFFICIENT_CREDITS)

RAISED: list[tuple[Exception, str, int]] = [
    (NO_CREDITS, "INSUFFICIENT_CREDITS", 1008),
    (RefusedError("too long", code=Code.SESSION_TIMEOUT), "SESSION_TIMEOUT", 1008),
    (RefusedError("full", code=Code.BUSY), "RATE_LIMITED", 1013),
    (EngineError("it broke", engine="x"), "ENGINE_ERROR", 1011),
    (StoreError("no answer"), "ENGINE_ERROR", 1011),
    (
        ExceptionGroup("both", [NO_CREDITS]),
        "INSUFFICIENT_CREDITS",
        1008,
    ),
]


@pytest.mark.parametrize(("error", "told", "code"), RAISED)
async def test_what_ends_a_session_is_told_before_the_close(error: Exception, told: str, code: int) -> None:
    async def fails(peer: Peer, _principal: Principal) -> None:
        peer.post("before")
        raise error

    async with served(fails) as server:
        messages, closed, reason = await ended(server.at())
    assert messages[0] == "before"
    assert (errors_in(messages[1:]), closed, reason) == ([told], code, told)


BUGS: list[Exception] = [
    ZeroDivisionError("secret words"),
    MisuseError("secret words"),
    PeerError("secret words"),  # a session survives it: whoever let it out should have told it
    TimeoutError("secret words"),
    ExceptionGroup("two", [NO_CREDITS, KeyError("secret words")]),
]


@pytest.mark.parametrize("error", BUGS)
async def test_a_bug_of_ours_is_in_the_log_and_not_on_the_wire(error: Exception) -> None:
    async def fails(_peer: Peer, _principal: Principal) -> None:
        raise error

    async with served(fails) as server:
        with capture_logs() as logs:
            messages, code, _ = await ended(server.at())
    assert (errors_in(messages), code) == (["ENGINE_ERROR"], 1011)
    assert "secret" not in str(messages)
    (line,) = [line for line in logs if line["event"] == "session failed"]
    assert line["exc_info"] is error
    assert "the session is ws_" in str(messages[0])


async def test_a_handler_that_is_done_closes_normally() -> None:
    async def done(peer: Peer, _principal: Principal) -> None:
        peer.post("bye")

    async with served(done) as server:
        assert await ended(server.at()) == (["bye"], 1000, "")
        assert server.measured('voxgate_socket_closes_total{code="1000",path="/v1/realtime"} 1.0')


async def test_a_handler_may_close_as_it_likes() -> None:
    async def restart(peer: Peer, _principal: Principal) -> None:
        await peer.close(1012, "moved")

    async with served(restart) as server:
        assert await ended(server.at()) == ([], 1012, "moved")


async def line_of(server: Served) -> dict[str, Any]:
    """The line in the log of one session of one message."""
    with capture_logs() as logs:
        async with websockets.connect(server.at()) as client:
            await client.recv()
            await client.send("what was said")
            await client.recv()
        while not (lines := [line for line in logs if line["event"] == "socket"]):
            await asyncio.sleep(0)
    assert KEY not in str(logs)
    assert "what was said" not in str(logs)
    (line,) = lines
    return dict(line)


async def test_each_session_leaves_one_line_in_the_log() -> None:
    async with served(whoami) as server:
        line = await line_of(server)
    assert (line["path"], line["close"], line["key_id"]) == (LIVE, 1000, "key_a")
    assert (line["received"], line["sent"]) == (1, 2)
    assert line["seconds"] >= 0


async def test_sockets_are_counted_while_they_are_open() -> None:
    async with served(whoami) as server:
        async with websockets.connect(server.at()) as client:
            await client.recv()
            assert server.measured('voxgate_sockets_active{path="/v1/realtime"} 1.0')
        assert (await line_of(server))["close"] == 1000
        assert server.measured('voxgate_sockets_active{path="/v1/realtime"} 0.0')


async def test_a_session_that_will_not_end_is_cut_when_the_server_has_waited_long_enough() -> None:
    began = asyncio.Event()

    async def stubborn(peer: Peer, _principal: Principal) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(30)  # a store that does not answer

    async with served(stubborn) as server:
        client = await server.connect()
        reading = asyncio.create_task(client.rest())
        await began.wait()
    assert await asyncio.wait_for(reading, 5) == []


async def test_a_route_takes_up_the_first_subprotocol_it_knows_and_no_other() -> None:
    async with served(whoami, subprotocols=("b", "c")) as server:
        for offered, taken in ((["a", "c", "b"], "c"), (["a"], None), (None, None)):
            names = None if offered is None else [Subprotocol(name) for name in offered]
            async with websockets.connect(server.at(), subprotocols=names) as client:
                assert client.subprotocol == taken


@pytest.mark.parametrize("first", [False, True], ids=["in the handshake", "as a message"])
async def test_that_the_key_will_expire_is_announced(first: bool) -> None:
    async def announced(peer: Peer, _principal: Principal) -> None:
        with peer.announcing(dict):
            await peer.receive()

    async with (
        served(announced) as server,
        websockets.connect(server.at(SPEECH, "" if first else "?api_key=vg_ending")) as client,
    ):
        if first:
            await client.send(json.dumps({"token": "vg_ending"}))
            assert "successful" in str(await client.recv())
        told = json.loads(await client.recv())
    assert (told["type"], told["reason"]) == ("session.expiring", "key")
    assert 10 <= told["secondsLeft"] < 20

"""`Idempotency-Key`: on a real server, and the middleware alone where a server is too quick to be interrupted."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.audio_samples import wav
from tests.serving import Server
from voxgate.clock import FakeClock
from voxgate.domain import Principal, Tier
from voxgate.gateways.rest.answers import ClientGoneError
from voxgate.gateways.rest.idempotency import Idempotent, _Body
from voxgate.services.idempotency import KEPT_BYTES, Idempotency
from voxgate.store.accounts import SqlAccounts
from voxgate.store.database import Database
from voxgate.store.idempotency import SqlIdempotency
from voxgate.store.ledger import SqlLedger

pytestmark = pytest.mark.slow

TRANSCRIBE, SPEAK, CHAT = "/v1/audio/transcriptions", "/v1/audio/speech", "/v1/chat/completions"
SAY = {"model": "tts-1", "voice": "alloy", "input": "One."}
ASK = {"model": "valsea-fast", "messages": [{"role": "user", "content": "x"}]}


@pytest.fixture(scope="module")
def payer(server: Server) -> Iterator[httpx.Client]:
    """A client of an organization with credits of its own."""
    with server.client(server.new_key("payer", "100")) as client:
        yield client


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """An Idempotency-Key no other test uses."""
    return str(request.node.name)


def balance(client: httpx.Client) -> Decimal:
    return Decimal(client.get("/v1/credits").json(parse_float=Decimal)["balance"])


def transcribe(client: httpx.Client, key: str, seconds: float = 5, name: str = "a.wav") -> httpx.Response:
    return client.post(
        TRANSCRIBE,
        files={"file": (name, wav(seconds))},
        data={"model": "whisper-1"},
        headers={"Idempotency-Key": key},
    )


def test_a_repeat_gets_the_first_answer_and_is_not_charged(payer: httpx.Client, key: str) -> None:
    before = balance(payer)
    first, again = transcribe(payer, key), transcribe(payer, key, name="other-name.wav")
    assert first.request.headers["Content-Type"] != again.request.headers["Content-Type"], "another boundary"
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert again.headers["X-Credits-Used"] == first.headers["X-Credits-Used"] == "0.083333"
    assert again.headers["X-Request-Id"] != first.headers["X-Request-Id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert before - balance(payer) == Decimal("0.083333")


def test_audio_is_made_again_and_not_charged(payer: httpx.Client, key: str) -> None:
    before = balance(payer)
    first, again = (payer.post(SPEAK, json=SAY, headers={"Idempotency-Key": key}) for _ in range(2))
    assert first.content == again.content
    assert first.content
    assert before - balance(payer) == 1
    rows = payer.get("/v1/usage", params={"limit": 2}).json()["data"]
    assert [(row["request_id"], row["credits"]) for row in rows] == [
        (first.headers["X-Request-Id"], 0),
        (first.headers["X-Request-Id"], 1),
    ]


def test_a_repeat_that_is_free_needs_no_credits(server: Server) -> None:
    with server.client(server.new_key("one credit", "1")) as client:
        for _ in range(2):
            assert client.post(SPEAK, json=SAY, headers={"Idempotency-Key": "k"}).status_code == 200
        assert client.post(SPEAK, json=SAY).status_code == 402


def test_a_stream_is_made_again_and_not_charged(payer: httpx.Client, key: str) -> None:
    asked = ASK | {"stream": True}
    first, again = (payer.post(CHAT, json=asked, headers={"Idempotency-Key": key}) for _ in range(2))
    assert first.text.endswith("data: [DONE]\n\n")
    assert again.text.endswith("data: [DONE]\n\n")


def test_another_body_or_path_under_the_same_key_is_refused(payer: httpx.Client, key: str) -> None:
    headers = {"Idempotency-Key": key}
    assert payer.post(SPEAK, json=SAY, headers=headers).status_code == 200
    others = [
        payer.post(SPEAK, json=SAY | {"input": "Two."}, headers=headers),
        payer.post(CHAT, json=ASK, headers=headers),
        transcribe(payer, key),
        payer.post(f"{SPEAK}?x=1", json=SAY, headers=headers),
    ]
    assert [(r.status_code, r.json()["error"]["code"]) for r in others] == [(400, "idempotency_mismatch")] * 4
    assert others[0].json()["error"]["param"] == "Idempotency-Key"
    assert transcribe(payer, f"{key}2", 5).status_code == 200
    assert transcribe(payer, f"{key}2", 4).json()["error"]["code"] == "idempotency_mismatch"


def test_keys_belong_to_an_organization(payer: httpx.Client, server: Server, key: str) -> None:
    first = transcribe(payer, key)
    with server.client(server.new_key("neighbour", "1")) as other:
        theirs = transcribe(other, key, 4)
    assert (first.status_code, theirs.status_code) == (200, 200)


def test_errors_are_not_kept(payer: httpx.Client, key: str) -> None:
    headers = {"Idempotency-Key": key}
    wrong = payer.post(SPEAK, json=SAY | {"voice": "nobody"}, headers=headers)
    assert wrong.status_code == 400
    assert payer.post(SPEAK, json=SAY, headers=headers).status_code == 200


@pytest.mark.parametrize("key", ["", "a b", "x" * 256])
def test_keys_are_checked(payer: httpx.Client, key: str) -> None:
    before = balance(payer)
    response = payer.post(SPEAK, json=SAY, headers={"Idempotency-Key": key})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "Idempotency-Key")
    assert balance(payer) == before


def test_limits_and_keys_come_first(payer: httpx.Client, server: Server, key: str) -> None:
    headers = {"Idempotency-Key": key}
    large = payer.post(SPEAK, content=b"x" * 30_000, headers=headers | {"Content-Type": "application/json"})
    assert large.status_code == 413
    streamed = payer.post(SPEAK, content=(b"x" * 10_000 for _ in range(3)), headers=headers)
    assert streamed.status_code == 413
    assert httpx.post(f"{server.url}{SPEAK}", json=SAY, headers=headers, trust_env=False).status_code == 401


# the middleware alone


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(f"sqlite:///{tmp_path / 'test.db'}")
    await database.upgrade()
    yield database
    await database.aclose()


@pytest.fixture
async def who(database: Database) -> Principal:
    added = await SqlAccounts(database, FakeClock()).add_key(
        "vg_" + "k" * 40, org="acme", tier=Tier.FREE, grant=0, label="", expires_at=None
    )
    assert added is not None
    return Principal(added[1].id, added[0].id, "acme", Tier.FREE)


Ask = Callable[..., Coroutine[Any, Any, list[Message]]]


@pytest.fixture
def ask(database: Database, who: Principal) -> Ask:
    """Ask an application through the middleware: (application, body) -> what was sent."""
    store = SqlIdempotency(database, FakeClock(), SqlLedger(database, FakeClock()))
    idempotency = Idempotency(store)
    count = 0

    async def ask(app: ASGIApp, body: bytes = b"{}", *, gone: bool = False) -> list[Message]:
        nonlocal count
        count += 1
        scope: Scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/work",
            "query_string": b"",
            "headers": [(b"idempotency-key", b"k")],
            "state": {"principal": who, "request_id": f"req_{count}"},
        }
        coming: list[Message] = [{"type": "http.request", "body": body, "more_body": gone}]
        sent: list[Message] = []

        async def receive() -> Message:
            return coming.pop(0) if coming else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        await Idempotent(app, idempotency=idempotency, paths=["/v1/work"])(scope, receive, send)
        return sent

    return ask


def answering(body: bytes, *, status: int = 200, length: bool = True, whole: bool = True) -> ASGIApp:
    """An application that answers so; its answers are counted in `answering.made`."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/json")]
        if length:
            headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": not whole})

    return app


async def test_an_answer_of_a_mebibyte_is_kept_and_a_larger_one_is_made_again(ask: Ask) -> None:
    kept = b"x" * KEPT_BYTES
    assert (await ask(answering(kept)))[-1]["body"] == kept
    assert (await ask(answering(b"new")))[-1]["body"] == kept


@pytest.mark.parametrize("first", [answering(b"x" * (KEPT_BYTES + 1)), answering(b"x", length=False)])
async def test_what_is_not_kept_is_made_again(ask: Ask, first: ASGIApp) -> None:
    await ask(first)
    assert (await ask(answering(b"new")))[-1]["body"] == b"new"
    assert (await ask(answering(b"newer")))[-1]["body"] == b"newer", "a repeat of a repeat too"


async def test_a_repeat_while_the_first_runs_is_told_to_wait(ask: Ask) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await go_on.wait()
        await answering(b"done")(scope, receive, send)

    first = asyncio.create_task(ask(slow))
    await begun.wait()
    start, body = await ask(answering(b"never"))
    assert start["status"] == 409
    assert int(dict(start["headers"])[b"retry-after"]) > 0
    assert orjson.loads(body["body"])["error"]["code"] == "idempotency_in_progress"
    go_on.set()
    assert (await first)[-1]["body"] == b"done"
    assert (await ask(answering(b"never")))[-1]["body"] == b"done"


@pytest.mark.parametrize("error", [ClientGoneError(), RuntimeError("broken"), asyncio.CancelledError()])
async def test_what_broke_off_can_be_made_again_at_once(ask: Ask, error: BaseException) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await answering(b"half", length=False, whole=False)(scope, receive, send)
        raise error

    with pytest.raises(type(error)):
        await ask(broken)
    assert (await ask(answering(b"whole")))[-1]["body"] == b"whole"


async def test_a_stream_that_ends_with_an_error_event_was_not_whole(ask: Ask, who: Principal) -> None:
    class Broken:
        complete = False

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["meter"] = Broken()
        await answering(b"data: error", length=False)(scope, receive, send)

    seen = []

    async def again(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["state"]["attempt"].earlier.state)
        await answering(b"whole")(scope, receive, send)

    await ask(failing)
    await ask(again)
    assert seen == ["interrupted"]


async def test_a_client_that_leaves_while_it_sends_has_begun_nothing(ask: Ask) -> None:
    with pytest.raises(ClientGoneError):
        await ask(answering(b"never"), gone=True)
    assert (await ask(answering(b"first"), b"another body"))[-1]["body"] == b"first"


# bodies


def body_of(content_type: str = "application/json", path: str = "/v1/work") -> _Body:
    headers = [(b"content-type", content_type.encode())]
    return _Body({"type": "http", "path": path, "query_string": b"", "headers": headers})


def receiver(body: bytes, size: int) -> Receive:
    pieces = [body[at : at + size] for at in range(0, len(body), size)] or [b""]

    async def receive() -> Message:
        if not pieces:
            return {"type": "http.disconnect"}
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    return receive


async def replayed(body: _Body) -> bytes:
    whole, more = b"", True
    while more:
        message = await body.receive()
        whole, more = whole + message["body"], message["more_body"]
    assert (await body.receive())["type"] == "http.disconnect", "behind the body, whatever the client does"
    return whole


def form(boundary: str, fields: list[tuple[str, bytes]]) -> bytes:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{boundary}"\r\n\r\n'.encode() + value
        for name, value in fields
    ]
    return b"\r\n".join([*parts, f"--{boundary}--\r\n".encode()])


async def fingerprint(
    body: bytes, content_type: str = "application/json", size: int = 7, path: str = "/v1/work"
) -> str:
    with body_of(content_type, path) as it:
        found = await it.read(receiver(body, size))
        if body:
            assert await replayed(it) == body
        return found


FIELDS = st.lists(
    st.tuples(st.sampled_from(["file", "model", "prompt"]), st.binary(max_size=40)), min_size=1, max_size=4
)


@given(FIELDS, st.integers(1, 50), st.integers(1, 50))
async def test_a_form_is_the_same_whatever_its_boundary_and_its_pieces(
    fields: list[tuple[str, bytes]], one: int, other: int
) -> None:
    first = await fingerprint(form("aaaaaaaa", fields), "multipart/form-data; boundary=aaaaaaaa", one)
    second = await fingerprint(form("bbbb0bbb", fields), "multipart/form-data; boundary=bbbb0bbb", other)
    assert first == second


@given(FIELDS, FIELDS)
async def test_other_fields_are_another_form(one: list[tuple[str, bytes]], other: list[tuple[str, bytes]]) -> None:
    kind = "multipart/form-data; boundary=xxxxxxxxyyyyyyyy"
    first = await fingerprint(form("xxxxxxxxyyyyyyyy", one), kind)
    second = await fingerprint(form("xxxxxxxxyyyyyyyy", other), kind)
    assert (first == second) == (one == other)


async def test_what_is_no_form_is_its_bytes() -> None:
    kind = "multipart/form-data; boundary=x"
    assert await fingerprint(b"junk", kind) != await fingerprint(b"jonk", kind)
    assert await fingerprint(b"", kind) != await fingerprint(b"junk", kind)
    assert await fingerprint(b"{}") != await fingerprint(b"{ }")
    assert await fingerprint(b"{}") != await fingerprint(b"{}", path="/v1/other")


async def test_a_form_that_breaks_off_counts_as_far_as_it_goes() -> None:
    kind = "multipart/form-data; boundary=xxxx"
    whole = form("xxxx", [("file", b"a" * 100)])
    assert await fingerprint(whole[:110], kind) != await fingerprint(whole[:112], kind)


async def test_a_large_body_is_not_kept_in_memory() -> None:
    pieces = 25 * 16  # of 64 KiB: 25 MiB
    piece = b"\x00" * 65536

    async def receive() -> Message:
        nonlocal pieces
        pieces -= 1
        return {"type": "http.request", "body": piece, "more_body": pieces > 0}

    with body_of("multipart/form-data; boundary=x") as it:
        tracemalloc.start()
        await it.read(receive)
        more, count = True, 0
        while more:
            message = await it.receive()
            more, count = message["more_body"], count + len(message["body"])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert count == 25 * 1024 * 1024
    assert peak < 3 * 1024 * 1024

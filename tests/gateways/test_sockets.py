import asyncio
import json
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from voxgate.domain import Balance, Principal, Tier, Usage
from voxgate.errors import Code, PeerError, RefusedError, VoxgateError
from voxgate.gateways.limits import LimitSettings
from voxgate.gateways.sockets import Peer, credits_left
from voxgate.observe import Prometheus
from voxgate.protocols.websocket import Failed, Oversized
from voxgate.services.billing import PerSecond
from voxgate.services.metering import Meter

SCOPE = {"path": "/v1/realtime", "query_string": b"api_key=x", "headers": [(b"x-a", b"b")], "client": ("192.0.2.1", 7)}


class Cable:
    """A `sockets.Wire` that leads nowhere."""

    def __init__(self) -> None:
        self.inbox: deque[str | bytes | Oversized | Failed] = deque()
        self.gone = self.lost = False
        self.reading = True
        self.heard = self.told = asyncio.get_running_loop().time()
        self.stuck_since: float | None = None
        self.code: int | None = None
        self.on_shutdown: Callable[[], None] | None = None
        self.posted: list[str | bytes] = []
        self.closes: list[tuple[int, str]] = []
        self.pings = self.lingers = self.aborts = 0
        self._waiter: asyncio.Future[None] | None = None

    def comes(self, *messages: str | bytes | Oversized | Failed) -> None:
        self.inbox.extend(messages)
        self.wake()

    def accept(self, limits: LimitSettings, subprotocol: str | None = None) -> None:
        raise AssertionError("a peer is accepted already")

    def refuse(self, status: int, body: bytes) -> None:
        raise AssertionError("a peer is accepted already")

    def take(self) -> str | bytes | Oversized | Failed:
        return self.inbox.popleft()

    def arrival(self) -> asyncio.Future[None]:
        self._waiter = asyncio.get_running_loop().create_future()
        return self._waiter

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def post(self, message: str | bytes) -> None:
        self.posted.append(message)

    def ping(self) -> None:
        self.pings += 1

    async def drained(self) -> None:
        pass

    def linger(self) -> None:
        self.lingers += 1

    def close(self, code: int, reason: str) -> None:
        self.closes.append((code, reason))
        self.gone = True

    def abort(self) -> None:
        self.aborts += 1
        self.gone = self.lost = True
        self.wake()


def peer_on(cable: Cable, *, authenticated: bool = True, **limits: float) -> Peer:
    counts = Prometheus().socket_opened("/v1/realtime")
    return Peer(cable, SCOPE, LimitSettings.model_validate(limits), authenticated=authenticated, counts=counts)


async def test_a_peer_knows_where_it_comes_from() -> None:
    peer = peer_on(Cable())
    assert (peer.path, peer.query, peer.address) == ("/v1/realtime", b"api_key=x", "192.0.2.1")
    assert peer.headers["X-A"] == "b"
    assert peer.id.startswith("ws_")
    assert peer.id != peer_on(Cable()).id


async def test_messages_are_received_in_order_and_then_the_end() -> None:
    cable = Cable()
    peer = peer_on(cable)
    cable.comes("a", b"b")
    assert [await peer.receive(), await peer.receive()] == ["a", b"b"]
    later = asyncio.create_task(peer.receive())
    await asyncio.sleep(0)
    cable.comes("c")
    assert await later == "c"
    cable.comes("last")
    cable.gone = True
    assert [await peer.receive(), await peer.receive(), await peer.receive()] == ["last", None, None]
    assert cable.lingers > 0  # from the moment the session knows, and not before
    assert peer.received == 4


async def test_a_receive_that_is_cancelled_loses_nothing() -> None:
    cable = Cable()
    peer = peer_on(cable)
    waiting = asyncio.create_task(peer.receive())
    await asyncio.sleep(0)
    waiting.cancel()
    cable.comes("a")
    await asyncio.gather(waiting, return_exceptions=True)
    assert await peer.receive() == "a"


async def test_a_message_that_is_too_large_is_told_with_the_limit_and_the_next_one_comes() -> None:
    cable = Cable()
    peer = peer_on(cable)
    cable.comes(Oversized(2_000_000), "next")
    with pytest.raises(PeerError, match="2,000,000 bytes; 1,048,576 are allowed") as caught:
        await peer.receive()
    assert caught.value.code is Code.TOO_LARGE
    assert await peer.receive() == "next"


@pytest.mark.parametrize(("code", "told"), [(1009, "MESSAGE_TOO_LARGE"), (1002, "INVALID_MESSAGE")])
async def test_a_peer_that_breaks_the_protocol_is_told_closed_and_gone(code: int, told: str) -> None:
    cable = Cable()
    peer = peer_on(cable)
    cable.comes("before", Failed(code, "why"))
    assert [await peer.receive(), await peer.receive(), await peer.receive()] == ["before", None, None]
    assert [json.loads(message) for message in cable.posted] == [{"type": "error", "code": told, "message": "why"}]
    assert cable.closes == [(code, "why")]


async def test_errors_are_told_and_the_session_goes_on() -> None:
    cable = Cable()
    peer = peer_on(cable)
    peer.error(PeerError("too loud", param="voice"))
    assert json.loads(cable.posted[0])["param"] == "voice"
    assert (peer.sent, cable.closes) == (1, [])


async def test_closing_says_the_code_and_why() -> None:
    cable = Cable()
    await peer_on(cable).close(1008, "no")
    assert cable.closes == [(1008, "no")]


@pytest.mark.parametrize(
    ("limits", "authenticated", "code", "named"),
    [
        ({"socket_idle_s": 0.03}, True, Code.SESSION_TIMEOUT, "limits.socket_idle_s"),
        ({"session_s": 0.03}, True, Code.SESSION_TIMEOUT, "limits.session_s"),
        ({"socket_ping_s": 0.01, "socket_silent_s": 0.03}, True, Code.SESSION_TIMEOUT, "limits.socket_silent_s"),
        ({"socket_unauthenticated_s": 0.03}, False, Code.INVALID_API_KEY, "limits.socket_unauthenticated_s"),
    ],
)
async def test_a_limit_that_runs_out_ends_the_receiving(
    limits: dict[str, float], authenticated: bool, code: Code, named: str
) -> None:
    cable = Cable()
    peer = peer_on(cable, authenticated=authenticated, **limits)
    cable.comes("a")
    assert await peer.receive() == "a"
    for _ in range(2):  # over is over
        with pytest.raises(RefusedError, match=named) as caught:
            await peer.receive()
        assert caught.value.code is code


async def test_a_credential_that_has_come_is_waited_for_no_more() -> None:
    cable = Cable()
    peer = peer_on(cable, authenticated=False, socket_unauthenticated_s=0.02, socket_idle_s=0.1)
    peer.authenticated(None)
    with pytest.raises(RefusedError, match="socket_idle_s"):
        await peer.receive()


async def test_who_does_not_read_is_broken_off() -> None:
    cable = Cable()
    peer = peer_on(cable, slow_reader_s=0.02)
    cable.stuck_since = cable.heard
    assert await peer.receive() is None
    assert cable.aborts == 1


async def test_quiet_peers_are_pinged() -> None:
    cable = Cable()
    peer = peer_on(cable, socket_ping_s=0.02, socket_silent_s=0.1)
    with pytest.raises(RefusedError):
        await peer.receive()
    assert cable.pings >= 2


async def test_ends_are_announced_while_a_session_wants_it_and_each_once() -> None:
    cable = Cable()
    left = {"credits": 12.9}
    peer = peer_on(cable, session_s=0.1, session_expiring_s=20)
    with pytest.raises(RefusedError), peer.announcing(lambda: left):
        await peer.receive()
    told = [json.loads(message) for message in cable.posted]
    assert {message["type"] for message in told} == {"session.expiring"}
    assert {(message["reason"], message["secondsLeft"]) for message in told} == {("credits", 12), ("session", 0)}
    assert len(told) == 2


@pytest.mark.parametrize("lead", [0.25, 1, 30])
async def test_ends_are_announced_when_they_are_due_and_not_a_second_later(lead: float) -> None:
    cable, loop, at = Cable(), asyncio.get_running_loop(), list[float]()
    peer = peer_on(cable, session_s=0.4, socket_idle_s=0.5, session_expiring_s=lead)
    peer.authenticated(0.45)
    cable.post = lambda message: at.append(loop.time())  # type: ignore[method-assign]
    began = loop.time()
    with pytest.raises(RefusedError), peer.announcing(dict):
        await peer.receive()
    assert len(at) == 3, "session, key, idle"
    due = [max(0, end - lead) for end in (0.4, 0.45, 0.5)]
    assert all(-0.01 <= moment - began - when < 0.1 for moment, when in zip(at, due, strict=True))


async def test_what_a_session_learns_of_its_end_is_announced_at_once() -> None:
    cable = Cable()
    peer, left = peer_on(cable), {"credits": 100.0}
    with peer.announcing(lambda: left):
        await asyncio.sleep(0)
        left["credits"] = 7.5
        peer.look_again()
        await asyncio.sleep(0)
        assert [json.loads(message)["secondsLeft"] for message in cable.posted] == [7]
        peer.release()
        peer.look_again()
    assert peer._look_again.cancelled()


async def test_nothing_is_announced_to_who_has_not_asked() -> None:
    cable = Cable()
    with pytest.raises(RefusedError):
        await peer_on(cable, session_s=0.05).receive()
    assert cable.posted == []


async def test_a_peer_that_is_released_is_watched_no_more() -> None:
    peer = peer_on(Cable())
    peer.release()
    assert peer._look_again.cancelled()


async def test_what_is_counted() -> None:
    metrics, cable = Prometheus(), Cable()
    peer = Peer(cable, SCOPE, LimitSettings(), authenticated=True, counts=metrics.socket_opened("/v1/realtime"))
    cable.comes("a", "b", Oversized(9))
    await peer.receive()
    await peer.receive()
    with pytest.raises(VoxgateError):
        await peer.receive()
    peer.post("c")
    assert 'voxgate_sockets_active{path="/v1/realtime"} 1.0' in metrics.text().decode()
    with capture_logs() as logs:
        peer.release(key_id="key_1")
    assert [(line["event"], line["path"], line["close"], line["key_id"]) for line in logs] == [
        ("socket", "/v1/realtime", 1006, "key_1")
    ]
    text = metrics.text().decode()
    assert 'voxgate_socket_messages_total{direction="received",path="/v1/realtime"} 3.0' in text
    assert 'voxgate_socket_messages_total{direction="sent",path="/v1/realtime"} 1.0' in text
    assert 'voxgate_sockets_active{path="/v1/realtime"} 0.0' in text


class Purse:
    """A `ports.Ledger` with so many micro-credits, and a `ports.Hold` on them."""

    def __init__(self, amount: int) -> None:
        self.amount = 0
        self.balance_ = amount

    @property
    def balance(self) -> Balance:
        return Balance(self.balance_ - self.amount, self.amount)

    async def hold(self, _principal: Principal, amount: int, **_about: Any) -> Any:
        self.amount = amount
        return self

    async def settle(self, charge: int, usage: Usage | None) -> Balance:
        return Balance(self.balance_ - charge, 0)

    def progress(self, _due: int, _units: object) -> None:
        pass


async def test_how_far_credits_reach_is_told_in_seconds_of_audio() -> None:
    principal = Principal("key_a", "org_1", "acme", Tier.FREE)
    tariff = PerSecond("transcription", 6_000_000, 16_000)  # 0.1 credits a second, ten seconds at a time
    async with Meter(Purse(2_000_000), principal, tariff, request_id="r") as meter:  # type: ignore[arg-type]
        assert credits_left(meter, 16_000, 30) == {"credits": 20.0}
        meter.delivered(16_000 * 4)
        assert credits_left(meter, 16_000, 30) == {"credits": 16.0}
    async with Meter(Purse(90_000_000), principal, tariff, request_id="r") as meter:  # type: ignore[arg-type]
        assert credits_left(meter, 16_000, 30)["credits"] > 30

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from voxgate.gateways.proxies import TrustedProxies, client_address, parse_networks, rate_name

TRUSTED = parse_networks(["10.0.0.0/8", "192.0.2.7", "fd00::/8"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        # nobody trusted: whatever is claimed
        ("198.51.100.1", "", "198.51.100.1"),
        ("198.51.100.1", "203.0.113.9", "198.51.100.1"),
        # one proxy
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("192.0.2.7", "203.0.113.9", "203.0.113.9"),
        ("192.0.2.8", "203.0.113.9", "192.0.2.8"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("fd00::1", "2001:db8::5", "2001:db8::5"),
        # what a client claims stands left of what the proxy saw
        ("10.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "10.9.9.9, 203.0.113.9", "203.0.113.9"),
        # proxies behind proxies
        ("10.0.0.1", "1.1.1.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        # ports and brackets
        ("10.0.0.1", "203.0.113.9:5555", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8::5]:5555", "2001:db8::5"),
        ("10.0.0.1", " 203.0.113.9 ", "203.0.113.9"),
        # no address: the list ends there
        ("10.0.0.1", "203.0.113.9, unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, unknown, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", ",,", "10.0.0.1"),
        # not the internet
        ("testclient", "203.0.113.9", "testclient"),
        ("", "203.0.113.9", ""),
    ],
)
def test_who_asks(peer: str, forwarded: str, client: str) -> None:
    assert client_address(peer, forwarded, TRUSTED) == client


_ADDRESSES = st.ip_addresses().map(str)


@given(claims=st.lists(_ADDRESSES | st.text(max_size=20), max_size=5), stranger=st.ip_addresses(v=4).map(str))
def test_no_claim_changes_what_a_trusted_proxy_saw(claims: list[str], stranger: str) -> None:
    trusted = parse_networks(["fd00::/8"])
    header = ", ".join([*(claim.replace(",", "") for claim in claims), stranger])
    assert client_address("fd00::1", header, trusted) == stranger


@given(header=st.text(max_size=200), peer=_ADDRESSES)
def test_any_header_gives_an_address(header: str, peer: str) -> None:
    everyone = parse_networks(["0.0.0.0/0", "::/0"])
    ip_address(client_address(peer, header, everyone))
    assert client_address(peer, header, ()) == peer


@pytest.mark.parametrize("text", ["proxy.example.com", "10.0.0.0/33", "", "10.0.0", "*"])
def test_what_is_no_network_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="neither an address nor a range"):
        parse_networks(["10.0.0.1", text])


def test_a_range_may_be_written_with_a_host_in_it() -> None:
    assert parse_networks(["10.1.2.3/8"]) == (ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_what_an_address_is_counted_as(address: str, name: str) -> None:
    assert rate_name(address) == name


async def _seen(kind: str, client: tuple[str, int] | None, *headers: tuple[bytes, bytes]) -> Scope:
    seen: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope)

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    async def send(_message: Message) -> None:
        raise AssertionError("nothing is sent")

    scheme = "http" if kind == "http" else "ws"
    scope = {"type": kind, "client": client, "scheme": scheme, "headers": list(headers)}
    await TrustedProxies(app, TRUSTED)(scope, receive, send)
    assert scope["scheme"] == scheme, "the scope that was handed in is the server's"
    return seen[0]


FOR, PROTO = b"x-forwarded-for", b"x-forwarded-proto"


@pytest.mark.parametrize(("kind", "scheme"), [("http", "https"), ("websocket", "wss")])
async def test_a_trusted_proxy_is_believed(kind: str, scheme: str) -> None:
    seen = await _seen(kind, ("10.0.0.1", 5), (FOR, b"1.1.1.1"), (FOR, b"203.0.113.9"), (PROTO, b"HTTPS"))
    assert (seen["client"], seen["scheme"]) == (("203.0.113.9", 0), scheme)


async def test_of_several_schemes_the_last_counts_and_nonsense_does_not() -> None:
    assert (await _seen("http", ("10.0.0.1", 5), (PROTO, b"http, https")))["scheme"] == "https"
    assert (await _seen("http", ("10.0.0.1", 5), (PROTO, b"https, gopher")))["scheme"] == "http"


@pytest.mark.parametrize("client", [("198.51.100.1", 5), ("testclient", 5), None])
async def test_nobody_else_is(client: tuple[str, int] | None) -> None:
    seen = await _seen("http", client, (FOR, b"203.0.113.9"), (PROTO, b"https"))
    assert (seen["client"], seen["scheme"]) == (client, "http")


async def test_what_is_no_connection_passes() -> None:
    assert (await _seen("lifespan", None))["type"] == "lifespan"

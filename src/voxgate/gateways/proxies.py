"""Who really asks: addresses and schemes as trusted proxies report them, and nobody else."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_SCHEMES = frozenset({"http", "https"})


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Addresses and ranges (`10.0.0.7`, `10.0.0.0/8`, `fd00::/8`). Raises ValueError naming the one that is none."""
    networks = []
    for text in texts:
        try:
            networks.append(ip_network(text, strict=False))
        except ValueError:
            raise ValueError(f"{text!r} is neither an address nor a range such as 10.0.0.0/8") from None
    return tuple(networks)


def client_address(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """The address a request came from: the right-most of `forwarded_for` that no trusted proxy has.

    Each proxy appends the address it was called from, so the list is true from the right, as far as proxies are
    trusted; what stands left of the first stranger is the stranger's own claim. An entry that is no address ends the
    list there. Where every hop is trusted, it is the left-most.
    """
    found = _address(peer)
    if found is None or not _among(found, trusted):
        return peer
    for entry in reversed(forwarded_for.split(",")):
        hop = _address(_without_port(entry.strip()))
        if hop is None:
            break
        found = hop
        if not _among(hop, trusted):
            break
    return str(found)


def rate_name(address: str) -> str:
    """What an address is counted as: of IPv6 the /64, because whoever has one has 2^64 of them."""
    found = _address(address)
    if isinstance(found, IPv6Address):
        return str(ip_network((found, 64), strict=False))
    return address if found is None else str(found)


class TrustedProxies:
    """ASGI middleware: puts the address and the scheme that trusted proxies report into the scope."""

    def __init__(self, app: ASGIApp, trusted: Sequence[Network]) -> None:
        self._app = app
        self._trusted = tuple(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection (ASGI)."""
        client = scope.get("client")
        if self._trusted and client is not None and scope["type"] in ("http", "websocket"):
            peer = _address(client[0])
            if peer is not None and _among(peer, self._trusted):
                headers = Headers(scope=scope)
                forwarded = ",".join(headers.getlist("x-forwarded-for"))
                reported = ",".join(headers.getlist("x-forwarded-proto")).rpartition(",")[2].strip().lower()
                scope = dict(scope)
                scope["client"] = (client_address(client[0], forwarded, self._trusted), 0)
                if reported in _SCHEMES:
                    scope["scheme"] = reported if scope["type"] == "http" else reported.replace("http", "ws")
        await self._app(scope, receive, send)


def _address(text: str) -> Address | None:
    """An address; one of IPv4 in IPv6's clothes (::ffff:192.0.2.1) as what it is. None for anything else."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (isinstance(found, IPv6Address) and found.ipv4_mapped) or found


def _without_port(entry: str) -> str:
    """`192.0.2.1:443` and `[2001:db8::1]:443` without what is no address."""
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry


def _among(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)

"""Where a peer says it can be reached (ICE candidates, RFC 8839), in a description and one by one; and where we say so.

Names instead of addresses are left out: those of browsers end in `.local`, and asking the network for them costs a
multicast; a browser that hides its addresses connects all the same, as the address its checks come from. TCP is left
out since our side has none.
"""

import ipaddress
from dataclasses import dataclass

import orjson

from voxgate.errors import Code, PeerError

_LARGEST_SDP = 262_144
"""Characters. Chromium's first offer has about 8,000 (livekit-client 2.23)."""
_MOST_SECTIONS = 40
"""Media sections of a description: clients offer 7, and one more each time a microphone is published anew."""
_MOST_CANDIDATES = 64
"""Of one connection, whichever way they come: each is checked from each address of ours."""
_LARGEST_TRICKLE = 4_096
_SERVER_REFLEXIVE = 100 << 24 | 65_535 << 8 | 255
"""RFC 8445, 5.1.2: the recommended priority of what stands behind a translation of addresses."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One address of a peer."""

    line: str
    """As in a description, behind `candidate:`."""
    mid: str | None
    section: int | None
    """The media section it is for, by its name or its number; one of them is there."""


class Candidates:
    """Those of one peer connection. Pure; counts what it lets through."""

    def __init__(self) -> None:
        self.dropped = 0
        self._left = _MOST_CANDIDATES

    def read_trickle(self, candidate_init: str) -> Candidate | None:
        """One that comes by itself, as an RTCIceCandidateInit in JSON; None: it is of no use. Raises PeerError."""
        try:
            init = orjson.loads(candidate_init) if len(candidate_init) <= _LARGEST_TRICKLE else None
        except orjson.JSONDecodeError:
            init = None
        if not isinstance(init, dict):
            raise PeerError("a candidate is no RTCIceCandidateInit", code=Code.INVALID_VALUE, param="candidateInit")
        line, mid, section = init.get("candidate"), init.get("sdpMid"), init.get("sdpMLineIndex")
        mid = mid if isinstance(mid, str) else None
        section = section if isinstance(section, int) else None
        if not isinstance(line, str) or (mid is None and section is None):
            raise PeerError("a candidate is no RTCIceCandidateInit", code=Code.INVALID_VALUE, param="candidateInit")
        line = line.removeprefix("a=").removeprefix("candidate:")
        return Candidate(line, mid, section) if self._takes(line) else None

    def screened(self, sdp: str) -> str:
        """A description of the peer's without what is of no use. Raises PeerError naming `sdp` where it is none."""
        if len(sdp) > _LARGEST_SDP:
            raise _bad(f"the description has {len(sdp):,} characters; {_LARGEST_SDP:,} are allowed", Code.TOO_LARGE)
        lines = sdp.splitlines()
        if not lines or lines[0].strip() != "v=0":
            raise _bad("that is no session description")
        if sum(line.startswith("m=") for line in lines) > _MOST_SECTIONS:
            raise _bad(f"the description has more than {_MOST_SECTIONS} media sections", Code.TOO_LARGE)
        kept = [line for line in lines if self._stays(line)]
        return "\r\n".join(kept) + "\r\n"

    def _stays(self, line: str) -> bool:
        if line.startswith("a=candidate:"):
            return self._takes(line.removeprefix("a=candidate:"))
        # More may come after a first description says it holds all.
        return not line.startswith("a=end-of-candidates")

    def _takes(self, line: str) -> bool:
        if self._left and _is_usable(line):
            self._left -= 1
            return True
        self.dropped += 1
        return False


def announced(sdp: str, address: str) -> str:
    """A description of ours that names a second address for each of ours of its kind (IPv4 or IPv6): where a host
    stands behind a 1:1 translation, it does not know by which address it is reached."""
    public = ipaddress.ip_address(address)
    lines = []
    for line in sdp.splitlines():
        lines.append(line)
        fields = line.removeprefix("a=candidate:").split()
        if not line.startswith("a=candidate:") or fields[7] != "host":
            continue
        own = ipaddress.ip_address(fields[4])
        if own.version == public.version and not own.is_link_local:
            lines.append(
                f"a=candidate:public {fields[1]} {fields[2]} {_SERVER_REFLEXIVE + 1 - int(fields[1])} {public} "
                f"{fields[5]} typ srflx raddr {own} rport {fields[5]}"
            )
    return "\r\n".join(lines) + "\r\n"


def _is_usable(line: str) -> bool:
    fields = line.split()
    if len(fields) < 8 or fields[2].lower() != "udp" or fields[6] != "typ":
        return False
    if not all(field.isascii() and field.isdigit() and len(field) <= 10 for field in (fields[1], fields[3], fields[5])):
        return False
    try:
        address = ipaddress.ip_address(fields[4])
    except ValueError:
        return False
    return not address.is_unspecified and not address.is_multicast and 0 < int(fields[5]) < 65_536


def _bad(message: str, code: Code = Code.INVALID_VALUE) -> PeerError:
    return PeerError(message, code=code, param="sdp")

"""What a client says with the address it connects to: its token, and what its first message would have held.

    v0   /rtc?access_token=…&sdk=js&version=…&reconnect=1
    v1   /rtc/v1?access_token=…&join_request=<urlsafe base64 of WrappedJoinRequest{compression, JoinRequest}>

Clients of the browser send `access_token`, others `Authorization: Bearer`.
"""

import base64
import binascii
import zlib
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc

from voxgate.errors import Code, PeerError

V0, V1 = "/rtc", "/rtc/v1"
"""Paths of the two generations of the signalling."""

_LONGEST_REQUEST = 65_536
"""Characters of `join_request`. Chromium and the Python SDK send 2,100 to 2,800 (livekit-client 2.23, 2026-09)."""
_LARGEST_REQUEST = 262_144
"""Bytes it may grow to: as much as an offer of many media sections could ever need, and no bomb."""
_FIELDS = 64
_GZIP = 31
"""What zlib calls 15 bits of window in a gzip frame."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A session description that wants an answer."""

    sdp: str = field(repr=False)
    id: int
    """To be repeated in the answer."""


@dataclass(frozen=True, slots=True)
class Joining:
    """A client that connects."""

    single: bool
    """Whether it speaks v1: one peer connection, on which it makes the offers."""
    resumes: bool
    """Whether it would go on with a connection that broke."""
    offer: Offer | None
    """v1: the first, where it has one already."""
    client: str
    """Which SDK, for the log: `JS 2.23.0`."""


def token_of(query: bytes, authorization: str) -> str:
    """The access token; empty where there is none. `authorization`: the header, or empty."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return _field(_fields(query), "access_token")


def read_joining(path: str, query: bytes) -> Joining:
    """What the address says beside the token. `path`: V0 or V1.

    Raises PeerError naming `join_request`: not base64, no protobuf, too large.
    """
    fields = _fields(query)
    if path == V0:
        client = f"{_field(fields, 'sdk')} {_field(fields, 'version')}"
        return Joining(False, _field(fields, "reconnect") == "1", None, client[:64])
    text = _field(fields, "join_request")
    if not text:
        raise PeerError("join_request is missing", code=Code.MISSING_FIELD, param="join_request")
    request = _read_request(text)
    offer = None
    if request.publisher_offer.sdp:
        offer = Offer(request.publisher_offer.sdp, request.publisher_offer.id)
    info = request.client_info
    sdk = models.ClientInfo.SDK.Name(info.sdk) if info.sdk in models.ClientInfo.SDK.values() else "?"
    return Joining(True, request.reconnect, offer, f"{sdk} {info.version}"[:64])


def _read_request(text: str) -> rtc.JoinRequest:
    if len(text) > _LONGEST_REQUEST:
        raise _bad(f"join_request has {len(text):,} characters; {_LONGEST_REQUEST:,} are allowed", Code.TOO_LARGE)
    try:
        padded = text.encode("ascii").rstrip(b"=") + b"=" * (-len(text.rstrip("=")) % 4)
        wrapped = rtc.WrappedJoinRequest.FromString(base64.b64decode(padded, altchars=b"-_", validate=True))
        data = wrapped.join_request
        if wrapped.compression == rtc.WrappedJoinRequest.Compression.GZIP:
            data = _inflated(data)
        return rtc.JoinRequest.FromString(data)
    except (binascii.Error, UnicodeEncodeError):
        raise _bad("join_request is not base64") from None
    except zlib.error:
        raise _bad("join_request is not what gzip made") from None
    except DecodeError:
        raise _bad("join_request is no WrappedJoinRequest") from None


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj(_GZIP)
    whole = inflater.decompress(data, _LARGEST_REQUEST + 1)
    if len(whole) > _LARGEST_REQUEST:
        raise _bad(f"join_request holds more than {_LARGEST_REQUEST:,} bytes", Code.TOO_LARGE)
    if not inflater.eof:
        raise _bad("join_request ends in the middle")
    return whole


def _fields(query: bytes) -> dict[str, list[str]]:
    try:
        return parse_qs(query.decode("latin-1"), max_num_fields=_FIELDS)
    except ValueError:
        raise PeerError(f"the query has more than {_FIELDS} fields") from None


def _field(fields: dict[str, list[str]], name: str) -> str:
    return fields.get(name, [""])[0]


def _bad(message: str, code: Code = Code.INVALID_VALUE) -> PeerError:
    return PeerError(message, code=code, param="join_request")

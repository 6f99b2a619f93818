import base64
import gzip
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models, rtc

from voxgate.errors import Code, PeerError
from voxgate.protocols.livekit.joining import V0, V1, Joining, Offer, read_joining, token_of

REQUEST = rtc.JoinRequest(
    client_info=models.ClientInfo(sdk=models.ClientInfo.SDK.JS, version="2.23.0"),
    publisher_offer=rtc.SessionDescription(type="offer", sdp="v=0\r\n" * 500, id=7),
)
GZIP = rtc.WrappedJoinRequest.Compression.GZIP


def query(wrapped: bytes, *, padded: bool = True) -> bytes:
    text = base64.urlsafe_b64encode(wrapped).decode()
    return f"access_token=t&join_request={quote(text if padded else text.rstrip('='))}".encode()


def wrapped(data: bytes, compression: rtc.WrappedJoinRequest.Compression | None = None) -> bytes:
    return rtc.WrappedJoinRequest(join_request=data, compression=compression).SerializeToString()


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("packed", [True, False])
def test_a_join_request_is_read(packed: bool, padded: bool) -> None:
    data = REQUEST.SerializeToString()
    whole = wrapped(gzip.compress(data), GZIP) if packed else wrapped(data)
    assert read_joining(V1, query(whole, padded=padded)) == Joining(
        single=True, resumes=False, offer=Offer("v=0\r\n" * 500, 7), client="JS 2.23.0"
    )


def test_one_without_an_offer_has_none() -> None:
    request = rtc.JoinRequest(reconnect=True)
    joining = read_joining(V1, query(wrapped(request.SerializeToString())))
    assert (joining.offer, joining.resumes) == (None, True)


def test_the_older_signalling_says_it_in_fields() -> None:
    read = read_joining(V0, b"access_token=t&sdk=python&version=1.2.0&protocol=16")
    assert read == Joining(single=False, resumes=False, offer=None, client="python 1.2.0")
    assert read_joining(V0, b"reconnect=1&sid=PA_1").resumes
    assert len(read_joining(V0, b"sdk=" + b"x" * 900).client) == 64


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (b"access_token=t", Code.MISSING_FIELD),
        (b"join_request=%%%", Code.INVALID_VALUE),
        (b"join_request=%C3%A4", Code.INVALID_VALUE),
        (query(b"\xff\xff\xff"), Code.INVALID_VALUE),
        (query(wrapped(b"\xff\xff\xff")), Code.INVALID_VALUE),
        (query(wrapped(b"no gzip", GZIP)), Code.INVALID_VALUE),
        (query(wrapped(gzip.compress(REQUEST.SerializeToString())[:-9], GZIP)), Code.INVALID_VALUE),
        (query(wrapped(gzip.compress(b"\0" * 40_000_000), GZIP)), Code.TOO_LARGE),
        (b"join_request=" + b"A" * 70_000, Code.TOO_LARGE),
    ],
    ids=["missing", "base64", "umlaut", "wrapper", "request", "gzip", "torn", "bomb", "long"],
)
def test_what_is_none_is_refused_by_name(asked: bytes, code: Code) -> None:
    with pytest.raises(PeerError, match="join_request") as caught:
        read_joining(V1, asked)
    assert (caught.value.code, caught.value.param) == (code, "join_request")


def test_a_query_of_many_fields_is_refused() -> None:
    with pytest.raises(PeerError, match="64 fields"):
        read_joining(V0, b"&".join(b"a=1" for _ in range(100)))


@given(st.binary(max_size=400))
def test_nothing_breaks_it(data: bytes) -> None:
    for asked in (query(data), query(wrapped(data)), query(wrapped(data, GZIP)), b"join_request=" + data):
        try:
            assert isinstance(read_joining(V1, asked), Joining)
        except PeerError as error:
            assert error.message


@pytest.mark.parametrize(
    ("asked", "header", "token"),
    [
        (b"access_token=abc", "", "abc"),
        (b"", "Bearer abc", "abc"),
        (b"access_token=no", "bearer abc", "abc"),
        (b"access_token=abc", "Basic xyz", "abc"),
        (b"", "", ""),
    ],
)
def test_the_token_stands_in_the_query_or_the_header(asked: bytes, header: str, token: str) -> None:
    assert token_of(asked, header) == token

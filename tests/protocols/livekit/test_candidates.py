import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgate.errors import Code, PeerError
from voxgate.protocols.livekit.candidates import Candidate, Candidates, announced

HOST = "1 1 udp 2122260223 192.0.2.7 50000 typ host generation 0"
SIX = "1 1 UDP 2122260223 2001:db8::7 50000 typ host"


def init(line: str, **fields: object) -> str:
    return json.dumps({"candidate": f"candidate:{line}", "sdpMid": "0", "sdpMLineIndex": 0} | fields)


@pytest.mark.parametrize("line", [HOST, SIX])
def test_an_address_is_taken(line: str) -> None:
    assert Candidates().read_trickle(init(line)) == Candidate(line, "0", 0)


@pytest.mark.parametrize(
    "line",
    [
        "1 1 udp 2122260223 5a1d6a1c-8b1e-4a39-9d42-3f9d0e0f0e0f.local 50000 typ host",
        "1 1 udp 2122260223 example.org 50000 typ host",
        "1 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active",
        "1 1 udp 2122260223 192.0.2.7 0 typ host",
        "1 1 udp 2122260223 192.0.2.7 70000 typ host",
        "1 1 udp 2122260223 0.0.0.0 50000 typ host",
        "1 1 udp 2122260223 224.0.0.1 50000 typ host",
        "1 1 udp 99999999999999 192.0.2.7 50000 typ host",
        "1 x udp 1 192.0.2.7 50000 typ host",
        "1 1 udp 1 192.0.2.7 50000",
        "",
    ],
)
def test_one_that_is_of_no_use_is_left_out(line: str) -> None:
    candidates = Candidates()
    assert candidates.read_trickle(init(line)) is None
    assert candidates.dropped == 1


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "null", json.dumps({"candidate": 5}), json.dumps({"candidate": HOST}), init("x" * 5_000)],
)
def test_what_is_no_candidate_is_refused_by_name(text: str) -> None:
    with pytest.raises(PeerError) as caught:
        Candidates().read_trickle(text)
    assert caught.value.param == "candidateInit"


def test_ten_thousand_are_not_taken() -> None:
    candidates = Candidates()
    taken = [candidates.read_trickle(init(f"{n} 1 udp 1 192.0.2.7 {n + 1} typ host")) for n in range(10_000)]
    assert len([one for one in taken if one]) == 64
    assert candidates.dropped == 9_936


SDP = f"""v=0
m=audio 9 UDP/TLS/RTP/SAVPF 111
a=candidate:{HOST}
a=candidate:1 1 udp 1 abc.local 50000 typ host
a=end-of-candidates
a=sendrecv
"""


def test_a_description_loses_what_is_of_no_use() -> None:
    assert Candidates().screened(SDP).split("\r\n") == [
        "v=0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        f"a=candidate:{HOST}",
        "a=sendrecv",
        "",
    ]


@pytest.mark.parametrize(
    ("sdp", "code"),
    [
        ("", Code.INVALID_VALUE),
        ("hello", Code.INVALID_VALUE),
        ("v=0\r\n" + "a=x\r\n" * 100_000, Code.TOO_LARGE),
        ("v=0\r\n" + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" * 41, Code.TOO_LARGE),
    ],
)
def test_what_is_no_description_is_refused_by_name(sdp: str, code: Code) -> None:
    with pytest.raises(PeerError) as caught:
        Candidates().screened(sdp)
    assert (caught.value.code, caught.value.param) == (code, "sdp")


def test_candidates_of_a_description_count_too() -> None:
    lines = "".join(f"a=candidate:{n} 1 udp 1 192.0.2.7 {n + 1} typ host\n" for n in range(100))
    candidates = Candidates()
    assert candidates.screened("v=0\n" + lines).count("a=candidate:") == 64
    assert candidates.read_trickle(init(HOST)) is None


def test_a_public_address_is_announced_beside_our_own() -> None:
    ours = f"v=0\r\na=candidate:{HOST}\r\na=candidate:{SIX}\r\na=x\r\n"
    lines = announced(ours, "203.0.113.9").split("\r\n")
    assert lines[:2] == ["v=0", f"a=candidate:{HOST}"]
    assert lines[2] == "a=candidate:public 1 udp 1694498815 203.0.113.9 50000 typ srflx raddr 192.0.2.7 rport 50000"
    assert lines[3:] == [f"a=candidate:{SIX}", "a=x", ""]


@given(st.text(max_size=300))
def test_nothing_breaks_it(text: str) -> None:
    for ask in (Candidates().read_trickle, Candidates().screened):
        try:
            ask(text)
        except PeerError as error:
            assert error.param

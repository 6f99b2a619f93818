"""Ours against those of livekit.api, and whatever else might be handed in."""

import base64
import datetime
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit import api

from voxgate.errors import Code, RefusedError
from voxgate.protocols.livekit.tokens import Claims, TokenKey, mint, verify

KEY = TokenKey("voxgate", "s" * 40)
NOW = int(datetime.datetime.now(datetime.UTC).timestamp())
CLAIMS = Claims("ext-vb-1-2", "person-1", NOW + 900, "Änn")


def test_what_is_minted_is_verified() -> None:
    assert verify(KEY, mint(KEY, CLAIMS, now=NOW), now=NOW) == CLAIMS


def test_livekit_reads_ours() -> None:
    read = api.TokenVerifier(KEY.name, KEY.secret).verify(mint(KEY, CLAIMS, now=NOW))
    assert (read.identity, read.name) == ("person-1", "Änn")
    assert read.video is not None
    assert (read.video.room_join, read.video.room) == (True, "ext-vb-1-2")
    assert read.video.can_publish_sources == ["microphone"]


def test_we_read_livekits() -> None:
    token = api.AccessToken(KEY.name, KEY.secret).with_identity("person-1").with_name("Änn")
    token = token.with_grants(api.VideoGrants(room_join=True, room="ext-vb-1-2"))
    now = int(datetime.datetime.now(datetime.UTC).timestamp())  # theirs is valid from the moment it is made
    read = verify(KEY, token.with_ttl(datetime.timedelta(minutes=15)).to_jwt(), now=now)
    assert (read.room, read.identity, read.name) == ("ext-vb-1-2", "person-1", "Änn")
    assert abs(read.expires_at - now - 900) < 60


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(payload: Any, header: Any = None) -> str:
    text = f"{encoded(header or {'alg': 'HS256'})}.{encoded(payload)}"
    mac = hmac.new(KEY.secret.encode(), text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


GOOD = {"iss": "voxgate", "sub": "p", "exp": NOW + 9, "nbf": NOW, "video": {"roomJoin": True, "room": "r"}}


def test_the_good_one_of_these_is_good() -> None:
    assert verify(KEY, signed(GOOD), now=NOW) == Claims("r", "p", NOW + 9)


@pytest.mark.parametrize(
    ("token", "why"),
    [
        (mint(TokenKey("voxgate", "t" * 40), CLAIMS, now=NOW), "this server did not sign it"),
        (mint(TokenKey("devkey", KEY.secret), CLAIMS, now=NOW), "not valid here"),
        (mint(KEY, Claims("r", "p", NOW), now=NOW - 900), "it has expired"),
        (signed(GOOD, {"alg": "none"}), "not signed with HS256"),
        (signed(GOOD, {"alg": "RS256"}), "not signed with HS256"),
        (signed([1]), "no LiveKit access token"),
        (signed(GOOD | {"exp": "later"}), "when it expires"),
        (signed({k: v for k, v in GOOD.items() if k != "exp"}), "when it expires"),
        (signed(GOOD | {"nbf": NOW + 600}), "not valid here, or not yet"),
        (signed(GOOD | {"sub": ""}), "not for joining a room"),
        (signed(GOOD | {"video": {"roomJoin": True}}), "not for joining a room"),
        (signed(GOOD | {"video": {"roomJoin": 1, "room": "r"}}), "not for joining a room"),
        (signed(GOOD | {"video": "r"}), "not for joining a room"),
        ("", "no LiveKit access token"),
        ("a.b", "no LiveKit access token"),
        ("ä.ä.ä", "no LiveKit access token"),
        ("x" * 10_000, "no LiveKit access token"),
        (f"{encoded({'alg': 'HS256'})}.!!.!!", "no LiveKit access token"),
    ],
)
def test_another_is_refused_in_words(token: str, why: str) -> None:
    with pytest.raises(RefusedError, match=why) as caught:
        verify(KEY, token, now=NOW)
    assert caught.value.code is Code.INVALID_API_KEY
    assert caught.value.message.startswith("invalid token: ")


@given(st.integers(0, 400), st.characters(codec="ascii"))
def test_no_changed_character_passes(place: int, character: str) -> None:
    token = mint(KEY, CLAIMS, now=NOW)
    place %= len(token) - 1  # the last one holds bits that are no part of the signature
    changed = token[:place] + character + token[place + 1 :]
    if changed != token:
        with pytest.raises(RefusedError):
            verify(KEY, changed, now=NOW)


def test_the_secret_is_not_shown() -> None:
    assert KEY.secret not in repr(KEY)

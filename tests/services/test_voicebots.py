from collections.abc import Mapping
from typing import Any

import pytest

from tests.services.shelf import Shelf
from voxgate.clock import FakeClock
from voxgate.errors import Code, PeerError, RefusedError, VoxgateError
from voxgate.services.voicebots import Voicebots, VoicebotSettings, check_id

LIMITS = VoicebotSettings(per_organization=2, name_characters=10, avatar_url_characters=30)


class Names:
    """Notes what it is asked; `klingon` is no language, others have their tag in two letters."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None, str]] = []

    def __call__(self, voice: str, language: str | None, model: str) -> str | None:
        self.asked.append((voice, language, model))
        if language == "klingon":
            raise PeerError("no language", code=Code.UNSUPPORTED_LANGUAGE, param="language")
        return None if language is None else language[:2].lower()


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def voicebots(names: Names, clock: FakeClock) -> Voicebots:
    return Voicebots(Shelf(), LIMITS, clock, text_characters=20, check_names=names)


async def refused(work: Any) -> tuple[Code, str | None]:
    with pytest.raises(VoxgateError) as caught:
        await work
    return caught.value.code, caught.value.param


async def test_only_a_name_is_needed(voicebots: Voicebots, names: Names, clock: FakeClock) -> None:
    made = await voicebots.create("acme", {"name": "  Mai "}, by="key_1")
    assert (made.name, made.org_id, made.created_at) == ("Mai", "acme", clock.now())
    assert (made.avatar_url, made.instructions, made.language, made.greeting) == (None, "", None, "")
    assert names.asked == [("valsea-default", None, "valsea-fast")]
    assert check_id(made.id, "id") == made.id
    assert await voicebots.get("acme", made.id.upper()) == made


async def test_everything_that_is_written_is_kept(voicebots: Voicebots) -> None:
    written = {
        "name": "Mai",
        "avatar_url": "https://example.com/a.png",
        "instructions": "Be brief.\nBe kind. ",
        "language": "Vietnamese",
        "voice": "aria",
        "greeting": "Chào!",
        "model": "gpt-4o",
    }
    made = await voicebots.create("acme", written, by="key_1")
    assert {name: getattr(made, name) for name in written} == written | {"language": "vi"}


WRONG: list[tuple[Mapping[str, str | None], Code, str]] = [
    ({"name": None}, Code.MISSING_FIELD, "name"),
    ({"name": " "}, Code.MISSING_FIELD, "name"),
    ({"name": "x" * 11}, Code.INVALID_VALUE, "name"),
    ({"name": "a\nb"}, Code.INVALID_VALUE, "name"),
    ({"name": "a\0b"}, Code.INVALID_VALUE, "name"),
    ({"instructions": "x" * 21}, Code.INPUT_TOO_LONG, "instructions"),
    ({"instructions": "a\0b"}, Code.INVALID_VALUE, "instructions"),
    ({"greeting": "x" * 21}, Code.INPUT_TOO_LONG, "greeting"),
    ({"greeting": "a\ud83d"}, Code.INVALID_VALUE, "greeting"),
    ({"avatar_url": "a.png"}, Code.INVALID_VALUE, "avatarUrl"),
    ({"avatar_url": "ftp://e.com/a"}, Code.INVALID_VALUE, "avatarUrl"),
    ({"avatar_url": "javascript:alert(1)"}, Code.INVALID_VALUE, "avatarUrl"),
    ({"avatar_url": "https://"}, Code.INVALID_VALUE, "avatarUrl"),
    ({"avatar_url": "https://[::1"}, Code.INVALID_VALUE, "avatarUrl"),
    ({"avatar_url": "https://e.com:99999"}, Code.INVALID_VALUE, "avatarUrl"),
    ({"avatar_url": "https://e.com/a b"}, Code.INVALID_VALUE, "avatarUrl"),
    ({"avatar_url": "https://e.com/" + "a" * 17}, Code.INVALID_VALUE, "avatarUrl"),
    ({"language": "klingon"}, Code.UNSUPPORTED_LANGUAGE, "language"),
]


@pytest.mark.parametrize(("fields", "code", "param"), WRONG)
async def test_what_cannot_be_is_refused_by_its_field(
    voicebots: Voicebots, fields: Mapping[str, str | None], code: Code, param: str
) -> None:
    assert await refused(voicebots.create("acme", {"name": "Mai", **fields}, by="key_1")) == (code, param)
    assert (await voicebots.page("acme"))[1] == 0
    made = await voicebots.create("acme", {"name": "Mai"}, by="key_1")
    assert await refused(voicebots.change("acme", made.id, fields, by="key_1")) == (code, param)
    assert await voicebots.get("acme", made.id) == made


async def test_limits_hold_at_their_edges(voicebots: Voicebots) -> None:
    largest = {
        "name": "x" * 10,
        "instructions": "x" * 20,
        "greeting": "x" * 20,
        "avatar_url": "https://e.com/" + "a" * 16,
    }
    made = await voicebots.create("acme", largest, by="key_1")
    assert {name: getattr(made, name) for name in largest} == largest


async def test_an_organization_has_as_many_as_it_may(voicebots: Voicebots) -> None:
    for _ in range(2):
        await voicebots.create("acme", {"name": "Mai"}, by="key_1")
    assert await refused(voicebots.create("acme", {"name": "Mai"}, by="key_1")) == (Code.PERMISSION_DENIED, None)
    await voicebots.create("other", {"name": "Mai"}, by="key_2")


async def test_a_change_leaves_what_it_does_not_name_and_null_is_the_default(
    voicebots: Voicebots, names: Names, clock: FakeClock
) -> None:
    made = await voicebots.create(
        "acme", {"name": "Mai", "voice": "aria", "language": "vi", "greeting": "Hi", "model": "gpt-4o"}, by="key_1"
    )
    clock.advance(60)
    changed = await voicebots.change("acme", made.id, {"greeting": None, "voice": None}, by="key_1")
    assert (changed.greeting, changed.voice, changed.language, changed.model) == ("", "valsea-default", "vi", "gpt-4o")
    assert (changed.created_at, changed.updated_at) == (made.created_at, clock.now())
    assert names.asked[-1] == ("valsea-default", "vi", "gpt-4o")
    spoken = await voicebots.change("acme", made.id, {"language": "auto", "model": None}, by="key_1")
    assert (spoken.language, spoken.model) == (None, "valsea-fast")
    asked = len(names.asked)
    await voicebots.change("acme", made.id, {"name": "Lan"}, by="key_1")
    assert len(names.asked) == asked  # a name that was fine once does not stand in the way of other changes
    same = await voicebots.change("acme", made.id, {}, by="key_1")
    assert same == await voicebots.get("acme", made.id)


async def test_nobody_reaches_another_organization_s(voicebots: Voicebots) -> None:
    made = await voicebots.create("acme", {"name": "Mai"}, by="key_1")
    denied = (Code.PERMISSION_DENIED, "id")
    assert await refused(voicebots.get("other", made.id)) == denied
    assert await refused(voicebots.change("other", made.id, {"name": "Lan"}, by="key_2")) == denied
    assert await refused(voicebots.delete("other", made.id, by="key_2")) == denied
    assert await voicebots.page("other") == ([], 0)
    with pytest.raises(RefusedError):
        await voicebots.get("other", made.id, param="voicebotId")
    assert await voicebots.get(None, made.id) == made


@pytest.mark.parametrize("wrong", ["", "f" * 23, "f" * 25, "g" * 24, "ffffffffffffffffffffffff\n", "f" * 23 + "١"])
async def test_what_is_no_id_is_malformed_and_not_unknown(voicebots: Voicebots, wrong: str) -> None:
    assert await refused(voicebots.get("acme", wrong, param="voicebotId")) == (Code.INVALID_VALUE, "voicebotId")
    assert await refused(voicebots.get("acme", "f" * 24, param="voicebotId")) == (Code.NOT_FOUND, "voicebotId")


async def test_what_is_deleted_is_unknown(voicebots: Voicebots) -> None:
    made = await voicebots.create("acme", {"name": "Mai"}, by="key_1")
    assert await voicebots.delete("acme", made.id, by="key_1") == []
    assert await refused(voicebots.get("acme", made.id)) == (Code.NOT_FOUND, "id")
    assert await refused(voicebots.delete("acme", made.id, by="key_1")) == (Code.NOT_FOUND, "id")


async def test_pages_have_edges(voicebots: Voicebots) -> None:
    made = [await voicebots.create("acme", {"name": f"Mai {number}"}, by="key_1") for number in range(2)]
    assert await voicebots.page("acme", limit=1, offset=1) == (made[1:], 2)
    await voicebots.page("acme", limit=200)
    for limit, offset, param in ((0, 0, "limit"), (201, 0, "limit"), (1, -1, "offset"), (1, 2**31, "offset")):
        assert await refused(voicebots.page("acme", limit=limit, offset=offset)) == (Code.INVALID_VALUE, param)

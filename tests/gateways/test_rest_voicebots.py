"""Voicebots and their images over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateways.test_rest_edge import error_of
from tests.images import image
from tests.inside import Inside, inside
from tests.serving import SCRIPTED
from voxgate.services.voicebots import VoicebotSettings

pytestmark = pytest.mark.slow

LIMITS = VoicebotSettings(per_organization=4, name_characters=20, images=2, image_bytes=2_000, image_pixels=16 * 8)
CONFIG = (
    SCRIPTED
    + 'valsea-default = {gender = "neutral", use = ["scripted_tts/tone"]}\n'
    + "[agent]\ninstructions_characters = 40\n[voicebots]\n"
    + "".join(f"{name} = {getattr(LIMITS, name)}\n" for name in LIMITS.model_fields_set)
)
BOTS = "/v1/voicebots"
CAT, DOG = image("png"), image("webp", shade=9)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Inside]:
    async with inside(tmp_path, CONFIG, ports=frozenset({"stt", "tts", "llm"})) as running:
        yield running


@pytest.fixture
async def client(running: Inside) -> AsyncIterator[httpx.AsyncClient]:
    async with running.client() as client:
        yield client


def refused(response: httpx.Response, status: int) -> dict[str, Any]:
    """The error, which came with this status."""
    assert response.status_code == status, response.text
    return error_of(response)


async def made(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await client.post(BOTS, json={"name": "Mai"} | body)
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


async def upload(client: httpx.AsyncClient, bot: str, content: bytes = CAT, **form: str) -> httpx.Response:
    return await client.post(
        f"{BOTS}/{bot}/images", files={"file": ("picture.gif", content, "text/html")}, data={"key": "cat"} | form
    )


async def test_a_voicebot_is_made_read_changed_listed_and_deleted(client: httpx.AsyncClient) -> None:
    plain = await made(client)
    assert (plain["voice"], plain["model"], plain["language"], plain["images"]) == (
        "valsea-default", "valsea-fast", None, [],
    )  # fmt: skip
    full = await made(
        client,
        avatarUrl="https://example.com/a.png",
        instructions="Be brief.",
        language="English",
        voice="alloy",
        greeting="Hi!",
        model="gpt-4o",
    )
    assert (full["avatarUrl"], full["language"], full["greeting"]) == ("https://example.com/a.png", "en", "Hi!")
    assert (await client.get(f"{BOTS}/{full['id']}")).json() == full
    changed = (await client.patch(f"{BOTS}/{full['id']}", json={"name": "Lan", "avatarUrl": None})).json()
    assert changed == full | {"name": "Lan", "avatarUrl": None, "updatedAt": changed["updatedAt"]}
    page = (await client.get(BOTS, params={"limit": 1, "offset": 1})).json()
    assert page == {"voicebots": [changed], "total": 2, "limit": 1, "offset": 1}
    gone = await client.delete(f"{BOTS}/{full['id']}")
    assert (gone.status_code, gone.json()) == (200, {"id": full["id"], "deleted": True})
    assert refused(await client.get(f"{BOTS}/{full['id']}"), 404)["code"] == "not_found"
    assert (await client.get(BOTS)).json()["voicebots"] == [plain]


WRONG_BODIES: list[tuple[dict[str, str], str]] = [
    ({"name": ""}, "name"),
    ({"name": "x" * 21}, "name"),
    ({"name": "Mai\ud83d"}, "name"),
    ({"instructions": "x" * 41}, "instructions"),
    ({"greeting": "x" * 41}, "greeting"),
    ({"language": "klingon"}, "language"),
    ({"language": "vi"}, "voice"),
    ({"voice": "nobody"}, "voice"),
    ({"avatarUrl": "mai.png"}, "avatarUrl"),
    ({"instruction": "a slip"}, "instruction"),
]


async def test_what_cannot_be_is_refused_by_its_field(client: httpx.AsyncClient) -> None:
    bot = await made(client, name="x" * 20, instructions="x" * 40, greeting="x" * 40)
    headers = {"Content-Type": "application/json"}  # httpx itself writes no half of a surrogate pair
    assert refused(await client.post(BOTS, json={}), 400)["param"] == "name"
    for body, param in WRONG_BODIES:
        whole = json.dumps({"name": "Mai"} | body).encode()
        assert refused(await client.post(BOTS, content=whole, headers=headers), 400)["param"] == param
        change = json.dumps(body).encode()
        changed = await client.patch(f"{BOTS}/{bot['id']}", content=change, headers=headers)
        assert refused(changed, 400)["param"] == param
    assert (await client.get(BOTS)).json()["voicebots"] == [bot]


async def test_a_model_nobody_knows_is_refused(client: httpx.AsyncClient) -> None:
    assert refused(await client.post(BOTS, json={"name": "Mai", "model": "no-such"}), 404)["param"] == "model"


async def test_pages_out_of_range_are_refused(client: httpx.AsyncClient) -> None:
    for name, value in (("limit", "0"), ("limit", "201"), ("limit", "x"), ("offset", "-1"), ("offset", "9" * 20)):
        assert refused(await client.get(BOTS, params={name: value}), 400)["param"] == name


async def test_an_id_may_be_malformed_unknown_or_another_s(running: Inside, client: httpx.AsyncClient) -> None:
    bot = (await made(client))["id"]
    stranger = await running.new_key("other", "0")
    paths: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", f"{BOTS}/ID", {}),
        ("PATCH", f"{BOTS}/ID", {"json": {"name": "Lan"}}),
        ("GET", f"{BOTS}/ID/images", {}),
        ("POST", f"{BOTS}/ID/images", {"files": {"file": CAT}, "data": {"key": "cat"}}),
        ("DELETE", f"{BOTS}/ID/images/cat", {}),
        ("GET", "/v1/voicebot-livekit/voicebots/ID/image-mappings/library", {}),
        ("DELETE", f"{BOTS}/ID", {}),
    ]
    async with running.client(stranger) as other:
        for method, path, sent in paths:
            for who, named, status in ((client, "42", 400), (client, "f" * 24, 404), (other, bot, 403)):
                response = await who.request(method, path.replace("ID", named), **sent)
                assert refused(response, status)["param"] == "id", path
        assert (await other.get(BOTS)).json()["total"] == 0
    assert (await client.get(f"{BOTS}/{bot.upper()}")).json()["id"] == bot


async def test_without_a_key_nothing_is_told(running: Inside) -> None:
    async with running.client("vg_" + "x" * 40) as nobody:
        assert (await nobody.get(BOTS)).status_code == 401
        assert (await nobody.post(BOTS, json={"name": "Mai"})).status_code == 401


async def test_a_client_secret_administers_nothing(running: Inside, client: httpx.AsyncClient) -> None:
    secret = (await client.post("/v1/realtime/client_secrets", json={})).json()["value"]
    async with running.client(secret) as browser:
        assert (await browser.get(BOTS)).status_code == 403
        assert (await browser.post(BOTS, json={"name": "Mai"})).status_code == 403


async def test_an_organization_has_as_many_as_it_may_also_at_once(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(client.post(BOTS, json={"name": "Mai"}) for _ in range(7)))
    assert sorted(answer.status_code for answer in answers) == [201] * 4 + [403] * 3


async def test_an_image_is_added_told_and_shown_to_everybody(running: Inside, client: httpx.AsyncClient) -> None:
    bot = (await made(client))["id"]
    response = await upload(client, bot, description="a cat")
    assert response.status_code == 201, response.text
    added = response.json()
    assert (added["key"], added["description"], added["mediaType"], added["size"]) == (
        "cat", "a cat", "image/png", len(CAT),
    )  # fmt: skip
    assert added["url"] == f"http://inside/images/{bot}/{added['sha256']}.png"
    assert (await client.get(f"{BOTS}/{bot}/images")).json() == {"images": [added]}
    assert (await client.get(f"{BOTS}/{bot}")).json()["images"] == [added]
    library = await client.get(f"/v1/voicebot-livekit/voicebots/{bot}/image-mappings/library")
    assert library.json() == {"imageMappings": [{"key": "cat", "url": added["url"], "description": "a cat"}]}
    transport = httpx.ASGITransport(running.server.app)
    async with httpx.AsyncClient(transport=transport) as anybody:  # no key
        shown = await anybody.get(added["url"], headers={"Origin": "https://shop.example"})
        assert (shown.status_code, shown.content, shown.headers["Content-Type"]) == (200, CAT, "image/png")
        assert shown.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert shown.headers["X-Content-Type-Options"] == "nosniff"
        assert shown.headers["Access-Control-Allow-Origin"] == "*"
        tag = shown.headers["ETag"]
        assert tag == f'"{added["sha256"]}"'
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = await anybody.get(added["url"], headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
        assert (await anybody.get(added["url"], headers={"If-None-Match": '"other"'})).status_code == 200
        head = await anybody.head(added["url"])
        assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(CAT)))
        for wrong in ("x", f"{added['sha256']}.jpg", f"{'0' * 64}.png", "..%2F..%2Fvoxgate.db"):
            assert (await anybody.get(f"http://inside/images/{bot}/{wrong}")).status_code == 404
        assert (await anybody.get(added["url"].replace(bot, "f" * 24))).status_code == 404


async def test_an_image_is_replaced_by_its_key_and_gone_when_removed(client: httpx.AsyncClient) -> None:
    bot = (await made(client))["id"]
    first = (await upload(client, bot)).json()
    replaced = await upload(client, bot, DOG)
    assert (replaced.status_code, replaced.json()["mediaType"]) == (200, "image/webp")
    assert (await client.get(first["url"])).status_code == 404
    assert (await client.get(replaced.json()["url"])).content == DOG
    gone = await client.delete(f"{BOTS}/{bot}/images/cat")
    assert (gone.status_code, gone.json()) == (200, {"key": "cat", "deleted": True})
    assert refused(await client.delete(f"{BOTS}/{bot}/images/cat"), 404)["param"] == "key"
    assert (await client.get(replaced.json()["url"])).status_code == 404


async def test_nothing_of_a_deleted_voicebot_s_images_is_left(
    running: Inside, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    bot, other = (await made(client))["id"], (await made(client))["id"]
    shown = [(await upload(client, each)).json()["url"] for each in (bot, other)]
    files = tmp_path / "data" / "images"
    assert len([path for path in files.rglob("*") if path.is_file()]) == 2
    assert (await client.delete(f"{BOTS}/{bot}")).status_code == 200
    assert [path.read_bytes() for path in files.rglob("*") if path.is_file()] == [CAT]
    assert (await client.get(shown[0])).status_code == 404
    assert (await client.get(shown[1])).content == CAT


WRONG_UPLOADS: list[tuple[bytes, dict[str, str], int, str, str]] = [
    (b"<html><script>", {}, 400, "unsupported_format", "file"),
    (b"", {}, 400, "invalid_value", "file"),
    (CAT[:60], {}, 400, "invalid_value", "file"),
    (CAT + bytes(2_000), {}, 413, "too_large", "file"),
    (image("jpg", 16, 9), {}, 413, "too_large", "file"),
    (CAT, {"key": "../cat"}, 400, "invalid_value", "key"),
    (CAT, {"key": "x" * 65}, 400, "invalid_value", "key"),
    (CAT, {"description": "x" * 501}, 400, "invalid_value", "description"),
]


async def test_uploads_that_cannot_be_are_refused_by_their_field(client: httpx.AsyncClient) -> None:
    bot = (await made(client))["id"]
    for content, form, status, code, param in WRONG_UPLOADS:
        problem = refused(await upload(client, bot, content, **form), status)
        assert (problem["code"], problem["param"]) == (code, param)
    assert (await client.get(f"{BOTS}/{bot}/images")).json() == {"images": []}


async def test_uploads_without_their_parts_are_refused(client: httpx.AsyncClient) -> None:
    path = f"{BOTS}/{(await made(client))['id']}/images"
    assert refused(await client.post(path, files={"file": CAT}), 400)["param"] == "key"
    assert refused(await client.post(path, data={"key": "cat"}), 400)["param"] == "file"
    assert refused(await client.post(path, json={"key": "cat"}), 400)["param"] in ("file", "key")


async def test_a_voicebot_has_as_many_images_as_it_may_also_at_once(client: httpx.AsyncClient, tmp_path: Path) -> None:
    bot = (await made(client))["id"]
    answers = await asyncio.gather(*(upload(client, bot, key=f"cat{number}") for number in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 400, 400, 400]
    assert len([path for path in (tmp_path / "data" / "images").rglob("*") if path.is_file()]) == 2


async def test_addresses_name_the_public_address(tmp_path: Path) -> None:
    config = CONFIG + '[server]\npublic_url = "https://voice.example.com/"\n'
    async with inside(tmp_path, config, ports=frozenset({"tts"})) as running, running.client() as client:
        bot = (await made(client))["id"]
        assert (await upload(client, bot)).json()["url"].startswith(f"https://voice.example.com/images/{bot}/")


async def test_images_are_asked_for_no_oftener_than_anything_else_without_a_key(tmp_path: Path) -> None:
    config = CONFIG + "[limits]\nrequests_per_minute_per_address = 2\n"
    async with inside(tmp_path, config, ports=frozenset()) as running, running.client() as client:
        answers = [await client.get(f"/images/{'b' * 24}/{'0' * 64}.png") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [404, 404, 429]


async def test_voicebots_can_be_made_while_engines_are_loading(tmp_path: Path) -> None:
    async with inside(tmp_path, CONFIG, ports=frozenset()) as running, running.client() as client:
        assert (await made(client, language="vi", voice="alloy"))["language"] == "vi"
        assert refused(await client.post(BOTS, json={"name": "Mai", "voice": "nobody"}), 400)["param"] == "voice"


async def test_the_description_of_the_api_tells_every_field(client: httpx.AsyncClient) -> None:
    schema = (await client.get("/openapi.json")).json()
    paths = schema["paths"]
    assert {"get", "post"} == paths[BOTS].keys()
    assert {"get", "patch", "delete"} == paths[f"{BOTS}/{{id}}"].keys()
    body = schema["components"]["schemas"]["VoicebotRequest"]
    assert body["required"] == ["name"]
    assert all(field["description"] for field in body["properties"].values())
    assert "avatarUrl" in body["properties"]

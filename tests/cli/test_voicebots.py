import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Voxgate
from tests.images import image
from tests.serving import SCRIPTED
from tests.store.bucket_server import SECRET, WHO, bucket_server
from voxgate.store.database import Database
from voxgate.store.voicebots import SqlVoicebots

CAT = image("png")
VOICES = 'valsea-default = {gender = "neutral", use = ["scripted_tts/tone"]}\n'


@pytest.fixture
def acme(here: Path, voxgate: Voxgate) -> Voxgate:
    """The command line of an installation with an organization."""
    (here / "voxgate.toml").write_text(SCRIPTED + VOICES + "[voicebots]\nimages = 2\n")
    assert voxgate("keys", "create", "--org", "acme").exit_code == 0
    return voxgate


def bots(acme: Voxgate, *arguments: str, **more: Any) -> str:
    result = acme("voicebots", *arguments, **more)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(acme: Voxgate, *arguments: str, **more: Any) -> str:
    result = acme("voicebots", *arguments, **more)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    return result.stderr


def test_a_voicebot_is_made_shown_changed_listed_and_deleted(acme: Voxgate, here: Path) -> None:
    (here / "part.txt").write_text("Be brief.\nBe kind.\n", encoding="utf-8")
    made = bots(
        acme, "create", "Mai", "--org", "acme", "--instructions-file", "part.txt", "--language", "English",
        "--voice", "alloy", "--greeting", "Hi!", "--model", "gpt-4o", "--avatar-url", "https://example.com/a.png",
    ).strip()  # fmt: skip
    shown = json.loads(bots(acme, "show", made))
    assert (shown["name"], shown["instructions"], shown["language"]) == ("Mai", "Be brief.\nBe kind.\n", "en")
    assert bots(acme, "edit", made, "--name", "Lan", "--language", "auto", "--avatar-url", "") == f"{made}\n"
    changed = json.loads(bots(acme, "show", made))
    expected = {"name": "Lan", "language": None, "avatarUrl": None, "updatedAt": changed["updatedAt"]}
    assert changed == shown | expected
    other = json.loads(bots(acme, "create", "Tu", "--org", "acme", "--json"))
    listed = json.loads(bots(acme, "list", "--org", "acme", "--limit", "1", "--offset", "1", "--json"))
    assert listed == {"voicebots": [other], "total": 2}
    assert bots(acme, "list").splitlines() == [
        f"{made}\tLan\talloy\tas spoken\tgpt-4o\t0",
        f"{other['id']}\tTu\tvalsea-default\tas spoken\tvalsea-fast\t0",
    ]
    assert bots(acme, "delete", made.upper()) == f"{made} is deleted\n"
    assert "no voicebot" in refused(acme, "show", made)


def test_what_cannot_be_is_refused_by_its_field(acme: Voxgate, here: Path) -> None:
    assert "nobody" in refused(acme, "create", "Mai", "--org", "nobody")
    assert "'nobody'" in refused(acme, "create", "Mai", "--org", "acme", "--voice", "nobody")
    assert "klingon" in refused(acme, "create", "Mai", "--org", "acme", "--language", "klingon")
    assert "no-such" in refused(acme, "create", "Mai", "--org", "acme", "--model", "no-such")
    assert "'name'" in refused(acme, "create", " ", "--org", "acme")
    both = ("--instructions", "a", "--instructions-file", "-")
    assert "keep one" in refused(acme, "create", "Mai", "--org", "acme", *both, stdin="b")
    (here / "latin.txt").write_bytes(b"caf\xe9")
    assert "UTF-8" in refused(acme, "create", "Mai", "--org", "acme", "--instructions-file", "latin.txt")
    assert "24 hex digits" in refused(acme, "show", "42")
    assert "name something" in refused(acme, "edit", "f" * 24)
    assert "no voicebot" in refused(acme, "edit", "f" * 24, "--name", "Lan")
    assert bots(acme, "list") == ""


def test_images_are_added_listed_replaced_and_removed(acme: Voxgate, here: Path) -> None:
    bot = bots(acme, "create", "Mai", "--org", "acme").strip()
    (here / "cat.png").write_bytes(CAT)
    url = bots(acme, "images", "add", bot, "cat.png", "--key", "cat", "--description", "a cat").strip()
    assert url.startswith(f"http://127.0.0.1:8080/images/{bot}/")
    added = json.loads(bots(acme, "images", "add", bot, "-", "--key", "dog", "--json", stdin=image("webp")))
    assert bots(acme, "images", "list", bot).splitlines() == [
        f"cat\timage/png\t{len(CAT)}\t{url}\ta cat",
        f"dog\timage/webp\t{added['size']}\t{added['url']}\t",
    ]
    assert "as many as it may" in refused(acme, "images", "add", bot, "cat.png", "--key", "cow")
    bots(acme, "images", "add", bot, "-", "--key", "cat", stdin=image("jpg"))
    assert bots(acme, "images", "remove", bot, "dog") == "dog is removed\n"
    assert "no image" in refused(acme, "images", "remove", bot, "dog")
    assert [each["mediaType"] for each in json.loads(bots(acme, "images", "list", bot, "--json"))] == ["image/jpeg"]
    files = [path for path in (here / "data" / "images").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in files] == [image("jpg")]
    assert "no PNG" in refused(acme, "images", "add", bot, "-", "--key", "cat", stdin="text")
    bots(acme, "delete", bot)
    assert not files[0].exists()


def test_images_go_into_the_bucket_that_is_configured(acme: Voxgate, here: Path) -> None:
    with bucket_server() as server:
        images = {
            "bucket": "pictures", "endpoint_url": server.url, "region": "here", "access_key": WHO, "secret_key": SECRET,
        }  # fmt: skip
        section = "".join(f'{name} = "{value}"\n' for name, value in images.items())
        (here / "voxgate.toml").write_text(
            SCRIPTED + VOICES + f'[images]\n{section}[server]\npublic_url = "https://voice.example.com"\n'
        )
        bot = bots(acme, "create", "Mai", "--org", "acme").strip()
        url = bots(acme, "images", "add", bot, "-", "--key", "cat", stdin=CAT).strip()
        assert url.startswith(f"https://voice.example.com/images/{bot}/")
        assert list(server.objects.values()) == [("image/png", CAT)]
        bots(acme, "delete", bot)
        assert server.objects == {}
    assert not (here / "data" / "images").exists()


def test_what_the_command_line_writes_is_on_record(acme: Voxgate, here: Path) -> None:
    bot = bots(acme, "create", "Mai", "--org", "acme").strip()

    async def look() -> str | None:
        database = await Database.open(f"sqlite:///{here / 'data' / 'voxgate.db'}")
        found = await SqlVoicebots(database).find(bot)
        await database.aclose()
        return found.name if found else None

    assert asyncio.run(look()) == "Mai"

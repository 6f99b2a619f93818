"""`voxgate voicebots`: make, change and delete voicebots and their images, for whoever runs the server."""

import sys
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from voxgate.cli.common import (
    ConfigOption,
    DataDirOption,
    JsonOption,
    errors_told,
    make_plan,
    print_json,
    print_table,
    read_settings,
    run,
    with_accounts,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from voxgate.config import Loaded
    from voxgate.planning import VoxgateSettings
    from voxgate.rooms import Voicebot
    from voxgate.services.images import Images
    from voxgate.services.switchboard import Switchboard
    from voxgate.services.voicebots import Voicebots

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Make, change and delete voicebots, and what they can show.")
images = typer.Typer(no_args_is_help=True, help="Add, list and remove the images of a voicebot.")
app.add_typer(images, name="images")

_BY = "command line"  # who did it, in the log

VoicebotArgument = Annotated[str, typer.Argument(metavar="VOICEBOT", help="Its id, as `list` shows it.")]
TextOption = Annotated[str | None, typer.Option(help="What the model is told about its part.")]
FileOption = Annotated[
    typer.FileText | None,
    typer.Option(encoding="utf-8", metavar="PATH", help="A file with the instructions; `-`: standard input."),
]
LanguageOption = Annotated[
    str | None, typer.Option(help="Language of its replies; `auto`: the one that is spoken to it.")
]
VoiceOption = Annotated[str | None, typer.Option(help="A voice name, as `GET /v1/audio/voices` lists them.")]
GreetingOption = Annotated[str | None, typer.Option(help="What it says when somebody joins; empty: it waits.")]
ModelOption = Annotated[str | None, typer.Option(help="A chat model, as `GET /v1/models` lists them.")]
AvatarOption = Annotated[str | None, typer.Option(metavar="URL", help="Address of its picture; empty: none.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What people see.")],
    org: Annotated[str, typer.Option(help="Organization it belongs to, which must exist.")],
    instructions: TextOption = None,
    instructions_file: FileOption = None,
    language: LanguageOption = None,
    voice: VoiceOption = None,
    greeting: GreetingOption = None,
    model: ModelOption = None,
    avatar_url: AvatarOption = None,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Make a voicebot and print its id.

    \b
    voxgate voicebots create Mai --org acme --voice valsea-female --greeting "Hi, what can I do?"
    """
    with errors_told():
        fields = _fields(instructions, instructions_file, language, voice, greeting, model, avatar_url)
        loaded, board = _with_names(config, data_dir)
        org_id = _org_id(loaded, org)
        made = _ask(loaded.settings, lambda bots, _: bots.create(org_id, {"name": name, **fields}, by=_BY), board)
        _print(loaded.settings, made, as_json)


@app.command("list")
def list_voicebots(
    org: Annotated[str | None, typer.Option(help="Only this organization's.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many at most.")] = 50,
    offset: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="How many to leave out first.")] = 0,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """The voicebots, oldest first: id, name, voice, language, model, how many images."""
    with errors_told():
        loaded = read_settings(config, data_dir)
        settings, org_id = loaded.settings, None if org is None else _org_id(loaded, org)
        found, total = _ask(settings, lambda bots, _: bots.page(org_id, limit=limit, offset=offset))
        if as_json:
            print_json({"voicebots": [_shown(settings, each) for each in found], "total": total})
            return
        print_table(
            ("id", "name", "voice", "language", "model", "images"),
            [
                (bot.id, bot.name, bot.voice, bot.language or "as spoken", bot.model, str(len(bot.images)))
                for bot in found
            ],
        )


@app.command()
def show(voicebot: VoicebotArgument, data_dir: DataDirOption = None, config: ConfigOption = None) -> None:
    """Print a voicebot as the API does, as JSON."""
    with errors_told():
        settings = read_settings(config, data_dir).settings
        _print(settings, _ask(settings, lambda voicebots, _: _one(voicebots, voicebot)), as_json=True)


@app.command()
def edit(
    voicebot: VoicebotArgument,
    name: Annotated[str | None, typer.Option(help="What people see.")] = None,
    instructions: TextOption = None,
    instructions_file: FileOption = None,
    language: LanguageOption = None,
    voice: VoiceOption = None,
    greeting: GreetingOption = None,
    model: ModelOption = None,
    avatar_url: AvatarOption = None,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Change what is named. Calls under way keep what they began with.

    \b
    voxgate voicebots edit 665f5aa613e4fe2f12ab34cd --instructions-file part.txt --language auto
    """
    with errors_told():
        fields = _fields(instructions, instructions_file, language, voice, greeting, model, avatar_url)
        if name is not None:
            fields["name"] = name
        if not fields:
            raise typer.BadParameter("name something to change; `--help` lists what there is")
        loaded, board = _with_names(config, data_dir)
        changed = _ask(loaded.settings, lambda bots, _: bots.change(None, voicebot, fields, by=_BY), board)
        _print(loaded.settings, changed, as_json)


@app.command()
def delete(voicebot: VoicebotArgument, data_dir: DataDirOption = None, config: ConfigOption = None) -> None:
    """Delete a voicebot and its images, for good. Calls under way go on, and what was said stays on record."""
    with errors_told():

        async def forget(voicebots: "Voicebots", images: "Images") -> None:
            await images.discard(await voicebots.delete(None, voicebot, by=_BY))

        _ask(read_settings(config, data_dir).settings, forget)
        sys.stdout.write(f"{voicebot.lower()} is deleted\n")


@images.command("add")
def add_image(
    voicebot: VoicebotArgument,
    file: Annotated[
        typer.FileBinaryRead, typer.Argument(metavar="FILE", help="A PNG, JPEG or WebP image; `-`: standard input.")
    ],
    key: Annotated[str, typer.Option(help="What the voicebot calls it; that of an image it has replaces that one.")],
    description: Annotated[str, typer.Option(help="What the model is told about it.")] = "",
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Add an image to a voicebot, or replace one, and print its address."""
    with errors_told():
        settings = read_settings(config, data_dir).settings
        content = file.read(settings.voicebots.image_bytes + 1)

        async def add(voicebots: "Voicebots", images: "Images") -> dict[str, Any]:
            from voxgate.protocols.rest.voicebots import shown_image

            bot = await _one(voicebots, voicebot)
            image, _ = await images.add(bot, key, description, content, by=_BY)
            return shown_image(_base_url(settings), bot.id, image)

        added = _ask(settings, add)
        if as_json:
            print_json(added)
        else:
            sys.stdout.write(f"{added['url']}\n")


@images.command("list")
def list_images(
    voicebot: VoicebotArgument,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """The images of a voicebot, in the order they were added: key, kind, bytes, address, description."""
    with errors_told():
        settings = read_settings(config, data_dir).settings
        listed = _shown(settings, _ask(settings, lambda voicebots, _: _one(voicebots, voicebot)))["images"]
        if as_json:
            print_json(listed)
            return
        print_table(
            ("key", "kind", "bytes", "address", "description"),
            [
                (each["key"], each["mediaType"], str(each["size"]), each["url"], each.get("description", ""))
                for each in listed
            ],
        )


@images.command("remove")
def remove_image(
    voicebot: VoicebotArgument,
    key: Annotated[str, typer.Argument(help="What the voicebot calls it.")],
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Remove an image of a voicebot, and its content."""
    with errors_told():

        async def remove(voicebots: "Voicebots", images: "Images") -> str:
            return await images.remove(await _one(voicebots, voicebot), key, by=_BY)

        sys.stdout.write(f"{_ask(read_settings(config, data_dir).settings, remove)} is removed\n")


def _fields(
    instructions: str | None,
    instructions_file: typer.FileText | None,
    language: str | None,
    voice: str | None,
    greeting: str | None,
    model: str | None,
    avatar_url: str | None,
) -> dict[str, str | None]:
    """What was named, by the names of `services.voicebots.FIELDS`."""
    if instructions_file is not None:
        if instructions is not None:
            raise typer.BadParameter("--instructions and --instructions-file are the same; keep one")
        try:
            instructions = instructions_file.read()
        except UnicodeDecodeError:
            raise typer.BadParameter("the file of --instructions-file is no UTF-8 text") from None
    named = {
        "instructions": instructions,
        "language": language,
        "voice": voice,
        "greeting": greeting,
        "model": model,
        "avatar_url": avatar_url,
    }
    return {name: value for name, value in named.items() if value is not None}


def _with_names(config: "Path | None", data_dir: "Path | None") -> "tuple[Loaded[VoxgateSettings], Switchboard]":
    """The configuration, and a switchboard that knows every configured name; no engine runs."""
    from voxgate.app import EngineRoom
    from voxgate.observe import NoMetrics

    what = make_plan(config, data_dir)
    return what.loaded, EngineRoom(what, NoMetrics()).switchboard


def _ask(
    settings: "VoxgateSettings",
    work: "Callable[[Voicebots, Images], Awaitable[T]]",
    board: "Switchboard | None" = None,
) -> T:
    """What the voicebots of an installation answer. `board`: for what looks at names."""

    async def inside() -> T:
        from voxgate.app import open_store
        from voxgate.hosting import open_voicebots
        from voxgate.store.voicebots import SqlVoicebots

        def names() -> "Switchboard":
            assert board is not None, "who makes or changes a voicebot brings the names"
            return board

        async with (
            open_store(settings) as (database, _),
            open_voicebots(settings, SqlVoicebots(database), names) as (voicebots, images),
        ):
            return await work(voicebots, images)

    return run(inside())


async def _one(voicebots: "Voicebots", voicebot_id: str) -> "Voicebot":
    return await voicebots.get(None, voicebot_id, param="voicebot")


def _org_id(loaded: "Loaded[VoxgateSettings]", org: str) -> str:
    return with_accounts(loaded, lambda accounts: accounts.organization(org)).id


def _base_url(settings: "VoxgateSettings") -> str:
    """What addresses begin with: as configured, or the server's own where it listens on one."""
    server = settings.server
    return server.public_url or f"http://{server.host}:{server.port}"


def _shown(settings: "VoxgateSettings", voicebot: "Voicebot") -> "Mapping[str, Any]":
    from voxgate.protocols.rest.voicebots import shown_voicebot

    return shown_voicebot(_base_url(settings), voicebot)


def _print(settings: "VoxgateSettings", voicebot: "Voicebot", as_json: bool) -> None:
    if as_json:
        print_json(_shown(settings, voicebot))
    else:
        sys.stdout.write(f"{voicebot.id}\n")

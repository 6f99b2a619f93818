"""The top of the command line: serve and check, and where the other commands hang."""

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from voxgate import __version__
from voxgate.cli import accounts, audit, db, listen, models, rooms, say, sessions, talk, transcribe, usage, voicebots
from voxgate.cli.common import ConfigOption, DataDirOption, JsonOption, errors_told, make_plan, print_json, run

if TYPE_CHECKING:
    from voxgate.app import Started
    from voxgate.services.switchboard import Running, Switchboard

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="""The self-hosted realtime voice gateway: speech to text, chat and speech over OpenAI's API, with real models
on your own machine.

\b
First steps:
  voxgate models pull default            get the default models (about 350 MB)
  voxgate serve                          start the server; prints its address, a key and a curl line to try
  voxgate check                          what is configured, which engine serves which language, what is missing

\b
Without a server:
  voxgate transcribe question.wav
  voxgate say "It is five o'clock." -o answer.wav

\b
With one (VOXGATE_URL, VOXGATE_API_KEY):
  voxgate listen microphone              words while they are spoken
  voxgate say --live --play "Hello."     speech while it is made
  voxgate talk                           a conversation with the voice agent
""",
)
app.add_typer(accounts.keys, name="keys")
app.add_typer(accounts.credit, name="credits")
accounts.credit.command("audit")(audit.audit)
app.add_typer(usage.app, name="usage")
app.add_typer(sessions.app, name="sessions")
app.add_typer(voicebots.app, name="voicebots")
app.add_typer(rooms.app, name="rooms")
app.add_typer(db.app, name="db")
app.add_typer(models.app, name="models")
app.command("transcribe")(transcribe.transcribe)
app.command("say")(say.say)
app.command("listen")(listen.listen)
app.command("talk")(talk.talk)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"voxgate {__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. [VOXGATE_HOST; default: 127.0.0.1]")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0: any free one. [VOXGATE_PORT; default: 8080]")
    ] = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Start the server. Stop it with Ctrl-C.

    The first start on an empty data directory makes a development organization and prints its key, once.
    """
    from voxgate.app import serve as serve_plan

    with errors_told():
        what = make_plan(config, data_dir, {"server.host": host, "server.port": port}, level="")
        key = ""

        def on_key(created: str) -> None:
            nonlocal key
            key = created
            sys.stdout.write(
                f"Key of the new development organization (shown only this once; `voxgate keys create` makes more):\n"
                f"  {created}\n"
            )
            sys.stdout.flush()

        run(serve_plan(what, on_key=on_key, on_ready=lambda started: _greet(started, key)))


def _greet(started: "Started", key: str) -> None:
    from voxgate.app import HELLO

    lines = [f"Voxgate {__version__} is ready at {started.url}   (API documentation: {started.url}/docs)"]
    lines += [f"  {line}" for line in abilities(started.room.switchboard)]
    lines += [f"  not running: {problem}" for problem in started.room.readiness().problems]
    if started.hello and started.room.switchboard.heard_languages():
        shown = key or "$VOXGATE_API_KEY"
        lines += [
            f'Try it (the recording says "{HELLO}"):',
            f'  curl -s {started.url}/v1/audio/transcriptions -H "Authorization: Bearer {shown}" '
            f"-F model=whisper-1 -F file=@{_relative(str(started.hello))}",
        ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _relative(path: str) -> str:
    near = os.path.relpath(path)
    return path if near.startswith("..") else near


def abilities(board: "Switchboard") -> list[str]:
    """What an installation can do, a line a skill, doubts about licences included."""
    from voxgate.errors import VoxgateError
    from voxgate.languages import all_languages, parse

    def names(tags: dict[str, str]) -> str:
        return ", ".join(f"{parse(tag).name} ({quality})" for tag, quality in tags.items())

    lines = []
    heard = {tag: quality for tag, (_, quality) in board.heard_languages().items()}
    if heard:
        lines.append(f"hears {names(heard)}")
        variants = (language for language in all_languages() if language.base != language.tag)
        lines += [
            f"hears {variant.name} as {parse(variant.base).name}"
            for variant in variants
            if variant.tag not in heard and variant.base in heard
        ]
    spoken: dict[str, str] = {}
    doubtful = set()
    for running in board.engines.values():
        if running.port == "tts" and running.engine:
            for voice in running.engine.voices:
                for tag in voice.languages:
                    spoken.setdefault(tag, voice.quality)
                if not voice.commercial:
                    doubtful.add(voice.id.partition("+")[0])
    if spoken:
        lines.append(f"speaks {names(spoken)}")
    try:
        mind = board.mind("valsea-fast")
        note = " - a demo model: small, and often wrong; name a real one with OPENAI_BASE_URL" if mind.llm.demo else ""
        lines.append(f"answers with {mind.model or mind.llm.model}{note}")
    except VoxgateError:
        pass  # its absence is told with the problems
    if doubtful:
        lines.append(
            f"licence: the voice {', '.join(sorted(doubtful))} is unclear for commercial use (docs/licences.md); "
            "voices.commercial_only = true refuses it"
        )
    return lines


def _languages(running: "Running") -> str:
    """The BCP-47 tags an engine serves, for those that care about languages."""
    tags: Iterable[str] = ()
    if running.engine is not None and running.port == "stt":
        tags = running.engine.languages
    elif running.engine is not None and running.port == "tts":
        tags = (tag for voice in running.engine.voices for tag in voice.languages)
    return " ".join(dict.fromkeys(tags))


@app.command()
def check(data_dir: DataDirOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the configuration, try every engine, say what is missing.

    Every setting is shown with its value and, where that is not the default, with its source; every engine with the
    languages it serves, or the reason why it does not run and the command that helps.
    Exits with 1 if anything that is configured does not run.
    """
    from voxgate.app import open_engines
    from voxgate.observe import NoMetrics

    with errors_told():
        what = make_plan(config, data_dir)

        async def look() -> tuple[list[str], tuple[str, ...], list[dict[str, object]]]:
            async with open_engines(what, NoMetrics()) as room:
                offered = {running.name for running in room.offered()}
                engines: list[dict[str, object]] = [
                    {
                        "name": r.name,
                        "port": r.port,
                        "running": r.engine is not None,
                        "optional": r.name in offered,
                        "serves": _languages(r),
                        "problem": r.problem,
                        "remedy": r.remedy,
                    }
                    for r in room.switchboard.engines.values()
                ]
                return abilities(room.switchboard), room.readiness().problems, engines

        able, problems, engines = run(look())
        if as_json:
            settings = [{"key": key, "value": value, "from": origin} for key, value, origin in what.rows()]
            print_json({"settings": settings, "engines": engines, "abilities": able, "problems": problems})
        else:
            for key, value, origin in what.rows():
                sys.stdout.write(f"{key} = {value}" + ("" if origin == "default" else f"   [{origin}]") + "\n")
            sys.stdout.write("\n")
            width = max(len(str(engine["name"])) for engine in engines)
            for engine in engines:
                state = f"runs   {engine['serves']}" if engine["running"] else f"does not run: {engine['problem']}"
                if engine["optional"]:
                    state = f"optional; to add it: {engine['remedy']}"
                sys.stdout.write(f"{engine['port']:8}{engine['name']:{width}}  {state}".rstrip() + "\n")
            sys.stdout.write("\n" + "".join(f"{line}\n" for line in able))
            for problem in problems:
                sys.stdout.write(f"not running: {problem}\n")
        if problems:
            raise typer.Exit(1)


def main() -> None:
    """The entry point of the `voxgate` command."""
    app()

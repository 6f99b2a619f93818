"""`voxgate say`: the voices of this machine, without a server and without a key; or, live, those of a server."""

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from voxgate.cli.common import ConfigOption, errors_told, make_plan, run
from voxgate.cli.remote import KeyOption, UrlOption

Level = Literal["no", "basic", "advanced"]
_SPEAKING = frozenset({"tts"})


def _waiting(what: str) -> AbstractContextManager[Any]:
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(what)


def say(
    text: Annotated[str, typer.Argument(help="What to say; `-` reads it from standard input.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="File to write; its ending tells the format. With --live, - is stdout, as WAV."
        ),
    ] = None,
    voice: Annotated[str, typer.Option(help="A voice, as GET /v1/audio/voices lists them.")] = "valsea-default",
    language: Annotated[str | None, typer.Option(help="Language of the text; told from the text if absent.")] = None,
    normalization: Annotated[
        Level,
        typer.Option(help="What is put in words: no, basic (numbers, dates …) or advanced (markup, addresses …)."),
    ] = "basic",
    speed: Annotated[float, typer.Option(min=0.25, max=4.0, help="Pace: 2 is twice as fast.")] = 1.0,
    config: ConfigOption = None,
    live: Annotated[
        bool, typer.Option("--live", help="A running server speaks, and it is written or played while it does.")
    ] = False,
    play: Annotated[bool, typer.Option("--play", help="With --live: play it instead of writing a file.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="With --live: tell how soon the first audio came, and what it cost.")
    ] = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Speak a text into a file, or aloud.

    The ending of the file tells the format: .wav .mp3 .opus .ogg .flac .aac or .pcm (24 kHz mono 16-bit). With --live
    standard input is spoken as it comes, clause by clause, so that a program that is still writing can be listened to.

    \b
    voxgate say "It is five o'clock." -o answer.mp3
    voxgate say --live --play "It is five o'clock."
    tail -f news.txt | voxgate say --live --play -
    """
    from voxgate.audio.codecs.formats import Format, parse_format
    from voxgate.errors import PeerError

    with errors_told():
        misplaced = {"--config": config} if live else {"--play": play, "--verbose": verbose, "--url": url, "--key": key}
        for option in (name for name, value in misplaced.items() if value):
            raise PeerError(f"{option} goes {'without' if live else 'with'} --live", param=option.removeprefix("--"))
        if play and output is not None:
            raise PeerError("--play and --output: one of them", param="play")
        if output is None:
            if not play:
                where = "-o FILE writes it, --play plays it" if live else "-o FILE writes it"
                raise PeerError(f"nothing says where the speech should go: {where}", param="output")
            fmt = Format.PCM
        elif live and str(output) == "-":
            fmt = Format.WAV
        else:
            ending = output.suffix.lower().removeprefix(".")
            fmt = parse_format({"ogg": "opus"}.get(ending, ending), param="output")
            if not output.parent.is_dir():
                raise PeerError(f"there is no folder {output.parent}", param="output")
        if live:
            from voxgate.cli.remote import remote
            from voxgate.cli.say_live import Spoken, say_live

            options = {"voice": voice, "language": language, "speed": speed, "normalization": normalization}
            spoken = Spoken(None if text == "-" else text, options, fmt, output, verbose)
            if run(say_live(remote(url, key), spoken)):
                raise typer.Exit(130)
            return
        assert output is not None
        content = sys.stdin.buffer.read().decode(errors="replace") if text == "-" else text
        if not content.strip():
            raise PeerError("the text is empty: there is nothing to say", param="text")
        sound = run(_speak(content, make_plan(config), (voice, language, normalization), speed, fmt))
        try:
            output.write_bytes(sound)
        except OSError as error:
            raise PeerError(f"{output} cannot be written: {error.strerror}", param="output") from None


async def _speak(text: str, what: Any, choice: tuple[str, str | None, Level], speed: float, fmt: Any) -> bytes:
    from voxgate.app import open_engines
    from voxgate.conversation.speech import speak_file
    from voxgate.domain import Utterance
    from voxgate.observe import NoMetrics
    from voxgate.protocols.rest.schemas import check_length
    from voxgate.text.normalize import conventions, normalize

    voice, language, level = choice
    check_length("text", text, what.settings.limits.speech_input_characters)
    with _waiting("loading, then speaking"):
        async with open_engines(what, NoMetrics(), _SPEAKING) as room:
            mouth = room.switchboard.mouth("valsea-tts", voice, language, text)
            said = normalize(text, level, conventions(language, mouth.language))
            return await speak_file(mouth.tts, Utterance(said, mouth.voice.id, mouth.language, speed), fmt)

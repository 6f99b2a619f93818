"""`voxgate say`: the voices of this machine, without a server and without a key."""

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from voxgate.cli.common import ConfigOption, errors_told, make_plan, run

Level = Literal["no", "basic", "advanced"]
_SPEAKING = frozenset({"tts"})


def _waiting(what: str) -> AbstractContextManager[Any]:
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(what)


def say(
    text: Annotated[str, typer.Argument(help="What to say; `-` reads it from standard input.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write; its ending tells the format.")],
    voice: Annotated[str, typer.Option(help="A voice, as GET /v1/audio/voices lists them.")] = "valsea-default",
    language: Annotated[str | None, typer.Option(help="Language of the text; told from the text if absent.")] = None,
    normalization: Annotated[
        Level,
        typer.Option(help="What is put in words: no, basic (numbers, dates …) or advanced (markup, addresses …)."),
    ] = "basic",
    speed: Annotated[float, typer.Option(min=0.25, max=4.0, help="Pace: 2 is twice as fast.")] = 1.0,
    config: ConfigOption = None,
) -> None:
    """Speak a text into a file.

    Its ending tells the format: .wav .mp3 .opus .ogg .flac .aac or .pcm (24 kHz mono 16-bit).

    \b
    voxgate say "It is five o'clock." -o answer.mp3
    """
    from voxgate.audio.codecs.formats import parse_format
    from voxgate.errors import PeerError

    with errors_told():
        ending = output.suffix.lower().removeprefix(".")
        fmt = parse_format({"ogg": "opus"}.get(ending, ending), param="output")
        if not output.parent.is_dir():
            raise PeerError(f"there is no folder {output.parent}", param="output")
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

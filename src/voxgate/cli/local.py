"""`voxgate transcribe` and `voxgate say`: the engines of this machine, without a server and without a key."""

import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voxgate.cli.common import ConfigOption, JsonOption, errors_told, make_plan, print_json, run

if TYPE_CHECKING:
    from voxgate.domain import FileTranscript, Samples

_HEARING = frozenset({"stt", "vad", "decoder"})
_SPEAKING = frozenset({"tts"})


def transcribe(
    file: Annotated[Path, typer.Argument(help="A recording of any format FFmpeg reads.")],
    language: Annotated[str | None, typer.Option(help="Language that is spoken: a name or a code.")] = None,
    hints: Annotated[str, typer.Option(help="Words that are likely to occur, separated by commas.")] = "",
    words: Annotated[bool, typer.Option("--words", help="Word times, with --json.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what a recording says."""
    from voxgate.errors import Code, PeerError

    with errors_told():
        if not file.is_file():
            raise PeerError(f"there is no file {file}", code=Code.NOT_FOUND, param="file")
        transcript = run(_hear(file, config_plan=make_plan(config), language=language, hints=hints, words=words))
        if as_json:
            from voxgate.protocols.rest.transcripts import render

            print_json(render(transcript, "verbose_json", words=words))
        else:
            sys.stdout.write(f"{transcript.text}\n")


async def _hear(file: Path, *, config_plan: Any, language: str | None, hints: str, words: bool) -> "FileTranscript":
    from voxgate.app import open_engines
    from voxgate.conversation.transcription import Transcriber, TranscriptionRequest
    from voxgate.observe import NoMetrics
    from voxgate.text.hints import hint_terms

    with _waiting(f"loading, then reading {file.name}"):
        async with open_engines(config_plan, NoMetrics(), _HEARING) as room:
            ears = room.switchboard.ears("valsea-transcribe", language)
            most = config_plan.settings.limits.hint_terms
            request = TranscriptionRequest(ears.language, hint_terms(hints, most), words)
            transcriber = Transcriber(room.vad(), ears.stt, look_ahead=config_plan.cores)
            async with room.decoder().open(file) as blocks:
                return await transcriber.transcribe(_told(blocks), request)


async def _told(blocks: "AsyncIterator[Samples]") -> "AsyncGenerator[Samples, None]":
    """The same blocks; where nobody watches a terminal, a line every ten minutes of audio says that work goes on."""
    from voxgate.domain import SPEECH_RATE

    samples = told = 0
    async for block in blocks:
        yield block
        samples += len(block)
        if samples - told >= 600 * SPEECH_RATE:
            told = samples
            sys.stderr.write(f"{samples // SPEECH_RATE // 60} min\n")


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
    speed: Annotated[float, typer.Option(min=0.25, max=4.0, help="Pace: 2 is twice as fast.")] = 1.0,
    config: ConfigOption = None,
) -> None:
    """Speak a text into a file: .wav .mp3 .opus .ogg .flac .aac or .pcm (24 kHz mono 16-bit)."""
    from voxgate.audio.codecs.formats import parse_format

    with errors_told():
        ending = output.suffix.lower().removeprefix(".")
        fmt = parse_format({"ogg": "opus"}.get(ending, ending), param="output")
        content = sys.stdin.read() if text == "-" else text
        sound = run(_speak(content, make_plan(config), voice, language, speed, fmt))
        output.write_bytes(sound)


async def _speak(text: str, what: Any, voice: str, language: str | None, speed: float, fmt: Any) -> bytes:
    from voxgate.app import open_engines
    from voxgate.conversation.speech import speak_file
    from voxgate.domain import Utterance
    from voxgate.observe import NoMetrics
    from voxgate.protocols.rest.schemas import check_length

    check_length("text", text, what.settings.limits.speech_input_characters)
    with _waiting("loading, then speaking"):
        async with open_engines(what, NoMetrics(), _SPEAKING) as room:
            mouth = room.switchboard.mouth("valsea-tts", voice, language, text)
            return await speak_file(mouth.tts, Utterance(text, mouth.voice.id, mouth.language, speed), fmt)

"""`voxgate talk`: a conversation with a running server, in the terminal."""

import base64
import sys
import wave
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voxgate.cli.common import errors_told, interruptible, run
from voxgate.cli.remote import KeyOption, UrlOption

if TYPE_CHECKING:
    from voxgate.cli.remote import Remote
    from voxgate.cli.sound import Loudspeaker
    from voxgate.cli.sources import Source
    from voxgate.cli.talk_client import Told
    from voxgate.cli.terminal import LiveLine

_MICROPHONE = "microphone"
_STAGES = {
    "endpointing_ms": "end of turn",
    "stt_final_ms": "transcript",
    "llm_first_token_ms": "first token",
    "first_clause_ms": "first clause",
    "tts_first_audio_ms": "voice",
    "wire_ms": "wire",
}


def talk(
    source: Annotated[
        str, typer.Argument(help="A recording of the caller; or the word microphone.", metavar="[SOURCE]")
    ] = _MICROPHONE,
    voice: Annotated[str, typer.Option(help="Who answers, as GET /v1/audio/voices lists them.")] = "valsea-default",
    language: Annotated[
        str | None, typer.Option(help="Language of the answers. [default: the one that is spoken]")
    ] = None,
    instructions: Annotated[str, typer.Option(help="The system prompt.")] = "",
    greeting: Annotated[str, typer.Option(help="What the bot says first, word for word.")] = "",
    silence_ms: Annotated[
        int | None,
        typer.Option(min=100, max=5000, help="The silence that ends a turn. [default: judged by sound and words]"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write what the bot says to this WAV file.")
    ] = None,
    play: Annotated[bool | None, typer.Option("--play/--no-play", help="Play it. [default: with a microphone]")] = None,
    echo: Annotated[
        bool,
        typer.Option("--echo", help="Loudspeaker and microphone share a room: do not take the bot for the caller."),
    ] = False,
    device: Annotated[str | None, typer.Option(help="The microphone: its number, or part of its name.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the server's events, one a line, without sound.")
    ] = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Talk with the voice agent of a running server, and interrupt it.

    What is said appears while it is said, then the answer, and how many milliseconds it took. A recording is sent as it
    was spoken; when it is over, and the last answer too, so is the conversation. Ctrl-C ends it.

    \b
    voxgate talk
    voxgate talk question.wav -o answer.wav
    """
    from voxgate.cli.remote import remote
    from voxgate.cli.terminal import LiveLine

    with errors_told():
        server = remote(url, key)
        options = {
            "voice": voice,
            "language": language,
            "instructions": instructions,
            "greeting": greeting,
            "silence_ms": silence_ms,
            "output_format": "pcm16",
            "echo_guard": echo,
        }
        options = {name: value for name, value in options.items() if value not in (None, "", False)}
        audio = _source(source, device)
        is_played = source == _MICROPHONE if play is None else play
        line = LiveLine(sys.stdout)
        told = _print_json if as_json else Screen(line).told
        if run(_converse(server, options, audio, told, output, is_played)) and source != _MICROPHONE:
            raise typer.Exit(130)


def _source(name: str, device: str | None) -> "Source":
    """Who talks. Raises PeerError for options that do not go with it, VoxgateError without a microphone."""
    from voxgate.cli.sources import Source, file_source
    from voxgate.errors import Code, PeerError

    if name == _MICROPHONE:
        from voxgate.cli.sound import Microphone

        microphone = Microphone(device)
        return Source(microphone.pieces(), microphone.rate)
    if device is not None:
        raise PeerError("--device is for the microphone", param="device")
    if not Path(name).is_file():
        raise PeerError(f"there is no recording at {name}", code=Code.NOT_FOUND, param="source")
    return file_source(Path(name), fast=False)


async def _converse(
    server: "Remote", options: Mapping[str, Any], audio: "Source", told: "Told", output: Path | None, is_played: bool
) -> bool:
    """Whether Ctrl-C ended it."""
    from voxgate.cli.talk_client import QUIET_S, conversation

    with interruptible() as stop:
        async with conversation(server, options) as call, _voice(call.sample_rate, output, is_played) as said:

            def both(event: str, data: Mapping[str, Any]) -> None:
                if event == "audio_chunk":
                    said.write(base64.b64decode(data["audio"]))
                told(event, data)

            if sys.stderr.isatty():
                sys.stderr.write(f"session {call.session_id}; Ctrl-C ends it\n")
            await call.run(audio, both, stop, quiet_s=QUIET_S)
        return stop.is_set()


class _Voice:
    """Where the bot's voice goes."""

    def __init__(self, file: "wave.Wave_write | None", speaker: "Loudspeaker | None") -> None:
        self._file = file
        self._speaker = speaker

    def write(self, audio: bytes) -> None:
        """PCM16, mono."""
        if self._file is not None:
            self._file.writeframesraw(audio)
        if self._speaker is not None:
            self._speaker.write(audio)


@asynccontextmanager
async def _voice(rate: int, output: Path | None, is_played: bool) -> AsyncIterator[_Voice]:
    """Raises PeerError for a file that cannot be written, VoxgateError without a loudspeaker."""
    from voxgate.errors import PeerError

    async with AsyncExitStack() as stack:
        file = speaker = None
        if output is not None:
            try:
                raw = stack.enter_context(output.open("wb"))
            except OSError as error:
                raise PeerError(f"{output} cannot be written: {error.strerror}", param="output") from None
            file = stack.enter_context(wave.open(raw, "wb"))  # noqa: SIM115 - the stack is its context
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
        if is_played:
            from voxgate.cli.sound import loudspeaker

            speaker = await stack.enter_async_context(loudspeaker(rate))
        yield _Voice(file, speaker)


def _print_json(event: str, data: Mapping[str, Any]) -> None:
    import orjson

    if event != "audio_chunk":
        sys.stdout.write(orjson.dumps({"event": event, **data}).decode() + "\n")
        sys.stdout.flush()


class Screen:
    """Prints a conversation: lines that stay on `line`, what is about the session on stderr."""

    def __init__(self, line: "LiveLine") -> None:
        self._line = line
        self._answer = ""

    def told(self, event: str, data: Mapping[str, Any]) -> None:
        """An event of the server."""
        match event:
            case "state":
                self._line.change(f"[{data['state']}]")
            case "transcription" if not data["is_final"]:
                self._line.change(f"> {data['text']}")
            case "transcription" if data["text"]:
                self._line.stay(f"> {data['text']}")
            case "response_delta":
                self._answer += data["text"]
                self._line.change(f"< {self._answer}")
            case "response":
                self._answer = ""
                self._line.stay(f"< {data['text']}{' …' if data['interrupted'] else ''}")
            case "interrupted":
                self._line.stay(f"  interrupted; heard of it: {data['spoken_text'] or 'nothing'}")
            case "latency" if data["total_ms"] is not None:
                stages = [f"{name} {data[key]:.0f}" for key, name in _STAGES.items() if data[key] is not None]
                self._line.stay(f"  {data['total_ms']:.0f} ms: {', '.join(stages)}")
            case "error":
                self._note(str(data["message"]))
            case "session_expiring":
                self._note(f"{data['secondsLeft']} s are left ({data['reason']})")

    def _note(self, text: str) -> None:
        self._line.change("")
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

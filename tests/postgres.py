"""A PostgreSQL server of the tests' own: Debian's binaries, a fresh cluster in a temporary folder, a free port."""

import os
import pwd
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BINARIES = max(
    Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name), default=Path("/nonexistent")
)
"""Where Debian puts `initdb` and `postgres`, of the newest version there is."""

_PATIENCE_S = 30
# What a crash of the machine would lose does not matter here; everything else is as it comes.
_QUICK = ("fsync=off", "full_page_writes=off")


def installed() -> bool:
    """Whether a server can be started here."""
    return (BINARIES / "initdb").exists()


class Postgres:
    """One cluster. The server runs as an unprivileged user, for it refuses to run as root."""

    def __init__(self, folder: Path) -> None:
        """`folder`: empty, and not inside one that other users cannot enter (as pytest's are)."""
        self._folder = folder
        self._cluster = folder / "cluster"
        self._user, self._group = _unprivileged()
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
        if self._user is not None:
            os.chown(folder, self._user, -1)
        self._run("initdb", "-D", str(self._cluster), "-U", "voxgate", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start the server; returns once it answers."""
        options = [word for setting in _QUICK for word in ("-c", setting)]
        command = [str(BINARIES / "postgres"), "-D", str(self._cluster), "-p", str(self.port), "-k", ""]
        self._process = subprocess.Popen(
            [*command, "-c", "listen_addresses=127.0.0.1", *options],
            user=self._user,
            group=self._group,
            extra_groups=[] if self._user is not None else None,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + _PATIENCE_S
        ready = [str(BINARIES / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode:
            if time.monotonic() > end or self._process.poll() is not None:
                raise RuntimeError("PostgreSQL did not start")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop the server as a crash would, connections and all."""
        assert self._process is not None, "it runs"
        self._process.send_signal(3)  # SIGQUIT: immediate shutdown
        self._process.wait(_PATIENCE_S)

    def url(self, name: str) -> str:
        """The URL of a database."""
        return f"postgresql://voxgate:not-asked-for@127.0.0.1:{self.port}/{name}"

    def create(self, template: str = "template1") -> str:
        """Make a database; its name."""
        name = f"voxgate_{secrets.token_hex(6)}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "voxgate", "-T", template, name)
        return name

    def drop(self, name: str) -> None:
        """Drop a database, whoever is connected."""
        self._run("dropdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "voxgate", "--force", name)

    def _run(self, program: str, *arguments: str) -> None:
        ran = subprocess.run(
            [str(BINARIES / program), *arguments],
            user=self._user,
            group=self._group,
            extra_groups=[] if self._user is not None else None,
            cwd=self._folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            raise RuntimeError(f"{program}: {ran.stderr}")


def _unprivileged() -> tuple[int | None, int | None]:
    """(user, group) the server is to run as: whoever runs the tests, or, for root, the user Debian made for it."""
    if os.getuid() != 0:
        return None, None
    user = pwd.getpwnam("postgres")
    return user.pw_uid, user.pw_gid


@contextmanager
def empty_database(request: pytest.FixtureRequest, dialect: str, folder: Path) -> Iterator[str]:
    """The URL of a database without tables, in a folder or, where the dialect is `postgresql`, on the tests' server."""
    if dialect == "sqlite":
        yield f"sqlite:///{folder / 'test.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create()
    yield server.url(name)
    server.drop(name)

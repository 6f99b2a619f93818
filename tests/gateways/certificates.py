"""Certificates for localhost, made on the spot."""

import shutil
import subprocess
from pathlib import Path

from tests.conftest import absent


def certificate(folder: Path, name: str, *more: str) -> tuple[Path, Path]:
    """A certificate for localhost and its key. `more`: what OpenSSL is told about the key; nothing: no password."""
    if shutil.which("openssl") is None:
        absent("openssl", "openssl")
    signed, key = folder / f"{name}.crt", folder / f"{name}.key"
    command = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2 -keyout {key} -out {signed}"
    about = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", *(more or ["-nodes"])]
    subprocess.run([*command.split(), *about], check=True, capture_output=True)
    return signed, key

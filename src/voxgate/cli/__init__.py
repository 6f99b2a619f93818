"""The `voxgate` command."""

from voxgate.cli.main import main

__all__ = ["main"]

"""`python -m voxgate` is the `voxgate` command."""

from voxgate.cli import main

main()

"""Voxgate: the self-hosted realtime voice gateway."""

__version__ = "0.1.0"

"""Calls in LiveKit rooms: what a bot tells its person beside its voice."""

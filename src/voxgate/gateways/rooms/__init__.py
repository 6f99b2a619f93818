"""Calls in LiveKit rooms: one bot, two ways to be in a room with somebody."""

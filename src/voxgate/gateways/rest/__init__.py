"""The REST routes: a handler parses, calls one service, answers."""

"""Bytes to PCM, PCM to other PCM, and back. No asyncio."""

"""Live transcription's messages and steps."""

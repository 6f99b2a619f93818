"""LiveKit's signalling and data, as pure translation: bytes to meaning, and meaning to bytes (decision 14)."""

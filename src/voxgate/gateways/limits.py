"""Every limit a client can run into, by name."""

from pydantic import Field

from voxgate.config import Settings

MIB = 1024 * 1024


class LimitSettings(Settings):
    """`[limits]`"""

    upload_bytes: int = Field(default=25 * MIB, gt=0)
    """Largest audio file of a transcription."""
    json_body_bytes: int = Field(default=MIB, gt=0)
    """Largest JSON body."""
    form_overhead_bytes: int = Field(default=MIB, gt=0)
    """What a multipart body may hold beside its file: the other fields and the boundaries."""
    audio_seconds: float = Field(default=4 * 3600, gt=0)
    """Longest audio of one transcription."""
    speech_input_characters: int = Field(default=10_000, gt=0)
    """Longest text of one speech request."""
    prompt_characters: int = Field(default=2_000, gt=0)
    """Longest biasing text of a transcription."""
    hint_terms: int = Field(default=16, gt=0)
    """How many terms of it bias the recognizer."""
    chat_default_tokens: int = Field(default=4_096, gt=0)
    """Tokens an answer is held for where the request sets no limit of its own."""
    body_idle_s: float = Field(default=30, gt=0)
    """How long a request's body may pause before the request is given up."""
    slow_reader_s: float = Field(default=10, gt=0)
    """How long a client may leave its answer unread before the connection is closed."""

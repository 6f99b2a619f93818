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
    requests_per_minute_per_key: int = Field(default=6_000, gt=0)
    """How often one API key may ask or connect, its client secrets included; so many at once after a quiet minute."""
    requests_per_minute_per_address: int = Field(default=12_000, gt=0)
    """How often one address may ask or connect (of IPv6: one /64), whoever does from there."""
    failed_keys_per_minute_per_address: int = Field(default=60, gt=0)
    """How many missing or wrong credentials one address may show before it gets 429 instead of 401."""
    concurrent_requests_per_key: int = Field(default=200, gt=0)
    """How many requests and sessions of one API key may be under way at once; `voxgate keys limit` sets less for a
    single key."""
    concurrent_requests: int = Field(default=1_000, gt=0)
    """How many requests and sessions may be under way at once altogether; those above it get 503, or 1013. As many
    sockets may wait besides for their credential."""
    sockets_without_key_per_address: int = Field(default=250, gt=0)
    """How many sockets of one address may be open at once that have not shown their credential yet."""
    key_check_s: float = Field(default=2, gt=0, le=5)
    """How often keys with work under way are checked: how long that outlives a revocation."""
    client_secret_s: int = Field(default=60, gt=0, le=7_200)
    """How long a client secret can begin requests and connections, where its minter did not say."""
    socket_message_bytes: int = Field(default=MIB, gt=0)
    """Largest message on a socket: one above it is answered `MESSAGE_TOO_LARGE`, and the session goes on."""
    socket_frame_bytes: int = Field(default=8 * MIB, gt=0)
    """From here on a message is not read any more: the socket is closed with 1009."""
    socket_unauthenticated_s: float = Field(default=10, gt=0)
    """How long a socket may stay open without a credential."""
    socket_ping_s: float = Field(default=20, gt=0)
    """How often a quiet socket is pinged."""
    socket_silent_s: float = Field(default=40, gt=0)
    """How long a peer may answer no ping, and send nothing else, before its socket is closed."""
    socket_idle_s: float = Field(default=600, gt=0)
    """How long a peer that answers pings may send no message, and is sent no speech, before its session ends."""
    socket_linger_s: float = Field(default=5, gt=0)
    """How long closing may take: what a client that has closed its half is still sent, and how long its answer to a
    close of ours is waited for."""
    session_s: float = Field(default=7_200, gt=0)
    """Longest session on a socket."""
    session_expiring_s: float = Field(default=30, gt=0)
    """How long before a limit ends a session it is announced."""
    audio_ahead_s: float = Field(default=30, gt=0)
    """How far audio that is sent in may run ahead of real time before the server stops reading."""
    speech_ahead_s: float = Field(default=30, gt=0)
    """How far speech that is sent out may run ahead of real time."""
    speech_queue: int = Field(default=64, gt=0)
    """How many texts of one speech session may wait to be spoken."""

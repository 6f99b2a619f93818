"""How a LiveKit server of the operator is reached."""

from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from voxgate.config import Settings


class LiveKitSettings(Settings):
    """`[rooms.livekit]`, where `rooms.provider = "livekit"`"""

    url: str = ""
    """Address this server reaches LiveKit by, such as `ws://10.0.0.5:7880` or `wss://rooms.example.com`."""
    public_url: str = ""
    """Address clients reach it by, where it is another."""
    api_key: str = ""
    """A key of the LiveKit server: tokens are minted with it, rooms made and closed, and its webhooks verified."""
    api_secret: SecretStr = SecretStr("")
    """The secret of the key, at least 32 characters."""
    join_timeout_s: float = Field(default=10.0, gt=0)
    """How long the bot may take to join its room; a session that takes longer is refused."""

    @field_validator("url", "public_url")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("ws", "wss") or not parts.hostname or parts.query or "@" in parts.netloc):
            raise ValueError("must be an address such as wss://rooms.example.com, without a password in it")
        return value.rstrip("/")

    @field_validator("api_secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr) -> SecretStr:
        if 0 < len(secret.get_secret_value()) < 32:
            raise ValueError("a secret to sign with has at least 32 characters")
        return secret

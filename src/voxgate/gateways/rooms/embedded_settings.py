"""How rooms of our own are reached."""

import ipaddress
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from voxgate.config import Settings


class IceServerSettings(Settings):
    """One STUN or TURN server."""

    urls: tuple[str, ...] = Field(min_length=1)
    """`stun:host:port`, `turn:host:port?transport=udp` or `turns:host:port?transport=tcp`, of one server."""
    username: str = ""
    """For TURN."""
    credential: SecretStr = SecretStr("")
    """For TURN; clients are told it."""

    @field_validator("urls")
    @classmethod
    def _known(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            if not url.startswith(("stun:", "stuns:", "turn:", "turns:")):
                raise ValueError(f"{url!r} is no address of a STUN or TURN server, such as stun:host:3478")
        return urls

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if any(url.startswith("turn") for url in self.urls) and not (self.username and self.credential):
            raise ValueError("a TURN server needs a username and a credential")
        return self


class EmbeddedSettings(Settings):
    """`[rooms.embedded]`"""

    ice_servers: tuple[IceServerSettings, ...] = ()
    """STUN and TURN servers that clients are told of; those on the same network, and those that reach this host by its
    own address, need none. TURN is what helps where a network lets no UDP out."""
    ask_ice_servers: bool = False
    """Whether this server asks them for addresses of its own, too: where it stands behind a translation of addresses
    that it knows nothing of. It takes one STUN and one TURN server of the list, and joining takes longer."""
    public_address: str = ""
    """An address of this host that it does not know itself: of a 1:1 translation, as clouds have it. Announced beside
    its own, with the same ports."""
    token_secret: SecretStr = SecretStr("")
    """What tokens are signed with, at least 32 characters; empty: one is made and kept in the data directory."""

    @field_validator("public_address")
    @classmethod
    def _address(cls, text: str) -> str:
        if text:
            ipaddress.ip_address(text)  # its own message names the text
        return text

    @field_validator("token_secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr) -> SecretStr:
        if 0 < len(secret.get_secret_value()) < 32:
            raise ValueError("a secret to sign with has at least 32 characters")
        return secret

"""`POST /v1/realtime/client_secrets`: its body and its answer, in OpenAI's shape."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from voxgate.domain import Scope

SHORTEST_S, LONGEST_S = 10, 7200
"""Range of `expires_after.seconds`, OpenAI's own."""


class ExpiresAfter(BaseModel):
    """When a secret ends."""

    model_config = ConfigDict(extra="ignore", use_attribute_docstrings=True)

    anchor: Literal["created_at"] = "created_at"
    seconds: int | None = Field(default=None, ge=SHORTEST_S, le=LONGEST_S)
    """Seconds to connect in; absent: `limits.client_secret_s`."""


class ClientSecretRequest(BaseModel):
    """`POST /v1/realtime/client_secrets`."""

    model_config = ConfigDict(extra="ignore", use_attribute_docstrings=True)

    expires_after: ExpiresAfter | None = None
    session: dict[str, Any] | None = None
    """Kept with the secret, and answered as it was given."""
    scopes: Annotated[list[Scope], Field(min_length=1)] | None = None
    """What the secret may be used for; absent: all of it."""

    def seconds(self, default: int) -> int:
        """Seconds to connect in."""
        asked = self.expires_after.seconds if self.expires_after else None
        return default if asked is None else asked

    def wanted_scopes(self) -> frozenset[Scope]:
        """What the secret may be used for."""
        return frozenset(Scope) if self.scopes is None else frozenset(self.scopes)


def minted(
    value: str, secret_id: str, expires_at: datetime, scopes: tuple[Scope, ...], session: Mapping[str, Any]
) -> dict[str, Any]:
    """The answer; `expires_at` goes out in Unix seconds."""
    return {
        "value": value,
        "expires_at": int(expires_at.timestamp()),
        "scopes": list(scopes),
        "session": {"type": "realtime", **session, "object": "realtime.session", "id": secret_id},
    }

"""Client secrets: what a customer's server hands to a browser instead of its API key."""

import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from voxgate.books import ClientSecretStore
from voxgate.clock import Clock
from voxgate.domain import Principal, Scope
from voxgate.errors import Code, PeerError, RefusedError

SECRET_BYTES = 32
"""Random bytes in a secret: 256 bits, 43 URL-safe characters."""

SESSION_BYTES = 16 * 1024
"""Largest `session` that is kept with a secret, as JSON."""


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A client secret at the only moment it can be seen."""

    value: str = field(repr=False)
    """The secret itself."""
    id: str
    expires_at: datetime
    """Until when it can begin requests and connections; what it began by then goes on."""
    scopes: tuple[Scope, ...]
    session: Mapping[str, Any] = field(repr=False)
    """As it was given."""


class ClientSecrets:
    """Mints client secrets."""

    def __init__(self, store: ClientSecretStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def mint(
        self, principal: Principal, *, seconds: int, scopes: Collection[Scope], session: Mapping[str, Any]
    ) -> NewSecret:
        """A secret that stands for the principal's key for so many seconds.

        Raises RefusedError `permission_denied` where the principal is a client secret itself, PeerError naming
        `session`, StoreError.
        """
        if principal.scopes is not None:
            raise RefusedError("a client secret cannot mint client secrets; use an API key")
        try:
            size = len(json.dumps(session, allow_nan=False))
        except (ValueError, RecursionError):
            raise PeerError("'session' is not JSON that can be kept", code=Code.INVALID_JSON, param="session") from None
        if size > SESSION_BYTES:
            raise PeerError(
                f"'session' has {size:,} bytes as JSON; at most {SESSION_BYTES:,} are allowed",
                code=Code.INPUT_TOO_LONG,
                param="session",
            )
        value = f"ek_{secrets.token_urlsafe(SECRET_BYTES)}"
        expires_at = (self._clock.now() + timedelta(seconds=seconds)).replace(microsecond=0)  # as clients are told
        secret_id = await self._store.add(
            value, key_id=principal.key_id, scopes=scopes, session=session, expires_at=expires_at
        )
        return NewSecret(value, secret_id, expires_at, tuple(sorted(scopes)), session)

"""Organizations, their keys and their credits, as people administer them."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from voxgate.books import AccountStore
from voxgate.domain import MICRO, ApiKey, Organization, Tier
from voxgate.errors import Code, PeerError
from voxgate.services.billing import to_micro

KEY_BYTES = 32
"""Random bytes in a key: 256 bits, 43 URL-safe characters."""

DEVELOPMENT_ORG = "development"
"""The organization the first `serve` makes for itself."""

DEVELOPMENT_CREDITS = Decimal(1_000_000)
"""Its credits: two years of speech around the clock at a credit a minute."""

MAX_GRANT = Decimal(1_000_000_000)
"""Credits one grant may add: a slip of the keyboard, not a business."""

MAX_CONCURRENT = 1_000_000
"""Requests at once that a key may be limited to: beyond any server."""

MAX_GRACE = timedelta(days=90)
"""How long a rotated key may go on."""

_NAME_LENGTH = 100


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key at the only moment it can be seen."""

    key: str = field(repr=False)
    """The secret itself: print it once, keep it nowhere."""
    info: ApiKey
    org: Organization


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """What one key may use up; None: no limit of its own."""

    max_concurrent: int | None = None
    """Requests at once, at least 1."""
    daily_credits: Decimal | None = None
    """Credits a day (UTC), to the micro-credit. 0: only what is free."""

    @classmethod
    def of(cls, key: ApiKey) -> "KeyLimits":
        """The limits a key has."""
        daily = None if key.daily_limit is None else Decimal(key.daily_limit) / MICRO
        return cls(key.max_concurrent, daily)

    def checked_concurrency(self) -> int | None:
        """`max_concurrent`. Raises PeerError where it is none."""
        if self.max_concurrent is not None and not 1 <= self.max_concurrent <= MAX_CONCURRENT:
            raise PeerError(f"max_concurrent must be between 1 and {MAX_CONCURRENT:,}", param="max_concurrent")
        return self.max_concurrent

    def daily_micro(self) -> int | None:
        """`daily_credits` in micro-credits. Raises PeerError where it is no amount."""
        return None if self.daily_credits is None else _amount(self.daily_credits, "daily_credits")


class Accounts:
    """The use cases behind `voxgate keys` and `voxgate credits`. Every method may raise StoreError."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store

    async def create_key(
        self,
        org: str,
        *,
        tier: Tier = Tier.FREE,
        credits: Decimal = Decimal(0),  # noqa: A002 - as the command line calls it
        label: str = "",
        expires_at: datetime | None = None,
        limits: KeyLimits | None = None,
    ) -> NewKey:
        """Make a key for an organization, and the organization where there is none of that name.

        `tier` and `credits` are for a new organization; one that exists keeps its own. `expires_at` carries a time
        zone. Raises PeerError naming the parameter.
        """
        created = await self._add_key(org, tier, credits, label, expires_at, limits or KeyLimits(), only_first=False)
        assert created is not None, "only the development organization may find itself unneeded"
        return created

    async def ensure_development_org(self) -> NewKey | None:
        """Where there is no organization at all: one of tier `owner` with ample credits, and its key. Else None."""
        return await self._add_key(
            DEVELOPMENT_ORG, Tier.OWNER, DEVELOPMENT_CREDITS, "first start", None, KeyLimits(), only_first=True
        )

    async def keys(self, org: str | None = None) -> tuple[ApiKey, ...]:
        """The keys of one organization, or all, oldest first."""
        return tuple(await self._store.keys(org))

    async def revoke_key(self, reference: str) -> ApiKey:
        """End the key with this id, or this visible prefix where only one has it; one revoked before stays as it was.

        Raises PeerError `not_found`, or `invalid_value` for a prefix that several keys share.
        """
        revoked = await self._store.revoke_key((await self._key(reference)).id)
        if revoked is None:
            raise _no_key()
        return revoked

    async def rotate_key(
        self, reference: str, *, grace: timedelta, now: datetime, lifetime: timedelta | None = None
    ) -> tuple[NewKey, ApiKey]:
        """A new key with the label and the limits of an old one, and the old one, which ends after `grace`.

        `lifetime`: of the new key, from `now`; absent: as long as the old one was made for, if it was to end at all.
        Raises PeerError: as `revoke_key`, or `invalid_value` for a key that ended or was rotated before.
        """
        if not timedelta() <= grace <= MAX_GRACE:
            raise PeerError(f"a grace is 0 to {MAX_GRACE.days * 24} hours", param="grace")
        old = await self._key(reference)
        if lifetime is None and old.expires_at is not None:
            lifetime = old.expires_at - old.created_at
        key = _new_key()
        ends_at, expires_at = now + grace, None if lifetime is None else now + lifetime
        rotated = await self._store.rotate_key(old.id, key, ends_at=ends_at, expires_at=expires_at)
        if rotated is None:
            raise PeerError("this key is revoked, expired or was rotated before", param="key")
        organization, info = rotated
        return NewKey(key=key, info=info, org=organization), await self._key(old.id)

    async def limit_key(self, reference: str, changes: Mapping[str, int | Decimal | None]) -> ApiKey:
        """Change limits of a key: `max_concurrent`, `daily_credits`, each a number or None for no limit of its own.

        What is not named stays as it is. Raises PeerError: as `revoke_key`, or naming the limit.
        """
        key = await self._key(reference)
        limits = replace(KeyLimits.of(key), **changes)  # type: ignore[arg-type]  # KeyLimits checks the values
        changed = await self._store.limit_key(
            key.id, max_concurrent=limits.checked_concurrency(), daily_limit=limits.daily_micro()
        )
        if changed is None:
            raise _no_key()
        return changed

    async def add_credits(
        self,
        org: str,
        credits: Decimal,  # noqa: A002 - as the command line calls it
        *,
        grant_id: str | None = None,
    ) -> Organization:
        """Add credits; the same `grant_id` (an order number, at most 64 characters) again adds nothing.

        Raises PeerError: `not_found`, or an amount that is not positive, too fine or too large. RefusedError where the
        balance would outgrow its 64 bits.
        """
        amount = _amount(credits)
        if amount == 0:
            raise PeerError("credits to add must be more than 0", param="credits")
        if grant_id is not None and not 0 < len(grant_id) <= 64:
            raise PeerError("a grant id has 1 to 64 characters", param="grant_id")
        changed = await self._store.grant(_name(org), amount, grant_id=grant_id or secrets.token_hex(12))
        if changed is None:
            raise _no_organization(org)
        return changed

    async def organization(self, org: str) -> Organization:
        """The organization and its balance. Raises PeerError `not_found`."""
        found = await self._store.organizations(_name(org))
        if not found:
            raise _no_organization(org)
        return found[0]

    async def organizations(self) -> tuple[Organization, ...]:
        """Every organization and its balance, by name."""
        return tuple(await self._store.organizations())

    async def _key(self, reference: str) -> ApiKey:
        found = [key for key in await self._store.keys() if reference in (key.id, key.prefix)]
        if len(found) > 1:
            raise PeerError("several keys begin with this prefix; name one by its id", param="key")
        if not found:
            raise _no_key()
        return found[0]

    async def _add_key(
        self,
        org: str,
        tier: Tier,
        credits: Decimal,  # noqa: A002 - as the command line calls it
        label: str,
        expires_at: datetime | None,
        limits: KeyLimits,
        *,
        only_first: bool,
    ) -> NewKey | None:
        if expires_at is not None and expires_at.tzinfo is None:
            raise PeerError("an expiry needs a time zone", param="expires_at")
        if len(label) > _NAME_LENGTH or not label.isprintable():
            raise PeerError(f"a label has at most {_NAME_LENGTH} printable characters", param="label")
        key = _new_key()
        stored = await self._store.add_key(
            key,
            org=_name(org),
            tier=tier,
            grant=_amount(credits),
            label=label,
            expires_at=expires_at,
            max_concurrent=limits.checked_concurrency(),
            daily_limit=limits.daily_micro(),
            only_first=only_first,
        )
        if stored is None:
            return None
        organization, info = stored
        return NewKey(key=key, info=info, org=organization)


def _new_key() -> str:
    return f"vg_{secrets.token_urlsafe(KEY_BYTES)}"


def _no_key() -> PeerError:
    # The reference is not repeated: whoever pastes a whole key here must not find it in a log.
    return PeerError("no key has this id or prefix; see `voxgate keys list`", code=Code.NOT_FOUND, param="key")


def _name(org: str) -> str:
    name = org.strip()
    if not 0 < len(name) <= _NAME_LENGTH or not name.isprintable():
        raise PeerError(f"an organization's name has 1 to {_NAME_LENGTH} printable characters", param="org")
    return name


def _amount(credits: Decimal, param: str = "credits") -> int:  # noqa: A002 - as the command line calls it
    if not credits.is_finite() or not 0 <= credits <= MAX_GRANT:
        raise PeerError(f"{param} must be between 0 and {MAX_GRANT:,}", param=param)
    try:
        return to_micro(credits)
    except ValueError as error:
        raise PeerError(str(error), param=param) from error


def _no_organization(org: str) -> PeerError:
    return PeerError(f"there is no organization named {org.strip()!r}", code=Code.NOT_FOUND, param="org")

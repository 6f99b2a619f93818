"""Organizations, their keys and their credits, as people administer them."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from voxgate.domain import ApiKey, Organization, Tier
from voxgate.errors import Code, PeerError
from voxgate.ports import AccountStore
from voxgate.services.billing import to_micro

KEY_BYTES = 32
"""Random bytes in a key: 256 bits, 43 URL-safe characters."""

DEVELOPMENT_ORG = "development"
"""The organization the first `serve` makes for itself."""

DEVELOPMENT_CREDITS = Decimal(1_000_000)
"""Its credits: two years of speech around the clock at a credit a minute."""

MAX_GRANT = Decimal(1_000_000_000)
"""Credits one grant may add: a slip of the keyboard, not a business."""

_NAME_LENGTH = 100


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key at the only moment it can be seen."""

    key: str = field(repr=False)
    """The secret itself: print it once, keep it nowhere."""
    info: ApiKey
    org: Organization


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
    ) -> NewKey:
        """Make a key for an organization, and the organization where there is none of that name.

        `tier` and `credits` are for a new organization; one that exists keeps its own. `expires_at` carries a time
        zone. Raises PeerError naming the parameter.
        """
        created = await self._add_key(org, tier, credits, label, expires_at, only_first=False)
        assert created is not None, "only the development organization may find itself unneeded"
        return created

    async def ensure_development_org(self) -> NewKey | None:
        """Where there is no organization at all: one of tier `owner` with ample credits, and its key. Else None."""
        return await self._add_key(
            DEVELOPMENT_ORG, Tier.OWNER, DEVELOPMENT_CREDITS, "first start", None, only_first=True
        )

    async def keys(self, org: str | None = None) -> tuple[ApiKey, ...]:
        """The keys of one organization, or all, oldest first."""
        return tuple(await self._store.keys(org))

    async def revoke_key(self, reference: str) -> ApiKey:
        """End the key with this id, or this visible prefix where only one has it; one revoked before stays as it was.

        Raises PeerError `not_found`, or `invalid_value` for a prefix that several keys share.
        """
        found = [key for key in await self._store.keys() if reference in (key.id, key.prefix)]
        if len(found) > 1:
            raise PeerError("several keys begin with this prefix; name one by its id", param="key")
        revoked = await self._store.revoke_key(found[0].id) if found else None
        if revoked is None:
            # Not repeated: whoever pastes a whole key here must not find it in a log.
            raise PeerError("no key has this id or prefix; see `voxgate keys list`", code=Code.NOT_FOUND, param="key")
        return revoked

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

    async def _add_key(
        self,
        org: str,
        tier: Tier,
        credits: Decimal,  # noqa: A002
        label: str,
        expires_at: datetime | None,
        *,
        only_first: bool,
    ) -> NewKey | None:
        if expires_at is not None and expires_at.tzinfo is None:
            raise PeerError("an expiry needs a time zone", param="expires_at")
        if len(label) > _NAME_LENGTH or not label.isprintable():
            raise PeerError(f"a label has at most {_NAME_LENGTH} printable characters", param="label")
        key = f"vg_{secrets.token_urlsafe(KEY_BYTES)}"
        stored = await self._store.add_key(
            key,
            org=_name(org),
            tier=tier,
            grant=_amount(credits),
            label=label,
            expires_at=expires_at,
            only_first=only_first,
        )
        if stored is None:
            return None
        organization, info = stored
        return NewKey(key=key, info=info, org=organization)


def _name(org: str) -> str:
    name = org.strip()
    if not 0 < len(name) <= _NAME_LENGTH or not name.isprintable():
        raise PeerError(f"an organization's name has 1 to {_NAME_LENGTH} printable characters", param="org")
    return name


def _amount(credits: Decimal) -> int:  # noqa: A002
    if not credits.is_finite() or not 0 <= credits <= MAX_GRANT:
        raise PeerError(f"credits must be between 0 and {MAX_GRANT:,}", param="credits")
    try:
        return to_micro(credits)
    except ValueError as error:
        raise PeerError(str(error), param="credits") from error


def _no_organization(org: str) -> PeerError:
    return PeerError(f"there is no organization named {org.strip()!r}", code=Code.NOT_FOUND, param="org")

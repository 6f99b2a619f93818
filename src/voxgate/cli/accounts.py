"""`voxgate keys` and `voxgate credits`."""

import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated

import typer

from voxgate.cli.common import (
    ConfigOption,
    DataDirOption,
    JsonOption,
    errors_told,
    print_json,
    print_table,
    read_settings,
    with_accounts,
)
from voxgate.domain import Tier

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from voxgate.domain import ApiKey, Organization
    from voxgate.services.accounts import Accounts, NewKey

keys = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys; rotate and limit them.")
credit = typer.Typer(no_args_is_help=True, help="Show and add credits.")


def _credits(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise typer.BadParameter(f"{text!r} is no amount of credits") from None


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise typer.BadParameter(f"{text!r} is no whole number")
    return int(text)


KeyArgument = Annotated[str, typer.Argument(help="Id or beginning of the key, as `voxgate keys list` shows them.")]
CreditsOption = Annotated[
    Decimal,
    typer.Option("--credits", parser=_credits, metavar="CREDITS", help="Credits a new organization begins with."),
]


@keys.command("create")
def create(
    org: Annotated[str, typer.Option(help="Organization the key belongs to; made if there is none of that name.")],
    tier: Annotated[Tier, typer.Option(help="Tier of a new organization.")] = Tier.FREE,
    amount: CreditsOption = Decimal(0),
    label: Annotated[str, typer.Option(help="What the key is for.")] = "",
    expires_days: Annotated[int | None, typer.Option(min=1, max=36_500, help="Days until the key expires.")] = None,
    max_concurrent: Annotated[int | None, typer.Option(help="How many of its requests may run at once.")] = None,
    daily: Annotated[
        Decimal | None,
        typer.Option("--daily-credits", parser=_credits, metavar="CREDITS", help="What it may spend a day (UTC)."),
    ] = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an API key and print it, once. On an existing organization, tier and credits stay as they are.

    \b
    voxgate keys create --org acme --tier pro --credits 1000
    """
    with errors_told():
        expires = None if expires_days is None else datetime.now(UTC) + timedelta(days=expires_days)

        def make(accounts: "Accounts") -> "Awaitable[NewKey]":
            from voxgate.services.accounts import KeyLimits

            limits = KeyLimits(max_concurrent, daily)
            return accounts.create_key(org, tier=tier, credits=amount, label=label, expires_at=expires, limits=limits)

        _print_key(with_accounts(read_settings(config, data_dir), make), as_json)


def _print_key(made: "NewKey", as_json: bool, **more: str) -> None:
    """A new key on stdout, alone on its line."""
    if as_json:
        print_json({"key": made.key, "id": made.info.id, **_shown(made.org), **more})
    else:
        sys.stdout.write(f"{made.key}\n")
        if sys.stdout.isatty():
            sys.stderr.write("Keep it: it is stored only as a hash and cannot be shown again.\n")


@keys.command("list")
def list_keys(
    org: Annotated[str | None, typer.Option(help="Only the keys of this organization.")] = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the keys: their beginnings, whose they are, when they were last used."""
    with errors_told():
        found = with_accounts(read_settings(config, data_dir), lambda a: a.keys(org))
        if as_json:
            print_json([_key_row(key) for key in found])
            return
        headings = ("id", "key", "org", "label", "state", "created", "last used", "at once", "credits a day")
        print_table(headings, [list(_key_row(key).values()) for key in found])


def _key_row(key: "ApiKey") -> dict[str, str]:
    from voxgate.services.billing import to_credits

    now = datetime.now(UTC)
    state = "active"
    if key.revoked_at:
        state = f"revoked {key.revoked_at:%Y-%m-%d}"
    elif key.replaced_by and key.expires_at and key.expires_at > now:
        state = f"rotated, ends {key.expires_at:%Y-%m-%d %H:%M}"
    elif key.expires_at:
        state = f"{'expired' if key.expires_at <= now else 'expires'} {key.expires_at:%Y-%m-%d}"
    return {
        "id": key.id,
        "key": f"{key.prefix}…",
        "org": key.org_name,
        "label": key.label,
        "state": state,
        "created": f"{key.created_at:%Y-%m-%d %H:%M}",
        "last_used": f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never",
        "max_concurrent": "" if key.max_concurrent is None else str(key.max_concurrent),
        "daily_credits": "" if key.daily_limit is None else to_credits(key.daily_limit),
    }


@keys.command("revoke")
def revoke(
    key: KeyArgument,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """End a key, and its client secrets. New requests are refused at once, those under way end within five seconds."""
    with errors_told():
        ended = with_accounts(read_settings(config, data_dir), lambda a: a.revoke_key(key.removesuffix("…")))
        sys.stdout.write(f"revoked {ended.prefix}… of {ended.org_name}\n")


@keys.command("rotate")
def rotate(
    key: KeyArgument,
    grace: Annotated[
        int, typer.Option(min=0, max=2160, metavar="HOURS", help="How long the old key goes on; 0 ends it now.")
    ] = 24,
    expires_days: Annotated[
        int | None,
        typer.Option(
            min=1, max=36_500, help="Days until the new key expires; absent: as many as the old one had, if any."
        ),
    ] = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key that takes the place of another, with its label and limits, and print it, once. The old one goes on
    for a while, so that nothing stands still while the new one is put where the old one was.

    \b
    voxgate keys rotate key_3f2a… --grace 48
    """
    with errors_told():
        lifetime = None if expires_days is None else timedelta(days=expires_days)
        made, old = with_accounts(
            read_settings(config, data_dir),
            lambda a: a.rotate_key(
                key.removesuffix("…"), grace=timedelta(hours=grace), now=datetime.now(UTC), lifetime=lifetime
            ),
        )
        assert old.expires_at is not None, "a rotated key ends"
        _print_key(made, as_json, replaces=old.id, old_ends=old.expires_at.isoformat(timespec="seconds"))
        if not as_json:
            sys.stderr.write(f"{old.prefix}… of {old.org_name} ends {old.expires_at:%Y-%m-%d %H:%M} UTC\n")


@keys.command("limit")
def limit(
    key: KeyArgument,
    max_concurrent: Annotated[
        str | None, typer.Option(metavar="N", help="How many of its requests may run at once; `none`: no own limit.")
    ] = None,
    daily: Annotated[
        str | None,
        typer.Option(
            "--daily-credits", metavar="CREDITS", help="What it may spend a day (UTC); `none`: what the balance holds."
        ),
    ] = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Limit what one key may use up. A running server heeds it from the key's next request on.

    \b
    voxgate keys limit key_3f2a… --max-concurrent 4 --daily-credits 25
    voxgate keys limit key_3f2a… --daily-credits none
    """
    with errors_told():
        changes: dict[str, int | Decimal | None] = {}
        if max_concurrent is not None:
            changes["max_concurrent"] = None if max_concurrent == "none" else _whole(max_concurrent)
        if daily is not None:
            changes["daily_credits"] = None if daily == "none" else _credits(daily)
        if not changes:
            raise typer.BadParameter("name a limit: --max-concurrent or --daily-credits")
        changed = with_accounts(read_settings(config, data_dir), lambda a: a.limit_key(key.removesuffix("…"), changes))
        row = _key_row(changed)
        sys.stdout.write(
            f"{changed.prefix}… of {changed.org_name}: at once {row['max_concurrent'] or 'no own limit'}, "
            f"credits a day {row['daily_credits'] or 'no own limit'}\n"
        )


@credit.command("add")
def add(
    org: Annotated[str, typer.Argument(help="Organization to add credits to.")],
    amount: Annotated[Decimal, typer.Argument(parser=_credits, metavar="CREDITS", help="How many; decimals allowed.")],
    grant: Annotated[
        str | None, typer.Option(help="An id of your own (an order number): the same one again adds nothing.")
    ] = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add credits to an organization.

    \b
    voxgate credits add acme 500 --grant order-1234
    """
    with errors_told():
        _show(
            [with_accounts(read_settings(config, data_dir), lambda a: a.add_credits(org, amount, grant_id=grant))],
            as_json,
        )


@credit.command("show")
def show(
    org: Annotated[str | None, typer.Argument(help="One organization; all where absent.")] = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what organizations have left."""
    with errors_told():
        loaded = read_settings(config, data_dir)
        if org is None:
            _show(list(with_accounts(loaded, lambda a: a.organizations())), as_json)
        else:
            _show([with_accounts(loaded, lambda a: a.organization(org))], as_json)


def _show(organizations: "list[Organization]", as_json: bool) -> None:
    rows = [_shown(organization) for organization in organizations]
    if as_json:
        print_json(rows)
    else:
        print_table(("org", "tier", "balance", "held"), [list(row.values()) for row in rows])


def _shown(organization: "Organization") -> dict[str, str]:
    from voxgate.services.billing import to_credits

    return {
        "org": organization.name,
        "tier": organization.tier.value,
        "balance": to_credits(organization.balance.available),
        "held": to_credits(organization.balance.held),
    }

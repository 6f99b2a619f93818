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
    from voxgate.domain import ApiKey, Organization

keys = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")
credit = typer.Typer(no_args_is_help=True, help="Show and add credits.")


def _credits(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise typer.BadParameter(f"{text!r} is no amount of credits") from None


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
        made = with_accounts(
            read_settings(config, data_dir),
            lambda a: a.create_key(org, tier=tier, credits=amount, label=label, expires_at=expires),
        )
        if as_json:
            print_json({"key": made.key, "id": made.info.id, **_shown(made.org)})
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
        headings = ("id", "key", "org", "label", "state", "created", "last used")
        print_table(headings, [list(_key_row(key).values()) for key in found])


def _key_row(key: "ApiKey") -> dict[str, str]:
    now = datetime.now(UTC)
    state = "active"
    if key.revoked_at:
        state = f"revoked {key.revoked_at:%Y-%m-%d}"
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
    }


@keys.command("revoke")
def revoke(
    key: Annotated[str, typer.Argument(help="Id or beginning of the key, as `voxgate keys list` shows them.")],
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """End a key. New requests are refused at once, a running server notices within seconds."""
    with errors_told():
        ended = with_accounts(read_settings(config, data_dir), lambda a: a.revoke_key(key.removesuffix("…")))
        sys.stdout.write(f"revoked {ended.prefix}… of {ended.org_name}\n")


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

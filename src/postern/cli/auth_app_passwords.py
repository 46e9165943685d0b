"""`postern auth app-password`: passwords for one program each."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import App, Parameter

from postern.cli.account_values import expiry, parse_protocols
from postern.cli.auth_values import parse_networks
from postern.cli.language import _
from postern.cli.moments import moment
from postern.cli.organisation import (
    Config,
    Json,
    existing_account,
    hash_cost,
    load_settings,
    open_directory,
    open_failures,
    run,
)
from postern.cli.output import done, show_list
from postern.directory import app_passwords
from postern.directory.interface import Account
from postern.directory.safeguards import AppPassword
from postern.net.clock import SystemClock, SystemEntropy

app = App(name="app-password", help=_("Passwords for one program each."))

Protocols = Annotated[str, Parameter(help=_("Where it works, such as imap,smtp."))]
Networks = Annotated[str, Parameter(help=_("Networks it works from, such as 192.0.2.0/24,2001:db8::/32; all without."))]
Expires = Annotated[str, Parameter(help=_("When it ends: a date, or `never`."))]


@app.command(
    help=_(
        "Make one; it is shown once."
        "\n\nExample: postern auth app-password add anna@example.org telephone --protocols imap,smtp"
    )
)
def add(  # noqa: D103 - options are arguments
    user: str,
    name: str,
    /,
    *,
    protocols: Protocols = "imap,pop3,smtp",
    networks: Networks = "",
    expires: Expires = "never",
    config: Config = None,
    json: Json = False,
) -> None:
    settings = load_settings(config)
    chosen, places, ends = parse_protocols(protocols), parse_networks(networks), expiry(expires) or None

    async def work() -> tuple[Account, str, AppPassword]:
        entropy = SystemEntropy()
        async with open_directory(settings) as directory:
            account = await existing_account(directory, user)
            secret = app_passwords.new(entropy)
            key = await directory.secret("app passwords")
            keys = app_passwords.scram_keys(key, account.id, secret, hash_cost(settings).scram_iterations)
            wanted = AppPassword(
                0,
                name,
                app_passwords.digest(key, account.id, secret),
                chosen,
                places,
                SystemClock().timestamp(),
                ends,
                keys.stored_key,
                keys.server_key,
            )
            return account, secret, await directory.add_app_password(account.id, wanted)

    account, secret, made = run(work)
    text = _(
        "App password {name} of {address} (shown once): {secret}", name=name, address=account.address, secret=secret
    )
    done(text, {"account": account.address, **_facts(made), "password": secret}, json=json)


@app.command(
    name="list", help=_("List a user's app passwords.\n\nExample: postern auth app-password list anna@example.org")
)
def list_(user: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    settings = load_settings(config)

    async def work() -> list[dict[str, Any]]:
        failures = open_failures(settings)
        try:
            async with open_directory(settings) as directory:
                account = await existing_account(directory, user)
                rows = []
                for one in await directory.app_passwords(account.id):
                    use = failures.last_use(one.id)
                    used = {"used_at": use.at if use else None, "used_from": use.address if use else ""}
                    rows.append({"account": account.address, **_facts(one), **used})
                return rows
        finally:
            failures.close()

    rows = run(work)
    if not json:
        times = ("created_at", "expires_at", "used_at")
        rows = [{**row, **{key: moment(row[key]) for key in times}} for row in rows]
    columns = {
        "name": _("NAME"),
        "protocols": _("PROTOCOLS"),
        "networks": _("NETWORKS"),
        "created_at": _("MADE"),
        "expires_at": _("ENDS"),
        "used_at": _("LAST USED"),
        "used_from": _("FROM"),
    }
    show_list(rows, columns, json=json)


@app.command(
    help=_(
        "Remove one; sessions that it opened end."
        "\n\nExample: postern auth app-password remove anna@example.org telephone"
    )
)
def remove(user: str, name: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    async def work() -> Account:
        async with open_directory(load_settings(config)) as directory:
            account = await existing_account(directory, user)
            await directory.remove_app_password(account.id, name)
            return account

    account = run(work)
    text = _("App password {name} of {address} is removed.", name=name, address=account.address)
    done(text, {"account": account.address, "name": name, "removed": True}, json=json)


def _facts(one: AppPassword) -> dict[str, Any]:
    return {
        "name": one.name,
        "protocols": sorted(one.protocols),
        "networks": [str(network) for network in one.networks],
        "created_at": one.created_at,
        "expires_at": one.expires_at,
    }

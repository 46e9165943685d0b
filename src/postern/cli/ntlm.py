"""`postern mailbox ntlm`: who may sign in by NTLM without a domain."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import App, Parameter

from postern.cli.account_values import read_password
from postern.cli.language import _
from postern.cli.organisation import Config, Json, existing_account, load_settings, open_directory, run
from postern.cli.output import done, fail, show_list
from postern.directory.interface import Account
from postern.directory.passwords import verify
from postern.formats.ntlm.keys import nt_hash
from postern.services.mechanisms.hashes import KIND

app = App(name="ntlm", help=_("Accounts that may sign in by NTLM: an NT hash of their password is kept for it."))

Present = Annotated[
    str,
    Parameter(
        name="--password",
        allow_leading_hyphen=True,
        help=_("The account's present password; `-` reads or asks for it."),
    ),
]


@app.command(name="list", help=_("List the accounts with an NT hash.\n\nExample: postern mailbox ntlm list --json"))
def list_(*, config: Config = None, json: Json = False) -> None:  # noqa: D103 - help is above
    async def work() -> list[dict[str, Any]]:
        async with open_directory(load_settings(config)) as directory:
            return [
                {"address": account.address, "name": account.display_name}
                for account in await directory.accounts()
                if await directory.derived_key(account.id, KIND) is not None
            ]

    show_list(run(work), {"address": _("ADDRESS"), "name": _("NAME")}, json=json)


@app.command(
    help=_(
        "Keep an NT hash of an account's password. It is as good as the password for whoever reads the directory, and"
        " gone with the next password.\n\nExample: postern mailbox ntlm allow scanner@example.org"
    )
)
def allow(address: str, /, *, password: Present = "-", config: Config = None, json: Json = False) -> None:  # noqa: D103, S107
    settings = load_settings(config)
    secret, _made = read_password(password)

    async def work() -> Account:
        async with open_directory(settings) as directory:
            account = await existing_account(directory, address)
            if not verify(secret, await directory.password_hash(account.id)):
                fail(_("That is not the password of {address}.", address=account.address))
            await directory.put_derived_keys(account.id, {KIND: nt_hash(secret)})
            return account

    account = run(work)
    text = _("{address} may sign in by NTLM.", address=account.address)
    if not settings.ntlm.accounts:
        text += "\n" + _("NTLM is switched off: set `accounts = true` in [ntlm] of postern.toml.")
    done(text, {"address": account.address, "offered": settings.ntlm.accounts}, json=json)


@app.command(help=_("Forget the NT hash of an account.\n\nExample: postern mailbox ntlm forbid scanner@example.org"))
def forbid(address: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    settings = load_settings(config)

    async def work() -> Account:
        async with open_directory(settings) as directory:
            account = await existing_account(directory, address)
            await directory.drop_derived_key(account.id, KIND)
            return account

    account = run(work)
    done(_("{address} signs in by NTLM no more.", address=account.address), {"address": account.address}, json=json)

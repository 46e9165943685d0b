"""`postern mailbox`: users and shared mailboxes."""

from __future__ import annotations

import getpass
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from postern.cli import permission
from postern.cli.language import _
from postern.cli.organisation import (
    Config,
    Json,
    existing_account,
    hash_cost,
    load_settings,
    open_directory,
    open_failures,
    open_organisation,
    run,
)
from postern.cli.output import done, fail, parse_size, show_list, show_one, size
from postern.config.settings import Settings
from postern.directory.interface import ALL_PROTOCOLS, Account, AccountChange, NewAccount, RecipientKind
from postern.directory.passwords import check_hash, new_credentials
from postern.model.items import Quota
from postern.model.refusal import Reason, Refusal
from postern.net.clock import SystemEntropy

app = App(name="mailbox", help=_("Users and shared mailboxes."))
app.command(permission.app)

Name = Annotated[str | None, Parameter(help=_("Display name."))]
Password = Annotated[
    str | None,
    Parameter(
        allow_leading_hyphen=True,
        help=_("Password; `-` reads it from standard input. Not given: one is made and shown once."),
    ),
]
QuotaText = Annotated[
    str | None,
    Parameter(name="--quota", help=_("Largest size, such as 2G: warning at 90 %, sending stops at 95 %; `none`.")),
]
Shared = Annotated[bool, Parameter(negative="", help=_("A shared mailbox: nobody logs in to it directly."))]
Admin = Annotated[bool | None, Parameter(help=_("An administrator: gets mail for postmaster."))]
Enabled = Annotated[bool | None, Parameter(negative="--disabled", help=_("Whether the user may log in."))]
Protocols = Annotated[str | None, Parameter(help=_("What the user may log in to: smtp,imap,pop3."))]
Forward = Annotated[str | None, Parameter(help=_("Addresses to forward mail to, joined by commas; `none`."))]
Keep = Annotated[bool | None, Parameter(help=_("With --forward: also keep mail in the mailbox."))]
Yes = Annotated[bool, Parameter(name=["--yes", "-y"], negative="", help=_("Do not ask."))]


def facts(account: Account) -> dict[str, Any]:
    """An account as JSON has it."""
    return {
        "address": account.address,
        "name": account.display_name,
        "mailbox": account.mailbox,
        "shared": account.shared,
        "enabled": account.enabled,
        "admin": account.admin,
        "protocols": sorted(account.protocols),
        "quota_bytes": account.quota.no_receive_bytes,
        "forward_to": list(account.forward_to),
        "forward_keep": account.forward_keep,
    }


def new_password() -> str:
    """A password a person can type: 20 letters and digits without look-alikes, 110 bits."""
    alphabet = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    return "-".join("".join(secrets.choice(alphabet) for _ in range(5)) for _ in range(4))


def _read_password(given: str | None) -> tuple[str, bool]:
    """The password, and whether it was made up here."""
    if given is None:
        return new_password(), True
    if given != "-":
        return given, False
    if sys.stdin.isatty():
        return getpass.getpass(_("Password: ")), False
    return sys.stdin.readline().rstrip("\n"), False


def parse_quota(text: str | None, settings: Settings) -> Quota:
    """One figure becomes Exchange's three steps; without one, those of the settings."""
    if text is None:
        own = settings.store
        return Quota(own.warn_bytes or None, own.no_send_bytes or None, own.no_receive_bytes or None)
    try:
        octets = parse_size(text)
    except ValueError:
        fail(_("not a size: {text}; examples: 500M, 2G, none", text=text))
    return Quota(None, None, None) if octets is None else Quota(octets * 9 // 10, octets * 19 // 20, octets)


def parse_protocols(text: str) -> frozenset[str]:
    """`imap,smtp`."""
    chosen = frozenset(part.strip().lower() for part in text.split(",") if part.strip()) - {"none"}
    if not chosen <= ALL_PROTOCOLS:
        fail(_("not a protocol: {text}; known: smtp, imap, pop3, none", text=", ".join(sorted(chosen - ALL_PROTOCOLS))))
    return chosen


@app.command(name="list", help=_("List the mailboxes.\n\nExample: postern mailbox list --json"))
def list_(*, config: Config = None, json: Json = False) -> None:  # noqa: D103 - help is above
    async def work() -> list[dict[str, Any]]:
        async with open_directory(load_settings(config)) as directory:
            return [facts(account) for account in await directory.accounts()]

    rows = run(work)
    if not json:
        rows = [{**row, "quota": size(row["quota_bytes"])} for row in rows]
    columns = {
        "address": _("ADDRESS"),
        "name": _("NAME"),
        "shared": _("SHARED"),
        "enabled": _("ENABLED"),
        "quota": _("QUOTA"),
        "forward_to": _("FORWARDS TO"),
    }
    show_list(rows, columns, json=json)


@app.command(help=_("Show one mailbox, its folders and size.\n\nExample: postern mailbox show anna@example.org"))
def show(address: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    async def work() -> dict[str, Any]:
        async with open_organisation(load_settings(config)) as organisation:
            account = await existing_account(organisation.directory, address)
            found = facts(account)
            aliases = await organisation.directory.aliases()
            found["aliases"] = [alias.address for alias in aliases if account.address in alias.targets]
            if account.mailbox:
                mailbox = await organisation.store.mailbox(account.mailbox)
                folders = await mailbox.folders()
                found["used_bytes"] = await mailbox.used_bytes()
                found["messages"] = sum(folder.messages for folder in folders)
            return found

    found = run(work)
    if not json:
        found["used"] = size(found.get("used_bytes"))
        found["quota"] = size(found["quota_bytes"])
    labels = {
        "address": _("Address"),
        "name": _("Name"),
        "aliases": _("Aliases"),
        "mailbox": _("Mailbox"),
        "messages": _("Messages"),
        "used": _("Used"),
        "quota": _("Quota"),
        "shared": _("Shared"),
        "enabled": _("Enabled"),
        "admin": _("Administrator"),
        "protocols": _("Protocols"),
        "forward_to": _("Forwards to"),
    }
    show_one(found, labels, json=json)


@app.command(help=_("Make a mailbox.\n\nExample: postern mailbox add anna@example.org --name 'Anna Maria'"))
def add(  # noqa: D103
    address: str,
    /,
    *,
    name: Name = None,
    password: Password = None,
    quota: QuotaText = None,
    shared: Shared = False,
    admin: Admin = None,
    config: Config = None,
    json: Json = False,
) -> None:
    settings = load_settings(config)
    limits = parse_quota(quota, settings)
    secret, made = ("", False) if shared else _read_password(password)

    async def work() -> Account:
        hashed, keys = ("", None) if shared else new_credentials(secret, SystemEntropy(), hash_cost(settings))
        new = NewAccount(
            address,
            name or "",
            password_hash=hashed,
            scram=keys,
            quota=limits,
            kind=RecipientKind.SHARED if shared else RecipientKind.USER,
            admin=bool(admin),
        )
        return (await create(settings, [new]))[0]

    account = run(work)
    found = facts(account)
    text = _("Mailbox {address} is ready.", address=account.address)
    if made:
        found["password"] = secret
        text += "\n" + _("Password (shown once): {password}", password=secret)
    done(text, found, json=json)


async def create(settings: Settings, new: Sequence[NewAccount]) -> Sequence[Account]:
    """Make accounts and their mailboxes."""
    async with open_organisation(settings) as organisation:
        accounts = await organisation.directory.create_accounts(new)
        for account in accounts:
            if account.mailbox:
                await organisation.store.create_mailbox(account.mailbox, account.slot, account.quota)
        return accounts


@app.command(
    name="set", help=_("Change a mailbox.\n\nExample: postern mailbox set anna@example.org --quota 5G --disabled")
)
def set_(  # noqa: D103, PLR0913 - one option for each thing that can change
    address: str,
    /,
    *,
    name: Name = None,
    new_address: Annotated[
        str | None, Parameter(name="--address", help=_("New primary address; the old one becomes an alias."))
    ] = None,
    quota: QuotaText = None,
    enabled: Enabled = None,
    admin: Admin = None,
    protocols: Protocols = None,
    forward: Forward = None,
    keep: Keep = None,
    config: Config = None,
    json: Json = False,
) -> None:
    settings = load_settings(config)
    targets = None
    if forward is not None:
        targets = tuple(part.strip() for part in forward.split(",") if part.strip() not in {"", "none"})
    change = AccountChange(
        address=new_address,
        display_name=name,
        quota=None if quota is None else parse_quota(quota, settings),
        enabled=enabled,
        admin=admin,
        protocols=None if protocols is None else parse_protocols(protocols),
        forward_to=targets,
        forward_keep=keep,
    )

    async def work() -> Account:
        async with open_organisation(settings) as organisation:
            old = await existing_account(organisation.directory, address)
            account = await organisation.directory.change_account(old.address, change)
            if change.quota is not None and account.mailbox:
                mailbox = await organisation.store.mailbox(account.mailbox)
                await mailbox.set_quota(change.quota)
                await mailbox.durable()
            return account

    account = run(work)
    done(_("Mailbox {address} is changed.", address=account.address), facts(account), json=json)


@app.command(help=_("Set a new password.\n\nExample: postern mailbox password anna@example.org"))
def password(  # noqa: D103
    address: str, /, *, password: Password = None, config: Config = None, json: Json = False
) -> None:
    settings = load_settings(config)
    secret, made = _read_password(password)

    async def work() -> Account:
        async with open_directory(settings) as directory:
            account = await existing_account(directory, address)
            await directory.set_password(account.id, *new_credentials(secret, SystemEntropy(), hash_cost(settings)))
            return account

    account = run(work)
    found = {"address": account.address, "password": secret} if made else {"address": account.address}
    text = _("Mailbox {address} has a new password.", address=account.address)
    done(text + (f"\n{_('Password (shown once): {password}', password=secret)}" if made else ""), found, json=json)


@app.command(
    help=_("Let a user in again after too many failed logins.\n\nExample: postern mailbox unlock anna@example.org")
)
def unlock(address: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    settings = load_settings(config)

    async def work() -> Account:
        async with open_directory(settings) as directory:
            account = await existing_account(directory, address)
            log = open_failures(settings)
            log.clear(f"account {account.address}")
            log.close()
            return account

    account = run(work)
    done(_("Failed logins of {address} are forgotten.", address=account.address), {"address": address}, json=json)


@app.command(help=_("Remove a mailbox with all its mail.\n\nExample: postern mailbox remove anna@example.org --yes"))
def remove(address: str, /, *, yes: Yes = False, config: Config = None, json: Json = False) -> None:  # noqa: D103
    if not yes:
        if not sys.stdin.isatty():
            fail(_("this deletes all mail of {address}: say --yes", address=address))
        answer = input(_("Delete all mail of {address}? Type the address again: ", address=address))
        if answer.strip() != address:
            fail(_("nothing is deleted"))

    async def work() -> Account:
        async with open_organisation(load_settings(config)) as organisation:
            account = await existing_account(organisation.directory, address)
            if account.address != address.strip().lower():
                raise Refusal(
                    Reason.CONFLICT, _("{alias} is an alias of {address}", alias=address, address=account.address)
                )
            await organisation.directory.delete_account(account.address)
            if account.mailbox:
                await organisation.store.delete_mailbox(account.mailbox)
            return account

    account = run(work)
    done(_("Mailbox {address} is removed.", address=account.address), {**facts(account), "removed": True}, json=json)


@app.command(
    name="import-users",
    help=_(
        "Make mailboxes from a file with a line `address:{SCHEME}hash` each; those that exist get the new hash."
        "\n\nExample: postern mailbox import-users users.txt"
    ),
)
def import_users(file: Path, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    settings = load_settings(config)
    try:
        new = list(parse_users(file.read_text("utf-8"), parse_quota(None, settings)))
    except (OSError, UnicodeDecodeError) as problem:
        fail(str(problem))
    except Refusal as refusal:
        fail(f"{file}: {refusal.detail}")

    async def work() -> dict[str, Any]:
        async with open_organisation(settings) as organisation:
            missing, changed = [], 0
            for account in new:
                existing = await organisation.directory.login(account.address)
                if existing is None:
                    missing.append(account)
                else:
                    await organisation.directory.set_password(existing.id, account.password_hash, None)
                    changed += 1
            accounts = await organisation.directory.create_accounts(missing)
            for made in accounts:
                if made.mailbox:
                    await organisation.store.create_mailbox(made.mailbox, made.slot, made.quota)
            return {"added": len(accounts), "changed": changed}

    counts = run(work)
    done(_("{added} mailboxes added, {changed} passwords changed.", **counts), counts, json=json)


def parse_users(text: str, quota: Quota) -> list[NewAccount]:
    """Lines of an import file; empty lines and `#` are left out. Raises Refusal with the line's number."""
    found: dict[str, NewAccount] = {}
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        address, colon, hashed = entry.partition(":")
        if not colon:
            raise Refusal(Reason.BAD_VALUE, _("line {number}: not `address:{{SCHEME}}hash`", number=number))
        try:
            # Dovecot's passwd-file has more fields after the hash
            stored = check_hash(hashed.split(":")[0])
        except Refusal as refusal:
            raise Refusal(
                refusal.reason, _("line {number}: {problem}", number=number, problem=refusal.detail)
            ) from None
        found[address.strip().lower()] = NewAccount(address.strip(), password_hash=stored, quota=quota)
    return list(found.values())

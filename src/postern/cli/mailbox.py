"""`postern mailbox`: users and shared mailboxes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import App, Parameter

from postern.cli import ntlm, permission, publishing
from postern.cli.account_values import expiry, mailbox_kind, parse_protocols, parse_quota, read_password
from postern.cli.language import _
from postern.cli.moments import moment
from postern.cli.organisation import (
    Config,
    Json,
    checked_credentials,
    existing_account,
    keep_keys,
    load_settings,
    open_directory,
    open_failures,
    open_organisation,
    run,
)
from postern.cli.output import done, expect_change, fail, show_list, show_one, size
from postern.config.settings import Settings
from postern.directory.interface import (
    DEFAULT_POLICY,
    Account,
    AccountChange,
    NewAccount,
    RecipientKind,
)
from postern.model.refusal import Reason, Refusal

app = App(name="mailbox", help=_("Users and shared mailboxes."))
app.command(permission.app)
app.command(ntlm.app)
app.command("postern.cli.sieve:app", name="sieve", help=_("Sieve scripts: what happens to mail when it arrives."))
app.command("postern.cli.rules:app", name="rules", help=_("Inbox rules, as Outlook has them, and junk mail lists."))
app.command(
    publishing.publish,
    help=_(
        "Publish a calendar to whoever has its address."
        "\n\nExample: postern mailbox publish anna@example.org --level limited"
    ),
)

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
Protocols = Annotated[str | None, Parameter(help=_("What the user may log in to: smtp,imap,pop3,http,ldap; `none`."))]
Forward = Annotated[str | None, Parameter(help=_("Addresses to forward mail to, joined by commas; `none`."))]
Hidden = Annotated[bool | None, Parameter(negative="--shown", help=_("Not in address lists."))]
Expires = Annotated[str | None, Parameter(help=_("When the account expires: a date with or without time; `never`."))]
PolicyName = Annotated[str | None, Parameter(name="--policy", help=_("Name of its policy."))]
Kind = Annotated[str | None, Parameter(help=_("user, shared, room or equipment."))]
Disconnected = Annotated[
    bool, Parameter(negative="", help=_("Those whose account is gone from where it was mirrored from."))
]
Keep = Annotated[bool | None, Parameter(help=_("With --forward: also keep mail in the mailbox."))]
Yes = Annotated[bool, Parameter(name=["--yes", "-y"], negative="", help=_("Do not ask."))]


def facts(account: Account) -> dict[str, Any]:
    """An account as JSON has it."""
    return {
        "address": account.address,
        "name": account.display_name,
        "mailbox": account.mailbox,
        "kind": account.kind.value,
        "shared": account.shared,
        "enabled": account.enabled,
        "expires_at": account.expires_at,
        "hidden": account.hidden,
        "policy": account.policy or DEFAULT_POLICY,
        "source": account.source,
        "admin": account.admin,
        "protocols": sorted(account.protocols),
        "quota_bytes": account.quota.no_receive_bytes,
        "forward_to": list(account.forward_to),
        "forward_keep": account.forward_keep,
    }


@app.command(name="list", help=_("List the mailboxes.\n\nExample: postern mailbox list --json"))
def list_(*, disconnected: Disconnected = False, config: Config = None, json: Json = False) -> None:  # noqa: D103
    async def work() -> list[dict[str, Any]]:
        async with open_directory(load_settings(config)) as directory:
            if disconnected:
                return [{**facts(account), "removed_at": at} for account, at in await directory.disconnected()]
            return [facts(account) for account in await directory.accounts()]

    rows = run(work)
    if not json:
        rows = [{**row, "quota": size(row["quota_bytes"])} for row in rows]
    columns = {
        "address": _("ADDRESS"),
        "name": _("NAME"),
        "kind": _("KIND"),
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
        found["expires"] = moment(found["expires_at"])
        found["quota"] = size(found["quota_bytes"])
    labels = {
        "address": _("Address"),
        "name": _("Name"),
        "aliases": _("Aliases"),
        "mailbox": _("Mailbox"),
        "messages": _("Messages"),
        "used": _("Used"),
        "quota": _("Quota"),
        "kind": _("Kind"),
        "enabled": _("Enabled"),
        "admin": _("Administrator"),
        "protocols": _("Protocols"),
        "forward_to": _("Forwards to"),
        "policy": _("Policy"),
        "expires": _("Expires"),
        "hidden": _("Hidden"),
        "source": _("Comes from"),
    }
    show_one(found, labels, json=json)


@app.command(help=_("Make a mailbox.\n\nExample: postern mailbox add anna@example.org --name 'Anna Maria'"))
def add(  # noqa: D103, PLR0913 - one option for each thing that can be said
    address: str,
    /,
    *,
    name: Name = None,
    password: Password = None,
    quota: QuotaText = None,
    shared: Shared = False,
    admin: Admin = None,
    policy: PolicyName = None,
    config: Config = None,
    json: Json = False,
) -> None:
    settings = load_settings(config)
    secret, made = ("", False) if shared else read_password(password)

    async def work() -> Account:
        async with open_directory(settings) as directory:
            wanted = next((one for one in await directory.policies() if one.name == (policy or DEFAULT_POLICY)), None)
        if wanted is None:
            raise Refusal(Reason.NO_SUCH_RECIPIENT, _("no such policy: {name}", name=policy))
        hashed, keys = ("", None) if shared else checked_credentials(settings, secret, address, wanted)
        limits = wanted.quota if quota is None and any(wanted.quota) else parse_quota(quota, settings)
        new = NewAccount(
            address,
            name or "",
            password_hash=hashed,
            scram=keys,
            quota=limits,
            kind=RecipientKind.SHARED if shared else RecipientKind.USER,
            admin=bool(admin),
            policy=policy or "",
        )
        return (await create(settings, [new], secret))[0]

    account = run(work)
    found = facts(account)
    text = _("Mailbox {address} is ready.", address=account.address)
    if made:
        found["password"] = secret
        text += "\n" + _("Password (shown once): {password}", password=secret)
    done(text, found, json=json)


async def create(settings: Settings, new: Sequence[NewAccount], password: str = "") -> Sequence[Account]:
    """Make accounts and their mailboxes; with the password of all of them, keep what settings ask for of it."""
    async with open_organisation(settings) as organisation:
        accounts = await organisation.directory.create_accounts(new)
        for account in accounts:
            if password and not account.shared:
                await keep_keys(organisation.directory, settings, account, password)
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
    kind: Kind = None,
    hidden: Hidden = None,
    expires: Expires = None,
    policy: PolicyName = None,
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
        kind=None if kind is None else mailbox_kind(kind),
        hidden=hidden,
        expires_at=None if expires is None else expiry(expires),
        policy=None if policy is None else policy.replace(DEFAULT_POLICY, ""),
    )
    expect_change(given=change != AccountChange())

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
    secret, made = read_password(password)

    async def work() -> Account:
        async with open_directory(settings) as directory:
            account = await existing_account(directory, address)
            policy = await directory.policy_of(account.id)
            old = await directory.old_hashes(account.id, policy.password_history)
            credentials = checked_credentials(settings, secret, account.address, policy, old)
            await directory.set_password(account.id, *credentials)
            await keep_keys(directory, settings, account, secret)
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


app.command(
    "postern.cli.import_users:import_users",
    name="import-users",
    help=_(
        "Make mailboxes from a file with a line `address:{SCHEME}hash` each; those that exist get the new hash."
        "\n\nExample: postern mailbox import-users users.txt"
    ),
)
app.command(
    "postern.cli.mailbox_care:verify",
    name="verify",
    help=_(
        "Look whether mailboxes are whole: file, counters, every body. Clients may go on working meanwhile."
        "\n\nExample: postern mailbox verify --all"
    ),
)
app.command(
    "postern.cli.mailbox_care:repair",
    name="repair",
    help=_(
        "Put a damaged mailbox together anew from what is whole; the rest is listed, the damaged file is kept."
        "\n\nExample: postern mailbox repair anna@example.org"
    ),
)
app.command(
    "postern.cli.mailbox_care:compact",
    name="compact",
    help=_(
        "Give disk space that a mailbox's file does not need any more back; writing to it waits meanwhile."
        "\n\nExample: postern mailbox compact anna@example.org"
    ),
)
app.command(
    "postern.cli.mailbox_move:move",
    name="move",
    help=_(
        "Move what is in a mailbox into another one; clients see it go and come. Cut off, it goes on when it is run"
        " again. In the first mailbox it can be undeleted."
        "\n\nExample: postern mailbox move boris@example.org archive@example.org --into Former/Boris"
    ),
)
app.command(
    "postern.cli.export:app",
    name="export",
    help=_("Write a mailbox's mail into files. Clients may go on working meanwhile."),
)
app.command(
    "postern.cli.mailbox_care:purge",
    name="purge",
    help=_("Remove recoverable items for good.\n\nExample: postern mailbox purge anna@example.org --older 7d"),
)
app.command(
    "postern.cli.mailbox_care:undelete",
    name="undelete",
    help=_(
        "List deleted items that can still be recovered, or bring them back."
        "\n\nExample: postern mailbox undelete anna@example.org --subject offer --restore"
    ),
)
app.command(
    "postern.cli.oof:oof",
    name="oof",
    help=_(
        "Show or set automatic replies while somebody is away."
        "\n\nExample: postern mailbox oof anna@example.org --on --internal 'Back on Monday.'"
    ),
)

"""`postern mailbox permission`: who may do what in whose mailbox."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from postern.cli.language import _
from postern.cli.organisation import (
    Config,
    Json,
    existing_account,
    existing_entry,
    load_settings,
    open_organisation,
    run,
)
from postern.cli.output import done, fail, show_list
from postern.model.ids import AccountId, FolderId, MailboxId
from postern.model.refusal import Reason, Refusal
from postern.model.rights import ROLES, AdminRight, FolderRight, MailboxRight
from postern.services.permissions import (
    Explanation,
    FolderObject,
    Ground,
    Object,
    Organisation,
    Permissions,
    RecipientObject,
)
from postern.services.principal import Principal

if TYPE_CHECKING:
    from postern.roles.parts import Parts

app = App(name="permission", help=_("Rights on mailboxes, folders and groups; what administrators may do."))

Asked = MailboxRight | FolderRight | AdminRight

FOLDER_RIGHTS = {
    "read": FolderRight.READ_ANY,
    "create": FolderRight.CREATE,
    "edit": FolderRight.EDIT_ANY,
    "delete": FolderRight.DELETE_ANY,
    "create-subfolder": FolderRight.CREATE_SUBFOLDER,
    "owner": FolderRight.OWNER,
    "visible": FolderRight.VISIBLE,
}

RIGHTS = {right.value.replace("_", "-"): right for right in MailboxRight}

Folder = Annotated[
    str | None,
    Parameter(help=_("Folder, such as INBOX or Projects/2024; `*` is every folder without permissions of its own.")),
]
Right = Annotated[
    str,
    Parameter(
        help=_("full-access, send-as, send-on-behalf; with --folder a role: reviewer, author, editor, owner ...")
    ),
]

Automapping = Annotated[
    bool, Parameter(help=_("With full-access: mail programs that use Autodiscover open the mailbox by themselves."))
]


@app.command(
    name="list", help=_("List the rights in a mailbox.\n\nExample: postern mailbox permission list sales@example.org")
)
def list_(address: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103 - help is above
    async def work() -> list[dict[str, Any]]:
        async with open_organisation(load_settings(config)) as organisation:
            group = await _group_number(organisation, address)
            if group is not None:
                return [
                    {"who": row.address, "right": row.right.value.replace("_", "-"), "folder": None}
                    for row in await organisation.directory.recipient_permissions(group)
                ]
            mailbox = await _mailbox_of(organisation, address)
            names = await folder_names(organisation, mailbox)
            rows: list[dict[str, Any]] = [
                {"who": row.address, "right": row.right.value.replace("_", "-"), "folder": None}
                for row in await organisation.directory.mailbox_permissions(mailbox)
            ]
            for entry in await organisation.directory.folder_permissions(mailbox):
                folder = "*" if entry.folder == 0 else names.get(entry.folder, f"#{entry.folder}")
                rows.append({"who": entry.address, "right": role_name(entry.rights), "folder": folder})
            return rows

    show_list(run(work), {"who": _("WHO"), "right": _("RIGHT"), "folder": _("FOLDER")}, json=json)


@app.command(
    help=_(
        "Give somebody a right."
        "\n\nExamples: postern mailbox permission grant sales@example.org anna@example.org full-access"
        "\n\npostern mailbox permission grant anna@example.org default reviewer --folder Projects"
    )
)
def grant(  # noqa: D103
    address: str,
    who: str,
    right: Right,
    /,
    *,
    folder: Folder = None,
    automapping: Automapping = True,
    config: Config = None,
    json: Json = False,
) -> None:
    async def work() -> None:
        async with open_organisation(load_settings(config)) as organisation:
            if folder is None:
                await organisation.directory.grant_on(address, who, _mailbox_right(right), automapping=automapping)
            else:
                mailbox = await _mailbox_of(organisation, address)
                number = await folder_number(organisation, mailbox, folder)
                await organisation.directory.set_folder_rights(mailbox, number, who, role_of(right))

    run(work)
    facts = {"mailbox": address, "who": who, "right": right, "folder": folder}
    done(_("{who} now has {right} in {address}.", who=who, right=right, address=address), facts, json=json)


@app.command(
    help=_(
        "Take a right away."
        "\n\nExample: postern mailbox permission revoke sales@example.org anna@example.org full-access"
    )
)
def revoke(  # noqa: D103
    address: str, who: str, right: Right = "", /, *, folder: Folder = None, config: Config = None, json: Json = False
) -> None:
    async def work() -> None:
        async with open_organisation(load_settings(config)) as organisation:
            if folder is None:
                await organisation.directory.grant_on(address, who, _mailbox_right(right), granted=False)
            else:
                mailbox = await _mailbox_of(organisation, address)
                number = await folder_number(organisation, mailbox, folder)
                await organisation.directory.set_folder_rights(mailbox, number, who, None)

    run(work)
    facts = {"mailbox": address, "who": who, "right": right or None, "folder": folder, "revoked": True}
    done(_("{who} has no such right in {address} any more.", who=who, address=address), facts, json=json)


@app.command(
    help=_(
        "Say whether somebody may do something, and why."
        "\n\nExamples: postern permission explain anna@example.org send-as sales@example.org"
        "\n\npostern permission explain anna@example.org read boris@example.org --folder INBOX"
        "\n\npostern permission explain bert@example.org reset-passwords organisation"
    )
)
def explain(  # noqa: D103
    who: str, right: str, what: str, /, *, folder: Folder = None, config: Config = None, json: Json = False
) -> None:
    wanted = _any_right(right)

    async def work() -> Explanation:
        async with open_organisation(load_settings(config)) as organisation:
            return await _explain(organisation, who, wanted, what, folder)

    found = run(work)
    facts = {
        "who": who,
        "right": right,
        "what": what,
        "folder": folder,
        "allowed": found.allowed,
        "ground": found.ground.value if found.ground else None,
        "by": found.holder,
        "scope": found.scope,
        "protected": found.protected,
    }
    answer = _("{who} may: {right} on {what}.") if found.allowed else _("{who} may not: {right} on {what}.")
    text = answer.format(who=who, right=right, what=f"{what} {folder or ''}".strip())
    done(f"{text}\n{_reason(found)}", facts, json=json)


async def _explain(organisation: Parts, who: str, right: Asked, what: str, folder: str | None) -> Explanation:
    directory = organisation.directory
    principal = None
    if who.lower() != "anonymous":
        account = await existing_account(directory, who)
        principal = Principal(account.id, account.address, account.mailbox, account.slot)
    on: Object
    if what.lower() in {"organisation", "organization"}:
        on = Organisation.WHOLE
    elif isinstance(right, FolderRight):
        mailbox = await _mailbox_of(organisation, what)
        on = FolderObject(mailbox, FolderId(await folder_number(organisation, mailbox, folder or "*")))
    else:
        on = RecipientObject((await existing_entry(directory, what)).id)
    return await Permissions(directory).explain(principal, right, on)


def _reason(found: Explanation) -> str:
    """Why, for people."""
    grounds = {
        Ground.OWNER: _("It is one's own."),
        Ground.FULL_ACCESS: _("Full access was given to {by}.", by=found.holder),
        Ground.GRANTED: _("The right was given to {by}.", by=found.holder),
        Ground.FOLDER: _("The folder's permissions name {by}.", by=found.holder),
        Ground.DEFAULT: _("The folder's permissions give it to everybody who is signed in (Default)."),
        Ground.ANONYMOUS: _("The folder's permissions give it to everybody (Anonymous)."),
        Ground.ROLE: _("By the role {by}.", by=f"{found.holder} {found.scope}".strip()),
    }
    if found.ground is not None:
        return grounds[found.ground]
    if found.protected:
        return _("Over an administrator only those have it who may give roles.")
    return _("Nobody gave it: see `postern permission grant` and `postern role add`.")


def _any_right(text: str) -> Asked:
    """A right of any kind by its name, or the end with the nearest ones."""
    known: dict[str, Asked] = {**RIGHTS, **FOLDER_RIGHTS, **{r.value.replace("_", "-"): r for r in AdminRight}}
    wanted = text.lower().replace("_", "-")
    if wanted not in known:
        near = get_close_matches(wanted, known, n=3) or list(known)
        fail(_("not a right: {text}; known: {known}", text=text, known=", ".join(near)))
    return known[wanted]


async def _group_number(organisation: Parts, address: str) -> AccountId | None:
    group = (await organisation.directory.resolve(address)).group
    return None if group is None else group.id


def role_name(rights: FolderRight) -> str:
    """Outlook's name of a set of rights, or the bits."""
    for name, role in ROLES.items():
        if role == rights:
            return name
    return f"0x{int(rights):x}"


def _mailbox_right(text: str) -> MailboxRight:
    if not text:
        fail(_("say which right: {known}; or a folder, with --folder", known=", ".join(RIGHTS)))
    found = RIGHTS.get(text.lower().replace("_", "-"))
    if found is None:
        fail(_("not a right on a mailbox: {text}; known: {known}", text=text, known=", ".join(RIGHTS)))
    return found


def role_of(text: str) -> FolderRight:
    """The rights of an Outlook role; another name ends the command."""
    found = ROLES.get(text.lower())
    if found is None:
        fail(_("not a role: {text}; known: {known}", text=text, known=", ".join(ROLES)))
    return found


async def _mailbox_of(organisation: Parts, address: str) -> MailboxId:
    account = await existing_account(organisation.directory, address)
    if account.mailbox is None:
        raise Refusal(Reason.NO_SUCH_RECIPIENT, _("{address} has no mailbox", address=address))
    return account.mailbox


async def folder_names(organisation: Parts, mailbox: MailboxId) -> dict[int, str]:
    """Paths of all folders, with `/` between their elements."""
    paths: dict[int, str] = {}
    for folder in await (await organisation.store.mailbox(mailbox)).folders():
        above = paths.get(folder.parent) if folder.parent is not None else None
        paths[folder.id] = f"{above}/{folder.name}" if above else folder.name
    return paths


async def folder_number(organisation: Parts, mailbox: MailboxId, name: str) -> int:
    """A folder by its path, 0 for `*`. Raises Refusal(NO_SUCH_FOLDER)."""
    if name == "*":
        return 0
    for number, path in (await folder_names(organisation, mailbox)).items():
        if path == name or path.upper() == name.upper() == "INBOX":
            return number
    raise Refusal(Reason.NO_SUCH_FOLDER, _("no such folder: {name}", name=name))

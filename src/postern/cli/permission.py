"""`postern mailbox permission`: who may do what in whose mailbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from postern.cli.language import _
from postern.cli.organisation import Config, Json, existing_account, load_settings, open_organisation, run
from postern.cli.output import done, fail, show_list
from postern.model.ids import MailboxId
from postern.model.refusal import Reason, Refusal
from postern.model.rights import ROLES, FolderRight, MailboxRight

if TYPE_CHECKING:
    from postern.roles.parts import Parts

app = App(name="permission", help=_("Rights on mailboxes and folders."))

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


@app.command(
    name="list", help=_("List the rights in a mailbox.\n\nExample: postern mailbox permission list sales@example.org")
)
def list_(address: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103 - help is above
    async def work() -> list[dict[str, Any]]:
        async with open_organisation(load_settings(config)) as organisation:
            mailbox = await _mailbox_of(organisation, address)
            names = await _folder_names(organisation, mailbox)
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
    address: str, who: str, right: Right, /, *, folder: Folder = None, config: Config = None, json: Json = False
) -> None:
    async def work() -> None:
        async with open_organisation(load_settings(config)) as organisation:
            mailbox = await _mailbox_of(organisation, address)
            if folder is None:
                await organisation.directory.grant(mailbox, who, _mailbox_right(right))
            else:
                number = await _folder_number(organisation, mailbox, folder)
                await organisation.directory.set_folder_rights(mailbox, number, who, _role(right))

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
            mailbox = await _mailbox_of(organisation, address)
            if folder is None:
                await organisation.directory.grant(mailbox, who, _mailbox_right(right), granted=False)
            else:
                number = await _folder_number(organisation, mailbox, folder)
                await organisation.directory.set_folder_rights(mailbox, number, who, None)

    run(work)
    facts = {"mailbox": address, "who": who, "right": right or None, "folder": folder, "revoked": True}
    done(_("{who} has no such right in {address} any more.", who=who, address=address), facts, json=json)


def role_name(rights: FolderRight) -> str:
    """Outlook's name of a set of rights, or the bits."""
    for name, role in ROLES.items():
        if role == rights:
            return name
    return f"0x{int(rights):x}"


def _mailbox_right(text: str) -> MailboxRight:
    found = RIGHTS.get(text.lower().replace("_", "-"))
    if found is None:
        fail(_("not a right on a mailbox: {text}; known: {known}", text=text, known=", ".join(RIGHTS)))
    return found


def _role(text: str) -> FolderRight:
    found = ROLES.get(text.lower())
    if found is None:
        fail(_("not a role: {text}; known: {known}", text=text, known=", ".join(ROLES)))
    return found


async def _mailbox_of(organisation: Parts, address: str) -> MailboxId:
    account = await existing_account(organisation.directory, address)
    if account.mailbox is None:
        raise Refusal(Reason.NO_SUCH_RECIPIENT, _("{address} has no mailbox", address=address))
    return account.mailbox


async def _folder_names(organisation: Parts, mailbox: MailboxId) -> dict[int, str]:
    """Paths of all folders, with `/` between their elements."""
    paths: dict[int, str] = {}
    for folder in await (await organisation.store.mailbox(mailbox)).folders():
        above = paths.get(folder.parent) if folder.parent is not None else None
        paths[folder.id] = f"{above}/{folder.name}" if above else folder.name
    return paths


async def _folder_number(organisation: Parts, mailbox: MailboxId, name: str) -> int:
    if name == "*":
        return 0
    for number, path in (await _folder_names(organisation, mailbox)).items():
        if path == name or path.upper() == name.upper() == "INBOX":
            return number
    raise Refusal(Reason.NO_SUCH_FOLDER, _("no such folder: {name}", name=name))

"""`postern public`: public folders, and who may do what in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from postern.cli import mailbox
from postern.cli.language import _
from postern.cli.organisation import Config, Json, load_settings, open_organisation, run
from postern.cli.output import done, fail, show_list
from postern.cli.permission import folder_names, folder_number, role_name, role_of
from postern.directory.interface import Account, AccountChange, NewAccount, RecipientKind
from postern.model.ids import FolderId
from postern.model.refusal import Reason, Refusal
from postern.services.public_folders import public_folders

if TYPE_CHECKING:
    from postern.config.settings import Settings
    from postern.directory.interface import Directory
    from postern.roles.parts import Parts
    from postern.store.interface import Mailbox

app = App(name="public", help=_("Public folders, and who may do what in them."))

LOCAL_PART = "public-folders"
EVERYBODY = "default"

Folder = Annotated[str, Parameter(help=_("Public folder, such as Projects/2024."))]
Default = Annotated[
    str, Parameter(name="--default", help=_("Role of everybody who signs in: none, reviewer, author, editor ..."))
]
Who = Annotated[str, Parameter(help=_("Address of a user or group; `default` is everybody who signs in."))]
Role = Annotated[str, Parameter(help=_("none, visible, reviewer, contributor, author, editor or owner."))]


async def _account(directory: Directory) -> Account | None:
    return next((one for one in await directory.accounts() if one.kind is RecipientKind.PUBLIC), None)


async def _opened(parts: Parts) -> tuple[Account, Mailbox]:
    """The mailbox of public folders. Raises Refusal."""
    account = await _account(parts.directory)
    if account is None or account.mailbox is None:
        raise Refusal(Reason.NO_SUCH_FOLDER, _("there are no public folders: make one by `postern public add`"))
    return account, await parts.store.mailbox(account.mailbox)


async def _ensure(settings: Settings) -> None:
    """Make the mailbox at its first use; nobody signs in to it, and no address list shows it."""
    async with open_organisation(settings) as parts:
        if await _account(parts.directory) is not None:
            return
        domains = await parts.directory.domains()
    if not domains:
        fail(_("there is no domain yet: postern domain add"))
    address = f"{LOCAL_PART}@{domains[0].name}"
    await mailbox.create(settings, [NewAccount(address, "Public Folders", kind=RecipientKind.PUBLIC)])
    async with open_organisation(settings) as parts:
        await parts.directory.change_account(address, AccountChange(hidden=True))


@app.command(name="list", help=_("List public folders and everybody's role.\n\nExample: postern public list"))
def list_(*, config: Config = None, json: Json = False) -> None:  # noqa: D103 - help is above
    async def work() -> list[dict[str, Any]]:
        async with open_organisation(load_settings(config)) as parts:
            account = await _account(parts.directory)
            if account is None or account.mailbox is None:
                return []
            opened = await parts.store.mailbox(account.mailbox)
            names = await folder_names(parts, account.mailbox)
            rights = {
                row.folder: row.rights
                for row in await parts.directory.folder_permissions(account.mailbox)
                if row.address == EVERYBODY
            }
            return [
                {
                    "folder": names[one.id],
                    "messages": one.messages,
                    "default": role_name(rights[one.id]) if one.id in rights else "none",
                    "mailbox": account.address,
                }
                for one in public_folders(await opened.folders())
            ]

    columns = {"folder": _("FOLDER"), "messages": _("MESSAGES"), "default": _("EVERYBODY")}
    show_list(run(work), columns, json=json)


@app.command(
    help=_(
        "Make a public folder, with those above it that are missing."
        "\n\nExample: postern public add Projects/2024 --default reviewer"
    )
)
def add(folder: Folder, /, *, default: Default = "author", config: Config = None, json: Json = False) -> None:  # noqa: D103
    settings = load_settings(config)
    role = role_of(default)
    elements = folder.strip("/").split("/")

    async def work() -> None:
        await _ensure(settings)
        async with open_organisation(settings) as parts:
            account, opened = await _opened(parts)
            assert account.mailbox is not None
            await _make(parts, opened, elements)
            number = await folder_number(parts, account.mailbox, "/".join(elements))
            await parts.directory.set_folder_rights(account.mailbox, FolderId(number), EVERYBODY, role)

    run(work)
    facts = {"folder": "/".join(elements), "default": role_name(role)}
    done(_("Public folder {folder} is ready.", folder=facts["folder"]), facts, json=json)


async def _make(parts: Parts, opened: Mailbox, elements: list[str]) -> None:
    """Missing levels. Raises Refusal(ALREADY_EXISTS)."""
    names = {path: FolderId(number) for number, path in (await folder_names(parts, opened.id)).items()}
    if "/".join(elements) in names:
        raise Refusal(Reason.ALREADY_EXISTS, _("there is a folder {name} already", name="/".join(elements)))
    parent: FolderId | None = None
    for depth, element in enumerate(elements, 1):
        known = names.get("/".join(elements[:depth]))
        if known is not None:
            parent = known
            continue
        try:
            parent = (await opened.create_folder(parent, element)).id
        except Refusal as refused:
            if refused.reason not in {Reason.BAD_NAME, Reason.ALREADY_EXISTS}:
                raise
            raise Refusal(refused.reason, _("a public folder cannot be named {name}", name=repr(element))) from None
    await opened.durable()


@app.command(
    help=_("Remove a public folder; its items go to Recoverable Items.\n\nExample: postern public remove Projects/2024")
)
def remove(folder: Folder, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    async def work() -> None:
        async with open_organisation(load_settings(config)) as parts:
            account, opened = await _opened(parts)
            number = await _number(parts, account, opened, folder)
            await opened.delete_folder(number)
            await opened.durable()
            assert account.mailbox is not None
            for row in await parts.directory.folder_permissions(account.mailbox):
                if row.folder == number:
                    await parts.directory.set_folder_rights(account.mailbox, number, row.address, None)

    run(work)
    done(_("Public folder {folder} is gone.", folder=folder), {"folder": folder, "removed": True}, json=json)


async def _number(parts: Parts, account: Account, opened: Mailbox, folder: str) -> FolderId:
    """Raises Refusal(NO_SUCH_FOLDER), also for the mailbox's own folders that are not public."""
    assert account.mailbox is not None
    number = FolderId(await folder_number(parts, account.mailbox, folder.strip("/")))
    if number not in {one.id for one in public_folders(await opened.folders())}:
        raise Refusal(Reason.NO_SUCH_FOLDER, _("no such folder: {name}", name=folder))
    return number


@app.command(
    help=_(
        "Give somebody a role in a public folder.\n\nExample: postern public grant Projects/2024 anna@example.org owner"
    )
)
def grant(folder: Folder, who: Who, role: Role, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    rights = role_of(role)

    async def work() -> None:
        async with open_organisation(load_settings(config)) as parts:
            account, opened = await _opened(parts)
            number = await _number(parts, account, opened, folder)
            assert account.mailbox is not None
            await parts.directory.set_folder_rights(account.mailbox, number, who, rights)

    run(work)
    facts = {"folder": folder, "who": who, "role": role_name(rights)}
    done(_("{who} now has {right} in {address}.", who=who, right=facts["role"], address=folder), facts, json=json)


@app.command(
    help=_(
        "Take somebody's role in a public folder away: everybody's counts again."
        "\n\nExample: postern public revoke Projects/2024 anna@example.org"
    )
)
def revoke(folder: Folder, who: Who, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    async def work() -> None:
        async with open_organisation(load_settings(config)) as parts:
            account, opened = await _opened(parts)
            number = await _number(parts, account, opened, folder)
            assert account.mailbox is not None
            await parts.directory.set_folder_rights(account.mailbox, number, who, None)

    run(work)
    facts = {"folder": folder, "who": who, "revoked": True}
    done(_("{who} has no such right in {address} any more.", who=who, address=folder), facts, json=json)


@app.command(help=_("List who has which role in a public folder.\n\nExample: postern public roles Projects/2024"))
def roles(folder: Folder, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    async def work() -> list[dict[str, Any]]:
        async with open_organisation(load_settings(config)) as parts:
            account, opened = await _opened(parts)
            number = await _number(parts, account, opened, folder)
            assert account.mailbox is not None
            table = await parts.directory.folder_permissions(account.mailbox)
            return [{"who": row.address, "role": role_name(row.rights)} for row in table if row.folder == number]

    show_list(run(work), {"who": _("WHO"), "role": _("RIGHT")}, json=json)

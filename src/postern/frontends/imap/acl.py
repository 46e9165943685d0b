"""ACL (RFC 4314) over the rights on folders that every protocol asks (MS-OXCPERM)."""

from __future__ import annotations

from postern.frontends.imap.connection import Connection
from postern.frontends.imap.select import find
from postern.frontends.imap.sites import Place
from postern.model.refusal import Reason, Refusal
from postern.model.rights import FolderRight
from postern.protocols.imap import render
from postern.protocols.imap.commands.acl import RIGHTS, Entry, SetAcl
from postern.protocols.imap.declined import Declined

_TIED: tuple[tuple[str, FolderRight], ...] = (
    ("l", FolderRight.VISIBLE),
    ("r", FolderRight.READ_ANY),
    ("sw", FolderRight.EDIT_ANY | FolderRight.EDIT_OWNED),
    ("ip", FolderRight.CREATE),
    ("te", FolderRight.DELETE_ANY | FolderRight.DELETE_OWNED),
    ("k", FolderRight.CREATE_SUBFOLDER),
    ("xa", FolderRight.OWNER),
)
"""Letters that go together, and the right behind them."""
_SPECIAL = {"anyone": "default", "anonymous": "anonymous"}
_SPECIAL_BACK = {name: identifier for identifier, name in _SPECIAL.items()}
_ANY_USE = (
    FolderRight.VISIBLE | FolderRight.READ_ANY | FolderRight.CREATE | FolderRight.CREATE_SUBFOLDER | FolderRight.OWNER
)


def letters(rights: FolderRight) -> bytes:
    """Rights as IMAP writes them, in the order of RFC 4314 2.1."""
    held = "".join(tied for tied, right in _TIED if right & rights)
    if "r" in held and "l" not in held:
        held += "l"  # what may be read is shown
    return "".join(letter for letter in RIGHTS if letter in held).encode("ascii")


def _rights(wanted: frozenset[str]) -> FolderRight:
    rights = FolderRight(0)
    for tied, right in _TIED:
        if wanted & set(tied):
            rights |= right
    return rights


async def _held(connection: Connection, place: Place) -> FolderRight:
    assert connection.principal is not None
    return await connection.shared.mailboxes.folder_rights(connection.principal, place.mailbox.id, place.folder.id)


async def _administered(connection: Connection, name: str) -> Place:
    """A folder whose rights the session may see and change. Raises Refusal."""
    place = await find(connection, name)
    if not await _held(connection, place) & FolderRight.OWNER:
        raise Refusal(Reason.NOT_PERMITTED, name)
    return place


async def _table(connection: Connection, place: Place) -> dict[str, FolderRight]:
    """Who has which rights, besides the owner."""
    return await connection.shared.mailboxes.folder_permissions(place.mailbox.id, place.folder.id)


def _identifier(address: str) -> bytes:
    return render.string(_SPECIAL_BACK.get(address, address).encode("utf-8"))


def _owner(connection: Connection, place: Place) -> str:
    return place.site.address or connection.user


async def get_acl(connection: Connection, name: str, _uid: bool) -> bytes:
    """RFC 4314 3.3."""
    place = await _administered(connection, name)
    entries = [b"%b %b" % (_identifier(_owner(connection, place)), RIGHTS.encode("ascii"))]
    for address, rights in sorted((await _table(connection, place)).items()):
        entries.append(b"%b %b" % (_identifier(address), render.string(letters(rights))))
    connection.out.append(b"* ACL %b %b\r\n" % (connection.name(name), b" ".join(entries)))
    return b"OK GETACL completed"


def _grantee(connection: Connection, place: Place, identifier: str) -> str:
    if identifier.startswith("-"):
        raise Declined(b"NO [CANNOT] There are no negative rights here")
    if identifier in _SPECIAL:
        return _SPECIAL[identifier]
    owner = _owner(connection, place)
    if "@" not in identifier:
        identifier = f"{identifier}@{owner.partition('@')[2]}"
    if identifier.lower() == owner.lower():
        raise Declined(b"NO [CANNOT] The owner's rights stay")
    return identifier


async def _grant(connection: Connection, place: Place, grantee: str, rights: FolderRight | None) -> None:
    mailbox, folder = place.mailbox.id, place.folder.id
    try:
        await connection.shared.mailboxes.set_folder_permission(mailbox, folder, grantee, rights)
    except Refusal as refusal:
        if refusal.reason is Reason.NO_SUCH_RECIPIENT:
            # not the folder, as NONEXISTENT alone would say; whoever may write to people may ask for them anyway
            raise Declined(b"NO [NONEXISTENT] There is no account or group of that name") from refusal
        if refusal.reason is Reason.NOT_SUPPORTED:
            raise Declined(b"NO [CANNOT] Rights are given to people and static groups") from refusal
        raise


async def set_acl(connection: Connection, arguments: SetAcl, _uid: bool) -> bytes:
    """RFC 4314 3.1; letters that stand for one right here are given together (RFC 4314 2.2)."""
    place = await _administered(connection, arguments.mailbox)
    grantee = _grantee(connection, place, arguments.identifier)
    rights = _rights(arguments.rights)
    if arguments.mode:
        before = (await _table(connection, place)).get(grantee.lower(), FolderRight(0))
        rights = before | rights if arguments.mode == "+" else before & ~rights
    await _grant(connection, place, grantee, rights)
    return b"OK SETACL completed"


async def delete_acl(connection: Connection, arguments: Entry, _uid: bool) -> bytes:
    """RFC 4314 3.2."""
    place = await _administered(connection, arguments.mailbox)
    grantee = _grantee(connection, place, arguments.identifier)
    if grantee.lower() in await _table(connection, place):
        await _grant(connection, place, grantee, None)
    return b"OK DELETEACL completed"


async def list_rights(connection: Connection, arguments: Entry, _uid: bool) -> bytes:
    """RFC 4314 3.4."""
    place = await _administered(connection, arguments.mailbox)
    if arguments.identifier.lower() in (_owner(connection, place).lower(), connection.user.partition("@")[0]):
        shown = RIGHTS.encode("ascii")
    else:
        shown = b'"" ' + b" ".join(tied.encode("ascii") for tied, _ in _TIED)
    connection.out.append(
        b"* LISTRIGHTS %b %b %b\r\n"
        % (connection.name(arguments.mailbox), render.string(arguments.identifier.encode("utf-8")), shown)
    )
    return b"OK LISTRIGHTS completed"


async def my_rights(connection: Connection, name: str, _uid: bool) -> bytes:
    """RFC 4314 3.5."""
    place = await find(connection, name)
    if not await _held(connection, place) & _ANY_USE:
        raise Refusal(Reason.NO_SUCH_FOLDER, name)
    connection.out.append(await my_rights_of(connection, place, name))
    return b"OK MYRIGHTS completed"


async def my_rights_of(connection: Connection, place: Place, name: str) -> bytes:
    """A MYRIGHTS response."""
    held = letters(await _held(connection, place))
    return b"* MYRIGHTS %b %b\r\n" % (connection.name(name), held or render.string(held))

"""PermissionSet: who else may do what in a folder (MS-OXWSFOLD 2.2.4.14)."""

from __future__ import annotations

from msgspec.structs import replace

from postern.frontends.ews.box import Box
from postern.frontends.ews.call import Call
from postern.model.refusal import Reason, Refusal
from postern.model.rights import FolderRight
from postern.protocols.ews import ids
from postern.protocols.ews.folder_xml import FolderFacts
from postern.protocols.soap.writing import text
from postern.services.folder_sharing import Sharer

_R = FolderRight
LEVELS: dict[str, FolderRight] = {
    "None": _R(0),
    "Owner": _R(0x7FB),
    "PublishingEditor": _R(0x4FB) & ~_R.OWNER & ~_R.CONTACT,
    "Editor": _R(0x47B),
    "PublishingAuthor": _R(0x49B),
    "Author": _R(0x41B),
    "NoneditingAuthor": _R(0x413),
    "Reviewer": _R(0x401),
    "Contributor": _R(0x402),
}
"""Outlook's levels as bits (MS-OXCPERM 2.2.7)."""
_FREE_BUSY = _R.FREEBUSY_SIMPLE | _R.FREEBUSY_DETAILED
_BOOL = {True: "true", False: "false"}


async def with_permissions(call: Call, box: Box, facts: FolderFacts) -> FolderFacts:
    """The facts with the folder's table, for whoever may see it: its owners. Raises Refusal."""
    folder = ids.read_folder(facts.id).folder
    if not await box.rights(folder) & _R.OWNER:
        return facts
    try:
        rows = await call.services.sharing.table(box.id, folder)
    except Refusal as refusal:
        if refusal.reason is Reason.NOT_PERMITTED:
            return facts
        raise
    calendar = facts.element == "CalendarFolder"
    inner = "".join(_row(one, calendar=calendar) for one in rows)
    name = "CalendarPermissions" if calendar else "Permissions"
    return replace(facts, permissions=f"<t:PermissionSet><t:{name}>{inner}</t:{name}></t:PermissionSet>")


def level(rights: FolderRight) -> str:
    """The level's name, or Custom."""
    plain = rights & ~_FREE_BUSY & ~_R.CONTACT
    for name, bits in LEVELS.items():
        if plain == bits & ~_R.CONTACT:
            return name
    return "Custom"


def _user(one: Sharer) -> str:
    if one.address in ("default", "anonymous"):
        return f"<t:UserId><t:DistinguishedUser>{one.address.capitalize()}</t:DistinguishedUser></t:UserId>"
    return (
        f"<t:UserId><t:PrimarySmtpAddress>{text(one.address)}</t:PrimarySmtpAddress>"
        f"<t:DisplayName>{text(one.name or one.address)}</t:DisplayName></t:UserId>"
    )


def _row(one: Sharer, *, calendar: bool) -> str:
    rights = one.rights

    def has(bit: FolderRight) -> str:
        return _BOOL[bool(rights & bit)]

    edit = "All" if rights & _R.EDIT_ANY else ("Owned" if rights & _R.EDIT_OWNED else "None")
    delete = "All" if rights & _R.DELETE_ANY else ("Owned" if rights & _R.DELETE_OWNED else "None")
    read = "FullDetails" if rights & _R.READ_ANY else "None"
    if calendar and read == "None" and rights & _FREE_BUSY:
        read = "TimeAndSubjectAndLocation" if rights & _R.FREEBUSY_DETAILED else "TimeOnly"
    kind = "CalendarPermission" if calendar else "Permission"
    levels = f"<t:{kind}Level>{level(rights)}</t:{kind}Level>"
    return (
        f"<t:{kind}>{_user(one)}<t:CanCreateItems>{has(_R.CREATE)}</t:CanCreateItems>"
        f"<t:CanCreateSubFolders>{has(_R.CREATE_SUBFOLDER)}</t:CanCreateSubFolders>"
        f"<t:IsFolderOwner>{has(_R.OWNER)}</t:IsFolderOwner><t:IsFolderVisible>{has(_R.VISIBLE)}</t:IsFolderVisible>"
        f"<t:IsFolderContact>{has(_R.CONTACT)}</t:IsFolderContact><t:EditItems>{edit}</t:EditItems>"
        f"<t:DeleteItems>{delete}</t:DeleteItems><t:ReadItems>{read}</t:ReadItems>{levels}</t:{kind}>"
    )

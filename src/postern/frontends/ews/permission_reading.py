"""PermissionSet as clients set it (MS-OXWSFOLD 2.2.4.14)."""

from __future__ import annotations

from lxml.etree import _Element as Element

from postern.frontends.ews.call import Call
from postern.frontends.ews.permission_xml import LEVELS
from postern.model.refusal import Reason, Refusal
from postern.model.rights import FolderRight
from postern.protocols.ews.reading import boolean_of, child, children, choice, need, text_of
from postern.protocols.ews.violation import EwsViolation
from postern.services.folder_sharing import EVERYBODY, NOBODY, Sharer

_R = FolderRight
_MAX_ROWS = 500
_READ = {
    "None": _R(0),
    "FullDetails": _R.READ_ANY,
    "TimeOnly": _R.FREEBUSY_SIMPLE,
    "TimeAndSubjectAndLocation": _R.FREEBUSY_SIMPLE | _R.FREEBUSY_DETAILED,
}
_EDIT = {"None": _R(0), "Owned": _R.EDIT_OWNED, "All": _R.EDIT_OWNED | _R.EDIT_ANY}
_DELETE = {"None": _R(0), "Owned": _R.DELETE_OWNED, "All": _R.DELETE_OWNED | _R.DELETE_ANY}


async def read_permissions(call: Call, element: Element, *, calendar: bool) -> list[Sharer]:
    """The table. Raises EwsViolation, Refusal."""
    if child(element, "UnknownEntries") is not None:
        raise EwsViolation("ErrorCannotSetPermissionUnknownEntries", "UnknownEntries cannot be set.")
    if child(element, "Permissions") is not None and calendar:
        raise EwsViolation("ErrorCannotSetNonCalendarPermissionOnCalendarFolder", "The folder is a calendar.")
    if child(element, "CalendarPermissions") is not None and not calendar:
        raise EwsViolation("ErrorCannotSetCalendarPermissionOnNonCalendarFolder", "The folder is no calendar.")
    kind = "CalendarPermission" if calendar else "Permission"
    rows: dict[str, Sharer] = {}
    for _, one in list(children(need(element, f"{kind}s")))[:_MAX_ROWS]:
        address = await _who(call, need(one, "UserId"))
        if address in rows:
            raise EwsViolation("ErrorDuplicateUserIdsSpecified", "Somebody is named twice.")
        rows[address] = Sharer(address, "", _rights(one, _level(one, kind)))
    return list(rows.values())


def _level(element: Element, kind: str) -> str:
    found = need(element, f"{kind}Level")
    allowed = (*LEVELS, "Custom", "FreeBusyTimeOnly", "FreeBusyTimeAndSubjectAndLocation")
    return choice(found.text or "", allowed, f"{kind}Level")


async def _who(call: Call, element: Element) -> str:
    distinguished = text_of(element, "DistinguishedUser").strip()
    if distinguished:
        choice(distinguished, ("Default", "Anonymous"), "DistinguishedUser")
        return EVERYBODY if distinguished == "Default" else NOBODY
    address = text_of(element, "PrimarySmtpAddress").strip().lower()
    if not address:
        raise EwsViolation("ErrorMissingUserIdInformation", "UserId names nobody.")
    try:
        return (await call.services.identities.owner(await call.services.identities.mailbox_of(address))).address
    except Refusal as refusal:
        if refusal.reason is not Reason.NO_SUCH_RECIPIENT:
            raise
    await call.services.identities.members(address)
    return address


_ELEMENTS = (
    ("CanCreateItems", _R.CREATE),
    ("CanCreateSubFolders", _R.CREATE_SUBFOLDER),
    ("IsFolderOwner", _R.OWNER),
    ("IsFolderVisible", _R.VISIBLE),
    ("IsFolderContact", _R.CONTACT),
)


def _rights(element: Element, level: str) -> FolderRight:
    named = {
        "FreeBusyTimeOnly": _READ["TimeOnly"],
        "FreeBusyTimeAndSubjectAndLocation": _READ["TimeAndSubjectAndLocation"],
    }
    if level in named:
        return named[level]
    given = [
        name for name, _ in children(element) if name not in ("UserId", "PermissionLevel", "CalendarPermissionLevel")
    ]
    if level != "Custom":
        if given:
            raise EwsViolation("ErrorInvalidPermissionSettings", "Single rights go with the level Custom only.")
        return LEVELS[level]
    rights = _R(0)
    for name, bit in _ELEMENTS:
        if boolean_of(element, name):
            rights |= bit
    rights |= _EDIT[choice(text_of(element, "EditItems", "None"), tuple(_EDIT), "EditItems")]
    rights |= _DELETE[choice(text_of(element, "DeleteItems", "None"), tuple(_DELETE), "DeleteItems")]
    return rights | _READ[choice(text_of(element, "ReadItems", "None"), tuple(_READ), "ReadItems")]

"""Rights on mailboxes and folders, in the vocabulary of MAPI folder permissions (MS-OXCPERM 2.2.7) and Exchange."""

from __future__ import annotations

from enum import Enum, IntFlag


class FolderRight(IntFlag):
    """PidTagMemberRights bits (MS-OXCPERM 2.2.7)."""

    READ_ANY = 0x1
    CREATE = 0x2
    EDIT_OWNED = 0x8
    DELETE_OWNED = 0x10
    EDIT_ANY = 0x20
    DELETE_ANY = 0x40
    CREATE_SUBFOLDER = 0x80
    OWNER = 0x100
    CONTACT = 0x200
    VISIBLE = 0x400
    FREEBUSY_SIMPLE = 0x800
    FREEBUSY_DETAILED = 0x1000


class MailboxRight(Enum):
    """Rights on a whole mailbox (Add-MailboxPermission, Add-RecipientPermission)."""

    FULL_ACCESS = "full_access"
    SEND_AS = "send_as"
    SEND_ON_BEHALF = "send_on_behalf"


ROLES: dict[str, FolderRight] = {
    "none": FolderRight(0),
    "visible": FolderRight.VISIBLE,
    "reviewer": FolderRight.READ_ANY | FolderRight.VISIBLE,
    "contributor": FolderRight.CREATE | FolderRight.VISIBLE,
    "author": FolderRight.READ_ANY
    | FolderRight.CREATE
    | FolderRight.EDIT_OWNED
    | FolderRight.DELETE_OWNED
    | FolderRight.VISIBLE,
    "editor": FolderRight.READ_ANY
    | FolderRight.CREATE
    | FolderRight.EDIT_OWNED
    | FolderRight.DELETE_OWNED
    | FolderRight.EDIT_ANY
    | FolderRight.DELETE_ANY
    | FolderRight.VISIBLE,
    "owner": FolderRight(0x7FB),
}
"""Outlook's permission levels by name."""

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


class AdminRight(Enum):
    """What administrators may do, asked for an object or for the whole organisation."""

    VIEW_RECIPIENTS = "view_recipients"
    VIEW_CONFIGURATION = "view_configuration"
    VIEW_LOGS = "view_logs"
    """Message tracking and sign-ins."""
    MANAGE_RECIPIENTS = "manage_recipients"
    RESET_PASSWORDS = "reset_passwords"
    MANAGE_CONFIGURATION = "manage_configuration"
    MANAGE_ROLES = "manage_roles"
    SEARCH_MAILBOXES = "search_mailboxes"
    EXPORT_MAIL = "export_mail"
    HOLD_MAIL = "hold_mail"
    IMPERSONATE = "impersonate"
    """Act in a mailbox as its owner (Exchange's ApplicationImpersonation)."""


class AdminRole(Enum):
    """Exchange's role groups, as far as they differ here."""

    ORGANISATION = "organisation"
    RECIPIENTS = "recipients"
    HELP_DESK = "help_desk"
    VIEW_ONLY = "view_only"
    COMPLIANCE = "compliance"
    IMPERSONATION = "impersonation"


_VIEW = frozenset({AdminRight.VIEW_RECIPIENTS, AdminRight.VIEW_CONFIGURATION, AdminRight.VIEW_LOGS})
_SECRETS = frozenset(
    {AdminRight.SEARCH_MAILBOXES, AdminRight.EXPORT_MAIL, AdminRight.HOLD_MAIL, AdminRight.IMPERSONATE}
)

ADMIN_ROLES: dict[AdminRole, frozenset[AdminRight]] = {
    # whoever runs the organisation does not read its mail; the role to do so is given visibly, if need be to oneself
    AdminRole.ORGANISATION: frozenset(AdminRight) - _SECRETS,
    AdminRole.RECIPIENTS: frozenset(
        {
            AdminRight.VIEW_RECIPIENTS,
            AdminRight.VIEW_LOGS,
            AdminRight.MANAGE_RECIPIENTS,
            AdminRight.RESET_PASSWORDS,
        }
    ),
    AdminRole.HELP_DESK: frozenset({AdminRight.VIEW_RECIPIENTS, AdminRight.VIEW_LOGS, AdminRight.RESET_PASSWORDS}),
    AdminRole.VIEW_ONLY: _VIEW,
    AdminRole.COMPLIANCE: frozenset(
        {
            AdminRight.VIEW_RECIPIENTS,
            AdminRight.VIEW_LOGS,
            AdminRight.SEARCH_MAILBOXES,
            AdminRight.EXPORT_MAIL,
            AdminRight.HOLD_MAIL,
        }
    ),
    AdminRole.IMPERSONATION: frozenset({AdminRight.IMPERSONATE}),
}

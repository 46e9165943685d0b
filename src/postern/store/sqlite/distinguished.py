"""An Exchange mailbox's distinguished folders: those it is made with, and those made when somebody asks for them."""

from __future__ import annotations

from typing import NamedTuple

from postern.model.items import FolderClass, SpecialUse

DISTINGUISHED: tuple[tuple[str, FolderClass, SpecialUse, bool], ...] = (
    ("INBOX", FolderClass.MAIL, SpecialUse.INBOX, True),
    ("Drafts", FolderClass.MAIL, SpecialUse.DRAFTS, True),
    ("Sent Items", FolderClass.MAIL, SpecialUse.SENT, True),
    ("Deleted Items", FolderClass.MAIL, SpecialUse.TRASH, True),
    ("Junk Email", FolderClass.MAIL, SpecialUse.JUNK, True),
    ("Archive", FolderClass.MAIL, SpecialUse.ARCHIVE, True),
    ("Outbox", FolderClass.MAIL, SpecialUse.OUTBOX, False),
    ("Calendar", FolderClass.CALENDAR, SpecialUse.CALENDAR, False),
    ("Contacts", FolderClass.CONTACTS, SpecialUse.CONTACTS, False),
    ("Tasks", FolderClass.TASKS, SpecialUse.TASKS, False),
    ("Notes", FolderClass.NOTES, SpecialUse.NOTES, False),
    ("Journal", FolderClass.JOURNAL, SpecialUse.JOURNAL, False),
    ("Recoverable Items", FolderClass.MAIL, SpecialUse.RECOVERABLE, False),
)
"""Name, class, use and whether IMAP clients find it subscribed."""


class OnDemand(NamedTuple):
    """A folder that comes into being with `ensure_special` (MS-OXOSFLD 2.2.1, MS-OXWSFOLD 2.2.5.3)."""

    name: str
    container_class: str
    hidden: bool = True
    """Hidden ones are outside the visible tree, and IMAP never shows them."""
    parent: SpecialUse | None = None


ON_DEMAND: dict[SpecialUse, OnDemand] = {
    SpecialUse.RECOVERABLE_VERSIONS: OnDemand("Versions", "IPF.Note", parent=SpecialUse.RECOVERABLE),
    SpecialUse.RECOVERABLE_PURGES: OnDemand("Purges", "IPF.Note", parent=SpecialUse.RECOVERABLE),
    SpecialUse.CONVERSATION_HISTORY: OnDemand("Conversation History", "IPF.Note", hidden=False),
    SpecialUse.VOICE_MAIL: OnDemand("Voice Mail", "IPF.Note.Microsoft.Voicemail", hidden=False),
    SpecialUse.SYNC_ISSUES: OnDemand("Sync Issues", "IPF.Note"),
    SpecialUse.CONFLICTS: OnDemand("Conflicts", "IPF.Note", parent=SpecialUse.SYNC_ISSUES),
    SpecialUse.LOCAL_FAILURES: OnDemand("Local Failures", "IPF.Note", parent=SpecialUse.SYNC_ISSUES),
    SpecialUse.SERVER_FAILURES: OnDemand("Server Failures", "IPF.Note", parent=SpecialUse.SYNC_ISSUES),
    SpecialUse.SEARCH_FOLDERS: OnDemand("Finder", "IPF"),
    SpecialUse.QUICK_CONTACTS: OnDemand("Quick Contacts", "IPF.Contact.MOC.QuickContacts"),
    SpecialUse.IM_CONTACTS: OnDemand("IM Contact List", "IPF.Contact.MOC.ImContactList"),
    SpecialUse.RECIPIENT_CACHE: OnDemand("Recipient Cache", "IPF.Contact.RecipientCache", parent=SpecialUse.CONTACTS),
    SpecialUse.MY_CONTACTS: OnDemand("My Contacts", "IPF.Contact"),
    SpecialUse.PEOPLE_CONNECT: OnDemand("PeopleConnect", "IPF.Contact.PeopleConnect"),
    SpecialUse.FAVORITES: OnDemand("Favorites", "IPF.Note"),
    SpecialUse.DIRECTORY: OnDemand("Directory", "IPF"),
    SpecialUse.TODO_SEARCH: OnDemand("To-Do Search", "IPF.Task"),
    SpecialUse.COMMON_VIEWS: OnDemand("Common Views", "IPF"),
    SpecialUse.FREEBUSY_DATA: OnDemand("Freebusy Data", "IPF"),
    SpecialUse.CALENDAR_LOGGING: OnDemand("Calendar Logging", "IPF.Note", parent=SpecialUse.RECOVERABLE),
    SpecialUse.ADMIN_AUDIT_LOGS: OnDemand("Audits", "IPF.Note", parent=SpecialUse.RECOVERABLE),
}

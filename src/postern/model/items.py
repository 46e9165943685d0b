"""Folders and items as plain values that cross the store's interface."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from enum import Enum, IntEnum, IntFlag
from typing import NamedTuple

import msgspec

from postern.model.ids import BlobRef, ChangeNumber, FolderId, ItemId, Uid


class Flag(IntFlag):
    """System flags; bits 8 to 62 are a mailbox's own keywords, named by `Folder.keywords`."""

    SEEN = 1
    ANSWERED = 2
    FLAGGED = 4
    DELETED = 8
    DRAFT = 16
    # bits 5 to 7 are reserved for system flags to come


FIRST_KEYWORD_BIT = 8
LAST_KEYWORD_BIT = 62


class ItemClass(IntEnum):
    """What an item is (MS-OXCMSG 2.2.1.3 PidTagMessageClass, coarse)."""

    MESSAGE = 0
    APPOINTMENT = 1
    CONTACT = 2
    TASK = 3
    NOTE = 4
    DISTRIBUTION_LIST = 5
    ASSOCIATED = 6


class FolderClass(Enum):
    """What a folder holds (MS-OXOSFLD 2.2.5 PidTagContainerClass)."""

    MAIL = "IPF.Note"
    CALENDAR = "IPF.Appointment"
    CONTACTS = "IPF.Contact"
    TASKS = "IPF.Task"
    NOTES = "IPF.StickyNote"
    JOURNAL = "IPF.Journal"
    ROOT = "IPF"

    @classmethod
    def of(cls, container_class: str) -> FolderClass:
        """The coarse class of any PidTagContainerClass: `IPF.Contact.RecipientCache` is CONTACTS, unknown ones ROOT."""
        text = container_class
        while text:
            for known in cls:
                if known.value.lower() == text.lower():
                    return known
            text = text.rpartition(".")[0]
        return cls.ROOT


class SpecialUse(Enum):
    """Distinguished folders of an Exchange mailbox; `\\X` values are IMAP special-use (RFC 6154)."""

    NONE = ""
    INBOX = "inbox"
    SENT = "\\Sent"
    DRAFTS = "\\Drafts"
    TRASH = "\\Trash"
    JUNK = "\\Junk"
    ARCHIVE = "\\Archive"
    OUTBOX = "outbox"
    CALENDAR = "calendar"
    CONTACTS = "contacts"
    TASKS = "tasks"
    NOTES = "notes"
    JOURNAL = "journal"
    RECOVERABLE = "recoverable"
    """Recoverable Items\\Deletions: where hard-deleted items wait; never shown over IMAP."""
    # made when somebody first asks for them (`Mailbox.ensure_special`)
    RECOVERABLE_VERSIONS = "recoverableversions"
    RECOVERABLE_PURGES = "recoverablepurges"
    CONVERSATION_HISTORY = "conversationhistory"
    VOICE_MAIL = "voicemail"
    SYNC_ISSUES = "syncissues"
    CONFLICTS = "conflicts"
    LOCAL_FAILURES = "localfailures"
    SERVER_FAILURES = "serverfailures"
    SEARCH_FOLDERS = "searchfolders"
    QUICK_CONTACTS = "quickcontacts"
    IM_CONTACTS = "imcontactlist"
    RECIPIENT_CACHE = "recipientcache"
    MY_CONTACTS = "mycontacts"
    PEOPLE_CONNECT = "peopleconnect"
    FAVORITES = "favorites"
    DIRECTORY = "directory"
    TODO_SEARCH = "todosearch"
    COMMON_VIEWS = "commonviews"
    FREEBUSY_DATA = "freebusydata"
    CALENDAR_LOGGING = "calendarlogging"
    ADMIN_AUDIT_LOGS = "adminauditlogs"


class Folder(msgspec.Struct, frozen=True):
    """A folder and its counters at one change number."""

    id: FolderId
    parent: FolderId | None
    """None for a top-level folder (a child of the mailbox's visible root)."""
    name: str
    """One path element, NFC, without the hierarchy delimiter."""
    folder_class: FolderClass
    special: SpecialUse
    uid_validity: int
    uid_next: Uid
    """One more than the last UID given in this folder."""
    messages: int
    unseen: int
    deleted: int
    """Items with DELETED set."""
    size_bytes: int
    changed: ChangeNumber
    """Highest change number in the folder (HIGHESTMODSEQ)."""
    subscribed: bool
    recent_from: Uid
    """Items at or above this UID are \\Recent for the next session that claims them."""
    altered: ChangeNumber = ChangeNumber(0)
    """Change number of the folder's own last change: name, parent, class, properties; not of its items."""
    hidden: bool = False
    """Not below the visible root (the non-IPM subtree), and never shown over IMAP."""
    properties: bytes = b""
    """msgpack map as `NewItem.properties`; empty for none."""
    moved: ChangeNumber = ChangeNumber(0)
    """Change number of the last move below another parent; 0: never moved."""
    former: FolderId | None = None
    """The parent before that move."""


class Columns(IntFlag):
    """What `Mailbox.items` is asked for. Row tuples have the fields in the order of this list."""

    UID = 1
    FLAGS = 2
    MODSEQ = 4
    RECEIVED_AT = 8
    """INTERNALDATE, seconds since the epoch (int)."""
    SIZE = 16
    """RFC822.SIZE: own header prefix plus body, octets."""
    ENVELOPE = 32
    """IMAP ENVELOPE, ready for the wire, with parentheses (bytes)."""
    BODYSTRUCTURE = 64
    """IMAP BODYSTRUCTURE, ready for the wire, with parentheses (bytes)."""
    HEADER = 128
    """Raw header block of the message without `PREFIX`, with its closing CRLF CRLF; None if over HEADER_LIMIT."""
    PARTS = 256
    """Part map (formats.mime.scan.PartMap, packed)."""
    PREFIX = 512
    """The item's own header lines that come before the shared body (bytes)."""
    BLOB = 1024
    """Two fields: segment, record."""
    BODY_SIZE = 2048
    """Octets of the shared body (SIZE - len(PREFIX))."""
    ITEM_ID = 4096
    SENT_AT = 8192
    """Date header, seconds since the epoch, or None."""
    SUBJECT = 16384
    """Decoded subject (str)."""
    SAVED_AT = 32768
    """When the item came into this folder, seconds since the epoch (int)."""
    CLASS = 65536
    """ItemClass (int)."""
    PROPERTIES = 131072
    """msgpack map (bytes); empty for none."""
    CHANGE_KEY = 262144
    """Change number of the last change of anything but SEEN (int): EWS change keys, `unchanged_since` of updates."""
    ORIGIN = 524288
    """Number that survives copies, moves and property changes, but not a new body: EMAILID (RFC 8474 5.1)."""
    MESSAGE_ID = 1048576
    """Message-ID without brackets (str)."""
    CONVERSATION = 2097152
    """Number of the conversation (formats.mime.conversation); 0 for what has no header (int)."""


HEADER_LIMIT_BYTES = 16384


class Conversation(NamedTuple):
    """What a folder has of a conversation."""

    number: int
    latest: int
    """When the last of its items came, seconds since the epoch."""
    messages: int
    unread: int
    octets: int
    flagged: int
    """Items with FLAGGED set."""


class Span(NamedTuple):
    """What a calendar item covers, from its first occurrence to its last; seconds since the epoch, end exclusive."""

    starts_at: int
    ends_at: int
    """FOREVER for a recurrence without end."""
    busy: bytes = b""
    """What free/busy needs of the item (convert.busy_times), empty if the item has to be read for it."""


FOREVER = 2**62


class NewAttachment(NamedTuple):
    """A stream beside an item that is not MIME: an attachment, or a property too long for the row."""

    blob: BlobRef
    size: int
    """Octets."""
    properties: bytes
    """msgpack map: PidTagAttachLongFilename, PidTagAttachMimeTag, ..."""


class Attachment(NamedTuple):
    """An attachment in the store."""

    id: int
    """Within its item; kept by copies and moves, never given twice."""
    blob: BlobRef
    size: int
    properties: bytes


class NewItem(msgspec.Struct, frozen=True):
    """An item to be put into a folder; everything rendered beforehand, so that a transaction only writes.

    An item without MIME has `blob` NO_BLOB, `body_size` 0 and a stand-in in `prefix` with what is rendered of it, for
    when it is moved into a mail folder. Its size is that of its properties and attachments.
    """

    blob: BlobRef
    body_size: int
    prefix: bytes
    received_at: int
    envelope: bytes
    bodystructure: bytes
    parts: bytes
    header: bytes | None
    subject: str
    sent_at: int | None
    message_id: str
    """Message-ID without brackets, or empty."""
    flags: int = 0
    keywords: tuple[str, ...] = ()
    item_class: ItemClass = ItemClass.MESSAGE
    properties: bytes = b""
    """msgpack map of MS-OXPROPS canonical names (model.properties) to values; for mail only what MIME cannot say."""
    attachments: tuple[NewAttachment, ...] = ()
    span: Span | None = None
    """Only of calendar items: what `overlapping` finds."""
    conversation: int = 0
    """Number of the conversation; 0 for what has no header."""


class ItemFlags(NamedTuple):
    """One item's flags as a change reports them."""

    uid: Uid
    flags: int
    modseq: ChangeNumber
    created: ChangeNumber
    """Change number at which the item came into the folder."""


class Changes(NamedTuple):
    """What happened in a folder after a change number."""

    upto: ChangeNumber
    """Pass this as the next `since`."""
    changed: Sequence[ItemFlags]
    """New and changed items in UID order; an item is new to the asker if `created` is above its `since`."""
    vanished: Sequence[Uid]
    """Expunged or moved away, in UID order."""
    complete: bool
    """False if `since` is below the tombstone horizon: the asker must compare all UIDs."""


class FolderView(NamedTuple):
    """A folder as SELECT needs it, read in one transaction."""

    folder: Folder
    uids: array[int]
    """array('I'), ascending."""
    first_unseen: Uid | None
    keywords: dict[int, str]
    """Bit -> keyword for the whole mailbox."""


class Placement(NamedTuple):
    """Where an item went: for APPENDUID and COPYUID."""

    folder: FolderId
    uid_validity: int
    uid: Uid
    item: ItemId


class Quota(NamedTuple):
    """Limits; None is unlimited: Exchange's three steps in octets, and how many items."""

    warn_bytes: int | None
    no_send_bytes: int | None
    no_receive_bytes: int | None
    max_items: int | None = None
    """Of all mailboxes of a server: `[store] max_messages`."""

"""The store as the layers above see it. Engines (SQLite now, PostgreSQL later) implement it; contract tests hold both.

Rules that every engine keeps:

* All methods are coroutines over plain values and may be called from one event loop only.
* Every commit of a mailbox takes the next change number; numbers, UIDs and ids are never given twice, not even after
  a power cut: ceilings are reserved durably in blocks and an unclean start jumps to the ceiling.
* A write returns when it is committed and visible to every process. `durable()` returns when it also survives a power
  cut. Whoever answers OK to a client awaits `durable()` first.
* A commit publishes itself on the bus; no caller has to notify anyone.
* A write transaction never spans an await; a busy database is retried without blocking the loop.
* The associated (hidden) items of a folder are a folder of their own, `associated(folder)`: no reader of the folder
  meets them and no counter counts them.

Refusals: NO_SUCH_FOLDER, NO_SUCH_ITEM, ALREADY_EXISTS, HAS_CHILDREN, BAD_NAME, TOO_MANY, OVER_QUOTA, CONFLICT,
TOO_LARGE, BAD_VALUE, DISK_FULL, READ_ONLY, CORRUPT, TRY_LATER.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from postern.model.ids import AccountId, BlobRef, ChangeNumber, DeliveryKey, FolderId, ItemId, MailboxId, Uid
from postern.model.items import (
    Attachment,
    Changes,
    Columns,
    Conversation,
    Folder,
    FolderClass,
    FolderView,
    ItemFlags,
    NewAttachment,
    NewItem,
    Placement,
    Quota,
    Span,
    SpecialUse,
)
from postern.model.ordering import Linked, SortKey
from postern.model.query import Query
from postern.model.sync import (
    CalendarLook,
    Came,
    FolderChanges,
    ItemChanges,
    OutboxEntry,
    SetOff,
    Setting,
    SyncPoint,
    Went,
)

ReadDocument = Callable[[str, bytes], Awaitable["str | None"]]
"""The text of an attachment of a kind (formats.documents.kinds); None if it cannot be read."""

Ranges = Sequence[tuple[int, int]]
"""Inclusive UID ranges, ascending and disjoint."""


class FlagChange(NamedTuple):
    """One STORE: `(flags & ~remove) | add`, keywords likewise; `replace` first clears all flags and keywords."""

    add: int = 0
    remove: int = 0
    add_keywords: tuple[str, ...] = ()
    remove_keywords: tuple[str, ...] = ()
    replace: bool = False
    untold: bool = False
    """Nobody asks what the items have afterwards: of many, `FlagResult.changed` may be left empty."""


class FlagResult(NamedTuple):
    """What a STORE did."""

    changed: Sequence[ItemFlags]
    """Every addressed item that exists and passed `unchanged_since`, in UID order, with its flags afterwards."""
    failed: Sequence[Uid]
    """Items left alone because they changed after `unchanged_since` (RFC 7162 3.1.3)."""
    change_number: ChangeNumber
    """Of this commit; if nothing was written, the mailbox's last, which may be somebody else's."""
    wrote: bool
    """Whether `change_number` is this call's own."""


class CopyResult(NamedTuple):
    """Pairs for COPYUID, in source UID order."""

    sources: Sequence[Uid]
    placements: Sequence[Uid]
    """New UIDs, matching `sources` one to one."""
    uid_validity: int
    change_number: ChangeNumber


class Rendering(NamedTuple):
    """What is rendered of an item without MIME (formats.mime.standin); fields as in NewItem."""

    prefix: bytes
    envelope: bytes
    bodystructure: bytes
    parts: bytes
    subject: str
    sent_at: int | None


class ItemUpdate(NamedTuple):
    """A partial update: what is not named stays."""

    set: Mapping[str, Any] = {}
    """Properties (model.properties)."""
    delete: tuple[str, ...] = ()
    flags: FlagChange | None = None
    rendering: Rendering | None = None
    """Only for items without MIME: their subject and date have changed."""
    span: Span | None = None
    no_span: bool = False
    attach: tuple[NewAttachment, ...] = ()
    detach: tuple[int, ...] = ()


class Updated(NamedTuple):
    """What an update did."""

    change_key: ChangeNumber
    attachments: Sequence[int]
    """Ids of `attach`, in its order."""


class Replaced(NamedTuple):
    """The item whose body a delivery replaces: same item id, a new UID; flags and properties are the new item's."""

    item: ItemId
    unchanged_since: ChangeNumber | None = None
    """Refusal(CONFLICT) if its change key is above."""


class Ahead(NamedTuple):
    """A UID that was taken for a message before there was one: nobody else is ever given it."""

    uid: Uid
    taken_in: ChangeNumber
    """The commit in which that was."""


class Delivery(NamedTuple):
    """One message for one mailbox."""

    mailbox: MailboxId
    key: DeliveryKey
    item: NewItem
    folder: FolderId | None = None
    """None delivers to INBOX; a vanished folder falls back to INBOX."""
    uid: Uid | None = None
    """Only in replay: the UID that a client was already told (APPENDUID)."""
    ignore_quota: bool = False
    replaces: Replaced | None = None
    supersedes: tuple[FolderId, Uid] | None = None
    """A message of this mailbox that goes to Recoverable Items in the same commit (RFC 8508), and so needs no room.
    Refused with NO_SUCH_ITEM where it has gone already, unless `uid` says that a client was told otherwise."""
    sets_off: tuple[SetOff, ...] = ()
    """Goes into the mailbox's outbox in the same commit."""
    also: tuple[tuple[FolderId, NewItem], ...] = ()
    """Further copies that rules want, in the same commit."""
    nowhere: bool = False
    """No copy is kept: only the key, and what it sets off."""
    ahead: Ahead | None = None
    """Its UID, unless the folder has got a higher one since."""
    replayed: bool = False
    """With `ahead`: it may have been given already in a commit that a power cut has undone; its client may know it."""
    takes_ahead: bool = False
    """Take a UID for the folder's next message too."""


class Delivered(NamedTuple):
    """Outcome of one Delivery."""

    placement: Placement | None
    """None if the key had been applied before."""
    refusal: Exception | None = None
    """A Refusal (over quota, no such mailbox, corrupt, disk full) for this mailbox alone."""
    ahead: Ahead | None = None
    """What `takes_ahead` asked for; None if there was none at hand."""


class Mailbox(Protocol):
    """One owner's whole store."""

    id: MailboxId

    # --- reading
    async def folders(self) -> Sequence[Folder]:
        """All folders, parents before children."""
        ...

    async def folder(self, folder: FolderId) -> Folder:
        """One folder's counters."""
        ...

    async def special(self, use: SpecialUse) -> Folder:
        """The folder with a distinguished use. Raises Refusal(NO_SUCH_FOLDER)."""
        ...

    async def view(self, folder: FolderId, *, claim_recent: bool = False) -> FolderView:
        """What SELECT needs; `claim_recent` moves `recent_from` past the last item in the same transaction."""
        ...

    def items(
        self,
        folder: FolderId,
        columns: Columns,
        ranges: Ranges | None = None,
        changed_since: ChangeNumber | None = None,
    ) -> AsyncIterator[list[tuple[Any, ...]]]:
        """Rows in UID order, in chunks that each take under a loop slice; fields in the order of `Columns`.

        `changed_since` keeps only rows whose MODSEQ is greater. Each chunk is its own read transaction.
        """
        ...

    async def changes(self, folder: FolderId, since: ChangeNumber) -> Changes:
        """What an open session has to be told. Cost grows with the number of changes."""
        ...

    async def change_number(self) -> ChangeNumber:
        """The mailbox's last change number, from shared memory: cheap enough to ask before every command."""
        ...

    async def keywords(self) -> dict[int, str]:
        """Bit -> keyword."""
        ...

    async def search(self, folder: FolderId, query: Query, within: Ranges | None = None) -> Sequence[Uid]:
        """UIDs that match, ascending."""
        ...

    async def sort(self, folder: FolderId, uids: Sequence[Uid], keys: Sequence[SortKey]) -> Sequence[Uid]:
        """Items in order; missing ones are left out."""
        ...

    async def links(self, folder: FolderId, uids: Sequence[Uid]) -> Sequence[Linked]:
        """What threads are made of (formats.mime.threads), ascending by UID; missing ones are left out."""
        ...

    async def read(self, folder: FolderId, uid: Uid) -> bytes:
        """A whole message: prefix and body."""
        ...

    # --- items by id and by property
    async def locate(self, items: Sequence[ItemId], near: FolderId | None = None) -> dict[ItemId, tuple[FolderId, Uid]]:
        """Where items are; missing ones are left out. `near` is looked in first: a seek an item, else one a folder."""
        ...

    async def item_changes(
        self, folder: FolderId, point: SyncPoint, limit: int = 512, *, newest_first: bool = False
    ) -> ItemChanges:
        """The next page of what an asker does not know. Every page of a run is asked with the same order."""
        ...

    async def came_from(self, folder: FolderId, uids: Sequence[Uid]) -> dict[Uid, Came]:
        """Of items of a folder that were moved or copied there: from where. Others are left out."""
        ...

    async def went_to(self, folder: FolderId, gone: Sequence[tuple[Uid, ChangeNumber]]) -> dict[Uid, Went]:
        """Of items that a folder lost, at which change number: where they are now. Others are left out."""
        ...

    async def folder_changes(self, since: ChangeNumber, incarnation: int = 0) -> FolderChanges:
        """Folders made, changed and removed after a change number; from 0: all that are there."""
        ...

    async def attachments(self, folder: FolderId, uid: Uid) -> Sequence[Attachment]:
        """Of an item without MIME."""
        ...

    async def overlapping(self, folder: FolderId, starts_at: int, ends_at: int) -> Sequence[Uid]:
        """Calendar items whose span meets [starts_at, ends_at), recurring ones among them, ascending by UID."""
        ...

    async def spans(self, folder: FolderId, starts_at: int, ends_at: int) -> Sequence[tuple[Uid, int, int, bytes]]:
        """UID and Span (start, end, busy) of calendar items that meet [starts_at, ends_at), without reading the items.

        `busy` is what was given with the item as it is now, empty if nothing was. In no order.
        """
        ...

    async def calendar(self, kind: str, starts_at: int, ends_at: int) -> CalendarLook:
        """The calendar folder's `spans` of [starts_at, ends_at) and the `settings` of a kind, in one look.

        Raises Refusal(NO_SUCH_FOLDER).
        """
        ...

    async def conversations(self, folder: FolderId, reader: AccountId | None = None) -> Sequence[Conversation]:
        """A folder's conversations, the one with the latest item first. Cost: a look at each item's narrow row.

        `reader`: `unread` is what that one has not read (`read_by`), a seek an item more.
        """
        ...

    async def in_conversations(self, wanted: Sequence[int]) -> Sequence[tuple[int, FolderId, Uid]]:
        """Conversation, folder, UID of their items in all folders, by folder and UID; a seek an item."""
        ...

    async def removed_from(self, folder: FolderId) -> Sequence[Uid]:
        """UIDs in Recoverable Items of what was removed from a folder, as far back as deletions are remembered."""
        ...

    async def export(self, folder: FolderId, uids: Sequence[Uid]) -> Sequence[NewItem]:
        """Items as another mailbox of this data directory can `add` them; bodies are shared. At most 500.

        Missing ones are left out.
        """
        ...

    async def used_bytes(self) -> int:
        """Octets that count against the quota."""
        ...

    async def used_items(self) -> int:
        """Items that count against the quota."""
        ...

    async def quota(self) -> Quota:
        """The limits in force."""
        ...

    # --- writing
    async def add(self, folder: FolderId, items: Sequence[NewItem]) -> Sequence[Placement]:
        """Put items into a folder, in one commit. Raises Refusal(OVER_QUOTA)."""
        ...

    async def update(
        self, folder: FolderId, uid: Uid, update: ItemUpdate, unchanged_since: ChangeNumber | None = None
    ) -> Updated:
        """Change an item's properties in place: UID and id stay, MODSEQ and change key grow, copies stay as they are.

        Raises Refusal(NO_SUCH_ITEM, CONFLICT if the change key is above `unchanged_since`, OVER_QUOTA).
        """
        ...

    async def set_flags(
        self, folder: FolderId, ranges: Ranges, change: FlagChange, unchanged_since: ChangeNumber | None = None
    ) -> FlagResult:
        """Change flags of a set of items in one commit."""
        ...

    async def copy(self, folder: FolderId, ranges: Ranges, target: FolderId) -> CopyResult:
        """Copy items; bodies are shared, flags and dates kept (RFC 9051 6.4.7)."""
        ...

    async def move(self, folder: FolderId, ranges: Ranges, target: FolderId) -> CopyResult:
        """Move items in one commit (RFC 6851)."""
        ...

    async def expunge(
        self, folder: FolderId, ranges: Ranges | None, *, only_deleted: bool = True, purge: bool = False
    ) -> Sequence[Uid]:
        """Remove items (those with DELETED set, unless told otherwise) into Recoverable Items.

        For good with `purge`; associated items always go for good.
        """
        ...

    async def create_folder(
        self,
        parent: FolderId | None,
        name: str,
        folder_class: FolderClass = FolderClass.MAIL,
        special: SpecialUse = SpecialUse.NONE,
    ) -> Folder:
        """Make a folder. Raises ALREADY_EXISTS, BAD_NAME, TOO_MANY."""
        ...

    async def ensure_special(self, use: SpecialUse) -> Folder:
        """The folder with a distinguished use, made if it is one of those that are made on demand."""
        ...

    async def set_folder(
        self,
        folder: FolderId,
        set_: Mapping[str, Any],
        delete: Sequence[str] = (),
        *,
        folder_class: FolderClass | None = None,
        unchanged_since: ChangeNumber | None = None,
    ) -> Folder:
        """Change a folder's properties. Raises Refusal(CONFLICT) if `altered` is above `unchanged_since`."""
        ...

    async def rename_folder(self, folder: FolderId, parent: FolderId | None, name: str) -> None:
        """Rename or move a folder; ids and UIDs stay. Raises BAD_NAME for a rename into its own child."""
        ...

    async def delete_folder(self, folder: FolderId) -> None:
        """Raises HAS_CHILDREN, NOT_PERMITTED for distinguished folders. Items go to Recoverable Items."""
        ...

    async def subscribe(self, folder: FolderId, subscribed: bool) -> None:
        """Set the subscription."""
        ...

    # --- what belongs to the mailbox and is no item
    async def settings(self, kind: str) -> Sequence[Setting]:
        """All values of a kind (rules, out of office, scripts, sync states), by key."""
        ...

    async def set_settings(
        self, kind: str, values: Mapping[str, bytes | None], unchanged_since: ChangeNumber | None = None
    ) -> ChangeNumber:
        """Set values, None removes; one commit, its change number. Raises Refusal(CONFLICT, TOO_MANY, TOO_LARGE)."""
        ...

    async def read_by(
        self, reader: AccountId, folder: FolderId, between: tuple[int, int] | None = None
    ) -> frozenset[ItemId]:
        """What somebody has read in a folder that keeps read state for each reader (public folders).

        `between`: only of these item ids, both inclusive.
        """
        ...

    async def read_counts(self, reader: AccountId) -> Mapping[FolderId, int]:
        """How many of the items that are there somebody has read, by folder; folders without any are left out."""
        ...

    async def set_read_by(self, reader: AccountId, folder: FolderId, items: Sequence[ItemId], read: bool) -> None:
        """Mark items as read or unread for one reader; the items do not change."""
        ...

    async def outbox(self, limit: int = 100) -> Sequence[OutboxEntry]:
        """The oldest work that deliveries have set off."""
        ...

    async def settle(self, entries: Sequence[int]) -> None:
        """Work is done, or durable elsewhere under its key: forget it."""
        ...

    async def set_quota(self, quota: Quota) -> None:
        """Replace the limits."""
        ...

    async def purge_recoverable(self, older_than: float) -> int:
        """Remove recoverable items that were deleted before a time (seconds since the epoch); how many."""
        ...

    async def durable(self) -> None:
        """Return when everything committed so far in this process survives a power cut. Grouped with other callers."""
        ...


class Blobs(Protocol):
    """Bodies. Written once by the journal, read by reference."""

    async def read(self, ref: BlobRef, offset: int = 0, length: int | None = None) -> bytes:
        """Part of a body, to its end by default."""
        ...

    async def read_many(self, refs: Sequence[tuple[int, int]]) -> list[bytes]:
        """Whole bodies, in the order asked. A reference may be a plain pair: bulk reads make no object of each."""
        ...

    async def read_views(self, refs: Sequence[tuple[int, int]], *, to_send: bool = False) -> list[bytes | memoryview]:
        """As `read_many`, without a copy of each body: several may share what one call read. For FETCH BODY[].

        `to_send`: for a socket in clear, which takes them from where they are; they are not to be looked at.
        """
        ...


class Store(Protocol):
    """All mailboxes of this data directory."""

    blobs: Blobs

    async def create_mailbox(self, mailbox: MailboxId, slot: int, quota: Quota) -> None:
        """Make a mailbox with an Exchange mailbox's folders; durable on return. `slot` is its bus slot (directory)."""
        ...

    async def delete_mailbox(self, mailbox: MailboxId) -> None:
        """Remove a mailbox and its file."""
        ...

    async def mailbox(self, mailbox: MailboxId) -> Mailbox:
        """Raises Refusal(NO_SUCH_RECIPIENT, CORRUPT)."""
        ...

    async def calendar(self, mailbox: MailboxId, kind: str, starts_at: int, ends_at: int) -> CalendarLook:
        """`Mailbox.calendar`, for who asks many mailboxes once: half the cost where nobody uses the mailbox.

        Raises Refusal(NO_SUCH_RECIPIENT, CORRUPT, NO_SUCH_FOLDER).
        """
        ...

    async def deliver(self, batch: Sequence[Delivery]) -> list[Delivered]:
        """Idempotent by key; one commit a mailbox; results in the order given. A failing mailbox fails alone."""
        ...

    async def close(self) -> None:
        """Release files; nothing is lost without it."""
        ...


class Bus(Protocol):
    """Tells sessions in this process that a mailbox has changed in some process."""

    def subscribe(self, slot: int, wake: Callable[[], None]) -> Callable[[], None]:
        """`wake` is called in the loop after a commit anywhere; returns the way to unsubscribe."""
        ...

    def publish(self, slot: int, change_number: int) -> None:
        """After a commit: put the number into the shared table, wake local and other processes' subscribers."""
        ...

    def current(self, slot: int) -> int:
        """The last published change number, 0 if unknown."""
        ...


def associated(folder: FolderId) -> FolderId:
    """The folder of a folder's associated items, and back."""
    return FolderId(-folder)


__all__ = [
    "Blobs",
    "Bus",
    "Changes",
    "CopyResult",
    "Delivered",
    "Delivery",
    "FlagChange",
    "FlagResult",
    "ItemId",
    "ItemUpdate",
    "Mailbox",
    "Ranges",
    "Rendering",
    "Replaced",
    "Store",
    "Updated",
    "associated",
]

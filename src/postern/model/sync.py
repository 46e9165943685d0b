"""Following a mailbox by item id, page by page: what EWS, ActiveSync and MAPI synchronise by.

A run goes from one state to a later one that is fixed when the run begins, so that every page can say exactly what the
asker does not know yet, whatever happens meanwhile; the next run tells that.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from postern.model.ids import NO_BLOB, BlobRef, ChangeNumber, DeliveryKey, FolderId, ItemId, Uid
from postern.model.items import Folder


class Phase(IntEnum):
    """How far a run is."""

    DONE = 0
    CREATED = 1
    CHANGED = 2
    DELETED = 3


class SyncPoint(NamedTuple):
    """What an asker knows of a folder; START knows nothing. Plain integers, to be packed into protocols' tokens."""

    incarnation: int = 0
    """Of the mailbox: a restored one has another, and no point of before holds."""
    change: ChangeNumber = ChangeNumber(0)
    item: ItemId = ItemId(0)
    """Items below it were told."""
    upto_change: ChangeNumber = ChangeNumber(0)
    upto_item: ItemId = ItemId(0)
    """Where the present run ends."""
    phase: Phase = Phase.DONE
    first: int = 0
    second: int = 0
    """The last that was told in this phase."""


START = SyncPoint()


class ChangeKind(IntEnum):
    """What an asker has to be told of an item."""

    CREATED = 1
    UPDATED = 2
    READ_CHANGED = 3
    """Nothing but SEEN."""
    DELETED = 4


class ItemDelta(NamedTuple):
    """One item's change."""

    kind: ChangeKind
    item: ItemId
    uid: Uid
    """By which `items` finds it; of a deleted one its last."""
    flags: int
    change_key: ChangeNumber


class Came(NamedTuple):
    """Where an item was moved or copied from."""

    folder: FolderId
    item: ItemId
    moved: bool


class Went(NamedTuple):
    """Where an item was moved to."""

    folder: FolderId
    uid: Uid
    item: ItemId
    change_key: ChangeNumber


class ItemChanges(NamedTuple):
    """A page."""

    changes: Sequence[ItemDelta]
    point: SyncPoint
    """To go on from."""
    more: bool
    """This run has further pages."""
    complete: bool
    """False: the point is too old or of another incarnation; nothing is told, and the asker begins at START."""


class GoneFolder(NamedTuple):
    """A folder that was removed."""

    id: FolderId
    parent: FolderId | None
    """The folder above; None: none, or it was removed by a Postern that did not write it down."""


class FolderChanges(NamedTuple):
    """What happened to the folders themselves after a change number."""

    incarnation: int
    upto: ChangeNumber
    created: Sequence[Folder]
    updated: Sequence[Folder]
    """Renamed, moved, or other properties; not for their items' sake."""
    deleted: Sequence[GoneFolder]
    complete: bool
    """False: ask from 0 and compare."""


class Setting(NamedTuple):
    """A value that belongs to a mailbox and is no item."""

    key: str
    value: bytes
    changed: ChangeNumber


class CalendarLook(NamedTuple):
    """What free/busy needs of a mailbox, as of one change number."""

    seen: ChangeNumber
    folder: FolderId
    settings: Sequence[Setting]
    spans: Sequence[tuple[Uid, int, int, bytes]]
    """As `Mailbox.spans` gives them."""


class SetOff(NamedTuple):
    """Something that a delivery sets off, to be done by an assistant."""

    kind: str
    """Which assistant: `rules`, `oof`, `booking` ..."""
    payload: bytes = b""
    blob: BlobRef = NO_BLOB
    """A body that it needs: kept until it is settled, whatever becomes of the message."""


class OutboxEntry(NamedTuple):
    """A piece of work that waits in a mailbox."""

    id: int
    kind: str
    key: DeliveryKey
    """For Mailflow.submit_internal: the same however often the delivery is replayed, another for each entry."""
    folder: FolderId
    item: ItemId
    """The message that set it off, where it was delivered to."""
    payload: bytes
    at: int
    """Seconds since the epoch."""
    blob: BlobRef = NO_BLOB
    """As in SetOff."""

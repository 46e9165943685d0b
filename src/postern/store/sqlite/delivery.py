"""Putting new items into folders: deliveries (idempotent by key) and additions."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from postern.model.ids import FolderId, ItemId, Uid
from postern.model.items import Flag, NewItem, Placement, SpecialUse
from postern.model.refusal import Reason, Refusal
from postern.store.interface import Ahead, Delivered, Delivery
from postern.store.sqlite import bodies, outbox, transfer
from postern.store.sqlite.connection import rows
from postern.store.sqlite.flags import keyword_mask
from postern.store.sqlite.folders import INBOX
from postern.store.sqlite.selection import Totals, adjust, numbering, special_id, target_validity, uid_validity
from postern.store.sqlite.txn import Txn

_ITEM = (
    "INSERT INTO items (folder, uid, flags, modseq, created, received_at, size, saved_at, item, content, segment,"
    " record, conversation, placed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_CONTENT = (
    "INSERT INTO contents (id, body_size, sent_at, class, envelope, bodystructure, prefix, parts, subject, message_id,"
    " properties, header) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_APPLY = "INSERT OR IGNORE INTO applied VALUES (?, ?)"
_FORGET = "DELETE FROM applied WHERE segment = ?"
_MAY_BE_KNOWN = (
    "WITH cut AS (SELECT low FROM gaps WHERE high > ?1 ORDER BY high LIMIT 1)"
    " SELECT EXISTS (SELECT 1 FROM cut)"
    " AND NOT EXISTS (SELECT 1 FROM cut CROSS JOIN items WHERE folder = ?2 AND uid > ?3 AND created <= low)"
    " AND NOT EXISTS (SELECT 1 FROM cut CROSS JOIN tombstones WHERE folder = ?2 AND modseq <= low AND uid > ?3)"
)


_Rows = tuple[list[tuple[object, ...]], list[tuple[object, ...]]]
"""Rows for `items` and for `contents`."""


class _Filling:
    """A folder that this transaction puts items into."""

    __slots__ = ("deleted", "last", "messages", "size", "unseen", "validity")

    def __init__(self, validity: int, last: int = 0) -> None:
        """`last`: no item of the folder has, or had, a higher UID."""
        self.validity = validity
        self.last = last
        self.messages = self.size = self.unseen = self.deleted = 0


def _keywords(txn: Txn, item: NewItem) -> int:
    try:
        return keyword_mask(txn, item.keywords, make=True)
    except Refusal:
        return 0  # a full keyword table must not lose a message


def _insert(
    txn: Txn,
    folder: FolderId,
    filling: _Filling,
    item: NewItem,
    uid: int,
    lists: _Rows,
    *,
    old_uid: bool = False,
) -> Placement:
    """`old_uid`: it was taken before this commit, so that it does not tell when the item came."""
    flags = item.flags | _keywords(txn, item) if item.keywords else item.flags
    change = txn.changed
    blob = item.blob
    size = item.body_size + len(item.prefix) if blob.segment else bodies.size_of(item)
    if item.attachments or item.span is not None:
        bodies.insert_beside(txn, folder, uid, item)
    lists[0].append(
        (
            folder,
            uid,
            flags,
            change,
            change,
            item.received_at,
            size,
            txn.now,
            uid,
            uid,
            blob.segment,
            blob.record,
            item.conversation,
            change if old_uid else 0,
        )
    )
    lists[1].append(
        (
            uid,
            item.body_size,
            item.sent_at,
            int(item.item_class),
            item.envelope,
            item.bodystructure,
            item.prefix,
            item.parts,
            item.subject,
            item.message_id,
            item.properties,
            item.header,
        )
    )
    filling.messages += 1
    filling.size += size
    filling.unseen += not flags & Flag.SEEN.value
    filling.deleted += 1 if flags & Flag.DELETED.value else 0
    filling.last = max(filling.last, uid)
    txn.used_bytes += size
    return Placement(folder, filling.validity, Uid(uid), ItemId(uid))


def _write(txn: Txn, fillings: dict[FolderId, _Filling], lists: _Rows) -> None:
    items, contents = lists
    if len(items) == 1:  # the statements alone are cheaper than executemany's iteration
        txn.execute(_ITEM, items[0])
        txn.execute(_CONTENT, contents[0])
    else:
        txn.executemany(_ITEM, items)
        txn.executemany(_CONTENT, contents)
    for folder, filling in fillings.items():
        delta = Totals(filling.messages, filling.size, filling.unseen, filling.deleted)
        adjust(txn, folder, delta, filling.last + 1)


def _too_many(txn: Txn, delivery: Delivery, fillings: dict[FolderId, _Filling]) -> Refusal | None:
    """Why a delivery's items are too many for the mailbox, beside those that this batch brings."""
    if delivery.ignore_quota or delivery.replaces is not None:
        return None
    if txn.execute("SELECT 1 FROM applied WHERE segment = ? AND record = ?", delivery.key).fetchall():
        return None
    try:
        txn.need_room(sum(one.messages for one in fillings.values()) + (not delivery.nowhere) + len(delivery.also))
    except Refusal as refusal:
        return refusal
    return None


def add(txn: Txn, folder: FolderId, items: Sequence[NewItem]) -> list[Placement]:
    """Put items into a folder. Raises Refusal(NO_SUCH_FOLDER, OVER_QUOTA)."""
    filling = _Filling(target_validity(txn, folder))
    if not items:
        return []
    if txn.no_receive_bytes is not None:
        wanted = sum(bodies.size_of(item) for item in items)
        if txn.used_bytes + wanted > txn.no_receive_bytes:
            raise Refusal(Reason.OVER_QUOTA, f"{txn.used_bytes} + {wanted} > {txn.no_receive_bytes} octets")
    txn.need_room(len(items))
    first = txn.take(len(items))
    lists: _Rows = ([], [])
    placements = [_insert(txn, folder, filling, item, uid, lists) for uid, item in enumerate(items, first)]
    _write(txn, {folder: filling}, lists)
    return placements


def _folder(txn: Txn, fillings: dict[FolderId, _Filling], folder: FolderId) -> tuple[FolderId, _Filling]:
    """The folder, or INBOX if it was removed in the meantime."""
    filling = fillings.get(folder)
    if filling is None:
        try:
            filling = _Filling(*numbering(txn, folder))
        except Refusal:
            folder = INBOX
            filling = fillings.get(folder) or _Filling(*numbering(txn, folder))
        fillings[folder] = filling
    return folder, filling


def _uid(txn: Txn, wanted: Uid | None) -> int:
    """The UID a client was told, if it is still free; otherwise a new one."""
    if wanted is None or wanted >= txn.next_id:
        return txn.take(1)
    txn.change()
    if txn.execute("SELECT 1 FROM contents WHERE id = ?", (wanted,)).fetchall():
        return txn.take(1)
    return wanted


def _next_uid(txn: Txn, filling: _Filling, delivery: Delivery) -> int:
    """The UID taken ahead, if UIDs then ascend in the order in which the folder's messages can be seen."""
    ahead = delivery.ahead
    if ahead is None or not filling.last < ahead.uid < txn.next_id:
        return _uid(txn, delivery.uid)
    txn.change()
    return ahead.uid


def _settled(txn: Txn, delivery: Delivery) -> Delivery:
    """In a replay: whether a client may know the UID taken ahead, from a commit that a power cut has undone.

    It may not if no power cut came since: every commit is there. Nor if a message with a higher UID was there before
    the cut: commits are lost from the last one back, and after that one this UID was given no more.
    """
    ahead = delivery.ahead
    if ahead is None:
        return delivery
    if delivery.uid is not None:
        return delivery._replace(ahead=None)
    folder = delivery.folder if delivery.folder is not None else INBOX
    ((known,),) = txn.execute(_MAY_BE_KNOWN, (ahead.taken_in, folder, ahead.uid)).fetchall()
    if known:
        return delivery._replace(ahead=None, uid=ahead.uid, ignore_quota=True)
    return delivery._replace(ahead=None)


def _take_ahead(txn: Txn, batch: Sequence[Delivery], results: list[Delivered]) -> None:
    """UIDs for the next messages, above all that were given now."""
    for index, delivery in enumerate(batch):
        if delivery.takes_ahead and results[index].placement is not None:
            uid = txn.spare()
            if uid is None:
                return
            results[index] = Delivered(results[index].placement, None, Ahead(Uid(uid), txn.change()))


def _insert_told(
    txn: Txn, folder: FolderId, filling: _Filling, delivery: Delivery, item: NewItem, lists: _Rows
) -> Placement:
    """Put an item in under the UID that a client may have been told, or was taken ahead, or a new one."""
    fresh = txn.next_id
    uid = _next_uid(txn, filling, delivery)
    return _insert(txn, folder, filling, item, uid, lists, old_uid=uid < fresh)


def _replace(txn: Txn, delivery: Delivery) -> Delivered:
    """Put a new body in an item's place: a commit's work of its own, since others of the batch may lie before it."""
    assert delivery.replaces is not None
    if txn.execute("SELECT 1 FROM applied WHERE segment = ? AND record = ?", delivery.key).fetchall():
        return Delivered(None)
    try:
        old = bodies.take_out(txn, delivery.replaces)
    except Refusal as refusal:
        return Delivered(None, refusal)
    txn.execute(_APPLY, delivery.key)
    uid = _uid(txn, delivery.uid)
    filling = _Filling(uid_validity(txn.db, old.folder))
    lists: _Rows = ([], [])
    placement = _insert(txn, old.folder, filling, delivery.item, uid, lists)
    _write(txn, {old.folder: filling}, lists)
    bodies.take_over(txn, old, uid)
    return Delivered(placement._replace(item=old.item))


def _supersede(txn: Txn, delivery: Delivery, others: int) -> Delivered:
    """Put an item where its folder is and take another one away: only what it is larger by needs room.

    `others`: items that this batch brings besides and that are not counted yet.
    """
    assert delivery.supersedes is not None
    if txn.execute("SELECT 1 FROM applied WHERE segment = ? AND record = ?", delivery.key).fetchall():
        return Delivered(None)
    folder, uid = delivery.supersedes
    sizes = rows(txn.db, "SELECT size FROM items WHERE folder = ? AND uid = ?", delivery.supersedes)
    if not sizes and delivery.uid is None:
        return Delivered(None, Refusal(Reason.NO_SUCH_ITEM, f"{folder}/{uid}"))
    counted = bool(sizes) and folder != special_id(txn.db, SpecialUse.RECOVERABLE)
    if not delivery.ignore_quota:
        held = txn.used_bytes - (sizes[0][0] if counted else 0)
        wanted = delivery.item.body_size + len(delivery.item.prefix)
        if txn.no_receive_bytes is not None and held + wanted > txn.no_receive_bytes:
            return Delivered(None, Refusal(Reason.OVER_QUOTA, f"{held} + {wanted} > {txn.no_receive_bytes} octets"))
        try:
            txn.need_room(others + 1 - counted)
        except Refusal as refusal:
            return Delivered(None, refusal)
    txn.execute(_APPLY, delivery.key)
    transfer.expunge(txn, folder, ((uid, uid),), only_deleted=False, purge=False)
    fillings: dict[FolderId, _Filling] = {}
    target, filling = _folder(txn, fillings, delivery.folder if delivery.folder is not None else INBOX)
    lists: _Rows = ([], [])
    placement = _insert_told(txn, target, filling, delivery, delivery.item, lists)
    _write(txn, fillings, lists)
    return Delivered(placement)


def deliver(txn: Txn, batch: Sequence[Delivery], forget: Collection[int] = ()) -> list[Delivered]:
    """Apply what was not applied before; over-quota deliveries are refused one by one.

    `forget`: segments whose keys need not be remembered any more.
    """
    execute = txn.execute
    for segment in forget:
        execute(_FORGET, (segment,))
    results: list[Delivered] = []
    fillings: dict[FolderId, _Filling] = {}
    lists: _Rows = ([], [])
    for delivery in batch:
        if delivery.replayed:
            delivery = _settled(txn, delivery)
        item = delivery.item
        if delivery.supersedes is not None:
            results.append(_supersede(txn, delivery, sum(one.messages for one in fillings.values())))
            continue
        limit = txn.no_receive_bytes
        if (
            limit is not None
            and not delivery.ignore_quota
            and txn.used_bytes + item.body_size + len(item.prefix) > limit
            and not execute("SELECT 1 FROM applied WHERE segment = ? AND record = ?", delivery.key).fetchall()
        ):
            results.append(Delivered(None, Refusal(Reason.OVER_QUOTA, f"{txn.used_bytes} of {limit} octets")))
            continue
        if txn.max_items is not None and (refusal := _too_many(txn, delivery, fillings)) is not None:
            results.append(Delivered(None, refusal))
            continue
        if delivery.replaces is not None:
            results.append(_replace(txn, delivery))
            continue
        execute(_APPLY, delivery.key)
        if not txn.db.changes():
            results.append(Delivered(None))
            continue
        if delivery.nowhere:
            txn.change()  # the key has to be synced like any other
            placement = Placement(INBOX, 0, Uid(0), ItemId(0))
        else:
            folder, filling = _folder(txn, fillings, delivery.folder if delivery.folder is not None else INBOX)
            placement = _insert_told(txn, folder, filling, delivery, item, lists)
        for other, copy in delivery.also:
            folder, filling = _folder(txn, fillings, other)
            _insert(txn, folder, filling, copy, txn.take(1), lists)
        results.append(Delivered(placement))
        if delivery.sets_off:
            outbox.put(txn, delivery, placement)
    if lists[0]:
        _write(txn, fillings, lists)
    _take_ahead(txn, batch, results)
    return results

"""What an item is made of beside its row: attachments, spans, and the change of a body or of properties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import apsw

from postern.model.ids import BlobRef, ChangeNumber, FolderId, ItemId, Uid
from postern.model.items import Attachment, ItemClass, NewAttachment, NewItem, Span, SpecialUse
from postern.model.properties import MAX_PROPERTIES_BYTES, changed
from postern.model.refusal import Reason, Refusal
from postern.store.interface import ItemUpdate, Rendering, Replaced, Updated
from postern.store.sqlite import finding, transfer
from postern.store.sqlite.connection import rows
from postern.store.sqlite.flags import bits
from postern.store.sqlite.selection import Totals, adjust, special_id
from postern.store.sqlite.txn import Txn

MAX_ATTACHMENTS = 1000

_ATTACH = "INSERT INTO attachments VALUES (?, ?, ?, ?, ?, ?)"
_SPAN = "INSERT OR REPLACE INTO spans (folder, uid, starts_at, ends_at, busy) VALUES (?, ?, ?, ?, ?)"
_SPAN_ALONE = "UPDATE spans SET busy = x'' WHERE folder = ? AND uid = ?"
"""Nobody said what free/busy needs of an item that was changed: it has to be read."""
_ROW = (
    "SELECT i.item, i.flags, i.created, i.altered, i.size, i.content, i.segment, c.properties,"
    " coalesce((SELECT others FROM shared s WHERE s.content = i.content), 0)"
    " FROM items i CROSS JOIN contents c ON c.id = i.content WHERE i.folder = ? AND i.uid = ?"
)
_OWN_CONTENT = (
    "INSERT INTO contents (id, body_size, sent_at, class, envelope, bodystructure, prefix, parts, subject, message_id,"
    " properties, header, origin) SELECT ?, body_size, sent_at, class, envelope, bodystructure, prefix, parts, subject,"
    " message_id, properties, header, CASE origin WHEN 0 THEN id ELSE origin END FROM contents WHERE id = ?"
)
_RENDER = (
    "UPDATE contents SET prefix = ?, envelope = ?, bodystructure = ?, parts = ?, subject = ?, sent_at = ? WHERE id = ?"
)
_EXPORT = (
    "SELECT i.uid, i.flags, i.received_at, i.segment, i.record, i.content, c.body_size, c.sent_at, c.class, c.envelope,"
    " c.bodystructure, c.prefix, c.parts, c.subject, c.message_id, c.properties, c.header,"
    " i.conversation FROM items i CROSS JOIN contents c ON c.id = i.content WHERE i.folder = ? AND i.uid = ?"
)


class Old(NamedTuple):
    """An item whose body goes."""

    folder: FolderId
    item: ItemId
    placed: int


def size_of(item: NewItem) -> int:
    """Octets that an item counts: its MIME, or what it consists of. Raises Refusal(TOO_LARGE, TOO_MANY)."""
    if len(item.properties) > MAX_PROPERTIES_BYTES:
        raise Refusal(Reason.TOO_LARGE, f"{len(item.properties)} octets of properties")
    if len(item.attachments) > MAX_ATTACHMENTS:
        raise Refusal(Reason.TOO_MANY, f"{len(item.attachments)} attachments")
    if item.blob.segment:
        return item.body_size + len(item.prefix)
    return len(item.prefix) + len(item.properties) + sum(attachment.size for attachment in item.attachments)


def _attach(txn: Txn, content: int, attachments: Sequence[NewAttachment]) -> list[int]:
    if not attachments:
        return []
    first = txn.take(len(attachments))
    ids = list(range(first, first + len(attachments)))
    txn.executemany(
        _ATTACH,
        [(content, number, *new.blob, new.size, new.properties) for number, new in zip(ids, attachments, strict=True)],
    )
    return ids


def _set_span(txn: Txn, folder: FolderId, uid: int, span: Span) -> None:
    # an event without duration still is somewhere
    txn.execute(_SPAN, (folder, uid, span.starts_at, max(span.ends_at, span.starts_at + 1), span.busy))


def insert_beside(txn: Txn, folder: FolderId, uid: int, item: NewItem) -> None:
    """What a new item has in other tables; its content's number is its UID."""
    _attach(txn, uid, item.attachments)
    if item.span is not None:
        _set_span(txn, folder, uid, item.span)


def take_out(txn: Txn, replaced: Replaced) -> Old:
    """Remove an item's row for a new body under the same id. Raises Refusal(NO_SUCH_ITEM, CONFLICT)."""
    where = finding.locate(txn.db, [replaced.item], None).get(replaced.item)
    if where is None:
        raise Refusal(Reason.NO_SUCH_ITEM, str(replaced.item))
    folder, uid = where
    ((created, altered, placed),) = rows(
        txn.db, "SELECT created, altered, placed FROM items WHERE folder = ? AND uid = ?", where
    )
    _check(replaced.unchanged_since, max(created, altered))
    items = transfer.addressed(txn, folder, ((uid, uid),))
    items.drop_contents(txn)
    transfer.leave(txn, items)
    # the item is still there: only its UID has gone
    txn.execute(
        "UPDATE tombstones SET item = -1 WHERE folder = ? AND modseq = ? AND uid = ?", (folder, txn.changed, uid)
    )
    if folder != special_id(txn.db, SpecialUse.RECOVERABLE):
        txn.used_bytes -= items.totals.size_bytes
    return Old(folder, replaced.item, placed or created)


def take_over(txn: Txn, old: Old, uid: int) -> None:
    """The new row is the old item."""
    txn.execute(
        "UPDATE items SET item = ?, placed = ?, altered = ? WHERE folder = ? AND uid = ?",
        (old.item, old.placed, txn.changed, old.folder, uid),
    )
    if old.folder == special_id(txn.db, SpecialUse.RECOVERABLE):
        txn.used_bytes -= rows(txn.db, "SELECT size FROM items WHERE folder = ? AND uid = ?", (old.folder, uid))[0][0]


def _check(unchanged_since: ChangeNumber | None, change_key: int) -> None:
    if unchanged_since is not None and change_key > unchanged_since:
        raise Refusal(Reason.CONFLICT, f"changed at {change_key}, asked for {unchanged_since}")


def update(txn: Txn, folder: FolderId, uid: Uid, wanted: ItemUpdate, unchanged_since: ChangeNumber | None) -> Updated:
    """Change an item in place. Raises Refusal(NO_SUCH_ITEM, CONFLICT, OVER_QUOTA, TOO_LARGE, TOO_MANY, BAD_VALUE)."""
    found = rows(txn.db, _ROW, (folder, uid))
    if not found:
        raise Refusal(Reason.NO_SUCH_ITEM, f"{folder}/{uid}")
    _, flags, created, altered, size, content, segment, stored, others = found[0]
    change_key = max(created, altered)
    _check(unchanged_since, change_key)
    properties = changed(stored, wanted.set, wanted.delete)
    if len(properties) > MAX_PROPERTIES_BYTES:
        raise Refusal(Reason.TOO_LARGE, f"{len(properties)} octets of properties")
    if wanted.rendering is not None and segment:
        raise Refusal(Reason.BAD_VALUE, "what MIME says is changed by a new body")
    flags_after = flags if wanted.flags is None else bits(txn, flags, wanted.flags)
    new_content = properties != stored or wanted.rendering or wanted.attach or wanted.detach
    spanned = wanted.no_span or wanted.span is not None
    if not new_content and not spanned and flags_after == flags:
        return Updated(change_key, ())
    ids: list[int] = []
    if new_content:
        if others:
            content = _own_content(txn, content)
        ids = _change_content(txn, content, properties, wanted)
        if not segment:
            size = _size(txn, content)
    _charge(txn, folder, size - found[0][4])
    if wanted.no_span:
        txn.execute("DELETE FROM spans WHERE folder = ? AND uid = ?", (folder, uid))
    elif wanted.span is not None:
        _set_span(txn, folder, uid, wanted.span)
    elif properties != stored:
        txn.execute(_SPAN_ALONE, (folder, uid))
    change = txn.change()
    if new_content or spanned or flags_after | 1 != flags | 1:
        altered = change_key = change
    txn.execute(
        "UPDATE items SET flags = ?, modseq = ?, altered = ?, size = ?, content = ? WHERE folder = ? AND uid = ?",
        (flags_after, change, altered, size, content, folder, uid),
    )
    unseen = (flags & 1) - (flags_after & 1)
    deleted = (flags_after >> 3 & 1) - (flags >> 3 & 1)
    adjust(txn, folder, Totals(0, size - found[0][4], unseen, deleted))
    return Updated(ChangeNumber(change_key), ids)


def _own_content(txn: Txn, content: int) -> int:
    """A copy of a shared content, so that the other items keep theirs."""
    own = txn.take(1)
    txn.execute(_OWN_CONTENT, (own, content))
    txn.execute(
        "INSERT INTO attachments SELECT ?, id, segment, record, size, properties FROM attachments WHERE content = ?",
        (own, content),
    )
    txn.execute("UPDATE shared SET others = others - 1 WHERE content = ?", (content,))
    txn.execute("DELETE FROM shared WHERE content = ? AND others <= 0", (content,))
    return own


def _change_content(txn: Txn, content: int, properties: bytes, wanted: ItemUpdate) -> list[int]:
    txn.execute("UPDATE contents SET properties = ? WHERE id = ?", (properties, content))
    if wanted.rendering is not None:
        txn.execute(_RENDER, (*wanted.rendering, content))
    if wanted.detach:
        gone = [(content, number) for number in wanted.detach]
        txn.executemany("DELETE FROM attachments WHERE content = ? AND id = ?", gone)
    ids = _attach(txn, content, wanted.attach)
    ((count,),) = txn.execute("SELECT count(*) FROM attachments WHERE content = ?", (content,)).fetchall()
    if count > MAX_ATTACHMENTS:
        raise Refusal(Reason.TOO_MANY, f"{count} attachments")
    return ids


def _size(txn: Txn, content: int) -> int:
    ((size,),) = txn.execute(
        "SELECT length(prefix) + length(properties) + coalesce((SELECT sum(size) FROM attachments a"
        " WHERE a.content = contents.id), 0) FROM contents WHERE id = ?",
        (content,),
    ).fetchall()
    return int(size)


def _charge(txn: Txn, folder: FolderId, octets: int) -> None:
    if not octets or folder == special_id(txn.db, SpecialUse.RECOVERABLE):
        return
    if octets > 0 and txn.no_receive_bytes is not None and txn.used_bytes + octets > txn.no_receive_bytes:
        raise Refusal(Reason.OVER_QUOTA, f"{txn.used_bytes} + {octets} > {txn.no_receive_bytes} octets")
    txn.used_bytes += octets


def attachments(db: apsw.Connection, folder: FolderId, uid: Uid) -> list[Attachment]:
    """An item's attachments in the order they came. Raises Refusal(NO_SUCH_ITEM)."""
    found = rows(db, "SELECT content FROM items WHERE folder = ? AND uid = ?", (folder, uid))
    if not found:
        raise Refusal(Reason.NO_SUCH_ITEM, f"{folder}/{uid}")
    return _attachments(db, found[0][0])


def _attachments(db: apsw.Connection, content: int) -> list[Attachment]:
    return [
        Attachment(number, BlobRef(segment, record), size, properties)
        for number, segment, record, size, properties in rows(
            db,
            "SELECT id, segment, record, size, properties FROM attachments WHERE content = ? ORDER BY id",
            (content,),
        )
    ]


def export(db: apsw.Connection, folder: FolderId, uids: Sequence[Uid]) -> list[NewItem]:
    """Items as another mailbox can take them."""
    names = dict(rows(db, "SELECT bit, name FROM keywords"))
    items: list[NewItem] = []
    for wanted in uids:
        for uid, flags, received_at, segment, record, content, body_size, sent_at, class_, *rest in rows(
            db, _EXPORT, (folder, wanted)
        ):
            envelope, bodystructure, prefix, parts, subject, message_id, properties, header, number = rest
            span = rows(db, "SELECT starts_at, ends_at, busy FROM spans WHERE folder = ? AND uid = ?", (folder, uid))
            items.append(
                NewItem(
                    blob=BlobRef(segment, record),
                    body_size=body_size,
                    prefix=prefix,
                    received_at=received_at,
                    envelope=envelope,
                    bodystructure=bodystructure,
                    parts=parts,
                    header=header,
                    subject=subject,
                    sent_at=sent_at,
                    message_id=message_id,
                    flags=flags & 0xFF,
                    keywords=tuple(name for bit, name in names.items() if flags >> bit & 1),
                    item_class=ItemClass(class_),
                    properties=properties,
                    attachments=tuple(NewAttachment(a.blob, a.size, a.properties) for a in _attachments(db, content)),
                    span=Span(*span[0]) if span else None,
                    conversation=number,
                )
            )
    return items


__all__ = ["Rendering", "attachments", "export", "insert_beside", "size_of", "update"]

"""What deliveries set off: written in their transaction, taken by assistants, settled when it is durable elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from postern.model.ids import ORIGIN_SEGMENT, BlobRef, DeliveryKey, MailboxId, origin_key
from postern.model.items import Placement
from postern.model.sync import OutboxEntry
from postern.store.interface import Delivery
from postern.store.sqlite.connection import rows
from postern.store.sqlite.txn import Txn

OUTBOX_SEGMENT = ORIGIN_SEGMENT
KEYS_KEPT_DAYS = 30
"""How long a mailbox remembers them; older work is not to be begun."""
_DAY_S = 86_400
_PUT = (
    "INSERT INTO outbox (kind, segment, record, folder, item, at, payload, blob_segment, blob_record)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_FIRST = (
    "SELECT id, kind, segment, record, folder, item, at, payload, blob_segment, blob_record FROM outbox"
    " ORDER BY id LIMIT ?"
)


def entry_key(mailbox: MailboxId, cause: DeliveryKey, number: int, day: int) -> DeliveryKey:
    """The key of the n-th thing that a delivery sets off in a mailbox: the same in every replay."""
    return origin_key(f"{mailbox}/{cause.segment}/{cause.record}/{number}", day)


def put(txn: Txn, delivery: Delivery, placement: Placement) -> None:
    """Write down what a delivery sets off."""
    day = delivery.item.received_at // _DAY_S
    for number, (kind, payload, blob) in enumerate(delivery.sets_off):
        key = entry_key(delivery.mailbox, delivery.key, number, day)
        txn.execute(_PUT, (kind, *key, placement.folder, placement.item, txn.now, payload, *blob))


def first(db: apsw.Connection, limit: int) -> list[OutboxEntry]:
    """The oldest entries."""
    return [
        OutboxEntry(
            identity, kind, DeliveryKey(segment, record), folder, item, payload, at, BlobRef(blob_segment, blob_record)
        )
        for identity, kind, segment, record, folder, item, at, payload, blob_segment, blob_record in rows(
            db, _FIRST, (limit,)
        )
    ]


def settle(txn: Txn, entries: Sequence[int]) -> None:
    """Forget entries; unknown ones are settled already."""
    txn.executemany("DELETE FROM outbox WHERE id = ?", [(entry,) for entry in entries])


def forget_keys(txn: Txn) -> int:
    """Forget the keys of work that nobody begins any more; how many."""
    newest = OUTBOX_SEGMENT + txn.now // _DAY_S - KEYS_KEPT_DAYS
    txn.execute("DELETE FROM applied WHERE segment BETWEEN ? AND ?", (OUTBOX_SEGMENT, newest))
    return txn.db.changes()

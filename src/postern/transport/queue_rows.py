"""Rows of the queue's file as values, and the statements that write and read them inside a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import apsw
import msgspec

from postern.model.envelope import Envelope, Recipient
from postern.model.ids import BlobRef, DeliveryKey
from postern.model.transfer import StoredContent
from postern.transport import dsn
from postern.transport.dsn import Report, Subject
from postern.transport.outcomes import AnyOutcome, Defer, Deliver, Expand, Fail, Relay, queue_id
from postern.transport.running_time import running_time

_pack = msgspec.msgpack.Encoder().encode
_unpack_envelope = msgspec.msgpack.Decoder(Envelope).decode
_unpack_report = msgspec.msgpack.Decoder(Report).decode


class Work(IntEnum):
    """What a waiting recipient waits for."""

    RELAY = 1
    MAILBOX = 2
    CATEGORIZE = 3


class NewEntry(msgspec.Struct, frozen=True):
    """A message with the outcomes that local delivery did not settle."""

    key: DeliveryKey
    envelope: Envelope
    content: StoredContent
    outcomes: Sequence[AnyOutcome]
    received_at: float
    message_id: str = ""
    principal: str = ""
    """Authenticated submitter, or empty."""


class Waiting(msgspec.Struct, frozen=True):
    """A claimed recipient."""

    id: int
    work: Work
    recipient: Recipient
    asked: str
    reverse_path: str
    target: str
    """Domain to relay to, or mailbox."""
    attempts: int
    warned: bool
    status: str = ""
    """Why the last attempt failed; empty before the first."""
    urgent: bool = False
    """An administrator wants it tried now, whatever is known of the next hop."""


class Claim(msgspec.Struct, frozen=True):
    """A message and those of its recipients that were claimed together."""

    message: int
    key: DeliveryKey
    queue_id: str
    envelope: Envelope
    content: StoredContent
    received_at: float
    came_at: float
    """In running time."""
    message_id: str
    principal: str
    recipients: tuple[Waiting, ...]


class OwedReport(msgspec.Struct, frozen=True):
    """A claimed report."""

    id: int
    report: Report


def insert_entry(db: apsw.Connection, entry: NewEntry, now: float) -> int:
    """Put in what is new of an entry; how many recipients now wait."""
    waiting: list[tuple[Work, str, AnyOutcome, str]] = []
    owed: list[tuple[str, Subject]] = []
    for outcome in entry.outcomes:
        if not _is_new(db, entry.key, outcome, now):
            continue
        match outcome:
            case Relay():
                waiting.append((Work.RELAY, outcome.domain, outcome, outcome.asked))
            case Deliver():
                waiting.append((Work.MAILBOX, outcome.mailbox, outcome, outcome.asked))
            case Defer():
                waiting.append((Work.CATEGORIZE, "", outcome, outcome.asked))
            case Fail():
                subject = Subject(outcome.recipient, "failed", outcome.status, outcome.text, asked=outcome.asked)
                owed.append((outcome.reverse_path, subject))
            case Expand():
                if outcome.final:
                    owed.append((outcome.reverse_path, Subject(outcome.recipient, "expanded", "2.0.0")))
    name = queue_id(entry.key)
    owe(db, dsn.due(entry.envelope, name, entry.received_at, entry.content, owed), now)
    if waiting:
        message = _message_row(db, entry, name, now)
        db.executemany(
            "INSERT INTO recipient(message, kind, address, notify, original, asked, reverse_path, target, due_at)"
            " VALUES(?,?,?,?,?,?,?,?,?)",
            [
                (
                    message,
                    work,
                    o.recipient.address,
                    o.recipient.notify,
                    o.recipient.original,
                    asked,
                    o.reverse_path,
                    target,
                    now,
                )
                for work, target, o, asked in waiting
            ],
        )
    return len(waiting)


def _is_new(db: apsw.Connection, key: DeliveryKey, outcome: AnyOutcome, now: float) -> bool:
    what = f"{outcome.__struct_config__.tag}:{outcome.recipient.address}"
    if isinstance(outcome, Deliver):
        what = f"d:{outcome.mailbox}"
    db.execute("INSERT OR IGNORE INTO applied VALUES(?,?,?,?)", (key.segment, key.record, what, now))
    return bool(db.changes())


def _message_row(db: apsw.Connection, entry: NewEntry, name: str, now: float) -> int:
    key, content = entry.key, entry.content
    found = db.execute("SELECT id FROM message WHERE segment=? AND record=?", key).get
    if found is not None:
        return int(found)
    db.execute(
        "INSERT INTO message(segment, record, queue_id, envelope, blob_segment, blob_record, body_size, prefix,"
        " received_at, message_id, principal, came_at) VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            *key,
            name,
            # recipients have rows of their own
            _pack(msgspec.structs.replace(entry.envelope, recipients=())),
            *content.blob,
            content.body_size,
            content.prefix,
            entry.received_at,
            entry.message_id,
            entry.principal,
            running_time(db, now),
        ),
    )
    return db.last_insert_rowid()


def claimed_recipients(rows: Sequence[tuple[Any, ...]]) -> dict[int, tuple[Waiting, ...]]:
    """Rows of message and the fields of Waiting, by message."""
    grouped: dict[int, list[Waiting]] = {}
    for row in sorted(rows):
        message, number, kind, address, notify, original, asked, reverse, target, attempts, warned, status, last = row
        recipient = Recipient(address, notify, original)
        grouped.setdefault(message, []).append(
            Waiting(
                number,
                Work(kind),
                recipient,
                asked,
                reverse,
                target,
                attempts,
                bool(warned),
                status,
                attempts > 0 and last is None,
            )
        )
    return {message: tuple(waiting) for message, waiting in grouped.items()}


def owed_reports(rows: Sequence[tuple[Any, ...]]) -> list[OwedReport]:
    """Rows of number and report, in order."""
    return [OwedReport(number, _unpack_report(report)) for number, report in sorted(rows)]


def is_due(db: apsw.Connection, where: str, now: float) -> bool:
    """Whether `where` (a constant) has a row."""
    return db.execute(f"SELECT 1 FROM {where} LIMIT 1", (now,)).get is not None  # noqa: S608 - constants of this file


def owe(db: apsw.Connection, reports: Sequence[Report], now: float) -> None:
    """Note reports."""
    db.executemany(
        "INSERT INTO outbox(report, blob_segment, blob_record, due_at) VALUES(?,?,?,?)",
        [(_pack(r), *r.content.blob, now) for r in reports],
    )


def drop_finished(db: apsw.Connection, message: int) -> None:
    """Remove a message without recipients."""
    db.execute(
        "DELETE FROM message WHERE id=?1 AND NOT EXISTS(SELECT 1 FROM recipient WHERE message=?1)",
        (message,),
    )


def load_claim(db: apsw.Connection, message: int, recipients: tuple[Waiting, ...]) -> Claim:
    """A message with the recipients that were just claimed."""
    row = db.execute(
        "SELECT segment, record, queue_id, envelope, blob_segment, blob_record, body_size, prefix, received_at,"
        " came_at, message_id, principal FROM message WHERE id=?",
        (message,),
    ).fetchone()
    assert row is not None, "recipients are removed with their message"
    segment, record, name, envelope, blob_segment, blob_record, body_size, prefix, received_at, came_at = row[:10]
    message_id, principal = row[10:]
    return Claim(
        message=message,
        key=DeliveryKey(segment, record),
        queue_id=name,
        envelope=_unpack_envelope(envelope),
        content=StoredContent(BlobRef(blob_segment, blob_record), body_size, prefix),
        received_at=received_at,
        came_at=came_at,
        message_id=message_id,
        principal=principal,
        recipients=recipients,
    )

"""What an administrator sees of the queue and does with it, beside a running server: all is in the queue's file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw
import msgspec

from postern.model.envelope import Envelope, Recipient
from postern.model.ids import BlobRef
from postern.model.ports import Clock
from postern.model.transfer import StoredContent
from postern.transport import dsn
from postern.transport.dsn import Subject
from postern.transport.queue_file import QueueFile
from postern.transport.queue_rows import Work, drop_finished, owe

_unpack_envelope = msgspec.msgpack.Decoder(Envelope).decode


class QueuedRecipient(msgspec.Struct, frozen=True):
    """One recipient that waits."""

    address: str
    kind: str
    """relay, mailbox or categorize."""
    target: str
    """Domain or mailbox."""
    state: str
    """waiting, active (claimed by a worker) or suspended."""
    attempts: int
    next_attempt: float | None
    """Seconds since the epoch; None while active or suspended."""
    last_attempt: float | None
    status: str
    text: str
    """Why it waits, in the other server's words or ours."""
    remote: str
    warned: bool
    """The sender was told of the delay."""


class QueuedMessage(msgspec.Struct, frozen=True):
    """One message in the queue."""

    queue_id: str
    sender: str
    message_id: str
    size: int
    received_at: float
    recipients: tuple[QueuedRecipient, ...]


class Destination(msgspec.Struct, frozen=True):
    """What waits for one target."""

    target: str
    kind: str
    recipients: int
    suspended: int
    oldest: float
    """When the oldest message came, seconds since the epoch."""
    text: str
    """The last reason, if any."""


class Selection(msgspec.Struct, frozen=True):
    """Which recipients; all that is given must fit, nothing given is everything."""

    queue_ids: tuple[str, ...] = ()
    sender: str | None = None
    recipient: str = ""
    target: str = ""
    """Domain."""


class QueueAdmin:
    """Raises Refusal(DISK_FULL, READ_ONLY, CORRUPT, TRY_LATER)."""

    def __init__(self, file: QueueFile, clock: Clock) -> None:
        self._file = file
        self._clock = clock

    async def messages(self, selection: Selection, limit: int = 1000) -> list[QueuedMessage]:
        """Messages with those of their recipients that are selected, the oldest first."""
        now = self._clock.timestamp()
        where, values = _where(selection)

        def work(db: apsw.Connection) -> list[QueuedMessage]:
            rows = db.execute(
                "SELECT m.id, m.queue_id, m.envelope, m.message_id, m.body_size + length(m.prefix), m.received_at,"  # noqa: S608
                " r.address, r.kind, r.target, r.suspended, r.claimed_by, r.attempts, r.due_at, r.last_attempt,"
                f" r.status, r.text, r.remote, r.warned FROM recipient r JOIN message m ON m.id=r.message WHERE {where}"
                " AND m.id IN (SELECT m.id FROM message m JOIN recipient r ON m.id=r.message"
                f" WHERE {where} GROUP BY m.id ORDER BY m.received_at, m.id LIMIT ?)"
                " ORDER BY m.received_at, m.id, r.id",
                (*values, *values, limit),
            ).fetchall()
            return _grouped(rows, now)

        return await self._file.read(work)

    async def destinations(self) -> list[Destination]:
        """Totals by target, the longest queue first."""
        return await self._file.read(
            lambda db: [
                Destination(target, Work(kind).name.lower(), count, suspended, oldest, text)
                for target, kind, count, suspended, oldest, text in db.execute(
                    "SELECT r.target, r.kind, count(*), sum(r.suspended), min(m.received_at), max(r.text)"
                    " FROM recipient r JOIN message m ON m.id=r.message GROUP BY r.target, r.kind"
                    " ORDER BY count(*) DESC, r.target"
                )
            ]
        )

    async def retry(self, selection: Selection) -> int:
        """Try now what waits, even for a next hop that has just failed; how many recipients."""
        # without the time of the last attempt it is urgent (Waiting.urgent)
        return await self._update(
            "due_at=?, last_attempt=NULL", (self._clock.timestamp(),), "r.claimed_by='' AND r.suspended=0", selection
        )

    async def count_suspended(self, selection: Selection) -> int:
        """How many recipients `retry` passes over until `resume`."""
        where, values = _where(selection)
        statement = f"SELECT count(*) FROM recipient r JOIN message m ON m.id=r.message WHERE r.suspended=1 AND {where}"  # noqa: S608 - constants
        ((count,),) = await self._file.read(lambda db: db.execute(statement, values).fetchall())
        assert isinstance(count, int)
        return count

    async def suspend(self, selection: Selection) -> int:
        """Try no more until resumed. A transfer that runs is finished."""
        return await self._update("suspended=1", (), "r.suspended=0", selection)

    async def resume(self, selection: Selection) -> int:
        """Undo `suspend`, and try at once."""
        return await self._update("suspended=0, due_at=?", (self._clock.timestamp(),), "r.suspended=1", selection)

    async def remove(self, selection: Selection, *, notify: bool) -> list[QueuedMessage]:
        """Throw recipients away; with `notify` their senders get failure reports. What was removed."""
        now = self._clock.timestamp()
        where, values = _where(selection)
        removed = await self.messages(selection, limit=-1)

        def work(db: apsw.Connection) -> None:
            rows: list[tuple[Any, ...]] = db.execute(
                "SELECT r.id, m.id, m.queue_id, m.envelope, m.blob_segment, m.blob_record, m.body_size, m.prefix,"  # noqa: S608
                " m.received_at, r.address, r.notify, r.original, r.asked, r.reverse_path FROM recipient r"
                f" JOIN message m ON m.id=r.message WHERE {where}",
                values,
            ).fetchall()
            owed: dict[int, list[tuple[str, Subject]]] = {}
            facts: dict[int, tuple[Envelope, str, float, StoredContent]] = {}
            for row in rows:
                number, message, queue_id, envelope, segment, record, size, prefix, received_at = row[:9]
                address, wanted, original, asked, reverse_path = row[9:]
                db.execute("DELETE FROM recipient WHERE id=?", (number,))
                recipient = Recipient(address, wanted, original)
                subject = Subject(recipient, "failed", "5.7.0", "removed by the administrator", asked=asked)
                owed.setdefault(message, []).append((reverse_path, subject))
                content = StoredContent(BlobRef(segment, record), size, prefix)
                facts[message] = (_unpack_envelope(envelope), queue_id, received_at, content)
            for message, subjects in owed.items():
                if notify:
                    owe(db, dsn.due(*facts[message], subjects), now)
                drop_finished(db, message)

        await self._file.write(work)
        await self._file.durable()
        return removed

    async def content(self, queue_id: str) -> StoredContent | None:
        """Where a message's content lies; None if it is not in the queue."""

        def work(db: apsw.Connection) -> StoredContent | None:
            row: tuple[Any, ...] | None = db.execute(
                "SELECT blob_segment, blob_record, body_size, prefix FROM message WHERE queue_id=? COLLATE NOCASE",
                (queue_id,),
            ).fetchone()
            if row is None:
                return None
            segment, record, size, prefix = row
            return StoredContent(BlobRef(segment, record), size, prefix)

        return await self._file.read(work)

    async def _update(self, change: str, given: tuple[object, ...], state: str, selection: Selection) -> int:
        where, values = _where(selection)

        def work(db: apsw.Connection) -> int:
            db.execute(
                f"UPDATE recipient SET {change} WHERE id IN (SELECT r.id FROM recipient r"  # noqa: S608 - constants
                f" JOIN message m ON m.id=r.message WHERE {state} AND {where})",
                (*given, *values),
            )
            return int(db.changes())

        changed = await self._file.write(work)
        await self._file.durable()
        return changed


def _where(selection: Selection) -> tuple[str, tuple[Any, ...]]:
    """A condition over r and m that consists of constants, and its values."""
    parts: list[str] = ["1"]
    values: list[str] = []
    if selection.queue_ids:
        parts.append(f"m.queue_id COLLATE NOCASE IN ({','.join('?' * len(selection.queue_ids))})")
        values += selection.queue_ids
    for column, value in (("r.address", selection.recipient), ("r.target", selection.target)):
        if value:
            parts.append(f"lower({column})=?")
            values.append(value.lower())
    if selection.sender is not None:
        parts.append("lower(r.reverse_path)=?")
        values.append(selection.sender.lower().strip("<>"))
    return " AND ".join(parts), tuple(values)


def _grouped(rows: Sequence[Sequence[Any]], now: float) -> list[QueuedMessage]:
    messages: dict[int, QueuedMessage] = {}
    recipients: dict[int, list[QueuedRecipient]] = {}
    for row in rows:
        number, queue_id, envelope, message_id, size, received_at = row[:6]
        address, kind, target, suspended, claimed, attempts, due, last, status, text, remote, warned = row[6:]
        active = bool(claimed) and due > now
        waiting = not suspended and not active
        recipients.setdefault(number, []).append(
            QueuedRecipient(
                address=address,
                kind=Work(kind).name.lower(),
                target=target,
                state="suspended" if suspended else "active" if active else "waiting",
                attempts=attempts,
                next_attempt=due if waiting else None,
                last_attempt=last,
                status=status,
                text=text,
                remote=remote,
                warned=bool(warned),
            )
        )
        if number not in messages:
            sender = _unpack_envelope(envelope).reverse_path
            messages[number] = QueuedMessage(queue_id, sender, message_id, size, received_at, ())
    return [msgspec.structs.replace(m, recipients=tuple(recipients[number])) for number, m in messages.items()]

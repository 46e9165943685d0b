"""FETCH (RFC 9051 6.4.5).

ENVELOPE, BODYSTRUCTURE and the header were rendered at delivery, so a response is a join of stored octets: rows are
turned into columns, each column is converted once, and one format string a response puts them together. No object is
made for a message.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, chain
from operator import add
from typing import Any

from postern.formats.mime.body import body as body_of
from postern.frontends.imap import content
from postern.frontends.imap.ahead import ROWS
from postern.frontends.imap.authenticate import enable_condstore
from postern.frontends.imap.connection import Connection
from postern.frontends.imap.qresync import vanished_earlier
from postern.frontends.imap.selected import SelectedFolder
from postern.frontends.imap.store import ranges_of
from postern.model.ids import BlobRef, ChangeNumber
from postern.model.items import Columns, Flag
from postern.model.ranges import merged
from postern.model.refusal import ProtocolViolation, Refusal
from postern.protocols.imap import sequence
from postern.protocols.imap.commands.fetch import Fetch, Section
from postern.protocols.imap.flags import RECENT
from postern.protocols.imap.render import internal_date, string
from postern.services.mailboxes import FlagChange

BATCH_BYTES = 262_144
"""Bodies read at once: what the processor's cache holds from reading to sending."""
SENT_BYTES = 1_048_576
"""Bodies sent at once from where they are: their pages are the page cache's, whoever reads slowly."""
SENT_MEAN_BYTES = 8192
"""Smaller ones are rather copied together than given to the kernel one by one."""
LARGE_BYTES = 1_048_576
"""A body above is not read whole for a piece of it."""

Row = tuple[Any, ...]

_ATTRIBUTES: dict[bytes, tuple[Columns, bytes]] = {
    b"UID": (Columns.UID, b"UID %d"),
    b"FLAGS": (Columns.FLAGS, b"FLAGS %b"),
    b"MODSEQ": (Columns.MODSEQ, b"MODSEQ (%d)"),
    b"INTERNALDATE": (Columns.RECEIVED_AT, b"INTERNALDATE %b"),
    b"RFC822.SIZE": (Columns.SIZE, b"RFC822.SIZE %d"),
    b"ENVELOPE": (Columns.ENVELOPE, b"ENVELOPE %b"),
    b"BODYSTRUCTURE": (Columns.BODYSTRUCTURE, b"BODYSTRUCTURE %b"),
    b"BODY": (Columns.BODYSTRUCTURE, b"BODY %b"),
    b"SAVEDATE": (Columns.SAVED_AT, b"SAVEDATE %b"),
    b"EMAILID": (Columns.ORIGIN, b"EMAILID (M%d)"),
    b"THREADID": (Columns.CONVERSATION, b"THREADID %b"),
}
_CONVERTERS: dict[bytes, Callable[[Any], bytes]] = {
    b"INTERNALDATE": internal_date,
    b"SAVEDATE": internal_date,
    b"BODY": body_of,
    b"THREADID": lambda number: b"(T%d)" % number if number else b"NIL",
}


class Plan:
    """What one FETCH reads and how it writes it."""

    __slots__ = (
        "attributes",
        "columns",
        "has_blob",
        "head",
        "indices",
        "readers",
        "response",
        "sections",
        "values",
        "whole",
        "whole_head",
    )

    def __init__(self, attributes: tuple[bytes, ...], sections: tuple[Section, ...], verb: bytes = b"FETCH") -> None:
        self.attributes = attributes
        self.sections = sections
        self.columns = Columns.UID | content.columns(sections)
        for name in attributes:
            self.columns |= _ATTRIBUTES[name][0]
        self.indices: dict[Columns, int] = {}
        index = 0
        for column in Columns:
            if column & self.columns:
                self.indices[column] = index
                index += 2 if column is Columns.BLOB else 1
        self.values = [(name, self.indices[_ATTRIBUTES[name][0]], _CONVERTERS.get(name)) for name in attributes]
        """Of each attribute its column's index and what turns a value into text."""
        self.readers = [content.reader(section) for section in sections]
        self.has_blob = Columns.BLOB in self.indices
        self.whole = len(sections) == 1 and content.is_whole(sections[0])
        head = b"* %%d %b (" % verb + b" ".join(_ATTRIBUTES[name][1] for name in attributes)
        self.head = head + (b")\r\n" if not sections else b" " if attributes else b"")
        """Format of a whole response, or of all before its sections."""
        pieces = [section.label.replace(b"%", b"%%") + b" {%d}\r\n%b" for section in sections]
        self.response = self.head + b" ".join(pieces) + b")\r\n" if sections else self.head
        """Without `has_blob`: format of a whole response; size and octets of each section stand last."""
        self.whole_head = b"%b%b {%%d}\r\n%%b" % (self.head, sections[0].label) if self.whole else b""
        """With `whole`: format of all before the body; its last fields are the message's size and its prefix."""

    def column(self, name: Columns) -> int:
        """Index of a column in a row."""
        return self.indices[name]


plan_for = lru_cache(maxsize=256)(Plan)


async def fetch(connection: Connection, arguments: Fetch, uid: bool) -> bytes:
    """Answers in message order; messages expunged meanwhile are left out."""
    selected = connection.view
    attributes = list(arguments.attributes)
    if arguments.changed_since is not None or b"MODSEQ" in attributes:
        enable_condstore(connection)
    if arguments.vanished and not (uid and connection.qresync):
        raise ProtocolViolation("VANISHED is for UID FETCH after ENABLE QRESYNC")
    ranges = await ranges_of(connection, arguments.messages, uid=uid)
    if arguments.partial is not None:
        if not uid:
            raise ProtocolViolation("PARTIAL is for UID FETCH")  # RFC 9394 3.3
        ranges = _positions(selected, ranges, arguments.partial)
    if uid and b"UID" not in attributes:
        attributes.insert(0, b"UID")
    if arguments.changed_since is not None and b"MODSEQ" not in attributes:
        attributes.append(b"MODSEQ")
    if arguments.vanished and not selected.gone:
        assert arguments.changed_since is not None
        await vanished_earlier(connection, ChangeNumber(arguments.changed_since), ranges)
    if not ranges or selected.gone:
        return b"OK FETCH completed"
    sets_seen = not selected.read_only and any(section.sets_seen for section in arguments.sections)
    if sets_seen and await _set_seen(connection, ranges) and b"FLAGS" not in attributes:
        attributes.append(b"FLAGS")
    if selected.condstore and b"FLAGS" in attributes and b"MODSEQ" not in attributes:
        attributes.append(b"MODSEQ")  # RFC 7162 3.2: with every FLAGS once CONDSTORE is enabled
    if selected.uid_only:
        plan = plan_for(tuple(a for a in attributes if a != b"UID"), arguments.sections, b"UIDFETCH")
    else:
        plan = plan_for(tuple(attributes), arguments.sections)
    since = None if arguments.changed_since is None else ChangeNumber(arguments.changed_since)
    if since is None and len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        await _one(connection, plan, ranges[0][0], by_uid=uid)
        return b"OK FETCH completed"
    await write(connection, plan, ranges, since)
    return b"OK FETCH completed"


async def write(
    connection: Connection, plan: Plan, ranges: list[tuple[int, int]], since: ChangeNumber | None = None
) -> None:
    """FETCH responses of the messages in UID ranges, as far as the client knows of them."""
    selected = connection.view
    async for rows in selected.mailbox.items(selected.folder, plan.columns, ranges, since):
        columns = list(zip(*rows, strict=True))
        numbers = selected.numbers(columns[0])
        if 0 in numbers:  # not told yet
            rows = [row for row, number in zip(rows, numbers, strict=True) if number]
            if not rows:
                continue
            columns = list(zip(*rows, strict=True))
            numbers = [number for number in numbers if number]
        if selected.uid_only:
            numbers = columns[0]
        if plan.has_blob:
            await _write_contents(connection, plan, numbers, rows)
        else:
            await _write_rows(connection, plan, numbers, columns)


async def _write_rows(connection: Connection, plan: Plan, numbers: Sequence[int], columns: Sequence[Row]) -> None:
    """Responses that are made of the rows alone, sections of the header among them."""
    fields = await _fields(connection, plan, numbers, columns)
    if plan.sections:
        prefixes, headers = columns[plan.column(Columns.PREFIX)], columns[plan.column(Columns.HEADER)]
        if None in headers:  # over HEADER_LIMIT_BYTES
            headers = tuple(
                [
                    await _stored_header(connection, uid) if header is None else header
                    for uid, header in zip(columns[0], headers, strict=True)
                ]
            )
        for read in plan.readers:  # the message's own header is always there
            pieces = [read(prefix, header, b"", b"") or b"" for prefix, header in zip(prefixes, headers, strict=True)]
            fields += (map(len, pieces), pieces)
    responses = b"".join(map(plan.response.__mod__, zip(*fields, strict=True)))
    connection.out.append(responses)
    await connection.gathered(len(responses))


def _positions(
    selected: SelectedFolder, ranges: list[tuple[int, int]], partial: tuple[int, int]
) -> list[tuple[int, int]]:
    """Those of the messages in the ranges that have a position (RFC 9394 3.3)."""
    uids = selected.uids
    total = sequence.within(ranges, uids)
    low, high = partial
    if low < 0:
        low, high = max(1, total + low + 1), total + high + 1
    found: list[tuple[int, int]] = []
    before = 0
    for first, last in ranges:
        start, end = bisect_left(uids, first), bisect_right(uids, last)
        from_, to = max(start, start + low - before - 1), min(end, start + high - before)
        if from_ < to:
            found.append((uids[from_], uids[to - 1]))
        before += end - start
        if before >= high:
            break
    return found


async def _one(connection: Connection, plan: Plan, uid: int, *, by_uid: bool) -> None:
    """A single message, which clients fetch one after the other."""
    selected = connection.view
    number = selected.number(uid)
    if not number:
        return

    def following() -> list[int]:
        numbers = connection.session.followers(connection.command, ROWS - 1)
        if by_uid:
            return [uid for uid in numbers if selected.number(uid)]
        return [selected.uids[n - 1] for n in numbers if n <= len(selected.uids)]

    row = await selected.ahead.row(selected.mailbox, selected.folder, plan.columns, uid, following)
    if row is None:
        return
    numbers, columns = (uid if selected.uid_only else number,), [(value,) for value in row]
    if not plan.has_blob:
        await _write_rows(connection, plan, numbers, columns)
    elif plan.whole:
        size_at, blob_at = plan.column(Columns.BODY_SIZE), plan.column(Columns.BLOB)
        (values,) = zip(*await _fields(connection, plan, numbers, columns), strict=True)
        ref = BlobRef(row[blob_at], row[blob_at + 1])
        body = await selected.ahead.body(selected.mailbox, ref, blob_at, size_at)
        prefix = row[plan.column(Columns.PREFIX)]
        size = len(prefix) + len(body)
        connection.out += (plan.whole_head % (*values, size, prefix), body, b")\r\n")
        await connection.gathered(size)
    else:
        await _write_contents(connection, plan, numbers, [row])


async def _set_seen(connection: Connection, ranges: list[tuple[int, int]]) -> bool:
    """Set \\Seen where it is missing; whether anything changed. A mailbox that cannot be written stays readable."""
    selected = connection.view
    unseen: list[int] = []
    async for rows in connection.view.mailbox.items(selected.folder, Columns.UID | Columns.FLAGS, ranges):
        unseen += [row[0] for row in rows if not row[1] & Flag.SEEN.value]
    unseen = [uid for uid in unseen if selected.number(uid)]
    if not unseen:
        return False
    try:
        result = await connection.view.mailbox.set_flags(
            selected.folder, merged((u, u) for u in unseen), FlagChange(add=Flag.SEEN.value)
        )
    except Refusal:
        return False
    connection.changed(selected.mailbox)
    selected.own(result)
    return True


async def _fields(
    connection: Connection, plan: Plan, numbers: Sequence[int], columns: Sequence[Row]
) -> list[Iterable[Any]]:
    """The values of `plan.head`, a column each, from those of the rows."""
    selected = connection.view
    fields: list[Iterable[Any]] = [numbers]
    for name, at, convert in plan.values:
        values = columns[at]
        if name == b"FLAGS":
            texts = _flag_texts(selected, columns[0], values)
            if selected.texts.unknown:
                connection.out.append(await selected.name_keywords())
                texts = _flag_texts(selected, columns[0], values)
            fields.append(texts)
        else:
            fields.append(values if convert is None else map(convert, values))
    return fields


def _flag_texts(selected: SelectedFolder, uids: Sequence[int], masks: Sequence[int]) -> list[bytes]:
    recent_from = selected.recent_from
    if uids[-1] >= recent_from and selected.recent_told:
        old = bisect_left(uids, recent_from)
        masks = [*masks[:old], *[mask | RECENT for mask in masks[old:]]]
    return list(map(selected.texts.__getitem__, masks))


# --- contents
async def _write_contents(connection: Connection, plan: Plan, numbers: Sequence[int], rows: list[Row]) -> None:
    """Responses for which bodies have to be read."""
    size_at = plan.column(Columns.BODY_SIZE)
    sizes = [row[size_at] for row in rows]
    to_send = plan.whole and connection.as_it_is and sum(sizes) >= SENT_MEAN_BYTES * len(rows)
    start = 0
    for end in _batches(sizes, SENT_BYTES if to_send else BATCH_BYTES):
        some, those = numbers[start:end], rows[start:end]
        start = end
        columns = list(zip(*those, strict=True))
        fields = await _fields(connection, plan, some, columns)
        if plan.whole:
            await connection.gathered(await _wholes(connection, plan, fields, columns, to_send=to_send))
            continue
        heads = map(plan.head.__mod__, zip(*fields, strict=True))
        await connection.gathered(await _pieces(connection, plan, heads, those))


def _batches(sizes: list[int], most: int) -> Iterator[int]:
    """Ends of runs of bodies that are not too much at once, of one body at least."""
    sums = list(accumulate(sizes))
    end = before = 0
    while end < len(sums):
        end = max(end + 1, bisect_right(sums, before + most, end))
        before = sums[end - 1]
        yield end


def _refs(plan: Plan, rows: list[Row]) -> list[tuple[int, int]]:
    at = plan.column(Columns.BLOB)
    return [(row[at], row[at + 1]) for row in rows]


async def _wholes(
    connection: Connection, plan: Plan, fields: list[Iterable[Any]], columns: Sequence[Row], *, to_send: bool
) -> int:
    """BODY[] or RFC822 alone, which mirroring clients ask for: bodies are written from where they were read."""
    at, prefixes = plan.column(Columns.BLOB), columns[plan.column(Columns.PREFIX)]
    refs = list(zip(columns[at], columns[at + 1], strict=True))
    bodies = await connection.view.mailbox.view_bodies(refs, to_send=to_send)
    sizes = list(map(add, map(len, prefixes), map(len, bodies)))
    # a response's end goes with the head of the next one: two buffers a message, not three
    heads = list(map((b")\r\n" + plan.whole_head).__mod__, zip(*fields, sizes, prefixes, strict=True)))
    heads[0] = heads[0][3:]
    connection.out.extend(chain.from_iterable(zip(heads, bodies, strict=True)))
    connection.out.append(b")\r\n")
    return sum(sizes)


async def _stored_header(connection: Connection, uid: int) -> bytes:
    """The header of one message, over HEADER_LIMIT_BYTES."""
    wanted = Columns.UID | Columns.PARTS | Columns.BLOB
    async for rows in connection.view.mailbox.items(connection.view.folder, wanted, [(uid, uid)]):
        for _uid, parts, segment, record in rows:
            return await content.header_of(connection.view.mailbox, BlobRef(segment, record), parts)
    return b"\r\n"


async def _pieces(connection: Connection, plan: Plan, heads: Iterable[bytes], rows: list[Row]) -> int:
    """Any mixture of sections."""
    prefix_at, size_at = plan.column(Columns.PREFIX), plan.column(Columns.BODY_SIZE)
    parts_at = plan.indices.get(Columns.PARTS)
    header_at = plan.indices.get(Columns.HEADER)
    readers = list(zip(plan.sections, plan.readers, strict=True))
    refs = _refs(plan, rows)
    large_only = all(not content.is_whole(s) for s in plan.sections)
    small = [ref for ref, row in zip(refs, rows, strict=True) if not large_only or row[size_at] <= LARGE_BYTES]
    bodies = dict(zip(small, await connection.view.mailbox.read_bodies(small), strict=True))
    octets = 0
    for head, row, ref in zip(heads, rows, refs, strict=True):
        prefix = row[prefix_at]
        parts = b"" if parts_at is None else row[parts_at]
        header = b"" if header_at is None else row[header_at]
        if header is None:
            header = await _stored_header(connection, row[0])
        body = bodies.get(ref)
        pieces = []
        for section, read in readers:
            if body is None and not content.is_header(section):
                data = await content.from_large(
                    connection.view.mailbox, section, prefix, parts, BlobRef(*ref), row[size_at]
                )
            else:
                data = read(prefix, header, parts, body or b"")
            pieces.append(_labelled(section, data))
        response = b"%b%b)\r\n" % (head, b" ".join(pieces))
        octets += len(response)
        connection.out.append(response)
    return octets


def _labelled(section: Section, data: bytes | None) -> bytes:
    label, kind = section.label, section.kind
    if data is None:
        return label + b" NIL"
    if kind in _SPECIAL_FORMS:
        if kind == b"BINARY.SIZE":
            return b"%b %b" % (label, data)
        if kind != b"BINARY":
            return b"%b %b" % (label, string(data))
        if b"\0" in data:
            return b"%b ~{%d}\r\n%b" % (label, len(data), data)
    return b"%b {%d}\r\n%b" % (label, len(data), data)


_SPECIAL_FORMS = frozenset({b"BINARY", b"BINARY.SIZE", b"PREVIEW", b"PREVIEW.LAZY"})

"""Items in order: SQL sorts by the keys that the search file keeps, or by what the mailbox has itself.

Dates and sizes are in the mailbox, subjects too, decoded at delivery, and header blocks with addresses: in a folder
without rows of `heads` keys are worked out from there, which costs a tenth of such a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, cast

import apsw
import msgspec

from postern.model.ids import FolderId, Uid
from postern.model.ordering import Linked, SortBy, SortKey
from postern.store.sqlite import reading
from postern.store.sqlite.connection import rows
from postern.store.sqlite.host import Host
from postern.store.sqlite.search import filling, header_fields, texts
from postern.store.sqlite.search.file import STAMP
from postern.store.sqlite.search.running import Consult, Session, with_session

_KEYS = {
    SortBy.ARRIVAL: "i.received_at",
    SortBy.SIZE: "i.size",
    SortBy.DATE: "coalesce(h.sent_at, i.received_at)",
    SortBy.FROM: "h.from_key",
    SortBy.TO: "h.to_key",
    SortBy.CC: "h.cc_key",
    SortBy.SUBJECT: "h.subject_key",
    SortBy.DISPLAY_FROM: "h.display_from",
    SortBy.DISPLAY_TO: "h.display_to",
}
_FROM_LIST = (
    "FROM json_each(?) r CROSS JOIN items i"
    f" LEFT JOIN s.heads h ON h.content = i.content AND h.stamp = ({STAMP}) WHERE i.folder = ? AND i.uid = r.value"
)
_CONTENTS = " CROSS JOIN contents c ON c.id = i.content"
_OF_MAILBOX = frozenset({SortBy.ARRIVAL, SortBy.SIZE, SortBy.DATE})
_HEADLESS = f"SELECT json_group_array(i.uid) {_FROM_LIST} AND h.content IS NULL"
# what has no row in heads yet is told with a minus
_ORDERED = (
    "SELECT json_group_array(uid) FROM (SELECT CASE WHEN h.content IS NULL THEN -i.uid ELSE i.uid END AS uid {source}"
    " ORDER BY {keys})"
)
_ORDERED_ITEMS = (
    "SELECT json_group_array(uid) FROM (SELECT i.uid FROM json_each(?) r CROSS JOIN items i{dates}"
    " WHERE i.folder = ? AND i.uid = r.value ORDER BY {keys})"
)
_ORDERED_FOLDER = (
    "SELECT json_group_array(uid) FROM (SELECT i.uid FROM items i{dates} WHERE i.folder = ? ORDER BY {keys})"
)
_BETWEEN = (
    "SELECT json_group_array(uid) FROM"
    " (SELECT uid FROM items WHERE folder = ? AND uid BETWEEN ? AND ? ORDER BY uid LIMIT ?)"
)
_SUBJECTS = (
    "SELECT json_group_array(json_array(i.uid, i.received_at, i.size, coalesce(c.sent_at, i.received_at),"
    " CASE WHEN i.segment THEN c.subject END)) FROM json_each(?) r CROSS JOIN items i"
    f"{_CONTENTS} WHERE i.folder = ? AND i.uid = r.value"
)
_OF_SUBJECTS = (SortBy.ARRIVAL, SortBy.SIZE, SortBy.DATE, SortBy.SUBJECT)
_OF_ADDRESSES = {
    SortBy.FROM: (b"from", texts.mailbox_key),
    SortBy.TO: (b"to", texts.mailbox_key),
    SortBy.CC: (b"cc", texts.mailbox_key),
    SortBy.DISPLAY_FROM: (b"from", texts.display_key),
    SortBy.DISPLAY_TO: (b"to", texts.display_key),
}
"""The field, and the key of its raw value."""
ON_THE_LOOP = 2000
"""Items that are ordered in less time than it takes to have a thread do it."""
FOLDER_ON_THE_LOOP = 4000
"""The same where they are all of a folder: they are read as they lie, at a third of the cost."""
_SUBJECTS_AT_A_TIME = 5000
_KEYS_AT_A_TIME = 50
BLOCKS_AT_A_TIME = 2000
"""Header blocks read in one transaction, which may hold up a checkpoint."""
_LINKS = (
    "SELECT json_group_array(json_array(i.uid, coalesce(h.sent_at, i.received_at), cast(h.subject_key AS TEXT),"
    f" h.is_reply, h.links)) {_FROM_LIST} AND h.content IS NOT NULL ORDER BY i.uid"
)
_numbers = msgspec.json.Decoder(list[int]).decode
_THREADING = (b"message-id", b"references", b"in-reply-to")
_linked = msgspec.json.Decoder(list[tuple[int, int, str, int, str]]).decode
_subjects = msgspec.json.Decoder(list[tuple[int, int, int, int, str | None]]).decode


async def order(
    host: Host,
    path: Path,
    consult: Consult,
    read_in_thread: Consult,
    folder: FolderId,
    uids: Sequence[int],
    keys: Sequence[SortKey],
) -> Sequence[Uid]:
    """UIDs in order; those that are not there any more are left out. Raises Refusal."""
    if not uids:
        return ()
    terms = ", ".join([*(f"{_KEYS[key.by]} {'DESC' if key.descending else 'ASC'}" for key in keys), "i.uid ASC"])
    wanted = {key.by for key in keys}
    if wanted <= _OF_MAILBOX:
        return await _by_items(consult, read_in_thread, folder, uids, terms, dated=SortBy.DATE in wanted)
    sql = _ORDERED.format(source=_FROM_LIST, keys=terms)

    async def work(session: Session) -> Sequence[Uid]:
        ordered = _numbers(await _asked(session, folder, uids, sql))
        headless = [-uid for uid in ordered if uid < 0]
        if headless:
            found = await session.run(partial(_by_mailbox, folder=folder, uids=uids, keys=keys))
            if found is not None:
                return found
            await session.fill_heads(folder, headless)
            ordered = _numbers(await _asked(session, folder, uids, sql))
        return cast("list[Uid]", [abs(uid) for uid in ordered] if headless else ordered)

    return await with_session(host, path, work)


async def _by_items(
    consult: Consult, read_in_thread: Consult, folder: FolderId, uids: Sequence[int], terms: str, *, dated: bool
) -> Sequence[Uid]:
    """Items in order by what their rows and dates of sending say."""
    dates, keys = _CONTENTS if dated else "", terms.replace("h.sent_at", "c.sent_at")
    if await consult(partial(reading.messages, folder=folder)) == len(uids):
        sql = _ORDERED_FOLDER.format(dates=dates, keys=keys)
        look = consult if len(uids) <= FOLDER_ON_THE_LOOP else read_in_thread
        ((text,),) = await look(lambda db: rows(db, sql, (folder,)))
        ordered = cast("list[Uid]", _numbers(text))
        if set(ordered) == set(uids):  # else what was asked for is not what is there now
            return ordered
    sql = _ORDERED_ITEMS.format(dates=dates, keys=keys)
    listed = msgspec.json.encode(uids).decode()
    look = consult if len(uids) <= ON_THE_LOOP else read_in_thread
    ((text,),) = await look(lambda db: rows(db, sql, (listed, folder)))
    return cast("list[Uid]", _numbers(text))


def _by_mailbox(
    db: apsw.Connection, *, folder: FolderId, uids: Sequence[int], keys: Sequence[SortKey]
) -> list[Uid] | None:
    """Items in order by what the mailbox has; None if there is one whose header fields it has not got."""
    addresses = list(dict.fromkeys(key.by for key in keys if key.by in _OF_ADDRESSES))
    named = SortBy.SUBJECT in {key.by for key in keys}
    found: list[tuple[Any, ...]] = []
    for start in range(0, len(uids), _SUBJECTS_AT_A_TIME):
        part = uids[start : start + _SUBJECTS_AT_A_TIME]
        by_uid = _addresses(db, folder, part, addresses) if addresses else {}
        if by_uid is None:
            return None
        ((text,),) = rows(db, _SUBJECTS, (msgspec.json.encode(part).decode(), folder))
        for number, (uid, received_at, size, sent_at, subject) in enumerate(_subjects(text)):
            if subject is None or (addresses and uid not in by_uid):
                return None
            subject_key = texts.subject_key(subject)[0] if named else b""
            found.append((uid, received_at, size, sent_at, subject_key, *by_uid.get(uid, ())))
            if number % _KEYS_AT_A_TIME == 0:
                filling.yield_lock()
    found.sort()
    columns = (*_OF_SUBJECTS, *addresses)
    for key in reversed(keys):  # equal ones stay as they are
        found.sort(key=itemgetter(1 + columns.index(key.by)), reverse=key.descending)
    return [row[0] for row in found]


def _addresses(
    db: apsw.Connection, folder: FolderId, uids: Sequence[int], by: Sequence[SortBy]
) -> dict[int, tuple[bytes, ...]] | None:
    """Keys by UID, in the order of `by`; None if there is a header that the mailbox's row has not got."""
    wanted = [_OF_ADDRESSES[one] for one in by]
    found: dict[int, tuple[bytes, ...]] = {}

    def take(some: header_fields.Blocks) -> bool:
        fields = [(some.firsts(name), key) for name, key in wanted]
        for place, uid in enumerate(some.uids):
            found[uid] = tuple(key(values.get(place, b"")) for values, key in fields)
        return True

    return found if _by_blocks(db, folder, uids, take) else None


def _by_blocks(
    db: apsw.Connection,
    folder: FolderId,
    uids: Sequence[int],
    take: Callable[[header_fields.Blocks], bool],
    *,
    known: bool = False,
) -> bool:
    """Have all header blocks taken, in the order of UIDs; False if one is not there or something is not taken."""

    def look(db: apsw.Connection, part: Sequence[int]) -> bool:
        asked = (folder, part[0], part[-1], len(part) + 1)
        gapless = _numbers(rows(db, _BETWEEN, asked)[0][0]) == part
        for some in header_fields.blocks(db, folder, part, gapless=gapless, known=known):
            if some.without or not take(some):
                return False
            filling.yield_lock()
        return True

    listed = sorted(uids)
    return all(
        reading.snapshot(db, work=partial(look, part=listed[start : start + BLOCKS_AT_A_TIME]))
        for start in range(0, len(listed), BLOCKS_AT_A_TIME)
    )


async def links(host: Host, path: Path, folder: FolderId, uids: Sequence[int]) -> Sequence[Linked]:
    """What threads are made of, by UID. Raises Refusal."""
    if not uids:
        return ()

    async def work(session: Session) -> Sequence[Linked]:
        headless = await session.run(partial(_headless, folder=folder, uids=uids))
        if headless:
            found = await session.run(partial(_links_by_mailbox, folder=folder, uids=uids))
            if found is not None:
                return found
            await session.fill_heads(folder, headless)
        text = await _asked(session, folder, uids, _LINKS)
        return await host.in_search_thread(partial(_read_links, text))

    return await with_session(host, path, work)


def _links_by_mailbox(db: apsw.Connection, *, folder: FolderId, uids: Sequence[int]) -> list[Linked] | None:
    """What threads are made of by what the mailbox has; None if there is an item whose header fields it has not got."""
    found: list[Linked] = []

    def take(some: header_fields.Blocks) -> bool:
        own, references, answered = (some.firsts(name) for name in _THREADING)
        for place, (uid, sent_at, subject) in enumerate(zip(some.uids, some.dates, some.subjects, strict=True)):
            if subject is None:
                return False
            key, reply = texts.subject_key(subject)
            ids = texts.links(own.get(place, b""), references.get(place, b""), answered.get(place, b"")).split(" ")
            found.append(Linked(Uid(uid), sent_at, key.decode("utf-8", "replace"), bool(reply), tuple(ids)))
        return True

    return found if _by_blocks(db, folder, uids, take, known=True) else None


def _read_links(text: str) -> list[Linked]:
    return [
        Linked(Uid(uid), sent_at, subject, bool(reply), tuple(ids.split(" ")))
        for uid, sent_at, subject, reply, ids in _linked(text)
    ]


def _headless(db: apsw.Connection, *, folder: FolderId, uids: Sequence[int]) -> Sequence[int]:
    """Which items have no row in `heads`."""
    if not rows(db, "SELECT 1 FROM s.heads LIMIT 1"):
        return uids
    ((text,),) = rows(db, _HEADLESS, (msgspec.json.encode(uids).decode(), folder))
    return _numbers(text)


async def _asked(session: Session, folder: FolderId, uids: Sequence[int], sql: str) -> str:
    """The answer of a statement over a list of items."""

    def ask(db: apsw.Connection) -> str:
        ((text,),) = rows(db, sql, (msgspec.json.encode(uids).decode(), folder))
        return str(text)

    return await session.run(ask)

"""Items in order: SQL sorts by the keys that the search file keeps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import cast

import apsw
import msgspec

from postern.model.ids import FolderId, Uid
from postern.model.ordering import Linked, SortBy, SortKey
from postern.store.sqlite.connection import rows
from postern.store.sqlite.host import Host
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
_OF_ITEMS = frozenset({SortBy.ARRIVAL, SortBy.SIZE})
_HEADLESS = f"SELECT json_group_array(i.uid) {_FROM_LIST} AND h.content IS NULL"
# what has no row in heads yet is told with a minus
_ORDERED = (
    "SELECT json_group_array(uid) FROM (SELECT CASE WHEN h.content IS NULL THEN -i.uid ELSE i.uid END AS uid {source}"
    " ORDER BY {keys})"
)
_ORDERED_ITEMS = (
    "SELECT json_group_array(uid) FROM (SELECT i.uid FROM json_each(?) r CROSS JOIN items i"
    " WHERE i.folder = ? AND i.uid = r.value ORDER BY {keys})"
)
_LINKS = (
    "SELECT json_group_array(json_array(i.uid, coalesce(h.sent_at, i.received_at), cast(h.subject_key AS TEXT),"
    f" h.is_reply, h.links)) {_FROM_LIST} AND h.content IS NOT NULL ORDER BY i.uid"
)
_numbers = msgspec.json.Decoder(list[int]).decode
_linked = msgspec.json.Decoder(list[tuple[int, int, str, int, str]]).decode


async def order(
    host: Host, path: Path, consult: Consult, folder: FolderId, uids: Sequence[int], keys: Sequence[SortKey]
) -> Sequence[Uid]:
    """UIDs in order; those that are not there any more are left out. Raises Refusal."""
    if not uids:
        return ()
    terms = ", ".join([*(f"{_KEYS[key.by]} {'DESC' if key.descending else 'ASC'}" for key in keys), "i.uid ASC"])
    if all(key.by in _OF_ITEMS for key in keys):
        sql = _ORDERED_ITEMS.format(keys=terms)
        listed = msgspec.json.encode(uids).decode()
        ((text,),) = await consult(lambda db: rows(db, sql, (listed, folder)))
        return cast("list[Uid]", _numbers(text))
    sql = _ORDERED.format(source=_FROM_LIST, keys=terms)

    async def work(session: Session) -> Sequence[Uid]:
        ordered = _numbers(await _asked(session, folder, uids, sql))
        headless = [-uid for uid in ordered if uid < 0]
        if headless:
            await session.fill_heads(folder, headless)
            ordered = _numbers(await _asked(session, folder, uids, sql))
        return cast("list[Uid]", [abs(uid) for uid in ordered] if headless else ordered)

    return await with_session(host, path, work)


async def links(host: Host, path: Path, folder: FolderId, uids: Sequence[int]) -> Sequence[Linked]:
    """What threads are made of, by UID. Raises Refusal."""
    if not uids:
        return ()

    async def work(session: Session) -> Sequence[Linked]:
        headless = _numbers(await _asked(session, folder, uids, _HEADLESS))
        if headless:
            await session.fill_heads(folder, headless)
        text = await _asked(session, folder, uids, _LINKS)
        return await host.in_thread(partial(_read_links, text))

    return await with_session(host, path, work)


def _read_links(text: str) -> list[Linked]:
    return [
        Linked(Uid(uid), sent_at, subject, bool(reply), tuple(ids.split(" ")))
        for uid, sent_at, subject, reply, ids in _linked(text)
    ]


async def _asked(session: Session, folder: FolderId, uids: Sequence[int], sql: str) -> str:
    """The answer of a statement over a list of items."""

    def ask(db: apsw.Connection) -> str:
        ((text,),) = rows(db, sql, (msgspec.json.encode(uids).decode(), folder))
        return str(text)

    return await session.run(ask)

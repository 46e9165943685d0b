"""Items in order: SQL sorts by the keys that the search file keeps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import apsw
import msgspec

from postern.model.ids import FolderId, Uid
from postern.model.ordering import Linked, SortBy, SortKey
from postern.store.sqlite.connection import rows
from postern.store.sqlite.host import Host
from postern.store.sqlite.search.file import STAMP
from postern.store.sqlite.search.running import Session, with_session

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
_HEADLESS = f"SELECT json_group_array(i.uid) {_FROM_LIST} AND h.content IS NULL"
_ORDERED = "SELECT json_group_array(uid) FROM (SELECT i.uid {source} ORDER BY {keys})"
_LINKS = (
    "SELECT json_group_array(json_array(i.uid, coalesce(h.sent_at, i.received_at), cast(h.subject_key AS TEXT),"
    f" h.is_reply, h.links)) {_FROM_LIST} AND h.content IS NOT NULL ORDER BY i.uid"
)
_numbers = msgspec.json.Decoder(list[int]).decode
_linked = msgspec.json.Decoder(list[tuple[int, int, str, int, str]]).decode


async def order(
    host: Host, path: Path, folder: FolderId, uids: Sequence[int], keys: Sequence[SortKey]
) -> Sequence[Uid]:
    """UIDs in order; those that are not there any more are left out. Raises Refusal."""
    if not uids:
        return ()
    terms = [f"{_KEYS[key.by]} {'DESC' if key.descending else 'ASC'}" for key in keys]
    sql = _ORDERED.format(source=_FROM_LIST, keys=", ".join([*terms, "i.uid ASC"]))

    async def work(session: Session) -> Sequence[Uid]:
        text = await _asked(session, folder, uids, sql)
        return [Uid(uid) for uid in _numbers(text)]

    return await with_session(host, path, work)


async def links(host: Host, path: Path, folder: FolderId, uids: Sequence[int]) -> Sequence[Linked]:
    """What threads are made of, by UID. Raises Refusal."""
    if not uids:
        return ()

    async def work(session: Session) -> Sequence[Linked]:
        text = await _asked(session, folder, uids, _LINKS)
        return await host.in_thread(partial(_read_links, text))

    return await with_session(host, path, work)


def _read_links(text: str) -> list[Linked]:
    return [
        Linked(Uid(uid), sent_at, subject, bool(reply), tuple(ids.split(" ")))
        for uid, sent_at, subject, reply, ids in _linked(text)
    ]


async def _asked(session: Session, folder: FolderId, uids: Sequence[int], sql: str) -> str:
    """The answer of a statement over a list of items, all of which have their heads."""
    listed = msgspec.json.encode(list(uids)).decode()

    def ask(db: apsw.Connection) -> tuple[list[int], str]:
        ((headless,),) = rows(db, _HEADLESS, (listed, folder))
        if headless != "[]":
            return _numbers(headless), ""
        ((text,),) = rows(db, sql, (listed, folder))
        return [], str(text)

    headless, text = await session.run(ask)
    if headless:
        await session.fill_heads(folder, headless)
        # what could not be filled is gone in the meantime: the statement leaves it out
        ((text,),) = await session.run(lambda db: rows(db, sql, (listed, folder)))
    return text

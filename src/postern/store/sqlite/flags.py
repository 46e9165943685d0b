"""STORE: flags and keywords of a set of items."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from postern.model.ids import ChangeNumber, FolderId, Uid
from postern.model.items import FIRST_KEYWORD_BIT, LAST_KEYWORD_BIT, Flag, ItemFlags
from postern.model.refusal import Reason, Refusal
from postern.store.interface import FlagChange, FlagResult, Ranges
from postern.store.sqlite.connection import rows
from postern.store.sqlite.selection import PICKED, Totals, adjust, chosen, on_each, pick, uid_validity
from postern.store.sqlite.txn import Txn

_ALL_BITS = (1 << (LAST_KEYWORD_BIT + 1)) - 1
_FEW = 64

_UPDATE = (
    "UPDATE items SET flags = (flags & ?1) | ?2, modseq = ?3,"
    " altered = CASE WHEN flags | 1 != (flags & ?1) | ?2 | 1 THEN ?3 ELSE altered END"
    " WHERE folder = ?4 AND (flags & ?1) | ?2 != flags AND uid"
)
_PENDING = f"SELECT 1 FROM {PICKED} AND (i.flags & ?) | ? != i.flags LIMIT 1"
_AFTER = f"SELECT i.uid, i.flags, i.modseq, i.created FROM {PICKED} ORDER BY p.low, i.uid"
_AFTER_JSON = f"SELECT json_group_array(json_array(uid, flags, modseq, created)) FROM ({_AFTER})"
_FEW_ITEMS = "SELECT uid, flags, modseq, created FROM items WHERE folder = ? AND uid BETWEEN ? AND ? ORDER BY uid"
_UPDATE_ONE = "UPDATE items SET flags = ?1, modseq = ?2 WHERE folder = ?3 AND uid = ?4"
_UPDATE_MORE = "UPDATE items SET flags = ?1, modseq = ?2, altered = ?2 WHERE folder = ?3 AND uid = ?4"
"""Other flags than SEEN are a change of the item to EWS and ActiveSync."""
_DECODE = msgspec.json.Decoder(list[ItemFlags])


def keyword_mask(txn: Txn, names: tuple[str, ...], *, make: bool) -> int:
    """Bits of keywords; unknown ones get a bit of their own if `make`. Raises Refusal(TOO_MANY)."""
    mask = 0
    for name in names:
        found = txn.execute("SELECT bit FROM keywords WHERE name = ?", (name,)).fetchall()
        if found:
            mask |= 1 << found[0][0]
        elif make:
            ((bit,),) = txn.execute("SELECT coalesce(max(bit) + 1, ?) FROM keywords", (FIRST_KEYWORD_BIT,)).fetchall()
            if bit > LAST_KEYWORD_BIT:
                raise Refusal(Reason.TOO_MANY, "the mailbox has no room for another keyword")
            txn.change()
            txn.execute("INSERT INTO keywords VALUES (?, ?)", (bit, name))
            mask |= 1 << bit
    return mask


def bits(txn: Txn, flags: int, change: FlagChange) -> int:
    """One item's flags after a change. Raises Refusal(TOO_MANY)."""
    add = change.add | keyword_mask(txn, change.add_keywords, make=True)
    remove = change.remove | keyword_mask(txn, change.remove_keywords, make=False)
    return add if change.replace else flags & ~remove | add


def set_flags(
    txn: Txn, folder: FolderId, ranges: Ranges, change: FlagChange, unchanged_since: ChangeNumber | None
) -> FlagResult:
    """Change the flags of the items in the ranges; items that already have them keep their MODSEQ."""
    uid_validity(txn.db, folder)
    add = change.add | keyword_mask(txn, change.add_keywords, make=True)
    remove = change.remove | keyword_mask(txn, change.remove_keywords, make=False)
    keep = 0 if change.replace else _ALL_BITS & ~remove
    if len(ranges) <= _FEW and sum(high - low + 1 for low, high in ranges) <= _FEW:
        return _set_few(txn, folder, ranges, (keep, add), unchanged_since)
    failed: Sequence[int] = ()
    if unchanged_since is None:
        picked = pick(txn, folder, ranges)
    else:
        picked = pick(txn, folder, ranges, "AND modseq <= ?", (unchanged_since,))
        failed, _ = chosen(txn, folder, ranges, "AND modseq > ?", (unchanged_since,))
    if txn.execute(_PENDING, (folder, keep, add)).fetchall():
        on_each(txn, folder, picked, _UPDATE, (keep, add, txn.change(), folder))
        adjust(txn, folder, _difference(picked.totals, keep, add))
    if change.untold:
        return _result(txn, [], [Uid(uid) for uid in failed])
    ((text,),) = txn.execute(_AFTER_JSON, (folder,)).fetchall()
    return _result(txn, _DECODE.decode(text), [Uid(uid) for uid in failed])


def _difference(before: Totals, keep: int, add: int) -> Totals:
    """What a change of flags makes of a set's unseen and deleted items."""
    messages, _, unseen, deleted = before
    if (keep & ~add) & Flag.SEEN.value == 0:
        unseen = 0 if add & Flag.SEEN.value else messages
    if (keep & ~add) & Flag.DELETED.value == 0:
        deleted = messages if add & Flag.DELETED.value else 0
    return Totals(0, 0, unseen - before.unseen, deleted - before.deleted)


def _set_few(
    txn: Txn, folder: FolderId, ranges: Ranges, bits: tuple[int, int], unchanged_since: ChangeNumber | None
) -> FlagResult:
    """The same for a handful of items, where the scratch table would cost more than the work."""
    keep, add = bits
    changed: list[ItemFlags] = []
    failed: list[Uid] = []
    updates: list[tuple[int, int, int, int]] = []
    more: list[tuple[int, int, int, int]] = []
    unseen = deleted = 0
    for low, high in ranges:
        for uid, flags, modseq, created in rows(txn.db, _FEW_ITEMS, (folder, low, high)):
            if unchanged_since is not None and modseq > unchanged_since:
                failed.append(uid)
                continue
            wanted = flags & keep | add
            if wanted == flags:
                changed.append(ItemFlags(uid, flags, modseq, created))
                continue
            (more if (flags ^ wanted) & ~1 else updates).append((wanted, txn.change(), folder, uid))
            changed.append(ItemFlags(uid, wanted, txn.change(), created))
            unseen += (flags & 1) - (wanted & 1)
            deleted += (wanted >> 3 & 1) - (flags >> 3 & 1)
    if updates or more:
        for statement, some in ((_UPDATE_ONE, updates), (_UPDATE_MORE, more)):
            if len(some) == 1:  # cheaper than executemany's iteration
                txn.execute(statement, some[0])
            elif some:
                txn.executemany(statement, some)
        adjust(txn, folder, Totals(0, 0, unseen, deleted))
    return _result(txn, changed, failed)


def _result(txn: Txn, changed: list[ItemFlags], failed: list[Uid]) -> FlagResult:
    return FlagResult(changed, failed, ChangeNumber(txn.changed or txn.last), bool(txn.changed))

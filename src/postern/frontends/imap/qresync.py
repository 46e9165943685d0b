"""Quick resynchronization (RFC 7162 3.2): what a client that comes back has missed."""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from postern.frontends.imap.connection import Connection
from postern.frontends.imap.ports import Mailbox
from postern.frontends.imap.selected import SelectedFolder
from postern.model.ids import ChangeNumber, FolderId, Uid
from postern.model.items import Changes, Columns, ItemFlags
from postern.model.ranges import merged
from postern.protocols.imap import sequence
from postern.protocols.imap.commands.folders import Known

Ranges = list[tuple[int, int]]


async def missed(connection: Connection, selected: SelectedFolder, known: Known) -> list[bytes]:
    """VANISHED (EARLIER) and the changed messages since what the client knows (RFC 7162 3.2.5.1).

    Asked for before EXISTS is told: what has left since the view was taken leaves the view as well. Otherwise EXISTS
    would count messages that are among those gone, or that came and left without the client's hearing of them.
    """
    if known.uid_validity != selected.uid_validity:
        return []
    since = ChangeNumber(known.modseq)
    if since >= selected.since:
        return []  # nothing has happened: what a client that comes back finds most of the time
    ranges: Ranges | None = None if known.uids is None else sequence.resolved(known.uids, 0)
    changes = await selected.mailbox.changes(selected.folder, since)
    if changes.complete:
        selected.forget(changes.vanished)
        gone = [uid for uid in changes.vanished if _inside(uid, ranges)]
        out = [_vanished(sequence.render(gone) if gone else b"")]
        changed = [item for item in changes.changed if selected.number(item.uid)]
    else:
        changed = await _since(selected, since)
        selected.forget((await selected.mailbox.changes(selected.folder, selected.since)).vanished)
        changed = [item for item in changed if selected.number(item.uid)]
        asked = [(1, sequence.MAX_NUMBER)] if ranges is None else ranges
        out = [_vanished(_text(await asyncio.to_thread(_missing, selected, asked, known)))]
    out.append(await selected.flag_responses([i for i in changed if _inside(i.uid, ranges)], with_uid=True))
    return out


async def _since(selected: SelectedFolder, since: ChangeNumber) -> list[ItemFlags]:
    found: list[ItemFlags] = []
    columns = Columns.UID | Columns.FLAGS | Columns.MODSEQ
    async for rows in selected.mailbox.items(selected.folder, columns, None, since):
        found += [ItemFlags(Uid(uid), flags, ChangeNumber(modseq), ChangeNumber(modseq)) for uid, flags, modseq in rows]
    return found


async def vanished_earlier(connection: Connection, since: ChangeNumber, ranges: Ranges) -> None:
    """For UID FETCH with VANISHED (RFC 7162 3.2.6)."""
    selected = connection.view
    if not ranges:
        return
    changes: Changes = await selected.mailbox.changes(selected.folder, since)
    if changes.complete:
        # what the client still counts is told as expunged, later
        gone = [uid for uid in changes.vanished if _inside(uid, ranges) and not selected.number(uid)]
        connection.out.append(_vanished(sequence.render(gone) if gone else b""))
    else:
        connection.out.append(_vanished(_text(await asyncio.to_thread(_missing, selected, ranges, None))))


def _vanished(text: bytes) -> bytes:
    return b"* VANISHED (EARLIER) %b\r\n" % text if text else b""


def _inside(uid: int, ranges: Ranges | None) -> bool:
    if ranges is None:
        return True
    at = bisect_right(ranges, (uid, sequence.MAX_NUMBER)) - 1
    return at >= 0 and ranges[at][0] <= uid <= ranges[at][1]


def _missing(selected: SelectedFolder, ranges: Ranges, known: Known | None) -> Ranges:
    """Stretches of the ranges in which the folder has no message, where it is not known any more what has left it.

    Up to the number before UIDNEXT: a client may know messages above the last one that is there now. Numbers that the
    client still knows to fit say up to where nothing has left (RFC 7162 3.2.5.2).
    """
    uids, last = selected.uids, selected.uid_next - 1
    start = 0
    if known is not None and known.matches is not None:
        start = _agreed(uids, *known.matches)
    found: Ranges = []
    for low, high in ranges:
        low, high = max(low, start + 1), min(high, last)
        while low <= high:
            at = bisect_left(uids, low)
            there = uids[at] if at < len(uids) else last + 1
            if there > low:
                found.append((low, min(there - 1, high)))
            low = max(there, low) + 1
    return merged(found)


def _agreed(uids: array[int], numbers: sequence.SequenceSet, their_uids: sequence.SequenceSet) -> int:
    """The highest UID that still has the number at which the client last saw it: up to there nothing is missing."""
    best = 0
    pairs = zip(_each(numbers), _each(their_uids), strict=False)
    for (number, uid), _ in zip(pairs, range(MAX_PAIRS), strict=False):
        if number > len(uids) or uids[number - 1] != uid:
            break
        best = uid
    return best


MAX_PAIRS = 10_000
"""Of the client's list of numbers, so many are looked at."""


def _each(ranges: sequence.SequenceSet) -> Iterator[int]:
    for low, high in ranges:
        yield from range(min(low, high), max(low, high) + 1)


def _text(ranges: Ranges) -> bytes:
    return b",".join(b"%d" % low if low == high else b"%d:%d" % (low, high) for low, high in ranges)


async def highest_modseq(mailbox: Mailbox, folder: FolderId) -> int:
    """HIGHESTMODSEQ after what was just done (RFC 7162 3.2.8)."""
    return max(1, (await mailbox.folder(folder)).changed)

"""A selected folder as one session knows it, and how it learns of changes (RFC 9051 5.2, 7.5, RFC 7162).

Invariants: `uids` is exactly what the client was told, in the order of message sequence numbers; it grows by EXISTS
and shrinks by EXPUNGE only. Everything up to change number `since` was told, apart from `vanished`, which waits for
a moment at which EXPUNGE may be sent.
"""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Sequence

from postern.frontends.imap.ahead import ReadAhead
from postern.frontends.imap.contexts import Context, removals, update
from postern.frontends.imap.ports import Mailbox
from postern.model.ids import ChangeNumber, FolderId, Uid
from postern.model.items import Changes, Columns, FolderView, ItemFlags
from postern.model.refusal import Reason, Refusal
from postern.protocols.imap.flags import RECENT, FlagTexts
from postern.protocols.imap.sequence import render
from postern.services.mailboxes import FlagResult

TOLD_AT_A_TIME = 2000
"""Messages whose flags are told in one go: two milliseconds."""
FEW_OF = 16
"""Up to this share of a view is looked up one by one; of more, going through the view costs less."""


class SelectedWatch:
    """What NOTIFY wants to know of the selected folder."""

    __slots__ = ("describe", "events", "since")

    def __init__(self, events: frozenset[bytes]) -> None:
        self.events = events
        self.describe: Callable[[list[int]], Awaitable[None]] | None = None
        """Sends what was asked for of new messages."""
        self.since: ChangeNumber | None = None
        """Before messages came that the client did not want to know of; they are told when NOTIFY is over."""


ALL_FLAGS = -1
"""Of bits of flags: every one, new keywords too."""


class SelectedFolder:
    """The view of one session."""

    __slots__ = (
        "ahead",
        "checked",
        "condstore",
        "contexts",
        "folder",
        "gone",
        "mailbox",
        "permanent",
        "read_only",
        "recent_from",
        "recent_told",
        "since",
        "texts",
        "told",
        "uid_next",
        "uid_only",
        "uid_validity",
        "uids",
        "vanished",
        "vanishing",
        "watching",
    )

    def __init__(self, mailbox: Mailbox, view: FolderView, checked: ChangeNumber, *, read_only: bool) -> None:
        self.mailbox = mailbox
        self.folder: FolderId = view.folder.id
        self.uid_validity = view.folder.uid_validity
        self.uids: array[int] = view.uids
        self.uid_next: int = view.folder.uid_next
        """Every message below it is in the view or has left the folder."""
        self.recent_from: int = view.folder.recent_from
        self.since: ChangeNumber = view.folder.changed
        self.checked = checked
        """The mailbox's change number when `since` was true: nothing to ask while it stays."""
        self.texts = FlagTexts(view.keywords)
        self.vanished: set[int] = set()
        self.told: dict[int, int] = {}
        """UID -> MODSEQ of flag changes made here since the last look."""
        self.ahead = ReadAhead()
        self.read_only = read_only
        self.permanent = 0 if read_only else ALL_FLAGS
        """Bits of the flags that may be changed; negative: all."""
        self.condstore = False
        self.uid_only = False
        """Messages are named by UID (RFC 9586)."""
        self.vanishing = False
        """What is expunged is told by VANISHED (RFC 7162 3.2.10, RFC 9586 3.5)."""
        self.recent_told = True
        """Not for IMAP4rev2 (RFC 9051 appendix E)."""
        self.contexts: dict[bytes, Context] | None = None
        """Searches whose results are kept up (RFC 5267), by the tag of their command."""
        self.watching: SelectedWatch | None = None
        """What NOTIFY wants to know of this folder; None: everything."""
        self.gone = False
        """The folder was deleted; its messages are reported as expunged and nothing more happens in it."""

    # --- numbers
    def number(self, uid: int) -> int:
        """Message sequence number of a UID, 0 if it is not in the view."""
        index = bisect_left(self.uids, uid)
        return index + 1 if index < len(self.uids) and self.uids[index] == uid else 0

    def stretch(self, uids: Sequence[int]) -> range | None:
        """Their sequence numbers if they are a stretch of the view without gaps, as they mostly are; not for none."""
        view, start = self.uids, bisect_left(self.uids, uids[0])
        end = start + len(uids)
        if end <= len(view) and view[end - 1] == uids[-1] and view[start:end] == array("I", uids):
            return range(start + 1, end + 1)
        return None

    def numbers(self, uids: Sequence[int]) -> Sequence[int]:
        """Message sequence numbers of UIDs in any order, 0 for those that are not in the view."""
        if not uids:
            return ()
        return self.stretch(uids) or self._looked_up(uids)

    def _looked_up(self, uids: Iterable[int]) -> list[int]:
        """The same, one by one."""
        view, end = self.uids, len(self.uids)
        return [
            at + 1 if (at := bisect_left(view, uid)) < end and view[at] == uid else 0  # no call each
            for uid in uids
        ]

    def recent(self) -> int:
        """How many messages are `\\Recent` here."""
        return len(self.uids) - bisect_left(self.uids, self.recent_from)

    def mask(self, uid: int, flags: int) -> int:
        """Flags as this session sees them."""
        return flags | RECENT if uid >= self.recent_from else flags

    # --- flags on the wire
    async def name_keywords(self) -> bytes:
        """Read the keywords' names anew; the FLAGS response that tells them."""
        self.texts = FlagTexts(await self.mailbox.keywords())
        defined = self.texts.defined()
        permanent = self.texts.permanent(self.permanent)
        return b"* FLAGS (%b)\r\n* OK [PERMANENTFLAGS (%b)] Flags permitted\r\n" % (defined, permanent)

    async def flag_responses(self, items: Sequence[ItemFlags], *, with_uid: bool, with_flags: bool = True) -> bytes:
        """FETCH responses with the flags of messages in the view; others have their turn between some of many."""
        texts: list[bytes] = []
        for start in range(0, len(items), TOLD_AT_A_TIME):
            if start:
                await asyncio.sleep(0)
            some = items[start : start + TOLD_AT_A_TIME]
            found = [(number, item) for item in some if (number := self.number(item[0]))]
            text = self._flag_lines(found, with_uid=with_uid, with_flags=with_flags)
            if self.texts.unknown:
                texts.append(await self.name_keywords())
                text = self._flag_lines(found, with_uid=with_uid, with_flags=with_flags)
            texts.append(text)
        return b"".join(texts)

    def _flag_lines(self, found: list[tuple[int, ItemFlags]], *, with_uid: bool, with_flags: bool) -> bytes:
        texts, recent_from = self.texts, self.recent_from
        lines = []
        for number, (uid, flags, modseq, _created) in found:
            fields = []
            if with_uid and not self.uid_only:
                fields.append(b"UID %d" % uid)
            if with_flags:
                fields.append(b"FLAGS " + texts[flags | RECENT if uid >= recent_from else flags])
            if self.condstore:
                fields.append(b"MODSEQ (%d)" % modseq)
            if self.uid_only:
                lines.append(b"* %d UIDFETCH (%b)\r\n" % (uid, b" ".join(fields)))
            else:
                lines.append(b"* %d FETCH (%b)\r\n" % (number, b" ".join(fields)))
        return b"".join(lines)

    # --- changes
    def own(self, result: FlagResult, *, silent: bool = False) -> None:
        """Flags that this session changed itself are told already: their echo is left out.

        Known by their change numbers, so that what others did in between is told all the same. After a silent change
        the client knows the flags only if nobody came between its last news and this commit; a STORE of nothing made
        no commit, and the number it carries may be that of a change which the client has to be told.
        """
        if result.wrote and self.passed(result.change_number):
            return
        if not silent or (result.wrote and result.change_number == self.checked + 1):
            self.told.update({item[0]: item[2] for item in result.changed})

    def passed(self, commit: ChangeNumber) -> bool:
        """A commit of this session after which its client knows the folder as it is, unless somebody came between.

        If nobody did, the commit is taken as told and nothing has to be asked. `commit`: its change number.
        """
        if commit != self.checked + 1 or self.told or self.contexts is not None:
            return False
        self.since = self.checked = commit
        return True

    def left(self, gone: Sequence[int], commit: ChangeNumber) -> None:
        """The session itself took messages out of the folder: if nobody came between, that is all there is to tell."""
        if self.passed(commit):
            self._vanish(gone)

    def _vanish(self, gone: Sequence[int]) -> None:
        """Note what has to be told as expunged."""
        if len(gone) * FEW_OF < len(self.uids):
            self.vanished.update(uid for uid in gone if self.number(uid))
        else:
            self.vanished.update(set(gone).intersection(self.uids))

    def forget(self, gone: Sequence[int]) -> None:
        """What has left before the client was told of anything here is not counted."""
        left = {uid for uid in gone if self.number(uid)}
        if left:
            self.uids = array("I", [uid for uid in self.uids if uid not in left])

    async def sync(self, out: list[bytes | memoryview], *, expunge: bool) -> None:
        """Tell what has happened since the last time. EXPUNGE is held back unless it is allowed."""
        number = self.mailbox.last_change() or await self.mailbox.change_number()
        if number != self.checked and not self.gone:
            await self._catch_up(number, out)
        if expunge and self.vanished and (self.watching is None or b"MessageExpunge" in self.watching.events):
            await self._tell_expunged(out)

    async def is_present(self) -> bool:
        """Whether the view is what the folder holds now. Raises Refusal where the folder may not be read any more."""
        if self.gone or self.vanished or (self.watching is not None and self.watching.since is not None):
            return False
        changes = await self.mailbox.changes(self.folder, self.since)
        return changes.complete and not changes.changed and not changes.vanished

    async def _catch_up(self, number: ChangeNumber, out: list[bytes | memoryview]) -> None:
        try:
            changes = await self.mailbox.changes(self.folder, self.since)
            if not changes.complete:
                changes = await self._compared(changes)
        except Refusal as refusal:
            if refusal.reason not in (Reason.NO_SUCH_FOLDER, Reason.NOT_PERMITTED):
                raise
            self.gone = True  # or may not be read any more, which must not end an IDLE that nobody has ended
            self.vanished.update(self.uids)
            return
        since, self.since = self.since, changes.upto
        self.checked = max(number, changes.upto)
        if changes.vanished:
            self._vanish(changes.vanished)
        told = self.told
        if told:
            self.told = {}
        changed = [item for item in changes.changed if told.get(item[0]) != item[2]] if told else changes.changed
        if self.watching is not None and b"MessageNew" not in self.watching.events:
            changed = self._later(changed, since)
        if changed:
            await self._tell_changed(changed, out)

    def watch(self, watching: SelectedWatch | None) -> None:
        """Begin or end to tell no more than what NOTIFY wants."""
        before = self.watching
        if before is not None and before.since is not None:
            self.since, self.checked = before.since, ChangeNumber(0)  # what was kept back is told now
        self.watching = watching

    def _later(self, changed: Sequence[ItemFlags], since: ChangeNumber) -> list[ItemFlags]:
        """Without new messages, which are not to be told: the view has to meet them once NOTIFY is over."""
        last = self.uids[-1] if self.uids else 0
        new = [item for item in changed if item.uid > last]
        if new:
            assert self.watching is not None
            if self.watching.since is None:
                self.watching.since = since
        return [item for item in changed if item.uid <= last]

    async def _compared(self, changes: Changes) -> Changes:
        """The tombstones do not reach back to `since`: compare with all that is there."""
        there: set[int] = set()
        changed: list[ItemFlags] = []
        columns = Columns.UID | Columns.FLAGS | Columns.MODSEQ
        async for rows in self.mailbox.items(self.folder, columns):
            there.update(row[0] for row in rows)
            changed += [ItemFlags(Uid(u), f, m, m) for u, f, m in rows if m > self.since]
        vanished = [Uid(uid) for uid in self.uids if uid not in there]
        return Changes(changes.upto, changed, vanished, True)

    async def _tell_changed(self, changed: Sequence[ItemFlags], out: list[bytes | memoryview]) -> None:
        uids = self.uids
        last = uids[-1] if uids else 0
        known: Sequence[ItemFlags] = changed
        split = len(changed)
        if changed[-1].uid > last:
            split = bisect_left(changed, last + 1, key=lambda item: item.uid)
            known = changed[:split]
            uids.extend(item.uid for item in changed[split:])
            self.uid_next = max(self.uid_next, uids[-1] + 1)
            out.append(b"* %d EXISTS\r\n" % len(uids))
            if self.recent_told:
                out.append(b"* %d RECENT\r\n" % self.recent())
            if self.watching is not None and self.watching.describe is not None:
                await self.watching.describe([item.uid for item in changed[split:]])
        if known and (self.watching is None or b"FlagChange" in self.watching.events):
            out.append(await self.flag_responses(known, with_uid=self.condstore))
        if self.contexts:
            out.extend(await update(self, changed))

    async def _tell_expunged(self, out: list[bytes | memoryview]) -> None:
        """From the highest down, so that no number moves before it is told."""
        uids, vanished = self.uids, self.vanished
        if self.contexts:
            out.extend(removals(self, vanished))
        if len(vanished) * FEW_OF < len(uids):
            indices = sorted((bisect_left(uids, uid) for uid in vanished), reverse=True)
        else:
            indices = [index for index in range(len(uids) - 1, -1, -1) if uids[index] in vanished]
        if self.vanishing:
            out.append(b"* VANISHED %b\r\n" % render(sorted(vanished)))
        else:
            out.append(b"".join([b"* %d EXPUNGE\r\n" % (index + 1) for index in indices]))
        if len(indices) > 16:
            self.uids = array("I", [uid for uid in uids if uid not in vanished])
        else:
            for index in indices:
                del uids[index]
        self.vanished = set()

"""One connection's view of a folder: message numbers, UIDs, flags, kept up to date by what the server tells unasked."""

from __future__ import annotations

import re

from tests.stress.model import Folder
from tests.stress.wire import Answer, parse, uid_set

_NUMBERED = re.compile(rb"\* (\d+) (EXISTS|EXPUNGE|FETCH)\b")
_VANISHED = re.compile(rb"\* VANISHED( \(EARLIER\))? ([\d:,]+)")

Items = dict[bytes, object]


def items_of(pieces: list[bytes], at: int) -> Items:
    """The data of a FETCH response, by upper-case name."""
    values = parse([pieces[0][at:], *pieces[1:]])[0]
    return {values[i].upper(): values[i + 1] for i in range(0, len(values) - 1, 2)}


class View:
    """What one session knows of the folder it has selected."""

    def __init__(self, folder: Folder, keyword: bytes, own: dict[int, bool]) -> None:
        """`own`: what the client's own keyword is, by UID, as far as that is certain; it outlives the view."""
        self.folder, self.keyword, self.own = folder, keyword, own
        self.uids: list[int | None] = []
        self.flags: dict[int, frozenset[bytes]] = {}
        self.pending: int | None = None
        """The UID whose keyword is just being changed: both values may be told."""

    def bad(self, text: str) -> None:
        self.folder.box.bad(f"{self.folder} by {self.keyword.decode()}: {text}")

    def take(self, answer: Answer, *, may_expunge: bool, cause: str) -> dict[int, Items]:
        """Follow untagged responses; what FETCH gave, by UID."""
        fetched: dict[int, Items] = {}
        for pieces in answer.untagged:
            if found := _NUMBERED.match(pieces[0]):
                number, kind = int(found[1]), found[2]
                if kind == b"EXISTS":
                    self._exists(number)
                elif kind == b"EXPUNGE":
                    self._expunge(number, may_expunge, cause)
                else:
                    self._fetched(number, items_of(pieces, found.end()), fetched)
            elif (found := _VANISHED.match(pieces[0])) and not found[1]:
                for uid in uid_set(found[2]):
                    self._vanished(uid, may_expunge, cause)
        return fetched

    def _exists(self, number: int) -> None:
        if number < len(self.uids):
            self.bad(f"EXISTS {number} with {len(self.uids)} known")
        self.uids += [None] * (number - len(self.uids))

    def _expunge(self, number: int, allowed: bool, cause: str) -> None:
        if not allowed:
            self.bad(f"EXPUNGE during {cause}")
        if not 1 <= number <= len(self.uids):
            self.bad(f"EXPUNGE {number} of {len(self.uids)}")
            return
        uid = self.uids.pop(number - 1)
        if uid is not None:
            self.forget(uid)

    def _vanished(self, uid: int, allowed: bool, cause: str) -> None:
        if not allowed:
            self.bad(f"VANISHED during {cause}")
        if uid in self.uids:
            self.uids.remove(uid)
        else:  # one of those whose UID was not asked for yet
            for index, known in enumerate(self.uids):
                left = max((u for u in self.uids[:index] if u), default=0)
                right = min((u for u in self.uids[index:] if u), default=uid + 1)
                if known is None and left < uid < right:
                    del self.uids[index]
                    break
            else:
                self.bad(f"VANISHED {uid}, which was not there")
        self.forget(uid)

    def forget(self, uid: int) -> None:
        self.flags.pop(uid, None)
        self.folder.told_gone(uid)

    def _fetched(self, number: int, items: Items, fetched: dict[int, Items]) -> None:
        if not 1 <= number <= len(self.uids):
            self.bad(f"FETCH {number} of {len(self.uids)}")
            return
        if b"UID" in items:
            self._place(number, int(items[b"UID"]))  # type: ignore[call-overload]
        uid = self.uids[number - 1]
        if uid is None:
            return
        fetched.setdefault(uid, {}).update(items)
        if isinstance(items.get(b"FLAGS"), list):
            self._flagged(uid, frozenset(items[b"FLAGS"]) - {b"\\Recent"})  # type: ignore[call-overload]

    def _place(self, number: int, uid: int) -> None:
        known = self.uids[number - 1]
        if known is None:
            left = next((u for u in reversed(self.uids[: number - 1]) if u), 0)
            right = next((u for u in self.uids[number:] if u), uid + 1)
            if not left < uid < right:
                self.bad(f"UIDs do not ascend: {left} {uid} {right}")
            self.uids[number - 1] = uid
        elif known != uid:
            self.bad(f"message {number} was UID {known}, now {uid}")

    def _flagged(self, uid: int, flags: frozenset[bytes]) -> None:
        has = self.keyword in flags
        if uid != self.pending:
            if self.own.get(uid, has) != has:
                self.bad(f"UID {uid}: own keyword is {has}, should be {not has}")
            self.own[uid] = has
        self.flags[uid] = flags

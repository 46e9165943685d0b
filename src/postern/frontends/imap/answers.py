"""Orders and threads worked out a moment ago: a client asks again for each page of a list, or after a NOOP.

An answer holds as long as the mailbox has not changed at all. One cache serves a process, bounded by the number of
UIDs; whoever gets an answer has found the same items in the same mailbox.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Any

from postern.model.ids import ChangeNumber

MIN_UIDS = 200
"""Fewer are ordered in less time than they would take room."""
MAX_UIDS = 1_000_000
"""All answers together; some tens of octets each."""


class Answers:
    """Of one process. Called from its loop's thread only."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[ChangeNumber, Sequence[int], Sequence[Any]]] = OrderedDict()
        self._total = 0

    def get(self, key: Hashable, uids: Sequence[int], changed: ChangeNumber) -> Sequence[Any] | None:
        """What was kept for the same question about the same items; `key` names mailbox, folder and question."""
        found = self._kept.get(key)
        if found is None or found[0] != changed or found[1] != uids:
            return None
        self._kept.move_to_end(key)
        return found[2]

    def keep(self, key: Hashable, uids: Sequence[int], changed: ChangeNumber, answer: Sequence[Any]) -> None:
        """Remember an answer that was worked out when the mailbox's change number was at least `changed`."""
        if not MIN_UIDS <= len(uids) <= MAX_UIDS // 4:
            return
        self._drop(key)
        self._kept[key] = (changed, uids, answer)
        self._total += len(uids)
        while self._total > MAX_UIDS:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Hashable) -> None:
        found = self._kept.pop(key, None)
        if found is not None:
            self._total -= len(found[1])

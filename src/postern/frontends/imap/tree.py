"""The folders of a mailbox as IMAP names them, and LIST's patterns (RFC 9051 6.3.9)."""

from __future__ import annotations

from collections.abc import Sequence

from postern.model.ids import FolderId
from postern.model.items import Folder, FolderClass, SpecialUse
from postern.protocols.imap.render import DELIMITER

INBOX = "INBOX"


class FolderTree:
    """Names and folders of one moment; only folders that hold mail are in it."""

    __slots__ = ("by_id", "by_name", "parents")

    def __init__(self, folders: Sequence[Folder]) -> None:
        self.by_name: dict[str, Folder] = {}
        self.by_id: dict[FolderId, str] = {}
        self.parents: set[str] = set()
        for folder in folders:
            if folder.folder_class is not FolderClass.MAIL or folder.hidden:
                continue
            if folder.special is SpecialUse.RECOVERABLE:
                continue
            if folder.special is SpecialUse.INBOX:
                name = INBOX
            elif folder.parent is None:
                name = folder.name
            elif folder.parent in self.by_id:
                parent = self.by_id[folder.parent]
                name = parent + DELIMITER + folder.name
                self.parents.add(parent)
            else:
                continue
            self.by_name[name] = folder
            self.by_id[folder.id] = name

    def names(self) -> list[str]:
        """INBOX first, then in order."""
        return sorted(self.by_name, key=lambda name: (name != INBOX, name))


class Pattern:
    """LIST patterns, of which one has to match: `*` matches anything, `%` anything within one level.

    All ways to match all of them are followed at once, as bits of one number, so that any number of patterns takes one
    pass over a name. Each pattern has a stretch of bits: its bit i says that its first i elements are matched.
    """

    __slots__ = ("_accepting", "_anything", "_level", "_literals", "_start")

    def __init__(self, *patterns: str) -> None:
        self._literals: dict[str, int] = {}
        self._anything = self._level = self._accepting = self._start = 0
        first = 0
        for pattern in dict.fromkeys(patterns):
            elements = _collapsed(pattern)
            self._start |= 1 << first
            for index, element in enumerate(elements, first):
                bit = 1 << index
                if element == "*":
                    self._anything |= bit
                elif element == "%":
                    self._level |= bit
                else:
                    self._literals[element] = self._literals.get(element, 0) | bit
            self._accepting |= 1 << first + len(elements)  # leads nowhere: the next pattern begins behind it
            first += len(elements) + 1

    def matches(self, name: str) -> bool:
        """Whether the whole name matches."""
        return bool(self._run(name) & self._accepting)

    def could_match_under(self, prefix: str) -> bool:
        """Whether a name that starts so may match."""
        return bool(self._run(prefix))

    def _run(self, name: str) -> int:
        """How far the elements can have been matched after the name."""
        anything, level, literals = self._anything, self._level, self._literals
        wild = anything | level
        states = self._start
        states |= (states & wild) << 1
        for character in name:
            stay = anything if character == DELIMITER else wild
            states = ((states & literals.get(character, 0)) << 1) | (states & stay)
            states |= (states & wild) << 1
            if not states:
                return 0
        return states


def _collapsed(pattern: str) -> list[str]:
    """Elements without two wildcards in a row: a run is as wide as its widest."""
    elements: list[str] = []
    for character in pattern:
        if character in "*%" and elements and elements[-1] in ("*", "%"):
            if character == "*":
                elements[-1] = "*"
            continue
        elements.append(character)
    return elements


def canonical(pattern: str) -> str:
    """A pattern with INBOX in any case at its head made upper case."""
    head, delimiter, rest = pattern.partition(DELIMITER)
    return INBOX + delimiter + rest if head.upper() == INBOX else pattern

"""Where folders are, for rules that name them."""

from __future__ import annotations

from collections.abc import Sequence

from postern.model.actions import Target
from postern.model.ids import FolderId
from postern.model.items import Folder, FolderClass, SpecialUse
from postern.model.refusal import Reason, Refusal
from postern.store.interface import Mailbox

MAX_LEVELS = 30


class Folders:
    """A mailbox's folders by name and use."""

    def __init__(self, folders: Sequence[Folder]) -> None:
        paths: dict[FolderId, str] = {}
        self.by_path: dict[str, FolderId] = {}
        self._uses: dict[SpecialUse, FolderId] = {
            folder.special: folder.id for folder in folders if folder.special is not SpecialUse.NONE
        }
        self._all = {one.id: one for one in folders}
        self._by_id = {one.id: one for one in folders if one.folder_class is not FolderClass.ROOT}
        for folder in folders:  # parents come before children
            if folder.hidden or folder.folder_class is FolderClass.ROOT:  # such hold nothing
                continue
            above = f"{paths[folder.parent]}/" if folder.parent in paths else ""
            paths[folder.id] = above + folder.name
            self.by_path[_folded(paths[folder.id])] = folder.id

    def named(self, name: str) -> FolderId | None:
        """By path; INBOX in any case."""
        return self.by_path.get(_folded(name.strip("/")))

    def with_use(self, use: SpecialUse) -> FolderId | None:
        """The distinguished folder."""
        return self._uses.get(use)

    def folder_with_use(self, use: SpecialUse) -> Folder | None:
        """The distinguished folder and its counters."""
        found = self._uses.get(use)
        return None if found is None else self._all[found]

    def find(self, target: Target) -> FolderId | None:
        """The first of number, use and name that is there."""
        if target.folder is not None and target.folder in self._by_id:
            return target.folder
        if target.special is not SpecialUse.NONE:
            found = self.with_use(target.special)
            if found is not None:
                return found
        return self.named(target.name) if target.name else None


def _folded(path: str) -> str:
    first, slash, rest = path.partition("/")
    return ("INBOX" if first.upper() == "INBOX" else first) + slash + rest


async def make(mailbox: Mailbox, folders: Folders, name: str) -> FolderId | None:
    """The folder of a path, made with those above it; None if it cannot be."""
    parent: FolderId | None = None
    levels = [level for level in name.split("/") if level]
    if len(levels) > MAX_LEVELS:
        return None
    for depth in range(1, len(levels) + 1):
        path = "/".join(levels[:depth])
        found = folders.named(path)
        if found is None:
            try:
                found = (await mailbox.create_folder(parent, levels[depth - 1])).id
                await mailbox.subscribe(found, True)
            except Refusal as refusal:
                if refusal.reason is not Reason.ALREADY_EXISTS:
                    return None
                found = Folders(await mailbox.folders()).named(path)
                if found is None:
                    return None
        parent = found
    return parent

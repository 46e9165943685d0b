"""A mailbox's mail into files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from postern.migration.copying import Progress
from postern.migration.values import FLAG_NAMES, SourceFolder, SourceMessage, State
from postern.model.ids import FolderId
from postern.model.items import FIRST_KEYWORD_BIT, LAST_KEYWORD_BIT, Columns, Folder, FolderClass, SpecialUse
from postern.services.mailbox_access import MailboxAccess

_SLICE_BYTES = 16 << 20
_SYSTEM = sum(FLAG_NAMES.values())


class Target(Protocol):
    """Where mail goes; blocking code, called in a thread."""

    def folder(self, folder: SourceFolder) -> None:
        """Begin a folder. Raises OSError."""
        ...

    def message(self, message: SourceMessage) -> None:
        """Add a message to the folder that was begun last. Raises OSError."""
        ...

    def finish(self) -> None:
        """Everything is there. Raises OSError."""
        ...

    def abandon(self) -> None:
        """Something went wrong."""
        ...


async def export(
    access: MailboxAccess,
    target: Target,
    only: Sequence[str] = (),
    tell: Callable[[Progress], None] = lambda _: None,
) -> Progress:
    """Write all folders of mail (or `only` these and what is below them); clients may go on working meanwhile.

    Raises Refusal, OSError.
    """
    progress = Progress()
    try:
        folders = paths(await access.folders())
        wanted = {key: path for key, path in folders.items() if _wanted(path[1], only)}
        progress.total = sum(folder.messages for folder, _ in wanted.values())
        keywords = await access.keywords()
        for folder, path in wanted.values():
            described = SourceFolder(
                str(folder.id),
                path,
                str(folder.uid_validity),
                folder.special if folder.special.value.startswith("\\") else SpecialUse.NONE,
                folder.subscribed,
                folder.messages,
            )
            await asyncio.to_thread(target.folder, described)
            await _folder(access, folder.id, target, keywords, progress, tell)
            progress.folders += 1
        await asyncio.to_thread(target.finish)
    except BaseException:
        target.abandon()
        raise
    tell(progress)
    return progress


async def _folder(
    access: MailboxAccess,
    folder: FolderId,
    target: Target,
    keywords: Mapping[int, str],
    progress: Progress,
    tell: Callable[[Progress], None],
) -> None:
    columns = Columns.UID | Columns.FLAGS | Columns.RECEIVED_AT | Columns.SIZE | Columns.PREFIX | Columns.BLOB
    async for rows in access.items(folder, columns):
        start = 0
        while start < len(rows):
            end, octets = start, 0
            while end < len(rows) and octets < _SLICE_BYTES:
                octets += rows[end][3]
                end += 1
            part = rows[start:end]
            bodies = await access.read_bodies([(row[5], row[6]) for row in part])
            messages = [
                SourceMessage(str(uid), bytes(prefix) + body, _state(flags, keywords), received)
                for (uid, flags, received, _, prefix, _, _), body in zip(part, bodies, strict=True)
            ]

            def write(messages: Sequence[SourceMessage] = messages) -> None:
                for message in messages:
                    target.message(message)

            await asyncio.to_thread(write)
            progress.copied += len(messages)
            progress.copied_bytes += octets
            tell(progress)
            start = end


def paths(folders: Sequence[Folder]) -> dict[FolderId, tuple[Folder, tuple[str, ...]]]:
    """Folders of mail that a user sees, with their paths; parents come first."""
    found: dict[FolderId, tuple[Folder, tuple[str, ...]]] = {}
    for folder in folders:
        above = found.get(folder.parent) if folder.parent is not None else None
        if folder.folder_class is not FolderClass.MAIL or folder.special is SpecialUse.RECOVERABLE:
            continue
        if folder.parent is None or above is not None:
            found[folder.id] = (folder, (*(above[1] if above else ()), folder.name))
    return found


def _wanted(path: Sequence[str], only: Sequence[str]) -> bool:
    name = "/".join(path).lower()
    chosen = [one.lower().strip("/") for one in only]
    return not chosen or any(name == one or name.startswith(one + "/") for one in chosen)


def _state(flags: int, keywords: Mapping[int, str]) -> State:
    words = [
        keywords[bit] for bit in range(FIRST_KEYWORD_BIT, LAST_KEYWORD_BIT + 1) if flags >> bit & 1 and bit in keywords
    ]
    return State(flags & _SYSTEM, tuple(sorted(words)))

"""Items of a snapshot's mailbox, or of one of the organisation's, into a mailbox of the running organisation."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from postern.model.ids import NO_BLOB, BlobRef, FolderId, Uid
from postern.model.items import Columns, Folder, FolderClass, NewItem, Placement, SpecialUse
from postern.model.refusal import Reason, Refusal
from postern.services.accepted import Beside
from postern.services.mailbox_access import Appender
from postern.store.interface import Blobs, Mailbox

_EXPORT_ITEMS = 50
_NEWEST_ITEMS = 500
"""Of a target folder: among them is what a run that was cut off has brought last."""
_ROW = Columns.UID | Columns.RECEIVED_AT | Columns.SIZE | Columns.BLOB | Columns.SUBJECT | Columns.MESSAGE_ID


class Wanted(NamedTuple):
    """Which items; what is not given does not count."""

    folders: tuple[str, ...] = ()
    """Names, levels apart by `/`, with what is below them."""
    uids: tuple[int, ...] = ()
    """As the snapshot has them."""
    message_ids: tuple[str, ...] = ()
    subject: str = ""
    """Part of it, in any case."""
    since: float | None = None
    """When the item was received; seconds since the epoch."""
    until: float | None = None
    recoverable: bool = False
    """Also Recoverable Items."""

    @property
    def chooses(self) -> bool:
        """Whether items were named, not folders alone."""
        return self != Wanted(self.folders, recoverable=self.recoverable)

    def of(self, folders: Sequence[Folder]) -> list[tuple[Folder, tuple[str, ...]]]:
        """The wanted folders among a mailbox's, with their paths; parents come first."""
        paths: dict[FolderId, tuple[str, ...]] = {}
        closed: set[FolderId] = set()
        found = []
        named = [name.lower().strip("/") for name in self.folders]
        for folder in folders:
            above = paths.get(folder.parent, ()) if folder.parent is not None else ()
            path = paths[folder.id] = (*above, folder.name)
            trash = folder.special is SpecialUse.RECOVERABLE
            if folder.parent in closed or (folder.hidden and not trash) or (trash and not self.recoverable):
                closed.add(folder.id)
                continue
            name = "/".join(path).lower()
            if not named or any(name == one or name.startswith(one + "/") for one in named):
                found.append((folder, path))
        return found

    def takes(self, uid: int, received_at: int, subject: str, message_id: str) -> bool:
        """Whether an item of a wanted folder is one."""
        return (
            (not self.uids or uid in self.uids)
            and (not self.message_ids or message_id.strip("<>") in {one.strip("<>") for one in self.message_ids})
            and self.subject.lower() in subject.lower()
            and (self.since is None or received_at >= self.since)
            and (self.until is None or received_at < self.until)
        )


class Returned(msgspec.Struct):
    """What came back; mutable, for a progress bar."""

    folders: int = 0
    total: int = 0
    copied: int = 0
    copied_bytes: int = 0
    present: int = 0
    """Left out because they are still there."""
    trouble: list[str] = []


class End(NamedTuple):
    """A mailbox and where its bodies are."""

    mailbox: Mailbox
    blobs: Blobs


class Returning:
    """One run for one mailbox."""

    def __init__(
        self,
        source: End,
        target: End,
        mailflow: Appender,
        wanted: Wanted,
        *,
        into: str = "",
        missing_only: bool = False,
        tell: Callable[[Returned], None] = lambda _: None,
        arrived: Callable[[FolderId, Sequence[Uid]], Awaitable[None]] | None = None,
    ) -> None:
        """`into`: a folder that everything goes below. `missing_only`: what is still there does not come again.

        `arrived`: told which items of a folder of the source are durable in the target, a few at a time. What is not
        told before a run is cut off does not come a second time in the next.
        """
        self._source = source
        self._target = target
        self._mailflow = mailflow
        self._wanted = wanted
        self._into = tuple(part for part in into.split("/") if part)
        self._missing_only = missing_only
        self._tell = tell
        self._arrived = arrived
        self._there: set[object] = set()
        self.returned = Returned()

    async def run(self) -> Returned:
        """Raises Refusal (OVER_QUOTA, DISK_FULL, NO_SUCH_FOLDER ...): what is done stays done."""
        folders = self._wanted.of(await self._source.mailbox.folders())
        if not folders:
            raise Refusal(Reason.NO_SUCH_FOLDER, f"there is no folder {', '.join(self._wanted.folders)} there")
        chosen: list[tuple[Folder, tuple[str, ...], list[Uid]]] = []
        for folder, path in folders:
            uids = [
                uid
                async for rows in self._source.mailbox.items(folder.id, _ROW)
                for uid, received_at, _, _, _, subject, message_id in rows
                if self._wanted.takes(uid, received_at, subject, message_id)
            ]
            self.returned.total += len(uids)
            chosen.append((folder, path, uids))
        if self._missing_only:
            await self._look()
        single = self._wanted.chooses
        for folder, path, uids in chosen:
            if single and not uids:
                continue
            target = await self._place(folder, path)
            if self._arrived is not None:
                await self._look_at_end(target)
            for start in range(0, len(uids), _EXPORT_ITEMS):
                await self._part(folder.id, uids[start : start + _EXPORT_ITEMS], target, "/".join(path))
                self._tell(self.returned)
            self.returned.folders += 1
        await self._target.mailbox.durable()
        return self.returned

    # --- folders

    async def _place(self, folder: Folder, path: tuple[str, ...]) -> FolderId:
        """Where a folder's items go, made if need be."""
        mailbox = self._target.mailbox
        if not self._into and folder.special is not SpecialUse.NONE:
            if folder.special is SpecialUse.RECOVERABLE:
                return (await mailbox.special(SpecialUse.INBOX)).id
            return (await mailbox.ensure_special(folder.special)).id
        if self._into and len(self._wanted.folders) == 1:
            # a folder into another: its items, and what is below it
            path = path[len([one for one in self._wanted.folders[0].split("/") if one]) :]
        parent: FolderId | None = None
        whole = (*self._into, *path)
        for level, name in enumerate(whole):
            last = level == len(whole) - 1 and level >= len(self._into) - (not path)
            wanted_class = folder.folder_class if last else FolderClass.MAIL
            parent = await self._child(parent, name, wanted_class, must_fit=last)
        assert parent is not None
        return parent

    async def _child(self, parent: FolderId | None, name: str, wanted: FolderClass, *, must_fit: bool) -> FolderId:
        for one in await self._target.mailbox.folders():
            same = one.name == name or (parent is None and one.name.upper() == name.upper() == "INBOX")
            if one.parent == parent and same:
                if must_fit and one.folder_class is not wanted:
                    raise Refusal(Reason.CONFLICT, f"{name} is a folder for other items: name another with --into")
                return one.id
        return (await self._target.mailbox.create_folder(parent, name, wanted)).id

    # --- items

    async def _part(self, folder: FolderId, uids: Sequence[Uid], target: FolderId, path: str) -> None:
        export = self._source.mailbox.export
        if self._arrived is None:
            for item in await export(folder, uids):
                await self._bring(item, target, path)
            return
        items = await export(folder, uids)
        if len(items) == len(uids):
            named = list(zip(uids, items, strict=True))
        else:  # somebody has just removed some
            named = [(uid, item) for uid in uids for item in await export(folder, [uid])]
        came = [uid for uid, item in named if await self._bring(item, target, path)]
        self._there.clear()
        await self._target.mailbox.durable()
        await self._arrived(folder, came)

    async def _bring(self, item: NewItem, target: FolderId, path: str) -> bool:
        """Whether the item is there now."""
        if self._there and self._there.intersection(_names(item)):
            self.returned.present += 1
            return True
        try:
            placed = await (self._message if item.blob != NO_BLOB else self._thing)(item, target)
        except Refusal as refusal:
            if refusal.reason is not Reason.CORRUPT:
                raise
            self.returned.trouble.append(f"{path}: {item.subject!r}: {refusal.detail}")
            return False
        assert placed
        self.returned.copied += 1
        self.returned.copied_bytes += item.body_size + len(item.prefix)
        return True

    async def _message(self, item: NewItem, target: FolderId) -> Placement:
        content = item.prefix + await self._source.blobs.read(item.blob)
        beside = Beside(item.properties, None, int(item.item_class))
        return await self._mailflow.append(
            self._target.mailbox.id, target, content, item.flags, item.keywords, item.received_at, beside
        )

    async def _thing(self, item: NewItem, target: FolderId) -> Placement:
        """An item without MIME, with its attachments."""
        streams = [await self._source.blobs.read(one.blob) for one in item.attachments]

        async def put(refs: Sequence[BlobRef]) -> Placement:
            attachments = tuple(one._replace(blob=ref) for one, ref in zip(item.attachments, refs, strict=True))
            (placed,) = await self._target.mailbox.add(target, [msgspec.structs.replace(item, attachments=attachments)])
            return placed

        return await self._mailflow.keep(self._target.mailbox.id, streams, put)

    async def _look(self) -> None:
        """What is in the target mailbox, but for Recoverable Items."""
        mailbox = self._target.mailbox
        for folder in await mailbox.folders():
            if folder.special is SpecialUse.RECOVERABLE or folder.hidden:
                continue
            async for uids in _uids(mailbox, folder.id):
                for item in await mailbox.export(folder.id, uids):
                    self._there.update(_names(item))

    async def _look_at_end(self, folder: FolderId) -> None:
        """What came into a folder of the target last."""
        mailbox = self._target.mailbox
        newest: deque[Uid] = deque(maxlen=_NEWEST_ITEMS)
        async for uids in _uids(mailbox, folder):
            newest.extend(uids)
        self._there = {name for item in await mailbox.export(folder, list(newest)) for name in _names(item)}


async def _uids(mailbox: Mailbox, folder: FolderId) -> AsyncIterator[list[Uid]]:
    async for rows in mailbox.items(folder, Columns.UID):
        for start in range(0, len(rows), _EXPORT_ITEMS):
            yield [row[0] for row in rows[start : start + _EXPORT_ITEMS]]


def _names(item: NewItem) -> list[Any]:
    """By what an item is known again: a body is written once, ever; a restored one has its Message-ID."""
    if item.blob == NO_BLOB:
        digest = hashlib.sha256(item.prefix + b"\0" + item.properties).digest()
        return [(int(item.item_class), item.subject, digest)]
    whole = item.body_size + len(item.prefix)
    named = (item.message_id, item.subject, whole) if item.message_id else (item.envelope, item.bodystructure, whole)
    return [tuple(item.blob), named]

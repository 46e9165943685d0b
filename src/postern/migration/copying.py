"""From a source into a mailbox: folders, messages, flags; again and again until the move is over.

A second run brings what is new and what the source has flagged otherwise since; what people changed here stays unless
the source changed it too. Nothing is brought twice, wherever a run was cut off (migration.ledger says how).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from postern.migration.ledger import Done, Ledger
from postern.migration.values import Source, SourceError, SourceFolder, SourceMessage, State
from postern.model.ids import FolderId, Uid
from postern.model.items import Columns, Flag, FolderClass, SpecialUse
from postern.model.ports import Clock
from postern.model.refusal import Reason, Refusal
from postern.services.mailbox_access import MailboxAccess
from postern.services.mailboxes import FlagChange
from postern.services.rules.rulebook import RuleBook

ALONE_BYTES = 1 << 20
"""A larger message waits for the ones before it, and those after it for it: UIDs are given in the source's order."""
MAX_NAME_BYTES = 250
_ALL = int(Flag.SEEN | Flag.ANSWERED | Flag.FLAGGED | Flag.DELETED | Flag.DRAFT)


class Progress(msgspec.Struct):
    """What a run has done so far; mutable, for a progress bar."""

    folders: int = 0
    total: int = 0
    """Messages of the source, as far as its folders were looked at."""
    present: int = 0
    """Brought by earlier runs."""
    copied: int = 0
    copied_bytes: int = 0
    restated: int = 0
    """Messages whose flags followed the source."""
    scripts: int = 0
    """Sieve scripts that were brought."""
    trouble: list[str] = []
    """What could not be brought, for the administrator."""


class CopySettings(NamedTuple):
    """How a run goes."""

    bytes_per_s: int = 0
    """0: as fast as it goes."""
    only: tuple[str, ...] = ()
    """Folders (and what is below them) by their names, levels apart by `/`; empty: all."""
    into: tuple[str, ...] = ()
    """The folder here that everything goes below, from the top; empty: into folders of the same names."""


class Copying:
    """One run for one mailbox."""

    def __init__(
        self,
        source: Source,
        access: MailboxAccess,
        ledger: Ledger,
        clock: Clock,
        settings: CopySettings,
        tell: Callable[[Progress], None] = lambda _: None,
        book: RuleBook | None = None,
    ) -> None:
        """`book`: where Sieve scripts go; without one they stay behind."""
        self._source = source
        self._access = access
        self._ledger = ledger
        self._clock = clock
        self._settings = settings
        self._tell = tell
        self._book = book
        self._credit_at = clock.monotonic()
        self.progress = Progress()

    async def run(self) -> Progress:
        """Raises SourceError, Refusal (OVER_QUOTA, DISK_FULL, ...): what is done stays done."""
        folders = [folder for folder in await asyncio.to_thread(self._source.folders) if self._wanted(folder)]
        self.progress.total = sum(folder.total for folder in folders)
        for folder in folders:
            try:
                target = await self._target(folder)
            except Refusal as refusal:
                if refusal.reason.temporary:
                    raise
                self.progress.trouble.append(f"{'/'.join(folder.path)}: {refusal.detail or refusal.reason.value}")
                continue
            await self._copy(folder, target)
            self.progress.folders += 1
        # rules are for somebody's own mail: what is put away into a folder brings none
        if self._book is not None and not self._settings.only and not self._settings.into:
            try:
                await self._bring_scripts(self._book, await asyncio.to_thread(self._source.extras))
            except SourceError as problem:  # the mail is here all the same
                self.progress.trouble.append(f"Sieve scripts: {problem}")
        await self._access.durable()
        self._tell(self.progress)
        return self.progress

    async def _bring_scripts(self, book: RuleBook, extras: Mapping[str, bytes]) -> None:
        """Those that are not here yet; the source's active one becomes active if none is."""
        present = {script.name for script in await book.scripts()}
        active = extras.get("sieve-active", b"").decode("utf-8", "replace")
        for key, content in extras.items():
            kind, _, name = key.partition("/")
            if kind != "sieve" or name in present:
                continue
            try:
                await book.put(name, content)
                self.progress.scripts += 1
                if name == active and not await book.active():
                    await book.activate(name)
            except Refusal as refusal:
                if refusal.reason.temporary:
                    raise
                problem = (refusal.detail or refusal.reason.value).partition("\n")[0]
                self.progress.trouble.append(f"Sieve script {name}: {problem}")

    def _wanted(self, folder: SourceFolder) -> bool:
        path = "/".join(folder.path).lower()
        only = [name.lower().strip("/") for name in self._settings.only]
        return not only or any(path == name or path.startswith(name + "/") for name in only)

    # --- folders

    async def _target(self, folder: SourceFolder) -> FolderId:
        """The folder here, made if need be; the one of an earlier run if it is still there."""
        present = {one.id: one for one in await self._access.folders()}
        known = self._ledger.folder(folder.key)
        if known is not None and known[1] in present:
            return FolderId(known[1])
        into = self._settings.into
        special = [one for one in present.values() if one.special is folder.special]
        if folder.special is not SpecialUse.NONE and special and not into:
            return special[0].id
        parent: FolderId | None = None
        for level, name in enumerate((*into, *folder.path)):
            parent = await self._child(parent, _acceptable(name), top=not level)
        assert parent is not None
        if (await self._access.folder(parent)).subscribed is not folder.subscribed:
            await self._access.subscribe(parent, folder.subscribed)
        return parent

    async def _child(self, parent: FolderId | None, name: str, *, top: bool) -> FolderId:
        for one in await self._access.folders():
            if one.parent == parent and (one.name == name or (top and one.name.upper() == name.upper() == "INBOX")):
                if one.folder_class is not FolderClass.MAIL:
                    name += " (mail)"  # a folder `Calendar` full of messages must not go into the calendar
                    break
                return FolderId(one.id)
        try:
            return (await self._access.create_folder(parent, name)).id
        except Refusal as refusal:
            if refusal.reason is not Reason.ALREADY_EXISTS:
                raise
        return next(one.id for one in await self._access.folders() if one.parent == parent and one.name == name)

    # --- messages

    async def _copy(self, folder: SourceFolder, target: FolderId) -> None:
        ledger = self._ledger
        known = ledger.folder(folder.key)
        stranded: Counter[bytes] = Counter()
        """Digests of what is here without a row: brought by a run that was cut off, or under another generation."""
        places: dict[bytes, list[int]] = {}
        if known is not None and known[0] != folder.generation:
            for one in ledger.forget(folder.key):
                stranded[one.digest] += 1
                places.setdefault(one.digest, []).append(one.uid)
        ledger.put_folder(folder.key, folder.generation, target)
        done = {one.key: one for one in ledger.done(folder.key)}
        from_uid = ledger.intent(target)
        if from_uid is not None:
            taken = {one.uid for one in done.values()}
            async for uid, digest in self._digests(target, from_uid):
                if uid not in taken:
                    stranded[digest] += 1
                    places.setdefault(digest, []).append(uid)
        self.progress.present += len(done)
        if done:
            await self._follow(folder, target, done)
        batches = self._source.messages(folder, done)
        while (batch := await asyncio.to_thread(next, batches, None)) is not None:
            await self._bring(folder, target, batch, stranded, places)
            self._tell(self.progress)

    async def _bring(
        self,
        folder: SourceFolder,
        target: FolderId,
        batch: Sequence[SourceMessage],
        stranded: Counter[bytes],
        places: dict[bytes, list[int]],
    ) -> None:
        rows, fresh = [], []
        for message in batch:
            digest = hashlib.sha256(message.content).digest()
            if stranded[digest]:
                stranded[digest] -= 1
                rows.append(Done(message.key, places[digest].pop(), digest, message.state))
                self.progress.present += 1
            else:
                fresh.append((message, digest))
        if fresh:
            self._ledger.intend(target, (await self._access.folder(target)).uid_next)
            for group in _groups(fresh):
                uids = await asyncio.gather(*(self._append(target, message) for message, _ in group))
                for (message, digest), uid in zip(group, uids, strict=True):
                    rows.append(Done(message.key, uid, digest, message.state))
                    self.progress.copied += 1
                    self.progress.copied_bytes += len(message.content)
                await self._throttle(sum(len(message.content) for message, _ in group))
        self._ledger.finish(folder.key, target, rows)

    async def _append(self, target: FolderId, message: SourceMessage) -> Uid:
        state = message.state
        placement = await self._access.append(target, message.content, state.flags, state.keywords, message.received_at)
        return placement.uid

    async def _throttle(self, octets: int) -> None:
        if not self._settings.bytes_per_s:
            return
        now = self._clock.monotonic()
        self._credit_at = max(self._credit_at, now - 1.0) + octets / self._settings.bytes_per_s
        await asyncio.sleep(max(0.0, self._credit_at - now))

    async def _follow(self, folder: SourceFolder, target: FolderId, done: Mapping[str, Done]) -> None:
        """Flags that the source has changed since an earlier run."""
        now = await asyncio.to_thread(self._source.states, folder)
        changes: dict[tuple[State, State], list[tuple[str, int]]] = {}
        for key, state in now.items():
            before = done.get(key)
            if before is not None and before.state != state:
                changes.setdefault((before.state, state), []).append((key, before.uid))
        for (before_state, state), messages in changes.items():
            change = FlagChange(
                add=state.flags & ~before_state.flags,
                remove=before_state.flags & ~state.flags & _ALL,
                add_keywords=tuple(set(state.keywords) - set(before_state.keywords)),
                remove_keywords=tuple(set(before_state.keywords) - set(state.keywords)),
            )
            ranges = [(uid, uid) for uid in sorted(uid for _, uid in messages)]
            result = await self._access.set_flags(target, ranges, change)
            self.progress.restated += len(result.changed)
            self._ledger.restate(folder.key, [(key, state) for key, _ in messages])

    # --- verification

    async def verify(self) -> list[str]:
        """Read everything that was brought once more and compare digests with the source's; what is wrong."""
        wrong = []
        for folder in await asyncio.to_thread(self._source.folders):
            known = self._ledger.folder(folder.key)
            if not self._wanted(folder):
                continue
            name = "/".join(folder.path)
            if known is None:
                wrong.append(f"{name}: not brought")
                continue
            expected = {one.uid: one for one in self._ledger.done(folder.key)}
            there = {uid: digest async for uid, digest in self._digests(FolderId(known[1]), 1)}
            for uid, one in expected.items():
                if uid not in there:
                    wrong.append(f"{name}: message {one.key} is not here (deleted since?)")
                elif there[uid] != one.digest:
                    wrong.append(f"{name}: message {one.key} differs")
            missing = set(await asyncio.to_thread(self._source.states, folder)) - {o.key for o in expected.values()}
            wrong += [f"{name}: message {key} is not brought" for key in sorted(missing)]
        return wrong

    async def _digests(self, folder: FolderId, from_uid: int) -> AsyncIterator[tuple[int, bytes]]:
        columns = Columns.UID | Columns.PREFIX | Columns.BLOB
        async for rows in self._access.items(folder, columns, ((from_uid, 0xFFFFFFFF),)):
            bodies = await self._access.read_bodies([(segment, record) for _, _, segment, record in rows])
            for (uid, prefix, _, _), body in zip(rows, bodies, strict=True):
                yield uid, hashlib.sha256(bytes(prefix) + body).digest()


def _groups(
    messages: Sequence[tuple[SourceMessage, bytes]],
) -> Iterator[Sequence[tuple[SourceMessage, bytes]]]:
    """Small messages together, each large one alone, in their order."""
    group: list[tuple[SourceMessage, bytes]] = []
    for entry in messages:
        if len(entry[0].content) > ALONE_BYTES:
            if group:
                yield group
                group = []
            yield [entry]
        else:
            group.append(entry)
    if group:
        yield group


def _acceptable(name: str) -> str:
    """A folder's name as it may be here: no delimiter, no control characters, not too long."""
    clean = "".join("_" if char == "/" or not char.isprintable() else char for char in name).strip() or "_"
    while len(clean.encode()) > MAX_NAME_BYTES:
        clean = clean[:-1]
    return clean


__all__ = ["CopySettings", "Copying", "Progress", "SourceError"]

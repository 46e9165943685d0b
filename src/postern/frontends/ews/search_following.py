"""What happened to what a search folder finds: the changes of its folders, and which of those items fit now.

The store knows what has changed, not what fitted before; whoever has to know keeps the items that were told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from hashlib import blake2b
from typing import NamedTuple

from postern.frontends.ews import item_values, looking, matching, slices
from postern.frontends.ews.box import Box
from postern.frontends.ews.loading import Loader, Wanted
from postern.model.ids import FolderId, Uid
from postern.model.items import Flag, Folder
from postern.model.refusal import Refusal
from postern.model.sync import START, ChangeKind, ItemChanges, ItemDelta, Phase, SyncPoint
from postern.protocols.ews.message_facts import MessageFacts
from postern.protocols.ews.paths import Path
from postern.protocols.ews.restrictions import Restriction
from postern.protocols.ews.search_parameters import Search

PAGE = 512
"""Changes that are looked at together."""


class Fitting(NamedTuple):
    """Of some items of a folder."""

    found: dict[Uid, MessageFacts]
    """Those that fit one of the questions."""
    missed: frozenset[Uid]
    """Those that are there and fit none. What is in neither is gone."""


class Step(NamedTuple):
    """A page of a folder's changes."""

    page: ItemChanges
    fitting: Fitting


def needed(restrictions: Sequence[Restriction], writer: Wanted | None = None) -> Wanted:
    """What has to be read of an item for questions, and for whoever writes it."""
    needs = item_values.needs([path for one in restrictions for path in matching.paths_of(one)])
    if writer is None:
        return Wanted(True, needs.header, needs.content, needs.structure)
    return writer._replace(
        wide=True,
        header=writer.header or needs.header,
        content=writer.content or needs.content,
        structure=writer.structure or needs.structure,
        anatomy=needs.content or (writer.content and writer.anatomy),
        parent=True,
    )


async def fitting(
    box: Box, folder: FolderId, restrictions: Sequence[Restriction], uids: Sequence[Uid], wanted: Wanted
) -> Fitting:
    """Which of some items fit. `wanted`: see `needed`. Raises Refusal."""
    found: dict[Uid, MessageFacts] = {}
    missed: list[Uid] = []
    if not uids:
        return Fitting(found, frozenset())
    loader = await Loader.open(box, folder, wanted)
    for number, (uid, facts) in enumerate((await loader.by_uid(uids)).items(), 1):

        def value(path: Path, facts: MessageFacts = facts) -> str | None:
            return item_values.value(facts, path)

        if any(matching.fits(one, value) for one in restrictions):
            found[uid] = facts
        else:
            missed.append(uid)
        if number % slices.ITEMS == 0:
            await asyncio.sleep(0)
    return Fitting(found, frozenset(missed))


async def step(
    box: Box, folder: FolderId, search: Search, point: SyncPoint, limit: int, writer: Wanted | None = None
) -> Step:
    """The next page of a folder's changes. Where it is not complete, whoever asks begins anew. Raises Refusal."""
    page = await box.items.changes(folder, point, limit, newest_first=False)
    there = [delta.uid for delta in page.changes if delta.kind is not ChangeKind.DELETED]
    asked = (search.restriction,)
    return Step(page, await fitting(box, folder, asked, there, needed(asked, writer)))


async def changed(
    box: Box, folder: FolderId, searches: Collection[Search], changes: Sequence[ItemDelta]
) -> list[ItemDelta]:
    """What changes of a folder mean to whoever looks at it through search folders. Raises Refusal.

    What changed and fits no question is told as gone, as what is gone is: it may have fitted before.
    """
    asked = [one.restriction for one in searches]
    there = [delta.uid for delta in changes if delta.kind is not ChangeKind.DELETED]
    found = (await fitting(box, folder, asked, there, needed(asked))).found
    told: list[ItemDelta] = []
    for delta in changes:
        if delta.kind is ChangeKind.DELETED or delta.uid in found:
            told.append(delta)
        elif delta.kind is not ChangeKind.CREATED:
            told.append(delta._replace(kind=ChangeKind.DELETED))
    return told


class _Kept:
    """What a question finds in a folder, up to a state of it."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.changed: int | None = None
        """The folder's change number for which the counts hold; None: not counted."""
        self.total = 0
        self.unread = 0
        self.point = START
        self.items: dict[int, bool] = {}
        """Item -> whether it is unread, up to `point`; empty where there are too many to be kept."""


Key = tuple[str, int, bytes, bool]


class Standing:
    """How many items search folders find, in this worker: what is known is brought up to date by what has changed.

    Folders' change numbers say what is out of date, whoever changed it. The rights of whoever asks are asked before.
    """

    def __init__(self, max_items: int = 100_000) -> None:
        """`max_items` are kept (about 100 octets each); of folders where a question finds more the counts alone are."""
        self._max_items = max_items
        self._kept: dict[Key, _Kept] = {}
        """Used last, last."""
        self.looked_at = 0
        """Items that questions were asked about."""

    async def counts(self, box: Box, folder: Folder, search: Search, question: bytes) -> tuple[int, int]:
        """Items and unread ones that fit. `question`: the search as it is stored. Raises Refusal."""
        key = (box.id, int(folder.id), blake2b(question, digest_size=16).digest(), box.sees_private)
        kept = self._kept[key] = self._kept.pop(key) if key in self._kept else _Kept()
        async with kept.lock:
            if kept.changed != folder.changed:
                await self._follow(box, folder.id, search, kept)
                kept.changed = folder.changed
            found = kept.total, kept.unread
        self._forget()
        return found

    async def _follow(self, box: Box, folder: FolderId, search: Search, kept: _Kept) -> None:
        if len(kept.items) != kept.total:
            kept.point, kept.items = START, {}
        more = True
        while more:
            page, fitting_ = await step(box, folder, search, kept.point, PAGE)
            if not page.complete:
                if kept.point == START:
                    break
                kept.point, kept.items = START, {}
                continue
            self.looked_at += len(page.changes)
            for delta in page.changes:
                facts = fitting_.found.get(delta.uid) if delta.kind is not ChangeKind.DELETED else None
                if facts is None:
                    kept.items.pop(int(delta.item), None)
                else:
                    kept.items[int(delta.item)] = not facts.flags & Flag.SEEN
            kept.point, more = page.point, page.more
        kept.total, kept.unread = len(kept.items), sum(kept.items.values())

    def _forget(self) -> None:
        """What was not asked for longest, until there is room; of a question that finds too much its items alone."""
        held = 0
        for kept in self._kept.values():
            if len(kept.items) > self._max_items // 2 and not kept.lock.locked():
                kept.point, kept.items = START, {}
            held += _WEIGHT + len(kept.items)
        while held > self._max_items and len(self._kept) > 1:
            held -= _WEIGHT + len(self._kept.pop(next(iter(self._kept))).items)


_WEIGHT = 16
"""What an entry counts for, in items."""


def behind(point: SyncPoint, folder: Folder) -> bool:
    """Whether a folder may have something to tell to whoever knows it up to a point."""
    return point.phase is not Phase.DONE or folder.changed > point.change


def is_unreadable(refusal: Refusal) -> bool:
    """Of a folder that is left out: it went, or may not be read any more."""
    return refusal.reason in looking.UNREADABLE

"""What has happened in a mailbox since a watermark, as events: the one source of pull and streaming notifications."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from postern.frontends.ews import search_folders, search_following
from postern.frontends.ews.box import Box, is_hidden
from postern.model.ids import FolderId, Uid
from postern.model.items import Folder, FolderClass, SpecialUse
from postern.model.refusal import Reason, Refusal
from postern.model.sync import START, Came, ChangeKind, ItemDelta, SyncPoint, Went
from postern.protocols.ews import ids
from postern.protocols.ews.ids import ROOT, TOP, ItemIds, ItemKey
from postern.protocols.ews.notification_xml import Event
from postern.protocols.ews.search_parameters import Search
from postern.protocols.ews.watermarks import Watermark

_BUSY = "FreeBusyChangedEvent"
_MOVES = frozenset({"MovedEvent", "CopiedEvent"})
"""Not told of what a search folder finds: where it came from may be what it finds too."""
LIMIT = 512
"""Changed items in an answer."""


class Missed(Exception):  # noqa: N818 - an answer
    """The watermark is too old, or of before a restore: nobody knows any more what happened since."""


class Happened(NamedTuple):
    """A piece of what happened."""

    events: list[Event]
    mark: Watermark
    """Behind it."""
    more: bool


async def now(box: Box, folders: frozenset[int] | None) -> Watermark:
    """The present, as a folder that may be read tells it. Raises Refusal."""
    point = await _present(box, sorted(FolderId(one) for one in folders or () if one not in (TOP, ROOT)))
    return Watermark(point.incarnation, point.upto_change or point.change, point.upto_item or point.item)


async def _present(box: Box, folders: list[FolderId]) -> SyncPoint:
    for one in folders:
        try:
            return (await box.items.changes(one, START, 1)).point
        except Refusal as refusal:
            if refusal.reason is not Reason.NO_SUCH_FOLDER:
                raise  # that one is gone, which the others have to tell
    return (await box.items.changes((await box.access.special(SpecialUse.INBOX)).id, START, 1)).point


async def since(box: Box, mark: Watermark, folders: frozenset[int] | None, wanted: frozenset[str]) -> Happened:
    """Events after a mark in some folders, or in all. Raises Missed, Refusal.

    Their order is: folders that were made, changed or removed; then folder by folder what is new, changed and gone.
    Of a search folder it is told what its folders have that fits, as it lies there.
    """
    events: list[Event] = []
    every: dict[FolderId, Folder]
    if mark.folder:
        every = await box.folders(fresh=True)
    else:
        present = await now(box, folders)
        if present.incarnation != mark.incarnation or present.change < mark.change:
            raise Missed
        if present.change == mark.change:
            return Happened([], mark, False)
        mark = mark.begun(present.change, present.item)
        every = await box.folders(fresh=True)  # not before: what changed in between must not look unchanged
        events += await _of_folders(box, every, mark, folders, wanted)
    asked = await _asked(box, every, folders)
    touched: set[int] = set()
    room = LIMIT
    for folder in sorted(every.values(), key=lambda one: one.id):
        own = _within(folder, every, folders)
        if folder.id < mark.folder or folder.changed <= mark.change or not (own or folder.id in asked):
            continue
        try:
            page = await box.items.changes(folder.id, mark.point(folder.id), room, newest_first=False)
        except Refusal as refusal:
            if refusal.reason in (Reason.NO_SUCH_FOLDER, Reason.NOT_PERMITTED):
                continue
            raise
        if not page.complete:
            raise Missed
        if own:
            events += await _of_items(box, folder, page.changes, wanted, partial(_within, every=every, folders=folders))
        else:
            searches = asked[folder.id].values()
            found = await search_following.changed(box, folder.id, searches, page.changes)
            events += await _of_items(box, folder, found, wanted - _MOVES, lambda _: False)
            touched.update(asked[folder.id] if found else ())
        if page.more:
            events += _looked_into(box, touched, every, wanted)
            return Happened(events, mark.within(folder.id, page.point), True)
        if own and page.changes and "ModifiedEvent" in wanted:
            events.append(_modified(box, folder, every))
        room -= len(page.changes)
        if room <= 0:
            room = 1
    events += _looked_into(box, touched, every, wanted)
    return Happened(events, mark.ended(), False)


def _looked_into(box: Box, searches: set[int], every: dict[FolderId, Folder], wanted: frozenset[str]) -> list[Event]:
    """Of the search folders themselves that find something else now."""
    if "ModifiedEvent" not in wanted:
        return []
    return [_folder(box, "ModifiedEvent", every[FolderId(one)], every) for one in sorted(searches)]


async def _asked(
    box: Box, every: dict[FolderId, Folder], folders: frozenset[int] | None
) -> dict[FolderId, dict[int, Search]]:
    """The folders that subscribed search folders look into, each with those that do."""
    found: dict[FolderId, dict[int, Search]] = {}
    for one in sorted(folders or ()):
        folder = every.get(FolderId(one))
        search = search_folders.question_of(folder) if folder is not None else None
        if search is not None:
            for place in await search_folders.scope(box, search):
                found.setdefault(place, {})[one] = search
    return found


def _within(folder: Folder, every: dict[FolderId, Folder], folders: frozenset[int] | None) -> bool:
    if folders is None:
        return not is_hidden(folder, every)
    return folder.id in folders


async def _of_folders(
    box: Box, every: dict[FolderId, Folder], mark: Watermark, folders: frozenset[int] | None, wanted: frozenset[str]
) -> list[Event]:
    """Of the folders themselves: subscribed ones, and the children of subscribed ones."""
    changes = await box.items.folder_changes(mark.change, mark.incarnation)
    if not changes.complete:
        raise Missed
    events = []

    def near(folder: Folder) -> bool:
        return _within(folder, every, folders) or (folders is not None and (folder.parent or TOP) in folders)

    if "CreatedEvent" in wanted:
        events += [_folder(box, "CreatedEvent", one, every) for one in changes.created if near(one)]
    for one in changes.updated:
        if one.moved > mark.change and "MovedEvent" in wanted:
            former = one.former or TOP
            if near(one) or (former in folders if folders is not None else _seen(former, every)):
                was = (box.folder_id(one.id), box.folder_id(former))
                events.append(_folder(box, "MovedEvent", one, every)._replace(old=was))
        elif "ModifiedEvent" in wanted and near(one):
            events.append(_folder(box, "ModifiedEvent", one, every))
    if "DeletedEvent" in wanted:
        for gone in changes.deleted:
            parent = gone.parent or TOP
            if folders is None or gone.id in folders or parent in folders:
                above = every.get(parent)
                change = ids.folder_change(above.changed) if above is not None else ""
                events.append(
                    Event("DeletedEvent", "FolderId", box.folder_id(gone.id), "", box.folder_id(parent), change)
                )
    return events


def _seen(folder: FolderId, every: dict[FolderId, Folder]) -> bool:
    """Below the top of the store, or it."""
    return folder == TOP or (folder in every and not is_hidden(every[folder], every))


def _folder(box: Box, kind: str, folder: Folder, every: dict[FolderId, Folder]) -> Event:
    parent = box.parent_of(folder)
    above = every.get(parent)
    return Event(
        kind,
        "FolderId",
        box.folder_id(folder.id),
        ids.folder_change(folder.changed),
        box.folder_id(parent),
        ids.folder_change(above.changed if above is not None else 0),
    )


def _modified(box: Box, folder: Folder, every: dict[FolderId, Folder]) -> Event:
    return _folder(box, "ModifiedEvent", folder, every)._replace(unread=folder.unseen)


async def _of_items(
    box: Box,
    folder: Folder,
    changes: Sequence[ItemDelta],
    wanted: frozenset[str],
    within: Callable[[Folder], bool],
) -> list[Event]:
    """`within`: whether a folder's events are told too."""
    item_id: Callable[[int], str] = ItemIds(box.id, folder.id).of
    parent, parent_change = box.folder_id(folder.id), ids.folder_change(folder.changed)
    came, went = await _moves(box, folder, changes, wanted)
    every = await box.folders()
    events: list[Event] = []
    for delta in changes:
        change = ids.item_change(delta.change_key)
        origin, target = came.get(delta.uid), went.get(delta.uid)
        if delta.kind is ChangeKind.CREATED and origin is not None:
            kind = "MovedEvent" if origin.moved else "CopiedEvent"
            old = (ids.item_id(ItemKey(box.id, origin.folder, origin.item)), box.folder_id(origin.folder))
            events.append(Event(kind, "ItemId", item_id(delta.item), change, parent, parent_change, old=old))
        elif delta.kind is ChangeKind.DELETED and target is not None:
            if target.folder in every and within(every[target.folder]):
                continue  # it is told where it has come to
            moved = ids.item_id(ItemKey(box.id, target.folder, target.item))
            key, there = ids.item_change(target.change_key), box.folder_id(target.folder)
            events.append(
                Event("MovedEvent", "ItemId", moved, key, there, "", old=(item_id(delta.item), parent))
            )  # fmt: skip
        else:
            for kind in _kinds(delta, folder):
                if kind in wanted:
                    key = "" if delta.kind is ChangeKind.DELETED else change
                    events.append(Event(kind, "ItemId", item_id(delta.item), key, parent, parent_change))
            continue
        if folder.folder_class is FolderClass.CALENDAR and _BUSY in wanted:
            key = "" if delta.kind is ChangeKind.DELETED else change
            events.append(Event(_BUSY, "ItemId", item_id(delta.item), key, parent, parent_change))
    return events


async def _moves(
    box: Box, folder: Folder, changes: Sequence[ItemDelta], wanted: frozenset[str]
) -> tuple[dict[Uid, Came], dict[Uid, Went]]:
    """Of what is new where it came from, of what is gone where it went, as far as that is asked for and known."""
    came: dict[Uid, Came] = {}
    went: dict[Uid, Went] = {}
    new = [delta.uid for delta in changes if delta.kind is ChangeKind.CREATED]
    if new and wanted & {"MovedEvent", "CopiedEvent"}:
        came = {
            uid: one
            for uid, one in (await box.items.came_from(folder.id, new)).items()
            if ("MovedEvent" if one.moved else "CopiedEvent") in wanted
        }
    gone = [(delta.uid, delta.change_key) for delta in changes if delta.kind is ChangeKind.DELETED]
    if gone and "MovedEvent" in wanted:
        every = await box.folders()
        found = await box.items.went_to(folder.id, gone)
        went = {
            uid: one
            for uid, one in found.items()
            if one.folder in every and not is_hidden(every[one.folder], every)
        }  # fmt: skip
    return came, went


def _kinds(delta: ItemDelta, folder: Folder) -> tuple[str, ...]:
    busy = (_BUSY,) if folder.folder_class is FolderClass.CALENDAR else ()
    if delta.kind is ChangeKind.DELETED:
        return ("DeletedEvent", *busy)
    if delta.kind is ChangeKind.UPDATED:
        return ("ModifiedEvent", *busy)
    if delta.kind is not ChangeKind.CREATED:
        return ("ModifiedEvent",)
    if folder.special is SpecialUse.INBOX:
        return ("CreatedEvent", "NewMailEvent")
    return ("CreatedEvent", *busy)

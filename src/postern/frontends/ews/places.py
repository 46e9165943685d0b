"""Finding the folder or item that a request names."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from postern.convert.appointments import from_properties
from postern.frontends.ews.box import NAMES, Box
from postern.frontends.ews.call import Call
from postern.model.calendar.series import day_of
from postern.model.ids import FolderId, ItemId, Uid
from postern.model.items import Columns, ItemClass
from postern.model.refusal import Reason, Refusal
from postern.protocols.ews import ids
from postern.protocols.ews.ids import ROOT, TOP
from postern.protocols.ews.places import AnyFolder, FolderRef, ItemRef
from postern.protocols.ews.violation import EwsViolation


class FolderPlace(NamedTuple):
    """A folder in a mailbox; the two roots too."""

    box: Box
    folder: FolderId


class ItemPlace(NamedTuple):
    """An item in a mailbox."""

    box: Box
    folder: FolderId
    item: ItemId
    uid: Uid
    day: date | None = None
    """One occurrence of a series."""


async def folder(call: Call, ref: AnyFolder, code: str = "ErrorFolderNotFound") -> FolderPlace:
    """Where a folder is. `code`: what its absence is called. Raises EwsViolation, Refusal."""
    try:
        if isinstance(ref, FolderRef):
            key = ids.read(ref.id)
            if not isinstance(key, ids.FolderKey):
                raise EwsViolation("ErrorCannotUseItemIdForFolderId", "The id is an item's, not a folder's.")
            if ref.change_key:
                ids.read_change(ref.change_key)
            place = FolderPlace(await call.box(key.mailbox), key.folder)
            if key.folder not in (ROOT, TOP):
                await place.box.folder(key.folder)
            return place
        if ref.name == "publicfoldersroot":
            return FolderPlace(await call.public_box(), TOP)
        box = await call.box_of(ref.mailbox)
        return FolderPlace(box, await _distinguished(box, ref.name))
    except Refusal as refusal:
        if refusal.reason in (Reason.NO_SUCH_FOLDER, Reason.NO_SUCH_RECIPIENT) and not getattr(ref, "mailbox", ""):
            raise EwsViolation(code, "There is no such folder.") from refusal
        raise


async def _distinguished(box: Box, name: str) -> FolderId:
    if name == "msgfolderroot":
        return TOP
    if name == "root":
        return ROOT
    use = NAMES.get(name)
    if use is None:
        raise Refusal(Reason.NO_SUCH_FOLDER, name)
    for one in (await box.folders()).values():
        if one.special is use:
            return one.id
    made = await box.items.special(use)
    box.wrote(folders=True)
    return made.id


async def stored(
    call: Call, ref: AnyFolder, code: str = "ErrorFolderNotFound", *, searches: bool = False
) -> FolderPlace:
    """The same, where it has to hold items; `searches`: or to find them. Raises EwsViolation, Refusal."""
    place = await folder(call, ref, code)
    if place.folder in (ROOT, TOP):
        raise EwsViolation("ErrorInvalidFolderTypeForOperation", "The root of a mailbox holds no items.")
    if not searches and await place.box.finds(place.folder):
        raise EwsViolation("ErrorInvalidFolderTypeForOperation", "A search folder holds no items of its own.")
    return place


async def item(call: Call, ref: ItemRef, *, occurrences: bool = False) -> ItemPlace:
    """Where an item is. `occurrences`: one of a series will do too. Raises EwsViolation, Refusal."""
    key = ids.read_item(ref.id)
    if ref.master_of and not key.day:
        raise EwsViolation("ErrorCalendarCannotUseIdForOccurrenceId", "The id is no occurrence's.")
    if ref.occurrence is not None and key.day:
        raise EwsViolation("ErrorCalendarCannotUseIdForRecurringMasterId", "The id is no series'.")
    try:
        box = await call.box(key.mailbox)
        place = ItemPlace(box, key.folder, key.item, await box.uid(key.folder, key.item))
    except Refusal as refusal:
        if refusal.reason in (Reason.NO_SUCH_FOLDER, Reason.NO_SUCH_RECIPIENT):
            raise Refusal(Reason.NO_SUCH_ITEM, refusal.detail) from refusal
        raise
    if ref.occurrence is not None:
        place = place._replace(day=await _numbered(place, ref.occurrence))
    elif key.day and not ref.master_of:
        place = place._replace(day=date.fromordinal(key.day))
    if place.day is not None and not occurrences:
        raise EwsViolation("ErrorInvalidOperation", "That cannot be done with one occurrence of a series.")
    return place


async def _numbered(place: ItemPlace, number: int) -> date:
    """The day of an occurrence by its number from 1. Raises EwsViolation."""
    rows = await place.box.rows(place.folder, Columns.CLASS | Columns.PROPERTIES, [place.uid])
    series = None
    for item_class, stored in rows:
        if item_class == ItemClass.APPOINTMENT:
            series = from_properties(stored or b"", brief=True).recurrence
    if series is None:
        raise EwsViolation("ErrorCalendarCannotUseIdForRecurringMasterId", "The id is no series'.")
    day = day_of(series, number - 1) if 0 < number < 1 << 24 else None
    beyond = day is None or (series.count is not None and number > series.count)
    if day is None or beyond or (series.until is not None and day > series.until):
        raise EwsViolation(
            "ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange", f"The series has no occurrence number {number}."
        )
    return day

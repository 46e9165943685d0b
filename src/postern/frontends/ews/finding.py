"""FindItem (MS-OXWSSRCH 3.1.4.2): restrictions, order, pages and groups over the items of folders.

Without a restriction and in the order of arrival only the rows of the page are read; everything else looks at each item
of the folder, in the loop's slices, and keeps no more of it than what it is sorted by.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from postern.frontends.ews import calendar_finding, item_values, matching, places, querying, slices
from postern.frontends.ews.box import Box
from postern.frontends.ews.call import Call
from postern.frontends.ews.folder_reading import paged
from postern.frontends.ews.item_reading import wanted
from postern.frontends.ews.loading import Loader, Wanted
from postern.frontends.ews.places import FolderPlace
from postern.model.ids import FolderId, Uid
from postern.model.items import Columns
from postern.model.ranges import merged
from postern.model.refusal import Reason, Refusal
from postern.protocols.ews import message_xml, responses
from postern.protocols.ews.find_requests import FindItem, Grouping
from postern.protocols.ews.message_facts import MessageFacts
from postern.protocols.ews.message_xml import MessageWriter
from postern.protocols.ews.paths import Extended, Field, Path
from postern.protocols.ews.places import AnyFolder
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.ews.writers import writer_of

_NOT_SORTED = frozenset(
    {"item:Body", "item:Attachments", "item:MimeContent", "item:ResponseObjects", "item:EffectiveRights"}
)


class Found(NamedTuple):
    """An item that fits, with what it is sorted and grouped by."""

    uid: Uid
    keys: tuple[tuple[bool, float, str], ...]
    group: str = ""
    on: tuple[bool, float, str] = (False, 0.0, "")


async def find_item(call: Call, request: FindItem) -> str:
    """FindItem."""
    if request.calendar is not None:
        return await calendar_finding.view(call, request)
    if request.query and (request.restriction is not None or request.group is not None):
        raise EwsViolation("ErrorInvalidArgument", "QueryString goes with neither Restriction nor GroupBy.")
    query = querying.parse(call, request.query) if request.query else None
    writer = writer_of(request.shape, call.version, listing=True, strict=True)
    looked_at = _looked_at(request)
    message_xml.check(looked_at)

    async def one(ref: AnyFolder) -> str:
        place = await places.stored(call, ref)
        box, folder, within = place.box, place.folder, None
        if request.traversal == "Associated":
            folder = FolderId(-folder)
        elif request.traversal == "SoftDeleted":
            folder, within = await _removed(place)
        if query is not None:
            fitting = await querying.found(box, folder, query)
            within = fitting if within is None else sorted({*within}.intersection(fitting))
        found = await _look(box, folder, request, looked_at, within)
        chosen, attributes = paged(found, request.page)
        loader = await Loader.open(box, folder, wanted(writer))
        facts = await loader.by_uid([each.uid for each in chosen])
        if request.group is None:
            shown = [facts[each.uid] for each in chosen if each.uid in facts]
            inner = "".join(await slices.each(shown, writer.write))
        else:
            names = dict.fromkeys(each.group for each in found)
            inner = _groups(chosen, facts, writer, {name: number for number, name in enumerate(names)})
        return _root(request, inner, attributes)

    return responses.response("FindItem", await call.each("FindItemResponseMessage", request.parents, one))


def _root(request: FindItem, inner: str, attributes: str) -> str:
    name = "Items" if request.group is None else "Groups"
    return f"<m:RootFolder {attributes}><t:{name}>{inner}</t:{name}></m:RootFolder>"


def _looked_at(request: FindItem) -> list[Path]:
    found: list[Path] = matching.paths_of(request.restriction) if request.restriction is not None else []
    sorted_by = [one.path for one in request.order]
    if request.group is not None:
        sorted_by += [request.group.path, request.group.on]
    for one in sorted_by:
        if isinstance(one, Field) and one.uri in _NOT_SORTED:
            raise EwsViolation("ErrorUnsupportedPathForSortGroup", f"Nothing can be sorted or grouped by {one.uri}.")
    for one in found:
        if isinstance(one, Field) and one.uri in ("item:MimeContent", "item:ResponseObjects", "item:EffectiveRights"):
            raise EwsViolation("ErrorUnsupportedPathForQuery", f"Nothing can be searched for by {one.uri}.")
    return found + sorted_by


async def _removed(place: FolderPlace) -> tuple[FolderId, Sequence[Uid]]:
    """What was removed from a folder and can be brought back; of Recoverable Items itself all it has."""
    try:
        recoverable, uids = await place.box.items.removed_from(place.folder)
    except Refusal as refusal:
        if refusal.reason in (Reason.NO_SUCH_FOLDER, Reason.NOT_PERMITTED):
            return place.folder, ()  # only who may do everything in a mailbox sees what was removed
        raise
    if recoverable == place.folder:
        return recoverable, [Uid(uid) for uid in (await place.box.access.view(recoverable)).uids]
    return recoverable, uids


async def _look(
    box: Box, folder: FolderId, request: FindItem, looked_at: Sequence[Path], within: Sequence[Uid] | None
) -> list[Found]:
    """Items that fit, in order; `within`: of these, ascending. Raises Refusal."""
    plain = request.restriction is None and request.group is None and request.names is None
    if plain and _by_arrival(request):
        uids: Sequence[int] = within if within is not None else await _uids(box, folder)
        backwards = not request.order or request.order[0].descending
        return [Found(Uid(uid), ()) for uid in (reversed(uids) if backwards else uids)]
    needs = item_values.needs(looked_at)
    loader = await Loader.open(box, folder, Wanted(True, needs.header, needs.content, needs.structure))
    found: list[Found] = []
    count = 0
    if within is not None and not within:
        return found
    async for uid, facts in loader.all(None if within is None else merged((uid, uid) for uid in within)):
        count += 1
        if count % slices.ITEMS == 0:
            await asyncio.sleep(0)

        def value(path: Path, facts: MessageFacts = facts) -> str | None:
            return item_values.value(facts, path)

        if request.restriction is not None and not matching.fits(request.restriction, value):
            continue
        if request.names is not None and not _between(facts, request.names):
            continue
        keys = tuple(_key(value(one.path), one.path) for one in request.order)
        if request.group is None:
            found.append(Found(uid, keys))
        else:
            on = _key(value(request.group.on), request.group.on)
            found.append(Found(uid, keys, value(request.group.path) or "", on))
    found.reverse()  # newest first, unless told otherwise
    for number, order in reversed(list(enumerate(request.order))):
        found.sort(key=lambda one, number=number: one.keys[number], reverse=order.descending)  # type: ignore[misc]
    if request.names is not None:
        found = found[: request.calendar_limit or None]
    return found if request.group is None else _by_group(found, request.group)


async def _uids(box: Box, folder: FolderId) -> Sequence[int]:
    if folder > 0:
        return (await box.access.view(folder)).uids
    return [uid async for rows in box.access.items(folder, Columns.UID) for (uid,) in rows]


def _between(facts: MessageFacts, names: tuple[str, str]) -> bool:
    """ContactsView: names from InitialName up to those that begin with FinalName (MS-OXWSSRCH 2.2.4.7)."""
    shown = (item_values.value(facts, Field("contacts:DisplayName")) or "").casefold()
    low, high = (one.casefold() for one in names)
    return shown >= low and (not high or shown[: len(high)] <= high)


def _by_arrival(request: FindItem) -> bool:
    """Items come in the order of their UIDs; where they arrived at once, the order is as good as any."""
    if not request.order:
        return True
    first = request.order[0].path
    return False if len(request.order) > 1 or isinstance(first, Extended) else first.uri in ("item:ItemId",)


def _key(value: str | None, path: Path) -> tuple[bool, float, str]:
    """Sorts what is not there first, numbers as numbers, texts without case."""
    if value is None:
        return False, 0.0, ""
    found = matching.comparable(value, path)
    return (True, found, "") if isinstance(found, float) else (True, 0.0, found)


def _by_group(found: list[Found], group: Grouping) -> list[Found]:
    groups: dict[str, list[Found]] = {}
    for one in found:
        groups.setdefault(one.group, []).append(one)
    pick = max if group.maximum else min
    order = sorted(groups, key=lambda name: pick(one.on for one in groups[name]), reverse=group.descending)
    return [one for name in order for one in groups[name]]


def _groups(
    found: Sequence[Found], facts: dict[Uid, MessageFacts], writer: MessageWriter, numbers: dict[str, int]
) -> str:
    """Groups of a page, each with its items (MS-OXWSSRCH 2.2.3.13). `numbers`: of all groups."""
    pieces: list[str] = []
    groups: dict[str, list[Found]] = {}
    for one in found:
        groups.setdefault(one.group, []).append(one)
    for name, members in groups.items():
        inner = "".join(writer.write(facts[one.uid]) for one in members if one.uid in facts)
        pieces.append(
            f"<t:GroupedItems><t:GroupIndex>{numbers[name]}</t:GroupIndex><t:Items>{inner}</t:Items></t:GroupedItems>"
        )
    return "".join(pieces)

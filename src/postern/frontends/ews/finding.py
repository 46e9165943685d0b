"""FindItem (MS-OXWSSRCH 3.1.4.2): restrictions, order, pages and groups over the items of folders.

Without a restriction and in the order of arrival only the rows of the page are read; everything else looks at each item
of the folder, in the loop's slices, and keeps no more of it than what it is sorted by.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from postern.formats import aqs
from postern.frontends.ews import calendar_finding, item_values, matching, places, slices
from postern.frontends.ews.box import Box
from postern.frontends.ews.call import Call
from postern.frontends.ews.folder_reading import paged
from postern.frontends.ews.item_reading import wanted
from postern.frontends.ews.loading import Loader, Wanted
from postern.model.ids import FolderId, Uid
from postern.model.query import Query
from postern.protocols.ews import message_xml, responses
from postern.protocols.ews.find_requests import FindItem, Grouping
from postern.protocols.ews.message_facts import MessageFacts
from postern.protocols.ews.message_xml import MessageWriter
from postern.protocols.ews.paths import Extended, Field, Path
from postern.protocols.ews.places import AnyFolder
from postern.protocols.ews.violation import EwsViolation
from postern.services.mailboxes import normalise

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
    query = _query(call, request)
    writer = MessageWriter(request.shape, call.version, listing=True, strict=True)
    looked_at = _looked_at(request)
    message_xml.check(looked_at)

    async def one(ref: AnyFolder) -> str:
        place = await places.stored(call, ref)
        if request.traversal != "Shallow":
            return _root(request, "", 'IndexedPagingOffset="0" TotalItemsInView="0" IncludesLastItemInRange="true"')
        box, folder = place.box, place.folder
        among = None if query is None else await box.access.search(folder, query)
        found = await _look(box, folder, request, looked_at, among)
        chosen, attributes = paged(found, request.page)
        loader = await Loader.open(box, folder, wanted(writer))
        facts = await loader.by_uid([each.uid for each in chosen])
        if request.group is None:
            shown = [facts[each.uid] for each in chosen if each.uid in facts]
            inner = "".join(await slices.each(shown, writer.write))
        else:
            inner = _groups(chosen, facts, writer, request.group)
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


def _query(call: Call, request: FindItem) -> Query | None:
    """What the query string asks for (MS-OXWSSRCH 2.2.4.16)."""
    if not request.query:
        return None
    try:
        return aqs.parse(request.query, call.services.clock.now().date())
    except aqs.BadQueryError as error:
        raise EwsViolation("ErrorInvalidArgument", f"The query string is {error}.") from error


async def _look(
    box: Box, folder: FolderId, request: FindItem, looked_at: Sequence[Path], among: Sequence[Uid] | None
) -> list[Found]:
    """Items that fit, in order, of all or of some. Raises Refusal."""
    plain = request.restriction is None and request.group is None and request.names is None
    if plain and _by_arrival(request):
        uids = (await box.access.view(folder)).uids if among is None else among
        backwards = not request.order or request.order[0].descending
        return [Found(Uid(uid), ()) for uid in (reversed(uids) if backwards else uids)]
    needs = item_values.needs(looked_at)
    loader = await Loader.open(box, folder, Wanted(True, needs.header, needs.content, needs.structure))
    found: list[Found] = []
    count = 0
    async for uid, facts in loader.all(None if among is None else normalise((uid, uid) for uid in among)):
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


def _groups(found: Sequence[Found], facts: dict[Uid, MessageFacts], writer: MessageWriter, group: Grouping) -> str:
    """Groups of a page, each with its items (MS-OXWSSRCH 2.2.3.13)."""
    pieces: list[str] = []
    names = list(dict.fromkeys(one.group for one in found))
    for number, name in enumerate(names):
        inner = "".join(writer.write(facts[one.uid]) for one in found if one.group == name and one.uid in facts)
        pieces.append(
            f"<t:GroupedItems><t:GroupIndex>{number}</t:GroupIndex><t:Items>{inner}</t:Items></t:GroupedItems>"
        )
    return "".join(pieces)

"""FindItem (MS-OXWSSRCH 3.1.4.2): restrictions, order, pages and groups over the items of folders."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from postern.frontends.ews import calendar_finding, looking, matching, places, querying, search_folders, slices
from postern.frontends.ews.box import Box
from postern.frontends.ews.call import Call
from postern.frontends.ews.folder_reading import paged
from postern.frontends.ews.item_reading import wanted
from postern.frontends.ews.loading import Loader
from postern.frontends.ews.looking import Found, Part
from postern.frontends.ews.places import FolderPlace
from postern.model.ids import FolderId, Uid
from postern.model.query import Query
from postern.model.refusal import Reason, Refusal
from postern.protocols.ews import message_xml, responses
from postern.protocols.ews.find_requests import FindItem
from postern.protocols.ews.folder_requests import Page
from postern.protocols.ews.ids import ROOT, TOP
from postern.protocols.ews.message_facts import MessageFacts
from postern.protocols.ews.message_xml import MessageWriter
from postern.protocols.ews.paths import Path
from postern.protocols.ews.places import AnyFolder
from postern.protocols.ews.restrictions import And
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.ews.writers import writer_of


async def find_item(call: Call, request: FindItem) -> str:
    """FindItem."""
    if request.calendar is not None:
        return await calendar_finding.view(call, request)
    if request.query and (request.restriction is not None or request.group is not None):
        raise EwsViolation("ErrorInvalidArgument", "QueryString goes with neither Restriction nor GroupBy.")
    query = querying.parse(call, request.query) if request.query else None
    writer = writer_of(request.shape, call.version, listing=True, strict=True)
    paths, sorted_by = _looked_at(request)
    looking.check(paths, sorted_by)
    message_xml.check([*paths, *sorted_by])

    async def one(ref: AnyFolder) -> str:
        place = await places.folder(call, ref)
        parts, asked = await _parts(place, request, query)
        paths, sorted_by = _looked_at(asked)
        found = await looking.look(place.box, parts, asked, [*paths, *sorted_by])
        chosen, attributes = paged(found, _page(found, request))
        facts = await _facts(place.box, chosen, writer)
        if request.group is None:
            shown = [facts[each.folder, each.uid] for each in chosen if (each.folder, each.uid) in facts]
            inner = "".join(await slices.each(shown, writer.write))
        else:
            names = dict.fromkeys(each.group for each in found)
            inner = _groups(chosen, facts, writer, {name: number for number, name in enumerate(names)})
        return _root(request, inner, attributes)

    return responses.response("FindItem", await call.each("FindItemResponseMessage", request.parents, one))


def _root(request: FindItem, inner: str, attributes: str) -> str:
    name = "Items" if request.group is None else "Groups"
    return f"<m:RootFolder {attributes}><t:{name}>{inner}</t:{name}></m:RootFolder>"


def _looked_at(request: FindItem) -> tuple[list[Path], list[Path]]:
    """What is asked for, and what is sorted and grouped by."""
    found: list[Path] = matching.paths_of(request.restriction) if request.restriction is not None else []
    if request.seek is not None:
        found += matching.paths_of(request.seek.condition)
    sorted_by = [one.path for one in request.order]
    if request.group is not None:
        sorted_by += [request.group.path, request.group.on]
    return found, sorted_by


def _page(found: Sequence[Found], request: FindItem) -> Page | None:
    """A page that begins at a condition begins at the first item that fits; from the end at the last, going back.

    Where none fits it is empty (MS-OXWSSRCH 2.2.4.28 SeekToConditionPageViewType).
    """
    seek = request.seek
    if seek is None:
        return request.page
    order = reversed(found) if seek.from_end else found
    where = next((number for number, one in enumerate(order) if one.here), len(found))
    return Page(seek.limit, where, seek.from_end)


async def _facts(box: Box, chosen: Sequence[Found], writer: MessageWriter) -> dict[tuple[FolderId, Uid], MessageFacts]:
    """Of the items of a page."""
    uids: dict[FolderId, list[Uid]] = {}
    for one in chosen:
        uids.setdefault(one.folder, []).append(one.uid)
    facts: dict[tuple[FolderId, Uid], MessageFacts] = {}
    for folder, some in uids.items():
        loader = await Loader.open(box, folder, wanted(writer))
        facts.update(((folder, uid), one) for uid, one in (await loader.by_uid(some)).items())
    return facts


async def _parts(place: FolderPlace, request: FindItem, query: Query | None) -> tuple[list[Part], FindItem]:
    """Where to look, and for what: a search folder adds its own. Raises EwsViolation, Refusal."""
    box = place.box
    parts = [Part(place.folder)]
    if place.folder in (ROOT, TOP):
        return [], request  # they hold nothing but folders
    if request.traversal == "Associated":
        parts = [Part(FolderId(-place.folder))]
    elif request.traversal == "SoftDeleted":
        parts = [Part(*await _removed(place))]
    elif (search := await search_folders.search_in(box, place.folder)) is not None:
        parts = [Part(one) for one in await search_folders.scope(box, search)]
        both = search.restriction if request.restriction is None else And((search.restriction, request.restriction))
        request = msgspec.structs.replace(request, restriction=both, order=request.order or looking.NEWEST_FIRST)
    if query is not None:
        asked = []
        for folder, within in parts:
            try:
                fitting = await querying.found(box, folder, query)
            except Refusal as refusal:
                if len(parts) == 1 or refusal.reason not in looking.UNREADABLE:
                    raise
                continue
            asked.append(Part(folder, fitting if within is None else sorted({*within}.intersection(fitting))))
        parts = asked
    return parts, request


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


def _groups(
    found: Sequence[Found],
    facts: dict[tuple[FolderId, Uid], MessageFacts],
    writer: MessageWriter,
    numbers: dict[str, int],
) -> str:
    """Groups of a page, each with its items (MS-OXWSSRCH 2.2.3.13). `numbers`: of all groups."""
    pieces: list[str] = []
    groups: dict[str, list[Found]] = {}
    for one in found:
        groups.setdefault(one.group, []).append(one)
    for name, members in groups.items():
        there = [facts[one.folder, one.uid] for one in members if (one.folder, one.uid) in facts]
        inner = "".join(map(writer.write, there))
        pieces.append(
            f"<t:GroupedItems><t:GroupIndex>{numbers[name]}</t:GroupIndex><t:Items>{inner}</t:Items></t:GroupedItems>"
        )
    return "".join(pieces)

"""GetFolder and FindFolder (MS-OXWSFOLD 3.1.4.5, MS-OXWSSRCH 3.1.4.1)."""

from __future__ import annotations

from typing import TypeVar

from postern.frontends.ews import matching, permission_xml, places, search_folders
from postern.frontends.ews.call import Call
from postern.frontends.ews.places import FolderPlace
from postern.protocols.ews import folder_xml, responses
from postern.protocols.ews.folder_requests import FindFolder, GetFolder, Page
from postern.protocols.ews.folder_xml import FolderFacts, FolderWriter
from postern.protocols.ews.ids import ROOT, TOP
from postern.protocols.ews.paths import Path
from postern.protocols.ews.places import AnyFolder
from postern.protocols.ews.violation import EwsViolation

T = TypeVar("T")

MAX_FOUND = 1000
"""Folders or items in an answer, however many were asked for."""


async def get_folder(call: Call, request: GetFolder) -> str:
    """GetFolder."""
    writer = FolderWriter(request.shape, call.version)

    async def one(ref: AnyFolder) -> str:
        place = await places.folder(call, ref)
        return f"<m:Folders>{await written(call, place, writer)}</m:Folders>"

    message = "GetFolderResponseMessage"
    return responses.response("GetFolder", await call.each(message, request.folders, one, empty="<m:Folders/>"))


async def written(call: Call, place: FolderPlace, writer: FolderWriter) -> str:
    """A folder in a shape."""
    facts = await search_folders.counted(call, place.box, await place.box.facts(place.folder), writer)
    if writer.permissions:
        facts = await permission_xml.with_permissions(call, place.box, facts)
    return writer.write(facts)


async def find_folder(call: Call, request: FindFolder) -> str:
    """FindFolder."""
    if request.traversal == "SoftDeleted" and len(request.parents) > 1:
        raise EwsViolation("ErrorInvalidRequest", "Removed folders are looked for in one folder at a time.")
    writer = FolderWriter(request.shape, call.version)
    if request.restriction is not None:
        folder_xml.check(matching.paths_of(request.restriction))

    async def one(ref: AnyFolder) -> str:
        place = await places.folder(call, ref)
        found: list[FolderFacts] = []
        if request.traversal != "SoftDeleted":
            below = [one.id for one in await place.box.children(place.folder, deep=request.traversal == "Deep")]
            for child in [TOP, *below] if place.folder == ROOT else below:
                facts = await place.box.facts(child)
                if request.restriction is None or _fits(facts, request):
                    found.append(facts)
        chosen, attributes = paged(found, request.page)
        chosen = [await search_folders.counted(call, place.box, each, writer) for each in chosen]
        if writer.permissions:
            chosen = [await permission_xml.with_permissions(call, place.box, each) for each in chosen]
        inner = "".join(writer.write(each) for each in chosen)
        return f"<m:RootFolder {attributes}><t:Folders>{inner}</t:Folders></m:RootFolder>"

    return responses.response("FindFolder", await call.each("FindFolderResponseMessage", request.parents, one))


def _fits(facts: FolderFacts, request: FindFolder) -> bool:
    assert request.restriction is not None

    def value(path: Path) -> str | None:
        return folder_xml.value(facts, path)

    return matching.fits(request.restriction, value)


def paged(found: list[T], page: Page | None, limit: int = MAX_FOUND) -> tuple[list[T], str]:
    """The wanted page and the attributes that tell where it is (MS-OXWSSRCH 2.2.4.13)."""
    total = len(found)
    if page is None:
        chosen = found[:limit]
        last = len(chosen) == total
        return chosen, f'IndexedPagingOffset="{len(chosen)}" TotalItemsInView="{total}" {_LAST[last]}'
    count = min(page.limit or limit, limit)
    if page.from_end:
        end = max(0, total - page.offset)
        start = max(0, end - count)
        return found[start:end], f'IndexedPagingOffset="{total - start}" TotalItemsInView="{total}" {_LAST[start == 0]}'
    start = page.start(total)
    chosen = found[start : start + count]
    end = start + len(chosen)
    if page.denominator:
        where = f'NumeratorOffset="{end}" AbsoluteDenominator="{max(total, 1)}"'
    else:
        where = f'IndexedPagingOffset="{end}"'
    return chosen, f'{where} TotalItemsInView="{total}" {_LAST[end >= total]}'


_LAST = {True: 'IncludesLastItemInRange="true"', False: 'IncludesLastItemInRange="false"'}

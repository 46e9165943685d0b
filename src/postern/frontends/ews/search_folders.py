"""Search folders (MS-OXWSSRCH 2.2.4.26): a folder that keeps a question, which is asked anew by whoever looks into it.

It is a folder of the store's class ROOT, which holds nothing and is shown by no other protocol, with a property of its
own. Where it looks follows from the folders that are there now.
"""

from __future__ import annotations

from lxml.etree import _Element as Element

from postern.frontends.ews import item_values, looking, matching, places
from postern.frontends.ews.box import Box, is_search
from postern.frontends.ews.call import Call
from postern.frontends.ews.places import FolderPlace
from postern.model import properties
from postern.model.ids import FolderId
from postern.model.items import Flag, SpecialUse
from postern.model.refusal import Reason, Refusal
from postern.protocols.ews import message_xml, search_parameters
from postern.protocols.ews.folder_xml import FolderFacts, FolderWriter
from postern.protocols.ews.ids import ROOT, TOP
from postern.protocols.ews.search_parameters import Search
from postern.protocols.ews.violation import EwsViolation

MAX_SEARCHES = 100
"""Search folders of a mailbox: a list of folders counts what each of them finds."""


async def room(box: Box) -> None:
    """Raises Refusal(TOO_MANY) if there is none for one more."""
    if sum(map(is_search, (await box.folders()).values())) >= MAX_SEARCHES:
        raise Refusal(Reason.TOO_MANY, "search folders")


async def given(call: Call, box: Box, element: Element) -> bytes:
    """SearchParameters as a folder of a mailbox keeps it. Raises EwsViolation, Refusal."""
    asked = search_parameters.search_parameters(element)
    message_xml.check(matching.paths_of(asked.restriction))
    looking.check(matching.paths_of(asked.restriction), ())
    found: list[int] = []
    for ref in asked.folders:
        place = await places.folder(call, ref)
        if place.box.id != box.id:
            raise EwsViolation("ErrorInvalidOperation", "A search folder looks into folders of its own mailbox.")
        if await place.box.finds(place.folder):
            raise EwsViolation(
                "ErrorCannotSpecifySearchFolderAsSourceFolder", "A search folder cannot be looked into by another."
            )
        found.append(place.folder)
    return search_parameters.pack(Search(tuple(found), asked.deep, asked.restriction))


async def change(call: Call, place: FolderPlace, element: Element) -> None:
    """Another question. Raises EwsViolation, Refusal."""
    if not await place.box.finds(place.folder):
        raise EwsViolation("ErrorInvalidPropertySet", "Only search folders have SearchParameters.")
    kept = await given(call, place.box, element)
    await place.box.items.set_folder(place.folder, {search_parameters.KEY: kept})
    place.box.wrote(folders=True)


async def search_in(box: Box, folder: FolderId) -> Search | None:
    """What a folder looks for; None: it is no search folder. Raises EwsViolation(ErrorSearchFolderNotInitialized)."""
    found = await box.folder(folder)
    if not is_search(found):
        return None
    search = search_parameters.search_of(properties.unpack(found.properties))
    if search is None:
        raise EwsViolation("ErrorSearchFolderNotInitialized", "The folder does not know yet what to look for.")
    return search


async def scope(box: Box, search: Search) -> list[FolderId]:
    """The folders that it looks into, as they are now; those that may not be read are left out."""
    every = await box.folders()
    found: dict[FolderId, None] = {}
    for base in map(FolderId, search.folders):
        inside = [every[base]] if base in every else []
        if search.deep and (inside or base in (ROOT, TOP)):
            inside += await box.children(base, deep=True)
        found.update((one.id, None) for one in inside if one.special is not SpecialUse.RECOVERABLE)
    return [one for one in found if not is_search(every[one])]


async def counted(box: Box, facts: FolderFacts, writer: FolderWriter) -> FolderFacts:
    """The same with how many items a search folder finds, if that is to be told."""
    search = search_parameters.search_of(facts.properties) if writer.counts and facts.search else None
    if search is None:
        return facts
    needs = item_values.needs(matching.paths_of(search.restriction))
    total = unread = 0
    for one in await scope(box, search):
        try:
            async for _, found in looking.fitting(box, one, needs, search.restriction):
                total += 1
                unread += not found.flags & Flag.SEEN
        except Refusal as refusal:
            if refusal.reason not in looking.UNREADABLE:
                raise
    return facts.counted(total, unread)

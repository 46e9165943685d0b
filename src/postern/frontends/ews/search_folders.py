"""Search folders (MS-OXWSSRCH 2.2.4.26): a folder that keeps a question, which is asked anew by whoever looks into it.

It is a folder of the store's class ROOT, which holds nothing and is shown by no other protocol, with a property of its
own. Where it looks follows from the folders that are there now.
"""

from __future__ import annotations

from lxml.etree import _Element as Element

from postern.frontends.ews import looking, matching, places
from postern.frontends.ews.box import Box, is_search
from postern.frontends.ews.call import Call
from postern.frontends.ews.places import FolderPlace
from postern.model import properties
from postern.model.ids import FolderId
from postern.model.items import Folder, SpecialUse
from postern.model.refusal import Reason, Refusal
from postern.model.rights import FolderRight
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


def question_of(folder: Folder) -> Search | None:
    """What a folder looks for; None: it is no search folder, or does not know yet."""
    return search_parameters.search_of(properties.unpack(folder.properties)) if is_search(folder) else None


async def search_in(box: Box, folder: FolderId) -> Search | None:
    """What a folder looks for; None: it is no search folder. Raises EwsViolation(ErrorSearchFolderNotInitialized)."""
    found = await box.folder(folder)
    search = question_of(found)
    if search is None and is_search(found):
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


async def counted(call: Call, box: Box, facts: FolderFacts, writer: FolderWriter) -> FolderFacts:
    """The same with how many items a search folder finds, if that is to be told."""
    search = search_parameters.search_of(facts.properties) if writer.counts and facts.search else None
    if search is None:
        return facts
    question: bytes = facts.properties[search_parameters.KEY]
    every = await box.folders()
    total = unread = 0
    for one in await scope(box, search):
        if not await box.rights(one) & FolderRight.READ_ANY:
            continue
        try:
            some = await call.services.standing.counts(box, every[one], search, question)
        except Refusal as refusal:
            if refusal.reason not in looking.UNREADABLE:
                raise
            continue
        total, unread = total + some[0], unread + some[1]
    return facts.counted(total, unread)

"""GetItem (MS-OXWSCORE 3.1.4.4)."""

from __future__ import annotations

from functools import partial

from postern.frontends.ews import places, slices
from postern.frontends.ews.call import Call
from postern.frontends.ews.loading import Loader, Wanted
from postern.frontends.ews.places import ItemPlace
from postern.model.ids import FolderId, MailboxId
from postern.protocols.ews import responses
from postern.protocols.ews.item_requests import GetItem
from postern.protocols.ews.message_facts import MessageFacts
from postern.protocols.ews.message_xml import MessageWriter
from postern.protocols.ews.places import ItemRef
from postern.protocols.ews.violation import EwsViolation


def wanted(writer: MessageWriter) -> Wanted:
    """What a writer needs."""
    return Wanted(not writer.only_ids, writer.header, writer.content, writer.structure)


class Reader:
    """Messages of one request, whichever folders they are in."""

    def __init__(self, call: Call, needs: Wanted) -> None:
        self._call = call
        self._needs = needs
        self._loaders: dict[tuple[MailboxId, FolderId], Loader] = {}

    async def facts(self, place: ItemPlace) -> MessageFacts:
        """Raises EwsViolation, Refusal."""
        key = (place.box.id, place.folder)
        loader = self._loaders.get(key)
        if loader is None:
            loader = self._loaders[key] = await Loader.open(place.box, place.folder, self._needs)
        found = (await loader.by_uid([place.uid])).get(place.uid)
        if found is None:
            raise EwsViolation("ErrorItemNotFound", "There is no such item.")
        loader.attachment_ids(found, place.item)
        return found


async def get_item(call: Call, request: GetItem) -> str:
    """GetItem."""
    writer = MessageWriter(request.shape, call.version)
    reader = Reader(call, wanted(writer))

    async def one(ref: ItemRef) -> str:
        facts = await reader.facts(await places.item(call, ref))
        return f"<m:Items>{await slices.sized(len(facts.content), partial(writer.write, facts))}</m:Items>"

    message = "GetItemResponseMessage"
    return responses.response("GetItem", await call.each(message, request.items, one, empty="<m:Items/>"))

"""GetItem (MS-OXWSCORE 3.1.4.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from postern.frontends.ews import meeting_reading, places, ranges, slices, thing_mime, thing_values
from postern.frontends.ews.box import Box
from postern.frontends.ews.calendar_making import zone_for
from postern.frontends.ews.call import Call
from postern.frontends.ews.loading import Loader, Wanted
from postern.frontends.ews.places import ItemPlace
from postern.model.ids import FolderId, ItemId, MailboxId, Uid
from postern.model.refusal import Refusal
from postern.protocols.ews import ids, responses
from postern.protocols.ews.ids import FolderKey, ItemKey
from postern.protocols.ews.item_requests import GetItem
from postern.protocols.ews.message_facts import MessageFacts
from postern.protocols.ews.message_xml import MessageWriter
from postern.protocols.ews.places import ItemRef
from postern.protocols.ews.thing_fields import THINGS
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.ews.writers import writer_of


def wanted(writer: MessageWriter) -> Wanted:
    """What a writer needs."""
    needs = (writer.header, writer.content, writer.structure, writer.conversation, writer.meetings)
    return Wanted(not writer.only_ids, *needs, anatomy=writer.anatomy, parent=writer.parent)


class Reader:
    """Messages of one request, whichever folders they are in."""

    def __init__(self, call: Call, needs: Wanted) -> None:
        self._call = call
        self._needs = needs
        self._loaders: dict[tuple[MailboxId, FolderId, bool], Loader] = {}

    async def _loader(self, box: Box, folder: FolderId, *, series: bool = False) -> Loader:
        """`series`: what it has to say of occurrences is needed, even for their ids alone."""
        needs = self._needs._replace(wide=self._needs.wide or series)
        loader = self._loaders.get((box.id, folder, needs.wide))
        if loader is None:
            loader = self._loaders[box.id, folder, needs.wide] = await Loader.open(box, folder, needs)
        return loader

    async def several(self, box: Box, folder: FolderId, items: Sequence[ItemId]) -> dict[str, MessageFacts]:
        """Those of a folder's items that are there, by id. Raises Refusal."""
        loader = await self._loader(box, folder)
        wanted = {loader.id_of(item): item for item in items}
        # an item's id is its first UID: only mail that was edited has to be looked for
        read = await loader.by_uid([Uid(item) for item in items])
        found = {facts.id: facts for facts in read.values() if facts.id in wanted}
        if len(found) < len(wanted):
            places = await box.locate(folder, [item for id_, item in wanted.items() if id_ not in found])
            found |= {facts.id: facts for facts in (await loader.by_uid(list(places.values()))).values()}
        if self._needs.meetings:
            await meeting_reading.tell(self._call, box, found.values())
        for id_, facts in found.items():
            loader.attachment_ids(facts, wanted[id_])
        return found

    async def facts(self, place: ItemPlace, *, series: bool = False) -> MessageFacts:
        """`series`: its occurrences will be asked for. Raises EwsViolation, Refusal."""
        loader = await self._loader(place.box, place.folder, series=series or place.day is not None)
        found = (await loader.by_uid([place.uid])).get(place.uid)
        if found is None:
            raise EwsViolation("ErrorItemNotFound", "There is no such item.")
        loader.attachment_ids(found, place.item)
        if self._needs.meetings:
            await meeting_reading.tell(self._call, place.box, [found])
        if place.day is None:
            return found
        if found.calendar is None or found.calendar.item.recurrence is None:
            raise EwsViolation("ErrorItemNotFound", "There is no such occurrence.")
        one = thing_values.occurrence(found, place.day)
        if self._needs.content or self._needs.structure:
            held = await place.box.items.attachments(place.folder, place.uid)
            one.kept = thing_values.kept(held, place.box.id, place.folder, place.item, place.day)
            one.has_attachments = bool(one.kept)
        return one


_TOGETHER = 32
"""Messages that are in memory with their content at a time."""
_LIGHT_TOGETHER = 512
"""The same, without content."""


async def _ahead(call: Call, reader: Reader, refs: Sequence[ItemRef]) -> dict[str, MessageFacts]:
    """What can be read folder by folder; what cannot is left to be asked for one by one, which tells why."""
    groups: dict[FolderKey, list[ItemKey]] = {}
    for ref in refs:
        try:
            key = ids.read_item(ref.id)
        except EwsViolation:
            continue
        if ref.occurrence is None and not ref.master_of and not key.day:
            groups.setdefault(FolderKey(key.mailbox, key.folder), []).append(key)
    found: dict[str, MessageFacts] = {}
    for folder, keys in groups.items():
        try:
            found |= await reader.several(await call.box(folder.mailbox), folder.folder, [key.item for key in keys])
        except Refusal:
            continue
    return found


async def get_item(call: Call, request: GetItem) -> str:
    """GetItem."""
    writer = writer_of(request.shape, call.version)
    reader = Reader(call, wanted(writer))
    counted = [0, 0]
    together = _TOGETHER if writer.content or writer.header else _LIGHT_TOGETHER
    read: dict[str, MessageFacts] = {}
    refs = request.items

    async def one(ref: ItemRef) -> str:
        number = counted[0]
        counted[0] += 1
        if number % together == 0:
            read.clear()
            read.update(await _ahead(call, reader, refs[number : number + together]))
        facts = read.get(ref.id)
        if facts is None or ref.occurrence is not None or ref.master_of or ref.ranges:
            facts = await reader.facts(await places.item(call, ref, occurrences=True), series=bool(ref.ranges))
        if writer.neighbours and facts.calendar is not None and facts.calendar.told is None:
            await meeting_reading.look_around(call, facts)
        told = [facts]
        if ref.ranges:
            zone = zone_for(call, await call.agenda(await call.box(ids.read_item(ref.id).mailbox)))
            told = await asyncio.to_thread(ranges.with_occurrences, facts, ref.ranges, zone)
            counted[1] += len(told)
            if counted[1] > ranges.MAX_TOLD:
                raise EwsViolation("ErrorExceededFindCountLimit", "That are too many occurrences for one answer.")
        for one in told if writer.mime else ():
            if one.element in THINGS:
                one.content = thing_mime.of(one)
        items = [await slices.sized(writer.size(one), partial(writer.write, one)) for one in told[:1]]
        items += await slices.each(told[1:], writer.write)
        return f"<m:Items>{''.join(items)}</m:Items>"

    message = "GetItemResponseMessage"
    return responses.response("GetItem", await call.each(message, request.items, one, empty="<m:Items/>"))

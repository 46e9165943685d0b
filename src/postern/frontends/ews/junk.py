"""MarkAsJunk (MS-OXWSCORE 3.1.4.10): the message is told apart, moved, and its sender is blocked or not any more."""

from __future__ import annotations

from postern.frontends.ews import places
from postern.frontends.ews.box import Box
from postern.frontends.ews.call import Call
from postern.frontends.ews.loading import Loader, Wanted
from postern.frontends.ews.places import FolderPlace, ItemPlace
from postern.frontends.ews.transferring import transfer
from postern.model.ids import ItemId, MailboxId
from postern.model.items import Columns, SpecialUse
from postern.protocols.ews import ids, responses
from postern.protocols.ews.ids import ItemKey
from postern.protocols.ews.item_requests import MarkAsJunk
from postern.protocols.ews.places import ItemRef
from postern.services.calendar.meeting_mail import author_of
from postern.services.mailboxes import DelegateAccess, FlagChange

_JUNK, _NOT_JUNK = "$Junk", "$NotJunk"


async def mark_as_junk(call: Call, request: MarkAsJunk) -> str:
    """MarkAsJunk. The lists of a mailbox are its owner's: a delegate only moves messages."""
    senders: dict[MailboxId, list[str]] = {}

    async def one(ref: ItemRef) -> str:
        place = await places.item(call, ref)
        words = (_JUNK, _NOT_JUNK) if request.junk else (_NOT_JUNK, _JUNK)
        change = FlagChange(add_keywords=words[:1], remove_keywords=words[1:])
        await place.box.access.set_flags(place.folder, ((place.uid, place.uid),), change)
        place.box.wrote(folders=True)
        if not isinstance(place.box.access, DelegateAccess):
            senders.setdefault(place.box.id, []).append(await _sender(place))
        return await _moved(place, junk=request.junk) if request.move else ""

    told = await call.each("MarkAsJunkResponseMessage", request.items, one)
    for mailbox, found in senders.items():
        book = await call.services.rules.open(call.principal, mailbox)
        await book.block(_others(await call.box(mailbox), found), blocked=request.junk)
    return responses.response("MarkAsJunk", told)


async def _sender(place: ItemPlace) -> str:
    """Address in From; empty if there is not exactly one."""
    loader = await Loader.open(place.box, place.folder, Wanted(header=True))
    facts = (await loader.by_uid([place.uid])).get(place.uid)
    return "" if facts is None else author_of(facts.header)


def _others(box: Box, senders: list[str]) -> list[str]:
    """Without the owner of the mailbox, whom nobody wants to block by accident."""
    owner = box.owner.address.lower()
    return [address for address in dict.fromkeys(senders) if address and address != owner]


async def _moved(place: ItemPlace, *, junk: bool) -> str:
    target = await place.box.by_use(SpecialUse.JUNK if junk else SpecialUse.INBOX)
    if target.id == place.folder:
        return ""
    uid = await transfer(place, FolderPlace(place.box, target.id), move=True)
    rows = await place.box.rows(target.id, Columns.ITEM_ID | Columns.CHANGE_KEY, [uid])
    key = ids.item_id(ItemKey(place.box.id, target.id, ItemId(rows[0][0])))
    return f'<m:MovedItemId Id="{key}" ChangeKey="{ids.item_change(rows[0][1])}"/>'

"""Read receipts that a client wants sent, by SuppressReadReceipts="false" (MS-OXWSCORE 3.1.4.3.3.2, 3.1.4.9.3.2)."""

from __future__ import annotations

from postern.formats import mdn
from postern.formats.mime.compose import Mailbox
from postern.frontends.ews.call import Call
from postern.frontends.ews.places import ItemPlace
from postern.model.items import Columns, Flag, ItemClass
from postern.model.refusal import Refusal
from postern.services.mailboxes import FlagChange
from postern.services.submission import split

SENT = "$MDNSent"
"""RFC 3503: a receipt was sent, or shall not be."""


async def due(call: Call, place: ItemPlace) -> bytes | None:
    """The header of an unread message of one's own whose sender waits for a receipt; None: there is no such thing."""
    if place.box.id != call.principal.mailbox:
        return None
    rows = await place.box.rows(place.folder, Columns.FLAGS | Columns.CLASS, [place.uid])
    if not rows or rows[0][1] != ItemClass.MESSAGE or rows[0][0] & (Flag.SEEN | Flag.DRAFT):
        return None
    words = (word for bit, word in (await place.box.keywords()).items() if rows[0][0] >> bit & 1)
    if SENT.lower() in map(str.lower, words):
        return None
    head, _ = split(await place.box.access.read(place.folder, place.uid))
    return head if mdn.asked_by(head) is not None else None


async def send(call: Call, place: ItemPlace, head: bytes, disposition: str) -> None:
    """Send it. What the reader did stays done, whatever becomes of the receipt."""
    to = mdn.asked_by(head)
    if to is None:
        return
    if disposition == "displayed":
        change = FlagChange(add_keywords=(SENT,))
        await place.box.access.set_flags(place.folder, ((place.uid, place.uid),), change)
        place.box.wrote(folders=True)
        place.box.forget_keywords()
    reader = Mailbox(place.box.owner.name, call.principal.address)
    try:
        await call.services.submission.report(call.principal, to, head, reader, disposition, call.peer)
    except Refusal as refusal:
        call.services.log.info("ews.receipt_not_sent", user=call.principal.address, reason=refusal.reason.value)

"""What answers to changes say of an item: its id."""

from __future__ import annotations

from postern.frontends.ews.box import Box
from postern.model.ids import FolderId, ItemId, Uid
from postern.model.items import Columns
from postern.model.refusal import Reason, Refusal
from postern.protocols.ews import ids
from postern.protocols.ews.ids import ItemKey

_EMPTY = "<m:Items/>"


async def identity(box: Box, folder: FolderId, uid: Uid) -> str:
    """ItemId of what has just come to be in a folder."""
    try:
        rows = await box.rows(folder, Columns.ITEM_ID | Columns.CHANGE_KEY, [uid])
    except Refusal as refusal:
        if refusal.reason is not Reason.NOT_PERMITTED:
            raise
        # who may only put things there is told which it was, and no more: an error would make it put it there again
        return f'<t:ItemId Id="{ids.item_id(ItemKey(box.id, folder, ItemId(uid)))}"/>'
    if not rows:
        return ""
    item, change = rows[0]
    text = ids.item_id(ItemKey(box.id, folder, ItemId(item)))
    return f'<t:ItemId Id="{text}" ChangeKey="{ids.item_change(change)}"/>'


def items_of(identity: str, element: str = "Message") -> str:
    """Items with one of which only the id is told."""
    return f"<m:Items><t:{element}>{identity}</t:{element}></m:Items>" if identity else _EMPTY

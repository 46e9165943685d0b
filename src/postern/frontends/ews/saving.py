"""Drafts into the store: new items, and items whose MIME was written anew."""

from __future__ import annotations

from postern.formats.mime import compose
from postern.formats.mime.document import Document
from postern.frontends.ews import enclosing
from postern.frontends.ews.box import Box
from postern.frontends.ews.call import Call
from postern.frontends.ews.places import ItemPlace
from postern.model.ids import ChangeNumber, FolderId, Uid
from postern.model.items import FIRST_KEYWORD_BIT, Flag
from postern.protocols.ews.attachment_requests import NewAttachment
from postern.protocols.ews.drafting import Draft
from postern.protocols.ews.violation import EwsViolation

SYSTEM = (1 << FIRST_KEYWORD_BIT) - 1
_KEPT = Flag.SEEN | Flag.ANSWERED | Flag.FLAGGED | Flag.DRAFT
MAX_ATTACHED_DEPTH = 10


def rendered(call: Call, draft: Draft) -> bytes:
    """The message of a draft. Raises EwsViolation."""
    if draft.mime is not None and not draft.rewritten and not draft.attachments:
        return draft.mime
    for one in draft.attachments:
        draft.document.attachments.append(("", entity(call, one)))
    draft.attachments = []
    return draft.document.render(call.services.entropy)


def entity(call: Call, attachment: NewAttachment, depth: int = 0) -> bytes:
    """An attachment as a part of a message. Raises EwsViolation."""
    if attachment.item is None:
        return compose.file_entity(
            attachment.content,
            attachment.name,
            attachment.content_type,
            content_id=attachment.content_id,
            location=attachment.content_location,
            inline=attachment.inline,
        )
    if depth > MAX_ATTACHED_DEPTH:
        raise EwsViolation("ErrorAttachmentNestLevelLimitExceeded", "Messages are attached within each other too deep.")
    if attachment.item.element in enclosing.ELEMENTS:
        content = enclosing.written(call, attachment.item, lambda one: entity(call, one, depth + 1))
        return compose.message_entity(content, attachment.name)
    if attachment.item.element not in ("Message", "Item", "PostItem"):
        raise EwsViolation(
            "ErrorInvalidItemForOperationCreateItemAttachment", f"A {attachment.item.element} cannot be attached."
        )
    inner = blank()
    inner.create(attachment.item)
    if attachment.item.element == "PostItem":
        inner.field(enclosing.CLASS_FIELD, b"IPM.Post")
    for one in inner.attachments:
        inner.document.attachments.append(("", entity(call, one, depth + 1)))
    inner.attachments = []
    content = (
        inner.mime if inner.mime is not None and not inner.rewritten else inner.document.render(call.services.entropy)
    )
    return compose.message_entity(content, attachment.name)


def blank() -> Draft:
    """A new message."""
    return Draft(Document(), Flag.SEEN | Flag.DRAFT, frozenset(), sent=False)


async def add(box: Box, folder: FolderId, content: bytes, draft: Draft, *, drop: int = 0) -> Uid:
    """Put a message into a folder with all that was set; its UID. `drop`: flags it shall not have. Raises Refusal."""
    flags = int(draft.flags) & int(_KEPT) & ~drop
    keywords = tuple(sorted(draft.keywords))
    placed = await box.items.create_message(folder, content, flags, keywords, draft.received_at, draft.properties)
    box.wrote(folders=True)
    box.forget_keywords()
    return placed.uid


async def replace(place: ItemPlace, content: bytes, unchanged_since: ChangeNumber | None) -> ItemPlace:
    """Give an item another MIME; it has another UID then. Raises Refusal(CONFLICT)."""
    placed = await place.box.items.replace_message(place.item, content, unchanged_since)
    place.box.wrote(folders=True)
    return place._replace(uid=placed.uid)

"""CreateAttachment, GetAttachment, DeleteAttachment for messages (MS-OXWSATT 3.1.4).

An attachment of an attached message is named by both sections with a slash between them: `2/1`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import partial

from postern.formats.mime.anatomy import Part, anatomy
from postern.formats.mime.document import Document
from postern.formats.mime.scan import scan
from postern.frontends.ews import enclosing, item_updating, places, saving, slices, thing_attaching, thing_making
from postern.frontends.ews.call import Call
from postern.frontends.ews.item_reading import Reader
from postern.frontends.ews.loading import Wanted
from postern.frontends.ews.places import ItemPlace
from postern.model.ids import Uid
from postern.model.items import Columns, Flag, ItemClass
from postern.protocols.ews import ids, responses
from postern.protocols.ews.attachment_requests import (
    CreateAttachment,
    DeleteAttachment,
    GetAttachment,
    NewAttachment,
)
from postern.protocols.ews.attachment_xml import attachment_xml
from postern.protocols.ews.drafting import Draft
from postern.protocols.ews.ids import AttachmentKey, ItemKey
from postern.protocols.ews.message_facts import MessageFacts
from postern.protocols.ews.places import ItemRef
from postern.protocols.ews.thing_fields import THINGS
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.ews.writers import writer_of

_EMPTY = "<m:Attachments/>"
_SLASH = "/"
MAX_LEVELS = 10


async def get_attachment(call: Call, request: GetAttachment) -> str:
    """GetAttachment."""
    writer = writer_of(request.shape, call.version)
    reader = Reader(call, Wanted(content=True))

    async def one(text: str) -> str:
        key = ids.read_attachment(text)
        place = await places.item(call, ItemRef(ids.item_id(key.parent)))
        facts = await reader.facts(place)
        if facts.element in THINGS:
            return await thing_attaching.get(call, place, facts, key, writer)
        *way, last = key.section.split(_SLASH)
        if len(way) > MAX_LEVELS:
            raise EwsViolation("ErrorInvalidIdTooManyAttachmentLevels", "The id goes through too many attachments.")
        walked = ""
        for step in way:
            walked = f"{walked}{step}{_SLASH}"
            facts = _enclosed(facts, _part(facts, step), key, walked)
        part = _part(facts, last)
        facts.attachment_ids = {last: text}
        if part.enclosed:
            attached = _enclosed(facts, part, key, f"{key.section}{_SLASH}")
            inner = await slices.sized(writer.size(attached), partial(enclosing.xml, attached, writer))
        else:
            content = await slices.sized(part.size_estimate, partial(_encoded, part, facts.content))
            inner = f"<t:Content>{content}</t:Content>"
        return f"<m:Attachments>{attachment_xml(facts, part, call.version, inner)}</m:Attachments>"

    message = "GetAttachmentResponseMessage"
    return responses.response("GetAttachment", await call.each(message, request.ids, one, empty=_EMPTY))


def _encoded(part: Part, content: bytes) -> str:
    return base64.b64encode(part.decoded(content)).decode("ascii")


def _part(facts: MessageFacts, section: str) -> Part:
    found = facts.part(section)
    if found is None:
        raise EwsViolation("ErrorItemNotFound", "There is no such attachment.")
    return found


def _enclosed(facts: MessageFacts, part: Part, key: AttachmentKey, way: str) -> MessageFacts:
    """A message in a message."""
    if not part.enclosed:
        raise EwsViolation("ErrorItemNotFound", "There is no such attachment.")
    content = part.decoded(facts.content)
    found = scan(content)
    parts = anatomy(content, found.parts)
    names = {
        one.section: ids.attachment_id(AttachmentKey(key.mailbox, key.folder, key.item, way + one.section))
        for one in parts.attachments
    }
    return MessageFacts(
        id="",
        change_key="",
        parent_id="",
        parent_change_key="",
        flags=Flag.SEEN,
        received_at=found.sent_at if found.sent_at is not None else facts.received_at,
        saved_at=facts.saved_at,
        size=len(content),
        sent_at=found.sent_at,
        subject=found.subject,
        header=content[: found.header_end],
        rights=facts.rights,
        has_attachments=parts.has_attachments,
        content=content,
        anatomy=parts,
        attachment_ids=names,
        conversation_prefix=facts.conversation_prefix,
        conversation=found.conversation,
    )


async def create_attachment(call: Call, request: CreateAttachment) -> str:
    """CreateAttachment: each is put in; the item gets its new state once."""
    message = "CreateAttachmentResponseMessage"
    failed: dict[int, EwsViolation] = {}

    def put(draft: Draft) -> None:
        for number, one in enumerate(request.attachments):
            try:
                draft.document.attachments.append(("", saving.entity(call, one)))
            except EwsViolation as violation:
                failed[number] = violation

    try:
        thing = await places.item(call, request.parent, occurrences=True)
        if await thing_making.class_of(thing) in thing_making.ELEMENTS:
            return await thing_attaching.create(call, thing, request)
        place, uid = await _edit(call, request.parent, put)
    except EwsViolation as violation:
        error = violation

        async def refused(_: NewAttachment) -> str:
            raise error

        answer = await call.each(message, request.attachments, refused, empty=_EMPTY)
        return responses.response("CreateAttachment", answer)
    rows = await place.box.rows(place.folder, Columns.ITEM_ID | Columns.CHANGE_KEY, [uid])
    item, change = rows[0]
    key = ItemKey(place.box.id, place.folder, item)
    facts = await Reader(call, Wanted(content=True)).facts(ItemPlace(place.box, place.folder, item, uid))
    assert facts.anatomy is not None
    sections = iter([one.section for one in facts.anatomy.attachments][-(len(request.attachments) - len(failed)) :])

    async def one(number: int) -> str:
        if number in failed:
            raise failed[number]
        section = next(sections)
        attachment = ids.attachment_id(AttachmentKey(key.mailbox, key.folder, key.item, section))
        kind = request.attachments[number].element
        root = f' RootItemId="{ids.item_id(key)}" RootItemChangeKey="{ids.item_change(change)}"'
        return f'<m:Attachments><t:{kind}><t:AttachmentId Id="{attachment}"{root}/></t:{kind}></m:Attachments>'

    answer = await call.each(message, range(len(request.attachments)), one, empty=_EMPTY)
    return responses.response("CreateAttachment", answer)


async def delete_attachment(call: Call, request: DeleteAttachment) -> str:
    """DeleteAttachment. Sections of one item are taken out together, so that ids stay what they were."""
    keys: list[AttachmentKey | EwsViolation] = []
    for text in request.ids:
        try:
            keys.append(ids.read_attachment(text))
        except EwsViolation as violation:
            keys.append(violation)
    wanted: dict[ItemKey, list[str]] = {}
    for key in keys:
        if isinstance(key, AttachmentKey):
            wanted.setdefault(key.parent, []).append(key.section)
    done: dict[ItemKey, tuple[set[str], str] | EwsViolation] = {}
    for parent, sections in wanted.items():
        try:
            done[parent] = await _remove(call, parent, sections)
        except EwsViolation as violation:
            done[parent] = violation

    async def one(key: AttachmentKey | EwsViolation) -> str:
        if isinstance(key, EwsViolation):
            raise key
        outcome = done[key.parent]
        if isinstance(outcome, EwsViolation):
            raise outcome
        removed, root = outcome
        if key.section not in removed:
            raise EwsViolation("ErrorItemNotFound", "There is no such attachment.")
        return root

    return responses.response("DeleteAttachment", await call.each("DeleteAttachmentResponseMessage", keys, one))


async def _remove(call: Call, parent: ItemKey, sections: list[str]) -> tuple[set[str], str]:
    removed: set[str] = set()
    thing = await places.item(call, ItemRef(ids.item_id(parent)))
    if await thing_making.class_of(thing) in thing_making.ELEMENTS:
        return await thing_attaching.remove(thing, sections)

    def take(draft: Draft) -> None:
        removed.update(one for one in sections if draft.document.remove(one))

    place, uid = await _edit(call, ItemRef(ids.item_id(parent)), take, unless=lambda: not removed)
    item, change = (await place.box.rows(place.folder, Columns.ITEM_ID | Columns.CHANGE_KEY, [uid]))[0]
    key = ItemKey(place.box.id, place.folder, item)
    return removed, f'<m:RootItemId RootItemId="{ids.item_id(key)}" RootItemChangeKey="{ids.item_change(change)}"/>'


async def _edit(
    call: Call, ref: ItemRef, work: Callable[[Draft], None], unless: Callable[[], bool] = lambda: False
) -> tuple[ItemPlace, Uid]:
    """Write an item anew; where it was, its new UID. Raises EwsViolation, Refusal."""
    place = await places.item(call, ref)
    rows = await place.box.rows(place.folder, Columns.FLAGS | Columns.CLASS, [place.uid])
    if not rows:
        raise EwsViolation("ErrorItemNotFound", "There is no such item.")
    flags, item_class = rows[0]
    if item_class != ItemClass.MESSAGE:
        raise EwsViolation("ErrorInvalidItemForOperationCreateItemAttachment", "Only messages have attachments here.")
    named = await place.box.keywords()
    words = frozenset(word for bit, word in named.items() if flags >> bit & 1)
    document = Document.read(await place.box.access.read(place.folder, place.uid))
    draft = Draft(document, flags & saving.SYSTEM, words, sent=not flags & Flag.DRAFT)
    work(draft)
    if unless():
        return place, place.uid
    draft.rewritten = True
    place = await item_updating.rewrite(call, place, draft, None)
    return place, place.uid

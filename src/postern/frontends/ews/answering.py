"""Replies and forwards as response objects (MS-OXWSCDATA 2.2.4.67, MS-OXWSMSG 2.2.4.12)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from postern.formats.mime import anatomy, compose
from postern.formats.mime.compose import Mailbox
from postern.formats.mime.document import Document
from postern.frontends.ews import places, saving
from postern.frontends.ews.call import Call
from postern.frontends.ews.item_reading import Reader
from postern.frontends.ews.loading import Wanted
from postern.frontends.ews.places import ItemPlace
from postern.model.items import Flag
from postern.protocols.ews.drafting import Draft
from postern.protocols.ews.item_requests import NewItem
from postern.protocols.ews.message_facts import MessageFacts, Person, body_of, instant
from postern.protocols.ews.places import ItemRef
from postern.protocols.ews.reading import attribute, text
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.soap.writing import text as escaped
from postern.services.mailboxes import FlagChange

After = Callable[[], Awaitable[None]]
_PREFIXES = {"ReplyToItem": "RE: ", "ReplyAllToItem": "RE: ", "PostReplyItem": "RE: ", "ForwardItem": "FW: "}
_MAX_REFERENCES = 50


async def respond(call: Call, item: NewItem) -> tuple[Draft | None, After | None]:
    """The draft of a response and what is to be done when it was sent; no draft: all is done. Raises EwsViolation."""
    reference = item.first("ReferenceItemId")
    if reference is None:
        raise EwsViolation("ErrorMissingInformationReferenceItemId", "ReferenceItemId is missing.")
    ref = ItemRef(attribute(reference, "Id"), reference.get("ChangeKey", ""))
    place = await places.item(call, ref)
    if item.element == "SuppressReadReceipt":
        await place.box.access.set_flags(place.folder, _one(place), FlagChange(add_keywords=("$MDNSent",)))
        place.box.wrote()
        return None, None
    if item.element not in _PREFIXES:
        raise EwsViolation("ErrorInvalidItemForOperationCreateItem", f"{item.element} does not go with a message.")
    facts = await Reader(call, Wanted(content=True)).facts(place)
    draft = _draft(call, item, facts)
    change = FlagChange(add=Flag.ANSWERED.value)
    if item.element == "ForwardItem":
        change = FlagChange(add_keywords=("$Forwarded",))

    async def after() -> None:
        await place.box.access.set_flags(place.folder, _one(place), change)
        place.box.wrote()

    return draft, after


def _one(place: ItemPlace) -> tuple[tuple[int, int]]:
    return ((place.uid, place.uid),)


def _draft(call: Call, item: NewItem, facts: MessageFacts) -> Draft:
    draft = saving.blank()
    draft.field("Subject", compose.unstructured(_PREFIXES[item.element] + facts.topic))
    _thread(draft, facts)
    if item.element in ("ReplyToItem", "ReplyAllToItem"):
        to, cc = _recipients(call, facts, everybody=item.element == "ReplyAllToItem")
        draft.field("To", compose.mailboxes(to))
        draft.field("Cc", compose.mailboxes(cc))
    elif item.element == "ForwardItem":
        for _, entity in Document.read(facts.content).attachments:
            draft.document.attachments.append(("", entity))
    new = item.first("NewBodyContent")
    html = new is not None and new.get("BodyType") == "HTML"
    given = text(new) if new is not None else ""
    _body(draft, facts, given, html=html or (new is None and body_of(facts, "Best")[1] == "HTML"), given_html=html)
    others = tuple(one for one in item.values if one[0] not in ("ReferenceItemId", "NewBodyContent"))
    draft.create(NewItem(item.element, others))
    return draft


def _thread(draft: Draft, facts: MessageFacts) -> None:
    message_id = facts.field(b"message-id")
    if message_id:
        before = (facts.field(b"references") or facts.field(b"in-reply-to") or b"").split()[-_MAX_REFERENCES:]
        draft.field("In-Reply-To", message_id)
        draft.field("References", b"\r\n ".join([*before, message_id]))


def _recipients(call: Call, facts: MessageFacts, *, everybody: bool) -> tuple[list[Mailbox], list[Mailbox]]:
    own = {call.principal.address.lower(), facts.owner}
    to = facts.people(b"reply-to") or facts.people(b"from") or facts.people(b"sender")
    if not everybody:
        return _boxes(to, set()), []
    seen: set[str] = set()
    first = _boxes(to, seen)
    seen |= own
    return first + _boxes(facts.people(b"to"), seen), _boxes(facts.people(b"cc"), seen)


def _boxes(people: list[Person], seen: set[str]) -> list[Mailbox]:
    found = []
    for one in people:
        if one.address and one.address.lower() not in seen:
            seen.add(one.address.lower())
            found.append(Mailbox(one.name, one.address))
    return found


def _body(draft: Draft, facts: MessageFacts, new: str, *, html: bool, given_html: bool) -> None:
    """The new text and below it the old one, with who wrote it when to whom."""
    sender = facts.people(b"from")
    rows = (
        ("From", "; ".join(f"{one.name} <{one.address}>" if one.name else one.address for one in sender)),
        ("Sent", instant(facts.sent_at if facts.sent_at is not None else facts.received_at).replace("T", " ")),
        ("To", facts.display(b"to")),
        ("Cc", facts.display(b"cc")),
        ("Subject", facts.subject),
    )
    old, _ = body_of(facts, "HTML" if html else "Text")
    shown = [(name, value) for name, value in rows if value]
    if html:
        head = "".join(f"<b>{name}:</b> {escaped(value)}<br>" for name, value in shown)
        mine = new if given_html else anatomy.to_html(new)
        draft.text(f"{mine}<hr>{head}<br>{old}", html=True)
        return
    head = "".join(f"{name}: {value}\r\n" for name, value in shown)
    draft.text(f"{new}\r\n\r\n________________________________\r\n{head}\r\n{old}", html=False)

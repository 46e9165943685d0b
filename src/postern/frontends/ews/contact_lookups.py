"""Names and private lists in somebody's own contacts (MS-OXWSRSLNM 3.1.4.1, MS-OXWSDLIST 3.1.4.1)."""

from __future__ import annotations

import asyncio

from postern.frontends.ews import places, slices
from postern.frontends.ews.call import Call
from postern.frontends.ews.loading import Loader, Wanted
from postern.model.items import SpecialUse
from postern.protocols.ews import contact_fields
from postern.protocols.ews.message_facts import MessageFacts
from postern.protocols.ews.message_xml import MessageWriter
from postern.protocols.ews.places import ItemRef
from postern.protocols.ews.shapes import ItemShape
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.ews.writers import writer_of
from postern.protocols.soap.writing import attribute, text

_NAMES = ("PidTagDisplayName", "PidTagGivenName", "PidTagSurname", "PidLidFileUnder", "PidTagNickname",
          "PidTagCompanyName", "PidLidDistributionListName")  # fmt: skip
_ADDRESSES = tuple(f"PidLidEmail{number}EmailAddress" for number in (1, 2, 3))
_LOOKED_AT = 20_000
"""Contacts that one look-up goes through."""


async def resolve(call: Call, entry: str, most: int, *, full: bool) -> list[str]:
    """Resolutions of contacts and lists that begin so. Raises Refusal."""
    wanted = entry[:250].removeprefix("=").casefold().removeprefix("smtp:")
    box = await call.box()
    folder = (await box.items.special(SpecialUse.CONTACTS)).id
    loader = await Loader.open(box, folder, Wanted())
    writer = writer_of(ItemShape("AllProperties"), call.version, listing=True)
    found: list[str] = []
    count = 0
    async for _, facts in loader.all():
        count += 1
        if count % slices.ITEMS == 0:
            await asyncio.sleep(0)
        if len(found) > most or count > _LOOKED_AT:
            break
        found += _resolutions(facts, wanted, writer if full else None)
    return found


def _resolutions(facts: MessageFacts, wanted: str, writer: MessageWriter | None) -> list[str]:
    values = facts.properties
    named = any(str(values.get(key) or "").casefold().startswith(wanted) for key in _NAMES)
    name = str(values.get("PidTagDisplayName") or values.get("PidLidDistributionListName") or facts.subject)
    item = f'<t:ItemId Id="{attribute(facts.id)}" ChangeKey="{attribute(facts.change_key)}"/>'
    if facts.element == "DistributionList":
        inner = f"<t:Name>{text(name)}</t:Name><t:RoutingType>MAPIPDL</t:RoutingType>"
        mailbox = f"<t:Mailbox>{inner}<t:MailboxType>PrivateDL</t:MailboxType>{item}</t:Mailbox>"
        return [f"<t:Resolution>{mailbox}</t:Resolution>"] if named else []
    if facts.element != "Contact":
        return []
    made = []
    for key in _ADDRESSES:
        address = str(values.get(key) or "")
        if not address or not (named or address.casefold().startswith(wanted)):
            continue
        inner = f"<t:Name>{text(name or address)}</t:Name><t:EmailAddress>{text(address)}</t:EmailAddress>"
        inner += f"<t:RoutingType>SMTP</t:RoutingType><t:MailboxType>Contact</t:MailboxType>{item}"
        contact = writer.write(facts) if writer is not None else ""
        made.append(f"<t:Resolution><t:Mailbox>{inner}</t:Mailbox>{contact}</t:Resolution>")
    return made


async def expand(call: Call, ref: ItemRef) -> str:
    """The members of a private list, as DLExpansion. Raises EwsViolation, Refusal."""
    place = await places.item(call, ref)
    loader = await Loader.open(place.box, place.folder, Wanted())
    facts = (await loader.by_uid([place.uid])).get(place.uid)
    if facts is None or facts.element != "DistributionList":
        raise EwsViolation("ErrorNameResolutionNoResults", "The item is no list.")
    rows = contact_fields.members_of(facts.properties)
    inner = "".join(contact_fields.mailbox_xml(row) for row in rows)
    return f'<m:DLExpansion TotalItemsInView="{len(rows)}" IncludesLastItemInRange="true">{inner}</m:DLExpansion>'

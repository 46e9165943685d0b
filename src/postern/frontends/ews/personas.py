"""People of the address book and of contact folders as personas."""

from __future__ import annotations

from typing import Any

from postern.model.ids import FolderId, ItemId
from postern.protocols.ews import ids
from postern.protocols.ews.ids import NOBODYS, ItemKey
from postern.protocols.ews.message_facts import MessageFacts
from postern.protocols.ews.persona_xml import LIST, PERSON, ROOM, Persona, Place
from postern.services.address_book import Entry

BOOK = "Global Address List"
_KINDS = {"group": LIST, "dynamic_group": LIST, "room": ROOM, "equipment": ROOM}
_TYPES = {"group": "PublicDL", "dynamic_group": "PublicDL", "contact": "Contact"}


def of_entry(entry: Entry) -> Persona:
    """Of the address book."""
    details = entry.details
    kind = entry.kind.value
    name = entry.display_name or entry.address
    return Persona(
        id=ids.persona_id(ItemKey(NOBODYS, FolderId(0), ItemId(int(entry.id)))),
        source=BOOK,
        mailbox_type=_TYPES.get(kind, "Mailbox"),
        kind=_KINDS.get(kind, PERSON),
        name=name,
        file_as=name,
        given=details.given_name,
        surname=details.surname,
        initials=details.initials,
        title=details.title,
        department=details.department,
        company=details.company,
        office=details.office,
        manager=details.manager,
        home_page=details.web_page,
        addresses=((name, entry.address),),
        business_phone=details.phone,
        home_phone=details.home_phone,
        mobile_phone=details.mobile,
        work_fax=details.fax,
        business=Place(details.street, details.city, details.state, details.country, details.postal_code),
    )


def of_contact(facts: MessageFacts, source: str) -> Persona | None:
    """Of a contact or private list; None for what is neither. `source`: the folder's name."""
    if facts.element not in ("Contact", "DistributionList"):
        return None
    values = facts.properties
    listed = facts.element == "DistributionList"
    addresses = []
    for number in (1, 2, 3):
        address = _text(values, f"PidLidEmail{number}EmailAddress")
        if address:
            addresses.append((_text(values, f"PidLidEmail{number}DisplayName"), address))
    named = _text(values, "PidLidDistributionListName") if listed else _text(values, "PidTagDisplayName")
    key = ids.read_item(facts.id)
    return Persona(
        id=ids.persona_id(key),
        source=source,
        mailbox_type="PrivateDL" if listed else "Contact",
        kind=LIST if listed else PERSON,
        name=named or facts.subject or _text(values, "PidLidFileUnder"),
        file_as=_text(values, "PidLidFileUnder"),
        given=_text(values, "PidTagGivenName"),
        middle=_text(values, "PidTagMiddleName"),
        surname=_text(values, "PidTagSurname"),
        nickname=_text(values, "PidTagNickname"),
        initials=_text(values, "PidTagInitials"),
        title=_text(values, "PidTagTitle"),
        department=_text(values, "PidTagDepartmentName"),
        company=_text(values, "PidTagCompanyName"),
        office=_text(values, "PidTagOfficeLocation"),
        manager=_text(values, "PidTagManagerName"),
        home_page=_text(values, "PidTagBusinessHomePage"),
        im=_text(values, "PidLidInstantMessagingAddress"),
        addresses=tuple(addresses),
        business_phone=_text(values, "PidTagBusinessTelephoneNumber"),
        home_phone=_text(values, "PidTagHomeTelephoneNumber"),
        mobile_phone=_text(values, "PidTagMobileTelephoneNumber"),
        work_fax=_text(values, "PidTagBusinessFaxNumber"),
        business=_place(values, "PidLidWorkAddress"),
        home=_place(values, "PidTagHomeAddress"),
        created_at=facts.saved_at,
        folder=facts.parent_id,
        writable=facts.rights.modify,
    )


def _text(values: Any, key: str) -> str:
    return str(values.get(key) or "")


def _place(values: Any, prefix: str) -> Place:
    parts = ("Street", "City", "StateOrProvince", "Country", "PostalCode")
    if prefix == "PidLidWorkAddress":
        parts = ("Street", "City", "State", "Country", "PostalCode")
    return Place(*(_text(values, f"{prefix}{part}") for part in parts))

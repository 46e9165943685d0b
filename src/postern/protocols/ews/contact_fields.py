"""Contacts and private lists: their properties in the schema's order (MS-OXWSCONT 2.2.4.2, MS-OXWSDLIST 2.2.4.2).

Stored properties are those of model.contact.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from lxml.etree import _Element as Element

from postern.model.contact import MAX_MEMBERS
from postern.protocols.ews.item_table import (
    ALL,
    DEFAULT,
    Maker,
    Property,
    Wish,
    computed,
    moment,
    string,
    strings,
    truth,
    word,
)
from postern.protocols.ews.message_facts import MessageFacts
from postern.protocols.ews.reading import attribute, child, children, choice, local, text_of
from postern.protocols.ews.reading import text as text_in
from postern.protocols.ews.versions import Version
from postern.protocols.ews.violation import EwsViolation, SchemaViolation
from postern.protocols.soap.writing import attribute as quoted
from postern.protocols.soap.writing import text

FILE_AS = "PidLidFileUnder"
MAPPING = "PidLidFileUnderId"
MEMBERS = "PosternMembers"
PHOTO = "PidLidHasPicture"
MAPPINGS = {
    "None": -1, "LastCommaFirst": 0x8017, "FirstSpaceLast": 0x8037, "Company": 0x3A16, "LastCommaFirstCompany": 0x8019,
    "CompanyLastFirst": 0x8032, "LastFirst": 0x8030, "LastFirstCompany": 0x8034, "CompanyLastCommaFirst": 0x8018,
    "LastFirstSuffix": 0x8036, "LastSpaceFirstCompany": 0x8035, "CompanyLastSpaceFirst": 0x8033,
    "LastSpaceFirst": 0x8031, "DisplayName": 0x3001, "FirstName": 0x3A06, "LastFirstMiddleSuffix": 0x8038,
    "LastName": 0x3A11, "Empty": 0,
}  # fmt: skip
"""FileAsMappingType -> PidLidFileUnderId (MS-OXOCNTC 2.2.1.1.12)."""
_MAPPING_NAMES = {number: name for name, number in reversed(MAPPINGS.items())}
_EMAILS = {f"EmailAddress{n}": n for n in (1, 2, 3)}
_PHONES = {
    "AssistantPhone": "PidTagAssistantTelephoneNumber",
    "BusinessFax": "PidTagBusinessFaxNumber",
    "BusinessPhone": "PidTagBusinessTelephoneNumber",
    "BusinessPhone2": "PidTagBusiness2TelephoneNumber",
    "Callback": "PidTagCallbackTelephoneNumber",
    "CarPhone": "PidTagCarTelephoneNumber",
    "CompanyMainPhone": "PidTagCompanyMainTelephoneNumber",
    "HomeFax": "PidTagHomeFaxNumber",
    "HomePhone": "PidTagHomeTelephoneNumber",
    "HomePhone2": "PidTagHome2TelephoneNumber",
    "Isdn": "PidTagIsdnNumber",
    "MobilePhone": "PidTagMobileTelephoneNumber",
    "OtherFax": "PidTagPrimaryFaxNumber",
    "OtherTelephone": "PidTagOtherTelephoneNumber",
    "Pager": "PidTagPagerTelephoneNumber",
    "PrimaryPhone": "PidTagPrimaryTelephoneNumber",
    "RadioPhone": "PidTagRadioTelephoneNumber",
    "Telex": "PidTagTelexNumber",
    "TtyTddPhone": "PidTagTelecommunicationsDeviceForDeafTelephoneNumber",
}
_IMS = {
    "ImAddress1": "PidLidInstantMessagingAddress",
    "ImAddress2": "PosternImAddress2",
    "ImAddress3": "PosternImAddress3",
}
_POSTAL = {
    "Business": {part: f"PidLidWorkAddress{name}" for part, name in (
        ("Street", "Street"), ("City", "City"), ("State", "State"), ("CountryOrRegion", "Country"),
        ("PostalCode", "PostalCode"))},
    **{kind: {part: f"PidTag{kind}Address{name}" for part, name in (
        ("Street", "Street"), ("City", "City"), ("State", "StateOrProvince"), ("CountryOrRegion", "Country"),
        ("PostalCode", "PostalCode"))} for kind in ("Home", "Other")},
}  # fmt: skip


def _email_keys(number: int) -> tuple[str, str, str, str]:
    head = f"PidLidEmail{number}"
    return f"{head}EmailAddress", f"{head}DisplayName", f"{head}AddressType", f"{head}OriginalDisplayName"


def _entries(element: Element, known: Mapping[str, Any]) -> list[tuple[str, Element]]:
    found = []
    for name, one in children(element):
        if name != "Entry":
            raise SchemaViolation(f"{name} is no entry of {local(element)}.")
        found.append((choice(attribute(one, "Key"), frozenset(known), "Key"), one))
    return found


def _emails(facts: MessageFacts, wish: Wish) -> str:
    rows = []
    for key, number in _EMAILS.items():
        address, name, kind, _ = (facts.properties.get(one) for one in _email_keys(number))
        if not address:
            continue
        more = ""
        if wish.version >= Version.EXCHANGE_2010_SP1:
            more = f' Name="{quoted(str(name or address))}" RoutingType="{quoted(str(kind or "SMTP"))}"'
            more += ' MailboxType="Contact"'
        rows.append(f'<t:Entry Key="{key}"{more}>{text(str(address))}</t:Entry>')
    return f"<t:EmailAddresses>{''.join(rows)}</t:EmailAddresses>" if rows else ""


def _read_emails(element: Element) -> Mapping[str, Any]:
    made: dict[str, Any] = {}
    for key, one in _entries(element, _EMAILS):
        given = text_in(one).strip()
        address, name, kind, original = _email_keys(_EMAILS[key])
        made[address] = given or None
        made[name] = (one.get("Name") or given) if given else None
        made[kind] = (one.get("RoutingType") or "SMTP") if given else None
        made[original] = given or None
    return made


def _dictionary(name: str, keys: Mapping[str, str]) -> Maker:
    def make(facts: MessageFacts, wish: Wish) -> str:
        rows = "".join(
            f'<t:Entry Key="{key}">{text(str(value))}</t:Entry>'
            for key, stored in keys.items()
            if (value := facts.properties.get(stored))
        )
        return f"<t:{name}>{rows}</t:{name}>" if rows else ""

    return make


def _read_phones(element: Element) -> Mapping[str, Any]:
    return {_PHONES[key]: text_in(one) or None for key, one in _entries(element, _PHONES)}


def _read_ims(element: Element) -> Mapping[str, Any]:
    return {_IMS[key]: text_in(one) or None for key, one in _entries(element, _IMS)}


def _postal(facts: MessageFacts, wish: Wish) -> str:
    rows = []
    for kind, parts in _POSTAL.items():
        inner = "".join(
            f"<t:{part}>{text(str(value))}</t:{part}>"
            for part, key in parts.items()
            if (value := facts.properties.get(key))
        )
        if inner:
            rows.append(f'<t:Entry Key="{kind}">{inner}</t:Entry>')
    return f"<t:PhysicalAddresses>{''.join(rows)}</t:PhysicalAddresses>" if rows else ""


def _read_postal(element: Element) -> Mapping[str, Any]:
    made: dict[str, Any] = {}
    for kind, one in _entries(element, _POSTAL):
        for part, value in children(one):
            if part not in _POSTAL[kind]:
                raise SchemaViolation(f"{part} is no part of an address.")
            made[_POSTAL[kind][part]] = text_in(value) or None
    return made


def _complete_name(facts: MessageFacts, wish: Wish) -> str:
    get = facts.properties.get
    parts = (
        ("Title", get("PidTagDisplayNamePrefix")),
        ("FirstName", get("PidTagGivenName")),
        ("MiddleName", get("PidTagMiddleName")),
        ("LastName", get("PidTagSurname")),
        ("Suffix", get("PidTagGeneration")),
        ("Initials", get("PidTagInitials")),
        ("FullName", get("PidTagDisplayName")),
        ("Nickname", get("PidTagNickname")),
        ("YomiFirstName", get("PidLidYomiFirstName")),
        ("YomiLastName", get("PidLidYomiLastName")),
    )
    inner = "".join(f"<t:{name}>{text(str(value))}</t:{name}>" for name, value in parts if value)
    return f"<t:CompleteName>{inner}</t:CompleteName>" if inner else ""


def _mapping(facts: MessageFacts, wish: Wish) -> str:
    return f"<t:FileAsMapping>{_mapped(facts.properties)}</t:FileAsMapping>"


def _mapped(properties: Mapping[str, Any]) -> str:
    """FileAsMappingType; with a FileAs 0 is none, which it stood for once."""
    name = _MAPPING_NAMES.get(properties.get(MAPPING, -1), "None")
    return "None" if name == "Empty" and properties.get(FILE_AS) else name


def _read_mapping(element: Element) -> Mapping[str, Any]:
    return {MAPPING: MAPPINGS[choice(text_in(element), frozenset(MAPPINGS), "FileAsMapping")]}


def filed_as(properties: Mapping[str, Any]) -> str | None:
    """What FileAs becomes by the mapping that is stored; None: it stands as it was given."""

    def get(key: str) -> str:
        return str(properties.get(key) or "")

    given, middle, last = get("PidTagGivenName"), get("PidTagMiddleName"), get("PidTagSurname")
    company, suffix = get("PidTagCompanyName"), get("PidTagGeneration")
    first = " ".join(filter(None, (given, middle)))
    comma = ", ".join(filter(None, (last, first)))
    spaced = " ".join(filter(None, (last, first)))
    together = last + first
    lines = "\r\n".join
    forms = {
        "LastCommaFirst": comma,
        "FirstSpaceLast": " ".join(filter(None, (first, last, suffix))),
        "Company": company,
        "LastCommaFirstCompany": lines(filter(None, (comma, company))),
        "CompanyLastFirst": lines(filter(None, (company, together))),
        "LastFirst": together,
        "LastFirstCompany": lines(filter(None, (together, company))),
        "CompanyLastCommaFirst": lines(filter(None, (company, comma))),
        "LastFirstSuffix": " ".join(filter(None, (together, suffix))),
        "LastSpaceFirstCompany": lines(filter(None, (spaced, company))),
        "CompanyLastSpaceFirst": lines(filter(None, (company, spaced))),
        "LastSpaceFirst": spaced,
        "DisplayName": get("PidTagDisplayName"),
        "FirstName": given,
        "LastFirstMiddleSuffix": " ".join(filter(None, (last + given, middle, suffix))),
        "LastName": last,
        "Empty": "",
    }
    return forms.get(_mapped(properties))


CONTACT: tuple[Property, ...] = (
    string("contacts:FileAs", FILE_AS),
    Property("contacts:FileAsMapping", _mapping, Version.EXCHANGE_2007, ALL, 0, _read_mapping, (MAPPING,)),
    string("contacts:DisplayName", "PidTagDisplayName", DEFAULT),
    string("contacts:GivenName", "PidTagGivenName", DEFAULT),
    string("contacts:Initials", "PidTagInitials"),
    string("contacts:MiddleName", "PidTagMiddleName"),
    string("contacts:Nickname", "PidTagNickname"),
    Property("contacts:CompleteName", _complete_name, Version.EXCHANGE_2007, DEFAULT),
    string("contacts:CompanyName", "PidTagCompanyName", DEFAULT),
    Property(
        "contacts:EmailAddresses", _emails, Version.EXCHANGE_2007, DEFAULT, 0, _read_emails,
        tuple(key for number in _EMAILS.values() for key in _email_keys(number)),
    ),
    Property(
        "contacts:PhysicalAddresses", _postal, Version.EXCHANGE_2007, DEFAULT, 0, _read_postal,
        tuple(key for parts in _POSTAL.values() for key in parts.values()),
    ),
    Property(
        "contacts:PhoneNumbers", _dictionary("PhoneNumbers", _PHONES), Version.EXCHANGE_2007, DEFAULT, 0, _read_phones,
        tuple(_PHONES.values()),
    ),
    string("contacts:AssistantName", "PidTagAssistant"),
    moment("contacts:Birthday", "PidTagBirthday"),
    string("contacts:BusinessHomePage", "PidTagBusinessHomePage"),
    strings("contacts:Children", "PidTagChildrensNames"),
    strings("contacts:Companies", "PidLidCompanies"),
    computed("contacts:ContactSource", lambda facts: "Store", since=Version.EXCHANGE_2010_SP1),
    string("contacts:Department", "PidTagDepartmentName"),
    string("contacts:Generation", "PidTagGeneration"),
    Property(
        "contacts:ImAddresses", _dictionary("ImAddresses", _IMS), Version.EXCHANGE_2007, DEFAULT, 0, _read_ims,
        tuple(_IMS.values()),
    ),
    string("contacts:JobTitle", "PidTagTitle", DEFAULT),
    string("contacts:Manager", "PidTagManagerName"),
    string("contacts:Mileage", "PidLidContactMileage"),
    string("contacts:OfficeLocation", "PidTagOfficeLocation"),
    word("contacts:PostalAddressIndex", "PidLidPostalAddressId", ("None", "Home", "Business", "Other"), always=True),
    string("contacts:Profession", "PidTagProfession"),
    string("contacts:SpouseName", "PidTagSpouseName"),
    string("contacts:Surname", "PidTagSurname", DEFAULT),
    moment("contacts:WeddingAnniversary", "PidTagWeddingAnniversary"),
    truth("contacts:HasPicture", PHOTO, settable=False)._replace(since=Version.EXCHANGE_2010),
)  # fmt: skip


def indexed(uri: str, index: str) -> tuple[str, ...] | None:
    """The stored properties of an IndexedFieldURI; None: there is no such one."""
    if uri == "contacts:EmailAddress" and index in _EMAILS:
        return _email_keys(_EMAILS[index])
    if uri == "contacts:PhoneNumber" and index in _PHONES:
        return (_PHONES[index],)
    if uri == "contacts:ImAddress" and index in _IMS:
        return (_IMS[index],)
    if uri.startswith("contacts:PhysicalAddress:") and index in _POSTAL:
        key = _POSTAL[index].get(uri.rpartition(":")[2])
        return (key,) if key is not None else None
    return None


# --- private lists

Row = tuple[str, str, str, str]
"""Address, name, type, item (model.contact.Member)."""


PRIVATE_LIST = "MAPIPDL"
"""Routing type of a member that is a list itself (MS-OXWSCDATA 2.2.5.17 PrivateDL): who expands it asks once more."""


def members_of(properties: Mapping[str, Any]) -> list[Row]:
    """Members as they are stored; what makes no sense is left out."""
    stored = properties.get(MEMBERS)
    found = []
    for one in stored if isinstance(stored, list) else ():
        if isinstance(one, list) and one and all(isinstance(part, str) for part in one):
            rest = ["", "SMTP", ""]
            rest[: len(one) - 1] = one[1:4]
            found.append((one[0], *rest[:3]))
    return found


def member_key(row: Row) -> str:
    """Member's Key: what tells one from another."""
    return base64.b64encode("\0".join((row[2], row[0] or row[3])).encode()).decode()


def mailbox_xml(row: Row) -> str:
    """`<t:Mailbox>` of a member."""
    address, name, kind, item = row
    inner = f"<t:Name>{text(name or address)}</t:Name>"
    if address:
        inner += f"<t:EmailAddress>{text(address)}</t:EmailAddress>"
    if address or kind == PRIVATE_LIST:
        inner += f"<t:RoutingType>{text(kind)}</t:RoutingType>"
    named = "PrivateDL" if kind == PRIVATE_LIST else "Contact"
    inner += f"<t:MailboxType>{named if item else 'OneOff'}</t:MailboxType>"
    if item:
        inner += f'<t:ItemId Id="{quoted(item)}"/>'
    return f"<t:Mailbox>{inner}</t:Mailbox>"


def _members(facts: MessageFacts, wish: Wish) -> str:
    rows = "".join(
        f'<t:Member Key="{member_key(row)}">{mailbox_xml(row)}<t:Status>Normal</t:Status></t:Member>'
        for row in members_of(facts.properties)
    )
    return f"<t:Members>{rows}</t:Members>" if rows else ""


def read_members(element: Element) -> list[Row]:
    """Members. Raises EwsViolation."""
    found: list[Row] = []
    for name, one in children(element):
        box = child(one, "Mailbox")
        if name != "Member" or box is None:
            raise SchemaViolation("Members has a Member with a Mailbox for each.")
        item = child(box, "ItemId")
        address = text_of(box, "EmailAddress").strip()
        if not address and item is None:
            raise EwsViolation("ErrorMissingInformationEmailAddress", "A member has neither an address nor an item.")
        kind = text_of(box, "RoutingType", "SMTP").strip() or "SMTP"
        if text_of(box, "MailboxType").strip() == "PrivateDL" and item is not None:
            kind = PRIVATE_LIST
        found.append((address, text_of(box, "Name").strip(), kind, attribute(item, "Id") if item is not None else ""))
    found = list({member_key(row): row for row in found}.values())
    if len(found) > MAX_MEMBERS:
        raise EwsViolation("ErrorDataSizeLimitExceeded", f"A list has {MAX_MEMBERS} members at most.")
    return found


def _read_members(element: Element) -> Mapping[str, Any]:
    return {MEMBERS: [list(row) for row in read_members(element)] or None}


LIST: tuple[Property, ...] = (
    string("contacts:DisplayName", "PidLidDistributionListName", DEFAULT),
    string("contacts:FileAs", FILE_AS),
    computed("contacts:ContactSource", lambda facts: "Store", since=Version.EXCHANGE_2010_SP1),
    Property("distributionlist:Members", _members, Version.EXCHANGE_2010, DEFAULT, 0, _read_members, (MEMBERS,)),
)

"""Contacts, distribution lists, notes and what a task has beside its times, as EWS, ActiveSync and vCard show them.

A field's encoded name is its property's canonical one (MS-OXOCNTC, MS-OXOTASK, MS-OXONOTE): `to_properties` and
`of_properties` are the two directions, and what is empty is not stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import IntEnum
from typing import Any, TypeVar

import msgspec

from postern.model.properties import unpack

MAX_MEMBERS = 5000
"""Of a distribution list."""
MAX_TEXT = 100_000


class MailIndex(IntEnum):
    """Which of the three addresses of a contact (EmailAddressKeyType)."""

    FIRST = 1
    SECOND = 2
    THIRD = 3


class PostalIndex(IntEnum):
    """PidLidPostalAddressId: which address is the one for letters."""

    NONE = 0
    HOME = 1
    BUSINESS = 2
    OTHER = 3


def _named(name: str, default: Any = "") -> Any:
    return msgspec.field(default=default, name=name)


class Contact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody (MS-OXWSCONT 2.2.4.2). Birthday and anniversary are midnight UTC of their day."""

    file_as: str = _named("PidLidFileUnder")
    file_as_mapping: int = _named("PidLidFileUnderId", 0)
    display_name: str = _named("PidTagDisplayName")
    title: str = _named("PidTagDisplayNamePrefix")
    given_name: str = _named("PidTagGivenName")
    middle_name: str = _named("PidTagMiddleName")
    surname: str = _named("PidTagSurname")
    generation: str = _named("PidTagGeneration")
    initials: str = _named("PidTagInitials")
    nickname: str = _named("PidTagNickname")
    company: str = _named("PidTagCompanyName")
    department: str = _named("PidTagDepartmentName")
    job_title: str = _named("PidTagTitle")
    office: str = _named("PidTagOfficeLocation")
    profession: str = _named("PidTagProfession")
    manager: str = _named("PidTagManagerName")
    assistant: str = _named("PidTagAssistant")
    spouse: str = _named("PidTagSpouseName")
    children: tuple[str, ...] = _named("PidTagChildrensNames", ())
    companies: tuple[str, ...] = _named("PidLidCompanies", ())
    birthday: datetime | None = _named("PidTagBirthday", None)
    anniversary: datetime | None = _named("PidTagWeddingAnniversary", None)
    # addresses
    email1: str = _named("PidLidEmail1EmailAddress")
    email1_name: str = _named("PidLidEmail1DisplayName")
    email1_type: str = _named("PidLidEmail1AddressType")
    email1_original: str = _named("PidLidEmail1OriginalDisplayName")
    email2: str = _named("PidLidEmail2EmailAddress")
    email2_name: str = _named("PidLidEmail2DisplayName")
    email2_type: str = _named("PidLidEmail2AddressType")
    email2_original: str = _named("PidLidEmail2OriginalDisplayName")
    email3: str = _named("PidLidEmail3EmailAddress")
    email3_name: str = _named("PidLidEmail3DisplayName")
    email3_type: str = _named("PidLidEmail3AddressType")
    email3_original: str = _named("PidLidEmail3OriginalDisplayName")
    im_address1: str = _named("PidLidInstantMessagingAddress")
    im_address2: str = _named("PosternImAddress2")
    im_address3: str = _named("PosternImAddress3")
    web_page: str = _named("PidTagBusinessHomePage")
    personal_page: str = _named("PidTagPersonalHomePage")
    business_street: str = _named("PidLidWorkAddressStreet")
    business_city: str = _named("PidLidWorkAddressCity")
    business_state: str = _named("PidLidWorkAddressState")
    business_postal_code: str = _named("PidLidWorkAddressPostalCode")
    business_country: str = _named("PidLidWorkAddressCountry")
    home_street: str = _named("PidTagHomeAddressStreet")
    home_city: str = _named("PidTagHomeAddressCity")
    home_state: str = _named("PidTagHomeAddressStateOrProvince")
    home_postal_code: str = _named("PidTagHomeAddressPostalCode")
    home_country: str = _named("PidTagHomeAddressCountry")
    other_street: str = _named("PidTagOtherAddressStreet")
    other_city: str = _named("PidTagOtherAddressCity")
    other_state: str = _named("PidTagOtherAddressStateOrProvince")
    other_postal_code: str = _named("PidTagOtherAddressPostalCode")
    other_country: str = _named("PidTagOtherAddressCountry")
    postal_index: int = _named("PidLidPostalAddressId", 0)
    # telephones, EWS's PhoneNumberKeyType
    assistant_phone: str = _named("PidTagAssistantTelephoneNumber")
    business_fax: str = _named("PidTagBusinessFaxNumber")
    business_phone: str = _named("PidTagBusinessTelephoneNumber")
    business_phone2: str = _named("PidTagBusiness2TelephoneNumber")
    callback: str = _named("PidTagCallbackTelephoneNumber")
    car_phone: str = _named("PidTagCarTelephoneNumber")
    company_main_phone: str = _named("PidTagCompanyMainTelephoneNumber")
    home_fax: str = _named("PidTagHomeFaxNumber")
    home_phone: str = _named("PidTagHomeTelephoneNumber")
    home_phone2: str = _named("PidTagHome2TelephoneNumber")
    isdn: str = _named("PidTagIsdnNumber")
    mobile_phone: str = _named("PidTagMobileTelephoneNumber")
    other_fax: str = _named("PidTagPrimaryFaxNumber")
    other_phone: str = _named("PidTagOtherTelephoneNumber")
    pager: str = _named("PidTagPagerTelephoneNumber")
    primary_phone: str = _named("PidTagPrimaryTelephoneNumber")
    radio_phone: str = _named("PidTagRadioTelephoneNumber")
    telex: str = _named("PidTagTelexNumber")
    tty: str = _named("PidTagTelecommunicationsDeviceForDeafTelephoneNumber")
    # the rest
    mileage: str = _named("PidLidContactMileage")
    billing: str = _named("PidLidBilling")
    hobbies: str = _named("PidTagHobbies")
    referred_by: str = _named("PidTagReferredByName")
    customer_id: str = _named("PidTagCustomerId")
    organisational_id: str = _named("PidTagOrganizationalIdNumber")
    government_id: str = _named("PidTagGovernmentIdNumber")
    account: str = _named("PidTagAccount")
    free_busy_location: str = _named("PidLidFreeBusyLocation")
    yomi_given_name: str = _named("PidLidYomiFirstName")
    yomi_surname: str = _named("PidLidYomiLastName")
    yomi_company: str = _named("PidLidYomiCompanyName")
    text: str = _named("PidTagBody")
    html: str = _named("PidTagBodyHtml")
    categories: tuple[str, ...] = _named("PidNameKeywords", ())
    sensitivity: int = _named("PidTagSensitivity", 0)
    importance: int = _named("PidTagImportance", 1)
    has_picture: bool = _named("PidLidHasPicture", default=False)
    uid: str = _named("PosternUid")
    """vCard's."""

    @property
    def emails(self) -> tuple[tuple[str, str], ...]:
        """Address and name of those that there are."""
        pairs = ((self.email1, self.email1_name), (self.email2, self.email2_name), (self.email3, self.email3_name))
        return tuple(pair for pair in pairs if pair[0])


class Member(msgspec.Struct, frozen=True, array_like=True):
    """Of a distribution list: somebody by address, or a contact or list by item."""

    address: str
    name: str = ""
    type: str = "SMTP"
    item: str = ""
    """A contact of the mailbox, as its client names it; empty for a mere address."""


class DistributionList(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A private list (MS-OXWSDLIST)."""

    name: str = _named("PidLidDistributionListName")
    file_as: str = _named("PidLidFileUnder")
    members: tuple[Member, ...] = _named("PosternMembers", ())
    """MAPI's PidLidDistributionListMembers and OneOffMembers are made from it."""
    text: str = _named("PidTagBody")
    html: str = _named("PidTagBodyHtml")
    categories: tuple[str, ...] = _named("PidNameKeywords", ())
    sensitivity: int = _named("PidTagSensitivity", 0)
    importance: int = _named("PidTagImportance", 1)


class Note(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A sticky note (MS-OXONOTE); its subject is the first line of its text."""

    text: str = _named("PidTagBody")
    colour: int = _named("PidLidNoteColor", 3)
    width: int = _named("PidLidNoteWidth", 200)
    height: int = _named("PidLidNoteHeight", 166)
    x: int = _named("PidLidNoteX", 80)
    y: int = _named("PidLidNoteY", 80)
    categories: tuple[str, ...] = _named("PidNameKeywords", ())

    @property
    def subject(self) -> str:
        """What it is called."""
        return self.text.strip().partition("\n")[0].strip()[:255]


_Thing = TypeVar("_Thing", Contact, DistributionList, Note)


def to_properties(thing: Contact | DistributionList | Note) -> dict[str, Any]:
    """What is stored; empty values are left out."""
    made: dict[str, Any] = msgspec.to_builtins(thing, builtin_types=(datetime, bytes))
    return made


def of_properties(kind: type[_Thing], stored: bytes | Mapping[str, Any]) -> _Thing:
    """The thing of an item, from its packed map or the map. A value of another type is left out."""
    values = unpack(stored) if isinstance(stored, bytes) else stored
    try:
        return msgspec.convert(values, kind)
    except (msgspec.ValidationError, ValueError):
        kept: dict[str, Any] = {}
        for name in names(kind) & values.keys():
            try:
                msgspec.convert({name: values[name]}, kind)
            except (msgspec.ValidationError, ValueError):
                continue
            kept[name] = values[name]
        return msgspec.convert(kept, kind)


def names(kind: type[Contact | DistributionList | Note]) -> frozenset[str]:
    """Of everything that `to_properties` may give."""
    return frozenset(each.encode_name for each in msgspec.structs.fields(kind))


def named_by(contact: Contact) -> str:
    """How a contact is filed if nobody says otherwise: `Surname, Given Middle`, else company, else address."""
    given = " ".join(filter(None, (contact.given_name, contact.middle_name)))
    if contact.surname and given:
        return f"{contact.surname}, {given}"
    return contact.surname or given or contact.display_name or contact.company or contact.email1

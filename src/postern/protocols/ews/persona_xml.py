"""Personas: people of the address book and of one's contacts in one form (MS-OXWSPERS 2.2.4.7 PersonaType)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from postern.protocols.ews.folder_xml import identity
from postern.protocols.ews.message_facts import instant
from postern.protocols.ews.paths import Field, Path
from postern.protocols.soap.writing import text

PERSON, LIST, ROOM = "Person", "DistributionList", "Room"
_PREFIX = "persona:"


class Place(msgspec.Struct, frozen=True):
    """A postal address."""

    street: str = ""
    city: str = ""
    state: str = ""
    country: str = ""
    postal_code: str = ""


class Persona(msgspec.Struct, frozen=True):
    """Somebody. Empty: unknown."""

    id: str
    source: str
    """Name of the folder or list."""
    mailbox_type: str
    """Mailbox, PublicDL, PrivateDL, Contact."""
    kind: str = PERSON
    name: str = ""
    file_as: str = ""
    given: str = ""
    middle: str = ""
    surname: str = ""
    nickname: str = ""
    initials: str = ""
    title: str = ""
    department: str = ""
    company: str = ""
    office: str = ""
    manager: str = ""
    home_page: str = ""
    im: str = ""
    addresses: tuple[tuple[str, str], ...] = ()
    """Names and SMTP addresses, three at most."""
    business_phone: str = ""
    home_phone: str = ""
    mobile_phone: str = ""
    work_fax: str = ""
    business: Place = Place()
    home: Place = Place()
    created_at: int | None = None
    folder: str = ""
    """FolderId of a contact's folder."""
    writable: bool = False

    @property
    def last_first(self) -> str:
        """As lists that are ordered by surname show it."""
        return ", ".join(filter(None, (self.surname, self.given))) if self.surname else self.name

    @property
    def first_last(self) -> str:
        """The opposite."""
        return " ".join(filter(None, (self.given, self.surname))) or self.name


class _Row(NamedTuple):
    name: str
    plain: Callable[[Persona], str]
    """What conditions and orders look at."""
    xml: Callable[[str, Persona], str]
    default: bool = False


def _text(name: str, value: Callable[[Persona], str], *, default: bool = False) -> _Row:
    def xml(element: str, persona: Persona) -> str:
        found = value(persona)
        return f"<t:{element}>{text(found)}</t:{element}>" if found else ""

    return _Row(name, value, xml, default)


def _made(name: str, make: Callable[[Persona], str], plain: Callable[[Persona], str], *, default: bool = False) -> _Row:
    def xml(element: str, persona: Persona) -> str:
        found = make(persona)
        return f"<t:{element}>{found}</t:{element}>" if found else ""

    return _Row(name, plain, xml, default)


_ATTRIBUTED = "<t:Attributions><t:Attribution>0</t:Attribution></t:Attributions>"


def _strings(name: str, value: Callable[[Persona], str]) -> _Row:
    def make(persona: Persona) -> str:
        found = value(persona)
        inner = f"<t:Value>{text(found)}</t:Value>{_ATTRIBUTED}"
        return f"<t:StringAttributedValue>{inner}</t:StringAttributedValue>" if found else ""

    return _made(name, make, value)


def _phones(name: str, kind: str, value: Callable[[Persona], str]) -> _Row:
    def make(persona: Persona) -> str:
        found = value(persona)
        inner = f"<t:Value>{_phone(found, kind)}</t:Value>{_ATTRIBUTED}"
        return f"<t:PhoneNumberAttributedValue>{inner}</t:PhoneNumberAttributedValue>" if found else ""

    return _made(name, make, value)


def _emails(number: int) -> _Row:
    def make(persona: Persona) -> str:
        if len(persona.addresses) <= number:
            return ""
        inner = f"<t:Value>{_mailbox(persona, *persona.addresses[number])}</t:Value>{_ATTRIBUTED}"
        return f"<t:EmailAddressAttributedValue>{inner}</t:EmailAddressAttributedValue>"

    return _made(f"Emails{number + 1}", make, lambda persona: _address(persona, number))


def _places(name: str, value: Callable[[Persona], Place], kind: str) -> _Row:
    def make(persona: Persona) -> str:
        place = value(persona)
        if place == Place():
            return ""
        rows = (
            ("Street", place.street),
            ("City", place.city),
            ("State", place.state),
            ("Country", place.country),
            ("PostalCode", place.postal_code),
            ("Type", kind),
        )
        inner = "".join(f"<t:{part}>{text(said)}</t:{part}>" for part, said in rows if said)
        inner = f"<t:Value>{inner}</t:Value>{_ATTRIBUTED}"
        return f"<t:PostalAddressAttributedValue>{inner}</t:PostalAddressAttributedValue>"

    return _made(name, make, lambda persona: value(persona).city)


def _address(persona: Persona, number: int = 0) -> str:
    return persona.addresses[number][1] if len(persona.addresses) > number else ""


def _mailbox(persona: Persona, name: str, address: str) -> str:
    return (
        f"<t:Name>{text(name or persona.name or address)}</t:Name><t:EmailAddress>{text(address)}</t:EmailAddress>"
        f"<t:RoutingType>SMTP</t:RoutingType><t:MailboxType>{persona.mailbox_type}</t:MailboxType>"
    )


def _first_address(persona: Persona) -> str:
    return _mailbox(persona, *persona.addresses[0]) if persona.addresses else ""


def _all_addresses(persona: Persona) -> str:
    return "".join(f"<t:Address>{_mailbox(persona, *one)}</t:Address>" for one in persona.addresses)


def _phone(number: str, kind: str) -> str:
    return f"<t:Number>{text(number)}</t:Number><t:Type>{kind}</t:Type>"


def _first_phone(persona: Persona) -> str:
    kinds = ((persona.business_phone, "Business"), (persona.mobile_phone, "Mobile"), (persona.home_phone, "Home"))
    return next((_phone(number, kind) for number, kind in kinds if number), "")


def _attribution(persona: Persona) -> str:
    folder = identity("FolderId", persona.folder, "") if persona.folder else ""
    writable = "true" if persona.writable else "false"
    return (
        f'<t:Attribution><t:Id>0</t:Id><t:SourceId Id="{persona.id}"/><t:DisplayName>{text(persona.source)}'
        f"</t:DisplayName><t:IsWritable>{writable}</t:IsWritable><t:IsQuickContact>false</t:IsQuickContact>"
        f"<t:IsHidden>false</t:IsHidden>{folder}</t:Attribution>"
    )


_ROWS: tuple[_Row, ...] = (
    _text("PersonaType", lambda p: p.kind, default=True),
    _text("CreationTime", lambda p: "" if p.created_at is None else instant(p.created_at)),
    _text("DisplayNameFirstLastSortKey", lambda p: p.first_last),
    _text("DisplayNameLastFirstSortKey", lambda p: p.last_first),
    _text("CompanyNameSortKey", lambda p: p.company),
    _text("HomeCitySortKey", lambda p: p.home.city),
    _text("WorkCitySortKey", lambda p: p.business.city),
    _text("DisplayNameFirstLastHeader", lambda p: p.first_last[:1].upper()),
    _text("DisplayNameLastFirstHeader", lambda p: p.last_first[:1].upper()),
    _text("DisplayName", lambda p: p.name, default=True),
    _text("DisplayNameFirstLast", lambda p: p.first_last, default=True),
    _text("DisplayNameLastFirst", lambda p: p.last_first, default=True),
    _text("FileAs", lambda p: p.file_as),
    _text("GivenName", lambda p: p.given, default=True),
    _text("MiddleName", lambda p: p.middle),
    _text("Surname", lambda p: p.surname, default=True),
    _text("Nickname", lambda p: p.nickname),
    _text("Title", lambda p: p.title, default=True),
    _text("Department", lambda p: p.department),
    _text("CompanyName", lambda p: p.company, default=True),
    _text("Location", lambda p: p.office),
    _made("EmailAddress", _first_address, _address, default=True),
    _made("EmailAddresses", _all_addresses, lambda p: "\0".join(address for _, address in p.addresses), default=True),
    _made("PhoneNumber", _first_phone, lambda p: p.business_phone or p.mobile_phone or p.home_phone),
    _text("ImAddress", lambda p: p.im, default=True),
    _text("HomeCity", lambda p: p.home.city),
    _text("WorkCity", lambda p: p.business.city),
    _text("RelevanceScore", lambda p: "2147483647", default=True),
    _made("FolderIds", lambda p: identity("FolderId", p.folder, "") if p.folder else "", lambda p: p.folder),
    _made("Attributions", _attribution, lambda p: p.source, default=True),
    _strings("DisplayNames", lambda p: p.name),
    _strings("FileAses", lambda p: p.file_as),
    _strings("GivenNames", lambda p: p.given),
    _strings("MiddleNames", lambda p: p.middle),
    _strings("Surnames", lambda p: p.surname),
    _strings("Nicknames", lambda p: p.nickname),
    _strings("Initials", lambda p: p.initials),
    _phones("BusinessPhoneNumbers", "Business", lambda p: p.business_phone),
    _phones("HomePhones", "Home", lambda p: p.home_phone),
    _phones("MobilePhones", "Mobile", lambda p: p.mobile_phone),
    _phones("WorkFaxes", "BusinessFax", lambda p: p.work_fax),
    _emails(0),
    _emails(1),
    _emails(2),
    _strings("BusinessHomePages", lambda p: p.home_page),
    _strings("OfficeLocations", lambda p: p.office),
    _strings("ImAddresses", lambda p: p.im),
    _places("BusinessAddresses", lambda p: p.business, "Business"),
    _places("HomeAddresses", lambda p: p.home, "Home"),
    _strings("Titles", lambda p: p.title),
    _strings("Departments", lambda p: p.department),
    _strings("CompanyNames", lambda p: p.company),
    _strings("Managers", lambda p: p.manager),
)
"""In the order of the schema, behind PersonaId."""
_BY_NAME = {row.name: row for row in _ROWS}


def persona_xml(persona: Persona, base: str, additional: Sequence[Path], element: str = "t:Persona") -> str:
    """`<t:Persona>` with what a shape has."""
    named = {path.uri.removeprefix(_PREFIX) for path in additional if isinstance(path, Field)}
    inner = f'<t:PersonaId Id="{persona.id}"/>'
    for row in _ROWS:
        if base == "AllProperties" or (base != "IdOnly" and row.default) or row.name in named:
            inner += row.xml(row.name, persona)
    return f"<{element}>{inner}</{element}>"


def value(persona: Persona, path: Path) -> str | None:
    """A property as conditions look at it; None: it has none."""
    if not isinstance(path, Field) or not path.uri.startswith(_PREFIX):
        return None
    row = _BY_NAME.get(path.uri.removeprefix(_PREFIX))
    return (row.plain(persona) or None) if row is not None else None


def is_known(path: Path) -> bool:
    """Whether personas can have the property; one that this server never fills in counts too."""
    return isinstance(path, Field) and path.uri.startswith(_PREFIX)

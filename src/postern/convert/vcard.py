"""Contacts and private lists as vCards: 3.0 (RFC 2426), which every program reads, and 4.0 (RFC 6350) for lists.

Only written here; nothing that a person keeps apart from the card, such as billing codes, is in it.
"""

from __future__ import annotations

from datetime import datetime

from postern.convert.ical.syntax import component, escape, line
from postern.model.contact import Contact, DistributionList

PRODUCT = "-//Postern//Postern//EN"
_PHONES = (
    ("business_phone", "WORK,VOICE"),
    ("business_phone2", "WORK,VOICE"),
    ("home_phone", "HOME,VOICE"),
    ("home_phone2", "HOME,VOICE"),
    ("mobile_phone", "CELL"),
    ("primary_phone", "PREF,VOICE"),
    ("other_phone", "VOICE"),
    ("car_phone", "CAR"),
    ("pager", "PAGER"),
    ("business_fax", "WORK,FAX"),
    ("home_fax", "HOME,FAX"),
    ("other_fax", "FAX"),
    ("isdn", "ISDN"),
)


def write_contact(contact: Contact, uid: str = "", revised: datetime | None = None) -> bytes:
    """One VCARD 3.0. `uid`: for a contact that has none of its own."""
    name = (contact.surname, contact.given_name, contact.middle_name, contact.title, contact.generation)
    shown = contact.display_name or " ".join(filter(None, (contact.given_name, contact.surname)))
    lines = [
        line("VERSION", "3.0"),
        line("PRODID", PRODUCT),
        line("FN", escape(shown or contact.file_as or contact.company or contact.email1)),
        line("N", ";".join(escape(part) for part in name)),
    ]
    lines += _simple(
        ("UID", contact.uid or uid),
        ("NICKNAME", contact.nickname),
        ("TITLE", contact.job_title),
        ("ROLE", contact.profession),
        ("URL", contact.web_page or contact.personal_page),
        ("NOTE", contact.text),
    )
    if contact.company or contact.department:
        lines.append(line("ORG", ";".join(escape(part) for part in (contact.company, contact.department))))
    lines += [line("EMAIL", escape(address), {"TYPE": "INTERNET"}) for address, _ in contact.emails]
    for field, kind in _PHONES:
        number: str = getattr(contact, field)
        if number:
            lines.append(line("TEL", escape(number), {"TYPE": kind}))
    for kind in ("business", "home", "other"):
        parts = [getattr(contact, f"{kind}_{part}") for part in ("street", "city", "state", "postal_code", "country")]
        if any(parts):
            where = {"business": "WORK", "home": "HOME", "other": "POSTAL"}[kind]
            lines.append(line("ADR", ";;" + ";".join(escape(part) for part in parts), {"TYPE": where}))
    if contact.birthday is not None:
        lines.append(line("BDAY", f"{contact.birthday.year:04}-{contact.birthday:%m-%d}"))
    if contact.categories:
        lines.append(line("CATEGORIES", ",".join(escape(one) for one in contact.categories)))
    lines += _revision(revised)
    return component("VCARD", lines).encode("utf-8", "replace")


def write_list(group: DistributionList, uid: str = "", revised: datetime | None = None) -> bytes:
    """One VCARD 4.0 of the kind group (RFC 6350 6.1.4); members without an address are left out."""
    lines = [
        line("VERSION", "4.0"),
        line("PRODID", PRODUCT),
        line("KIND", "group"),
        line("FN", escape(group.name or group.file_as)),
    ]
    lines += _simple(("UID", uid), ("NOTE", group.text))
    lines += [line("MEMBER", f"mailto:{escape(one.address)}") for one in group.members if one.address]
    if group.categories:
        lines.append(line("CATEGORIES", ",".join(escape(one) for one in group.categories)))
    lines += _revision(revised)
    return component("VCARD", lines).encode("utf-8", "replace")


def _simple(*pairs: tuple[str, str]) -> list[str]:
    return [line(name, escape(value)) for name, value in pairs if value]


def _revision(revised: datetime | None) -> list[str]:
    return [] if revised is None else [line("REV", f"{revised.year:04}{revised:%m%dT%H%M%S}Z")]

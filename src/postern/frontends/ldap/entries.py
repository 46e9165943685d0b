"""Recipients as entries of the tree: inetOrgPerson (RFC 2798), groups and rooms, with Active Directory's words too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from postern.protocols.ldap.operations import SearchEntry

if TYPE_CHECKING:
    from postern.services.address_book import Entry

PERSON = (b"top", b"person", b"organizationalPerson", b"inetOrgPerson")
CLASSES: Mapping[str, tuple[bytes, ...]] = {
    "user": PERSON,
    "shared": PERSON,
    "equipment": PERSON,
    "room": (*PERSON, b"room"),
    "contact": (*PERSON, b"contact"),
    "group": (b"top", b"group"),
    "dynamic_group": (b"top", b"group"),
}

_FIELDS: Mapping[str, Callable[[Entry], str]] = {
    "cn": lambda entry: entry.display_name or entry.address,
    "displayName": lambda entry: entry.display_name,
    "givenName": lambda entry: entry.details.given_name,
    "sn": lambda entry: entry.details.surname,
    "initials": lambda entry: entry.details.initials,
    "mail": lambda entry: entry.address,
    "telephoneNumber": lambda entry: entry.details.phone,
    "mobile": lambda entry: entry.details.mobile,
    "facsimileTelephoneNumber": lambda entry: entry.details.fax,
    "title": lambda entry: entry.details.title,
    "department": lambda entry: entry.details.department,
    "ou": lambda entry: entry.details.department,
    "company": lambda entry: entry.details.company,
    "o": lambda entry: entry.details.company,
    "physicalDeliveryOfficeName": lambda entry: entry.details.office,
    "street": lambda entry: entry.details.street,
    "l": lambda entry: entry.details.city,
    "st": lambda entry: entry.details.state,
    "postalCode": lambda entry: entry.details.postal_code,
    "co": lambda entry: entry.details.country,
    "wWWHomePage": lambda entry: entry.details.web_page,
}
PHOTOS = {"jpegphoto": "jpegPhoto", "thumbnailphoto": "thumbnailPhoto"}
"""Sent only to whoever asks for them by name: a hundred of them are megabytes."""
ATTRIBUTES = ("objectClass", *_FIELDS)
"""What an entry may show, in the server's spelling; photographs besides."""


class Wanted:
    """The attributes that a search asks for (RFC 4511 4.5.1.8)."""

    def __init__(self, asked: Sequence[str], *, types_only: bool = False) -> None:
        names = [name.partition(";")[0].lower() for name in asked]
        self.types_only = types_only
        self.every = not names or "*" in names
        self.operational = "+" in names
        self._asked = frozenset(names)
        self.photos = tuple(name for name in PHOTOS if name in self._asked)
        self._fields = tuple((name, read) for name, read in _FIELDS.items() if self.has(name))

    def has(self, name: str) -> bool:
        """Whether a user attribute is asked for."""
        return self.every or name.lower() in self._asked

    def of(self, dn: str, entry: Entry, photo: bytes | None = None) -> SearchEntry:
        """A recipient's entry."""
        found: dict[str, tuple[bytes, ...]] = {}
        if self.has("objectClass"):
            found["objectClass"] = CLASSES[entry.kind.value]
        for name, read in self._fields:
            value = read(entry)
            if value:
                found[name] = (value.encode(),)
        if photo:
            for name in self.photos:
                # jpegPhoto is JPEG (RFC 2798 2.6); thumbnailPhoto takes what there is
                if name != "jpegphoto" or photo.startswith(b"\xff\xd8\xff"):
                    found[PHOTOS[name]] = (photo,)
        return SearchEntry(dn, self._bare(found))

    def pick(self, dn: str, attributes: Mapping[str, tuple[bytes, ...]], operational: frozenset[str]) -> SearchEntry:
        """One of the server's own entries."""
        found = {
            name: values
            for name, values in attributes.items()
            if name.lower() in self._asked or (self.operational if name in operational else self.every)
        }
        return SearchEntry(dn, self._bare(found))

    def _bare(self, found: dict[str, tuple[bytes, ...]]) -> dict[str, tuple[bytes, ...]]:
        return dict.fromkeys(found, ()) if self.types_only else found

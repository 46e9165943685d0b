"""What both kinds of directories have in common when an entry becomes a `SourceEntry`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from postern.directory.mirrored import SourceEntry
from postern.directory.objects import Details
from postern.ldapsource.values import Attributes, text

Lookup = Callable[[str], str]
"""DN -> mail address; empty if there is none."""

DETAILS: dict[str, tuple[str, ...]] = {
    "given_name": ("givenname",),
    "surname": ("sn",),
    "initials": ("initials",),
    "title": ("title",),
    "department": ("department", "departmentnumber", "ou"),
    "company": ("company", "o"),
    "office": ("physicaldeliveryofficename",),
    "phone": ("telephonenumber",),
    "mobile": ("mobile",),
    "home_phone": ("homephone",),
    "fax": ("facsimiletelephonenumber",),
    "street": ("streetaddress", "street", "postaladdress"),
    "city": ("l",),
    "state": ("st",),
    "postal_code": ("postalcode",),
    "country": ("co", "c"),
    "notes": ("info",),
    "web_page": ("wwwhomepage", "labeleduri"),
    "capacity": ("msexchresourcecapacity",),
}
"""Fields of Details by the attributes they come from, the first that has a value."""
CUSTOM = {f"extensionattribute{number}": str(number) for number in range(1, 16)}


def details(attributes: Attributes, manager: str) -> Details:
    """What the address book says of somebody."""
    fields = {field: found for field, names in DETAILS.items() if (found := text(attributes, *names))}
    custom = {number: found for name, number in CUSTOM.items() if (found := text(attributes, name))}
    return Details(**fields, manager=manager, custom=custom)


class Mapping(Protocol):
    """How a kind of directory is understood."""

    attributes: tuple[str, ...]
    """What to ask for."""
    group_attributes: tuple[str, ...]
    """Those that hold members, in small letters."""

    def anchor(self, attributes: Attributes) -> str:
        """What never changes of an entry; empty: it is of no use."""
        ...

    def references(self, attributes: Attributes) -> Sequence[str]:
        """DNs whose addresses the entry needs."""
        ...

    def address(self, dn: str, attributes: Attributes) -> str:
        """Primary address; empty if it has none."""
        ...

    def entry(self, dn: str, attributes: Attributes, lookup: Lookup) -> Mapped:
        """What an entry is here."""
        ...


class Mapped(msgspec.Struct, frozen=True):
    """What became of an entry."""

    anchor: str
    entry: SourceEntry | None = None
    """None: it is nothing here (any more)."""
    locked_until: float | None = None
    """It is locked and so disabled until then."""

"""Recipients as records of the offline address book (MS-OXOAB 2.9, MS-OXOABK 2.2.3).

It shows what the address book over LDAP shows: no other addresses, no notes, no home telephones, no targets.
"""

from __future__ import annotations

from postern.directory.interface import Entry, RecipientKind
from postern.formats.oab import details
from postern.formats.oab import properties as oab
from postern.model.published import legacy_dn

_TYPES: dict[RecipientKind, tuple[int, int, int]] = {
    RecipientKind.USER: (oab.MAIL_USER, 0, 0x40000000),
    RecipientKind.SHARED: (oab.MAIL_USER, 0, 0x40000000),
    RecipientKind.PUBLIC: (oab.MAIL_USER, 0, 0x40000000),
    RecipientKind.ROOM: (oab.MAIL_USER, 0, 0x40000007),
    RecipientKind.EQUIPMENT: (oab.MAIL_USER, 0, 0x40000008),
    RecipientKind.CONTACT: (oab.MAIL_USER, 6, 6),
    RecipientKind.GROUP: (oab.DISTRIBUTION_LIST, 1, 1),
    RecipientKind.DYNAMIC_GROUP: (oab.DISTRIBUTION_LIST, 3, 3),
}
"""Object type, display type, extended display type (MS-OXOABK 2.2.3.10 to 2.2.3.35)."""


def record(entry: Entry) -> bytes:
    """One recipient."""
    who, (kind, display, extended) = entry.details, _TYPES[entry.kind]
    values = details.texts(
        (
            (oab.EMAIL_ADDRESS, legacy_dn(entry.id)),
            (oab.SMTP_ADDRESS, entry.address),
            (oab.DISPLAY_NAME, entry.display_name or entry.address),
            (oab.ACCOUNT, entry.address.partition("@")[0]),
            (oab.SURNAME, who.surname),
            (oab.GIVEN_NAME, who.given_name),
            (oab.INITIALS, who.initials),
            (oab.OFFICE, who.office),
            (oab.PHONE, who.phone),
            (oab.STREET, who.street),
            (oab.LOCALITY, who.city),
            (oab.STATE, who.state),
            (oab.POSTAL_CODE, who.postal_code),
            (oab.COUNTRY, who.country),
            (oab.TITLE, who.title),
            (oab.COMPANY, who.company),
            (oab.DEPARTMENT, who.department),
            (oab.MOBILE, who.mobile),
            (oab.FAX, who.fax),
        )
    )
    values |= {oab.OBJECT_TYPE: kind, oab.DISPLAY_TYPE: display, oab.DISPLAY_TYPE_EX: extended}
    values[oab.PROXY_ADDRESSES] = (f"SMTP:{entry.address}",)
    return details.recipient(values)

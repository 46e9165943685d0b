"""Values of controls and names of extended operations."""

from __future__ import annotations

from collections.abc import Sequence

from postern.formats import ber
from postern.formats.ber import Reader
from postern.protocols.ldap.operations import Control

STARTTLS = "1.3.6.1.4.1.1466.20037"
"""RFC 4511 4.14."""
WHO_AM_I = "1.3.6.1.4.1.4203.1.11.3"
"""RFC 4532."""
NOTICE_OF_DISCONNECTION = "1.3.6.1.4.1.1466.20036"
PAGED_RESULTS = "1.2.840.113556.1.4.319"
"""RFC 2696."""


def paged(size: int, cookie: bytes = b"") -> Control:
    """Ask for a page of `size` entries; `cookie` is the last page's."""
    return Control(PAGED_RESULTS, True, ber.sequence(ber.integer(size), ber.octets(cookie)))


def next_page(controls: Sequence[Control]) -> bytes:
    """The cookie of the next page; empty at the end. Raises ProtocolViolation."""
    for control in controls:
        if control.oid == PAGED_RESULTS and control.value is not None:
            inner = Reader(control.value).enter()
            inner.integer()
            return inner.octets()
    return b""


SHOW_DELETED = Control("1.2.840.113556.1.4.417", True)
"""Searches find tombstones too (MS-ADTS 3.1.1.3.4.1.14)."""
DOMAIN_SCOPE = Control("1.2.840.113556.1.4.1339")
"""No references to other domains, please (MS-ADTS 3.1.1.3.4.1.3)."""

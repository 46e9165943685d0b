"""Values of controls and names of extended operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from postern.formats import ber
from postern.formats.ber import Reader
from postern.model.refusal import ProtocolViolation
from postern.protocols.ldap.operations import Control

STARTTLS = "1.3.6.1.4.1.1466.20037"
"""RFC 4511 4.14."""
WHO_AM_I = "1.3.6.1.4.1.4203.1.11.3"
"""RFC 4532."""
NOTICE_OF_DISCONNECTION = "1.3.6.1.4.1.1466.20036"
CANCEL = "1.3.6.1.1.8"
"""RFC 3909."""
PAGED_RESULTS = "1.2.840.113556.1.4.319"
"""RFC 2696."""
SORT_REQUEST, SORT_RESPONSE = "1.2.840.113556.1.4.473", "1.2.840.113556.1.4.474"
"""RFC 2891."""
VIEW_REQUEST, VIEW_RESPONSE = "2.16.840.1.113730.3.4.9", "2.16.840.1.113730.3.4.10"
"""draft-ietf-ldapext-ldapv3-vlv-09."""
MANAGE_DSA_IT = "2.16.840.1.113730.3.4.2"
"""RFC 3296: referrals are shown as entries; a server without any does nothing else."""

SORT_KEYS_LIMIT = 8


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


DIRSYNC = "1.2.840.113556.1.4.841"
"""What has changed in a naming context since the last search with it (MS-ADTS 3.1.1.3.4.1.3)."""
DIRSYNC_BYTES = 1_048_576


class Changes(NamedTuple):
    """What came with an answer to DIRSYNC."""

    more: bool
    """Ask again at once with the new cookie."""
    cookie: bytes


def changes_since(cookie: bytes) -> Control:
    """Ask for what has changed; an empty cookie asks for everything. Needs the right of a replica."""
    return Control(DIRSYNC, True, ber.sequence(ber.integer(0), ber.integer(DIRSYNC_BYTES), ber.octets(cookie)))


def changes_told(controls: Sequence[Control]) -> Changes | None:
    """The answer; None if there is none. Raises ProtocolViolation."""
    for control in controls:
        if control.oid == DIRSYNC and control.value is not None:
            inner = Reader(control.value).enter()
            more = inner.integer()
            inner.integer()
            return Changes(more != 0, inner.octets())
    return None


# --- what a server reads and answers


def page_asked(control: Control) -> tuple[int, bytes]:
    """Size and cookie of a request for a page. Raises ProtocolViolation."""
    inner = _value(control)
    size, cookie = inner.integer(), inner.octets()
    inner.finish()
    if size < 0:
        raise ProtocolViolation("a page of a negative size")
    return size, cookie


def page_given(cookie: bytes, estimate: int = 0) -> Control:
    """The answer: no cookie at the last page."""
    return Control(PAGED_RESULTS, False, ber.sequence(ber.integer(estimate), ber.octets(cookie)))


class SortKey(NamedTuple):
    """One attribute to sort by."""

    attribute: str
    reverse: bool = False


def sort_asked(control: Control) -> tuple[SortKey, ...]:
    """The keys, the first counts most; matching rules are passed over. Raises ProtocolViolation."""
    inner, keys = _value(control), []
    while inner:
        key = inner.enter()
        attribute = key.text()
        key.optional(0x80, lambda reader: reader.octets(0x80))
        keys.append(SortKey(attribute, bool(key.optional(0x81, lambda reader: reader.boolean(0x81)))))
        if len(keys) > SORT_KEYS_LIMIT:
            raise ProtocolViolation("too many sort keys")
    if not keys:
        raise ProtocolViolation("a sort without keys")
    return tuple(keys)


def sort_given(code: int, attribute: str = "") -> Control:
    """What became of the sort; `attribute` is the one that could not be sorted by."""
    parts = ber.integer(code, ber.ENUMERATED) + (ber.text(attribute, 0x80) if attribute else b"")
    return Control(SORT_RESPONSE, False, ber.element(ber.SEQUENCE, parts))


class View(NamedTuple):
    """A window into a sorted list: around a place, or around the first value that is not less than `value`."""

    before: int
    after: int
    offset: int = 0
    """From 1, in a list of `total` entries as the client believes; 0 of 0 is the start."""
    total: int = 0
    value: bytes | None = None


def view_asked(control: Control) -> View:
    """The window asked for. Raises ProtocolViolation."""
    inner = _value(control)
    before, after = inner.integer(), inner.integer()
    if inner.peek() == 0xA0:
        place = inner.enter(0xA0)
        found = View(before, after, place.integer(), place.integer())
    else:
        found = View(before, after, value=inner.octets(0x81))
    if min(found.before, found.after, found.offset, found.total) < 0:
        raise ProtocolViolation("a negative place in a list")
    return found


def view_given(position: int, count: int, code: int = 0) -> Control:
    """Where the window is (from 1) in a list of `count` entries."""
    parts = (ber.integer(position), ber.integer(count), ber.integer(code, ber.ENUMERATED))
    return Control(VIEW_RESPONSE, False, ber.sequence(*parts))


def cancel_asked(value: bytes | None) -> int:
    """The message id that a Cancel names. Raises ProtocolViolation."""
    if value is None:
        raise ProtocolViolation("a cancel of nothing")
    return Reader(value).enter().integer()


def _value(control: Control) -> Reader:
    if control.value is None:
        raise ProtocolViolation("a control without its value")
    outer = Reader(control.value)
    inner = outer.enter()
    outer.finish()
    return inner

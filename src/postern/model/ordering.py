"""How found items are put into order: sort keys (RFC 5256 3, RFC 5957) and what threads are made of."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from postern.model.ids import Uid


class SortBy(Enum):
    """One key; addresses are compared by the first one of the field."""

    ARRIVAL = "arrival"
    """INTERNALDATE."""
    CC = "cc"
    DATE = "date"
    """Date field in UTC; INTERNALDATE where there is none."""
    DISPLAY_FROM = "display-from"
    DISPLAY_TO = "display-to"
    FROM = "from"
    SIZE = "size"
    SUBJECT = "subject"
    """Base subject (RFC 5256 2.1)."""
    TO = "to"


class SortKey(NamedTuple):
    """A key and its direction; equal items are told by the next key, in the end by UID, ascending."""

    by: SortBy
    descending: bool = False


class Linked(NamedTuple):
    """What threads are made of."""

    uid: Uid
    sent_at: int
    """Seconds since the epoch, INTERNALDATE where there is no Date."""
    subject: str
    """Base subject in a form to compare."""
    is_reply: bool
    links: tuple[str, ...]
    """Its own message id (or empty), then those of its ancestors, the oldest first."""

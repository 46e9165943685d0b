"""What can be searched for: one tree for IMAP SEARCH, and later EWS, ActiveSync and web mail."""

from __future__ import annotations

import msgspec


class Query(msgspec.Struct, frozen=True):
    """A node. All nodes are immutable and hashable."""


class All(Query, frozen=True):
    """Everything."""


class And(Query, frozen=True):
    """All of them; empty matches everything."""

    of: tuple[Query, ...]


class Or(Query, frozen=True):
    """Any of them; empty matches nothing."""

    of: tuple[Query, ...]


class Not(Query, frozen=True):
    """Not that."""

    of: Query


class HasFlags(Query, frozen=True):
    """All bits of `mask` are set (0 matches everything)."""

    mask: int


class HasKeyword(Query, frozen=True):
    """The keyword is set; compared without case (RFC 9051 2.3.2)."""

    keyword: str


class UidIn(Query, frozen=True):
    """UID within one of the inclusive ranges."""

    ranges: tuple[tuple[int, int], ...]


class SizeAbove(Query, frozen=True):
    """RFC822.SIZE > octets."""

    octets: int


class SizeBelow(Query, frozen=True):
    """RFC822.SIZE < octets."""

    octets: int


class ReceivedBetween(Query, frozen=True):
    """INTERNALDATE in [start, end), seconds since the epoch; None is open."""

    start: int | None
    end: int | None


class SavedBetween(Query, frozen=True):
    """When the item came into its folder (RFC 8514), in [start, end), seconds since the epoch; None is open."""

    start: int | None
    end: int | None


class OriginIs(Query, frozen=True):
    """The item has that origin (`Columns.ORIGIN`), as all its copies have."""

    origin: int


class InConversation(Query, frozen=True):
    """The item belongs to the conversation (`Columns.CONVERSATION`)."""

    number: int


class SentBetween(Query, frozen=True):
    """Date header, its time zone disregarded (RFC 9051 6.4.4 SENTBEFORE), in [start, end)."""

    start: int | None
    end: int | None


class ModseqFrom(Query, frozen=True):
    """MODSEQ >= value (RFC 7162 3.1.5)."""

    modseq: int


class HeaderContains(Query, frozen=True):
    """A header field (lower-case name) has the text, decoded, without case; empty text: the field is there."""

    name: str
    text: str


class BodyContains(Query, frozen=True):
    """Text parts, decoded, contain the text without case."""

    text: str


class TextContains(Query, frozen=True):
    """Header or text parts, decoded, contain the text without case."""

    text: str

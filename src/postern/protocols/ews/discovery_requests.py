"""SearchMailboxes (MS-OXWSEDISC 3.1.4.6): one query over several mailboxes."""

from __future__ import annotations

import msgspec
from lxml.etree import _Element as Element

from postern.protocols.ews import paths
from postern.protocols.ews.find_requests import Order
from postern.protocols.ews.paths import PATH_ELEMENTS, Extended, Field
from postern.protocols.ews.places import limited, listed
from postern.protocols.ews.reading import (
    attribute,
    boolean_of,
    child,
    children,
    choice,
    integer_of,
    need,
    some,
    text,
    text_of,
)
from postern.protocols.ews.violation import EwsViolation, SchemaViolation

SCOPES = ("PrimaryOnly", "ArchiveOnly", "All")
MAX_MAILBOXES = 100
MAX_QUERIES = 10
MAX_PAGE = 200
PAGE = 100


class Scope(msgspec.Struct, frozen=True):
    """A mailbox to be searched."""

    mailbox: str
    """As GetSearchableMailboxes refers to it, or its address."""
    where: str


class MailboxQuery(msgspec.Struct, frozen=True):
    """A query string (AQS) and where it is asked."""

    query: str
    scopes: tuple[Scope, ...]


class SearchMailboxes(msgspec.Struct, frozen=True):
    """SearchMailboxes."""

    queries: tuple[MailboxQuery, ...]
    statistics: bool
    """StatisticsOnly; else PreviewOnly."""
    compact: bool
    extended: tuple[Extended, ...]
    order: Order
    deduplicate: bool
    size: int
    reference: str
    """SortValue of an item; empty: from the beginning."""
    backwards: bool


def search_mailboxes(element: Element) -> SearchMailboxes:
    """SearchMailboxes. Raises EwsViolation."""
    queries = tuple(_query(one) for _, one in limited(some(element, "SearchQueries")))
    if len(queries) > MAX_QUERIES or len({s.mailbox for q in queries for s in q.scopes}) > MAX_MAILBOXES:
        raise EwsViolation("ErrorSearchTooManyMailboxes", f"Up to {MAX_MAILBOXES} mailboxes can be searched at once.")
    kind = choice(text(need(element, "ResultType")), ("StatisticsOnly", "PreviewOnly"), "ResultType")
    shape, order = child(element, "PreviewItemResponseShape"), child(element, "SortBy")
    compact = False
    wanted: tuple[Extended, ...] = ()
    if shape is not None:
        compact = choice(text(need(shape, "BaseShape")), ("Default", "Compact"), "BaseShape") == "Compact"
        wanted = tuple(_extended(one) for one in listed(shape, "AdditionalProperties"))
    return SearchMailboxes(
        queries,
        kind == "StatisticsOnly",
        compact,
        wanted,
        Order(Field("item:DateTimeReceived"), True) if order is None else _order(order),
        boolean_of(element, "Deduplication"),
        min(integer_of(element, "PageSize", PAGE, 1), MAX_PAGE),
        text_of(element, "PageItemReference").strip(),
        choice(text_of(element, "PageDirection", "Next"), ("Previous", "Next"), "PageDirection") == "Previous",
    )


def _query(element: Element) -> MailboxQuery:
    scopes = tuple(
        Scope(
            text(need(one, "Mailbox")).strip(),
            choice(text(need(one, "SearchScope")), SCOPES, "SearchScope"),
        )
        for _, one in limited(some(element, "MailboxSearchScopes"))
    )
    return MailboxQuery(text(need(element, "Query")).strip(), scopes)


def _extended(element: Element) -> Extended:
    found = paths.path(element)
    if not isinstance(found, Extended):
        raise SchemaViolation("AdditionalProperties has extended properties only.")
    return found


def _order(element: Element) -> Order:
    descending = choice(attribute(element, "Order"), ("Ascending", "Descending"), "Order") == "Descending"
    for name, one in children(element):
        if name in PATH_ELEMENTS:
            return Order(paths.path(one), descending)
    raise SchemaViolation("SortBy names no property.")

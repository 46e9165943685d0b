"""Requests about notifications (MS-OXWSNTIF)."""

from __future__ import annotations

import msgspec
from lxml.etree import _Element as Element

from postern.protocols.ews import places
from postern.protocols.ews.places import AnyFolder, limited
from postern.protocols.ews.reading import boolean, choice, integer, need, only, some, text, text_of
from postern.protocols.ews.violation import EwsViolation, SchemaViolation

EVENTS = (
    "CopiedEvent",
    "CreatedEvent",
    "DeletedEvent",
    "ModifiedEvent",
    "MovedEvent",
    "NewMailEvent",
    "FreeBusyChangedEvent",
)
KINDS = {
    "PullSubscriptionRequest": "pull",
    "PushSubscriptionRequest": "push",
    "StreamingSubscriptionRequest": "streaming",
}
MAX_STREAMED = 200
"""Subscriptions on one connection."""


class Subscribe(msgspec.Struct, frozen=True):
    """Subscribe (MS-OXWSNTIF 3.1.4.4)."""

    kind: str
    """pull, push, streaming."""
    folders: tuple[AnyFolder, ...] | None
    """None: all."""
    events: frozenset[str]
    watermark: str = ""
    minutes: int = 0
    """A pull subscription's Timeout, a push subscription's StatusFrequency."""
    url: str = ""
    """Where push notifications are sent."""


class Unsubscribe(msgspec.Struct, frozen=True):
    """Unsubscribe (MS-OXWSNTIF 3.1.4.5)."""

    subscription: str


class GetEvents(msgspec.Struct, frozen=True):
    """GetEvents (MS-OXWSNTIF 3.1.4.1)."""

    subscription: str
    watermark: str


class GetStreamingEvents(msgspec.Struct, frozen=True):
    """GetStreamingEvents (MS-OXWSNTIF 3.1.4.2)."""

    subscriptions: tuple[str, ...]
    minutes: int
    """ConnectionTimeout."""


def subscribe(element: Element) -> Subscribe:
    """Raises EwsViolation, as all of these."""
    name, asked = only(element)
    kind = KINDS.get(name)
    if kind is None:
        raise SchemaViolation(f"{name} is no subscription.")
    events = frozenset(choice(text(one), EVENTS, "EventType") for _, one in limited(some(asked, "EventTypes")))
    everything = boolean(asked.get("SubscribeToAllFolders", "false"), "SubscribeToAllFolders")
    listed = places.listed(asked, "FolderIds")
    if everything == bool(listed):
        raise EwsViolation("ErrorInvalidSubscriptionRequest", "Name folders, or subscribe to all of them.")
    folders = None if everything else places.folders(asked, "FolderIds")
    limit = {"pull": "Timeout", "push": "StatusFrequency"}.get(kind, "")
    minutes = integer(text(need(asked, limit)), limit, 1, 1440) if limit else 0
    url = text(need(asked, "URL")).strip() if kind == "push" else ""
    mark = text_of(asked, "Watermark") if kind != "streaming" else ""
    return Subscribe(kind, folders, events, mark, minutes, url)


def unsubscribe(element: Element) -> Unsubscribe:
    """Unsubscribe."""
    return Unsubscribe(text(need(element, "SubscriptionId")).strip())


def get_events(element: Element) -> GetEvents:
    """GetEvents."""
    return GetEvents(text(need(element, "SubscriptionId")).strip(), text(need(element, "Watermark")).strip())


def get_streaming_events(element: Element) -> GetStreamingEvents:
    """GetStreamingEvents."""
    named = tuple(dict.fromkeys(text(one).strip() for _, one in some(element, "SubscriptionIds")))
    if len(named) > MAX_STREAMED:
        raise EwsViolation("ErrorExceededSubscriptionCount", f"A connection has {MAX_STREAMED} subscriptions at most.")
    return GetStreamingEvents(named, integer(text(need(element, "ConnectionTimeout")), "ConnectionTimeout", 1, 30))

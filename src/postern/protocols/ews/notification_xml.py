"""Events as XML (MS-OXWSNTIF 2.2.4).

In streams the schema has Notification and SubscriptionId among the types. Exchange writes them among the messages, and
clients look for them there (the managed API does), so here they are written as Exchange does.
"""

from __future__ import annotations

from typing import NamedTuple

from postern.protocols.soap.writing import attribute


class Event(NamedTuple):
    """Something that happened to an item or a folder."""

    kind: str
    """`CreatedEvent` and so on."""
    element: str
    """ItemId or FolderId."""
    id: str
    change_key: str
    parent: str
    parent_change_key: str
    unread: int | None = None
    """Of a folder that was modified."""
    old: tuple[str, str] | None = None
    """Of what was moved or copied: its id before, or the original's, and that one's folder. Folders keep their id."""


def event(one: Event, watermark: str, at: str) -> str:
    """`watermark` is left out if empty, as in streams; `at` is an xs:dateTime."""
    mark = f"<t:Watermark>{watermark}</t:Watermark>" if watermark else ""
    unread = "" if one.unread is None else f"<t:UnreadCount>{one.unread}</t:UnreadCount>"
    old = "" if one.old is None else _id(f"Old{one.element}", one.old[0], "") + _id("OldParentFolderId", one.old[1], "")
    return (
        f"<t:{one.kind}>{mark}<t:TimeStamp>{at}</t:TimeStamp>{_id(one.element, one.id, one.change_key)}"
        f"{_id('ParentFolderId', one.parent, one.parent_change_key)}{old}{unread}</t:{one.kind}>"
    )


def status(watermark: str) -> str:
    """Nothing has happened."""
    return f"<t:StatusEvent>{f'<t:Watermark>{watermark}</t:Watermark>' if watermark else ''}</t:StatusEvent>"


def notification(subscription: str, events: str, previous: str = "", *, more: bool | None = None) -> str:
    """`<m:Notification>`. `previous` and `more` are of pull subscriptions."""
    inner = f"<t:SubscriptionId>{attribute(subscription)}</t:SubscriptionId>"
    if previous:
        inner += f"<t:PreviousWatermark>{previous}</t:PreviousWatermark>"
    if more is not None:
        inner += f"<t:MoreEvents>{'true' if more else 'false'}</t:MoreEvents>"
    return f"<m:Notification>{inner}{events}</m:Notification>"


def _id(element: str, id_: str, change_key: str) -> str:
    key = f' ChangeKey="{change_key}"' if change_key else ""
    return f'<t:{element} Id="{id_}"{key}/>'

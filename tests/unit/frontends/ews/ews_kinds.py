"""Items of every kind, asked for the same things: what MS-OXWSCORE says of ItemType holds for all that extend it."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

from ews_world import Client, Reply

M_ITEM = "{http://schemas.microsoft.com/exchange/services/2006/types}"


class Kind(NamedTuple):
    """One kind of item."""

    element: str
    folder: str
    """Where it goes when nobody says."""
    item_class: str
    told: str
    """What it is called in answers."""

    @property
    def away(self) -> str:
        """Another folder."""
        return "junkemail" if self.folder == "inbox" else "inbox"


ITEM = Kind("Item", "drafts", "IPM.Note", "Message")
CONTACT = Kind("Contact", "contacts", "IPM.Contact", "Contact")
LIST = Kind("DistributionList", "contacts", "IPM.DistList", "DistributionList")
MESSAGE = Kind("Message", "drafts", "IPM.Note", "Message")
MEETING = Kind("CalendarItem", "calendar", "IPM.Appointment", "CalendarItem")
POST = Kind("PostItem", "inbox", "IPM.Post", "PostItem")
TASK = Kind("Task", "tasks", "IPM.Task", "Task")

HTML = (
    '<html><head><meta http-equiv="Content-Type" content="text/html; charset=koi8-r"><title>Test</title></head><body>'
    '<script type="text/javascript">inside()</script><p>Привет, мир <a href="http://example.net/" target="_top">here'
    '</a><img src="http://example.net/logo.png"></p></body></html>'
)


def body(text: str, kind: str = "Text") -> str:
    return f'<t:Body BodyType="{kind}">{escape(text)}</t:Body>'


def ids_xml(*items: str) -> str:
    inner = "".join(f'<t:ItemId Id="{one}"/>' for one in items)
    return f"<m:ItemIds>{inner}</m:ItemIds>"


def creating(items: str, folder: str = "") -> str:
    """CreateItem that fits every kind."""
    saved = f'<m:SavedItemFolderId><t:DistinguishedFolderId Id="{folder}"/></m:SavedItemFolderId>' if folder else ""
    return (
        f'<m:CreateItem MessageDisposition="SaveOnly" SendMeetingInvitations="SendToAllAndSaveCopy">{saved}'
        f"<m:Items>{items}</m:Items></m:CreateItem>"
    )


def item(kind: Kind, inner: str) -> str:
    return f"<t:{kind.element}>{inner}</t:{kind.element}>"


async def make(client: Client, kind: Kind, inner: str = "<t:Subject>one</t:Subject>") -> tuple[str, str]:
    """A new item of a kind; its id and change key."""
    reply = (await client.ask(creating(item(kind, inner)))).ok()
    assert [one.tag for one in reply.all("//m:Items/*")] == [f"{M_ITEM}{kind.told}"]
    return reply.ids()[0]


def setting(kind: Kind, uri: str, inner: str, action: str = "SetItemField") -> str:
    return f'<t:{action}><t:FieldURI FieldURI="{uri}"/>{item(kind, inner)}</t:{action}>'


def removing(uri: str) -> str:
    return f'<t:DeleteItemField><t:FieldURI FieldURI="{uri}"/></t:DeleteItemField>'


def updating(*changes: tuple[tuple[str, str], str], more: str = "") -> str:
    """UpdateItem: (id, change key) and what is to be done, each."""
    rows = "".join(
        f'<t:ItemChange><t:ItemId Id="{id_}" ChangeKey="{key}"/><t:Updates>{what}</t:Updates></t:ItemChange>'
        for (id_, key), what in changes
    )
    return (
        '<m:UpdateItem ConflictResolution="AutoResolve" MessageDisposition="SaveOnly" '
        f'SendMeetingInvitationsOrCancellations="SendToNone"{more}><m:ItemChanges>{rows}</m:ItemChanges></m:UpdateItem>'
    )


def deleting(*items: str, how: str = "HardDelete", more: str = "") -> str:
    return (
        f'<m:DeleteItem DeleteType="{how}" SendMeetingCancellations="SendToNone" '
        f'AffectedTaskOccurrences="AllOccurrences"{more}>{ids_xml(*items)}</m:DeleteItem>'
    )


def transferring(operation: str, folder: str, *items: str, more: str = "") -> str:
    """CopyItem, MoveItem."""
    where = f'<m:ToFolderId><t:DistinguishedFolderId Id="{folder}"/></m:ToFolderId>'
    return f"<m:{operation}>{where}{ids_xml(*items)}{more}</m:{operation}>"


def marking(folder: str, *, read: bool, quiet: bool = True) -> str:
    """MarkAllItemsAsRead."""
    return (
        f"<m:MarkAllItemsAsRead><m:ReadFlag>{str(read).lower()}</m:ReadFlag><m:SuppressReadReceipts>"
        f'{str(quiet).lower()}</m:SuppressReadReceipts><m:FolderIds><t:DistinguishedFolderId Id="{folder}"/>'
        "</m:FolderIds></m:MarkAllItemsAsRead>"
    )


def getting(items: str, shape: str = "AllProperties", options: str = "", paths: str = "") -> str:
    """GetItem. `items`: their id elements; `options`: of the shape, in the schema's order."""
    more = f"<t:AdditionalProperties>{paths}</t:AdditionalProperties>" if paths else ""
    return (
        f"<m:GetItem><m:ItemShape><t:BaseShape>{shape}</t:BaseShape>{options}{more}</m:ItemShape>"
        f"<m:ItemIds>{items}</m:ItemIds></m:GetItem>"
    )


def path(uri: str) -> str:
    return f'<t:FieldURI FieldURI="{uri}"/>'


async def get(client: Client, *items: str, shape: str = "AllProperties", options: str = "", paths: str = "") -> Reply:
    """GetItem by ItemId."""
    return await client.ask(getting("".join(f'<t:ItemId Id="{one}"/>' for one in items), shape, options, paths))


def names(reply: Reply) -> list[str]:
    """Properties of the one item of an answer, in order."""
    return [one.tag.rpartition("}")[2] for one in reply.one("//m:Items/*")]


async def found_in(client: Client, folder: str) -> list[str]:
    """Subjects."""
    return (await client.find(folder, "Default")).ok().texts("//t:Items/*/t:Subject")

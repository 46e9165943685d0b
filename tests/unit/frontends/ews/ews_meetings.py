"""What tests of meetings have in common: items as they are asked for, and what came of them in somebody's folders."""

from __future__ import annotations

from ews_world import Client, Reply

START, END = "2026-11-02T09:00:00Z", "2026-11-02T10:00:00Z"


def people(name: str, users: tuple[str, ...]) -> str:
    """RequiredAttendees and its kin; nothing of nobody."""
    rows = "".join(
        f"<t:Attendee><t:Mailbox><t:EmailAddress>{user}@example.org</t:EmailAddress></t:Mailbox></t:Attendee>"
        for user in users
    )
    return f"<t:{name}>{rows}</t:{name}>" if rows else ""


def meeting(
    uid: str,
    *,
    subject: str = "Plan",
    start: str = START,
    end: str = END,
    required: tuple[str, ...] = ("boris",),
    optional: tuple[str, ...] = (),
    rooms: tuple[str, ...] = (),
    more: str = "",
) -> str:
    """What is in a CalendarItem."""
    return (
        f"<t:Subject>{subject}</t:Subject><t:UID>{uid}</t:UID><t:Start>{start}</t:Start><t:End>{end}</t:End>"
        f"{people('RequiredAttendees', required)}{people('OptionalAttendees', optional)}{people('Resources', rooms)}{more}"
    )


def recurrence(pattern: str, range_: str = "") -> str:
    """Recurrence; by default four times from the second of November on."""
    ends = range_ or (
        "<t:NumberedRecurrence><t:StartDate>2026-11-02</t:StartDate><t:NumberOfOccurrences>4</t:NumberOfOccurrences>"
        "</t:NumberedRecurrence>"
    )
    return f"<t:Recurrence>{pattern}{ends}</t:Recurrence>"


DAILY = "<t:DailyRecurrence><t:Interval>1</t:Interval></t:DailyRecurrence>"


async def messages(client: Client, kind: str, folder: str = "inbox") -> list[Reply]:
    """Whole meeting messages of a kind in a folder, the oldest first; the list has the newest first."""
    found = (await client.find(folder, "Default")).ok()
    named = [one.get("Id") for one in reversed(found.all(f"//t:{kind}/t:ItemId"))]
    return [(await client.get(one)).ok() for one in named]


async def message(client: Client, kind: str, folder: str = "inbox") -> Reply:
    """The latest of them."""
    found = await messages(client, kind, folder)
    assert found, f"no {kind} in {folder}"
    return found[-1]


async def entries(client: Client, uid: str, folder: str = "calendar") -> list[Reply]:
    """Calendar items of a UID."""
    found = (await client.find(folder, "AllProperties")).ok()
    return [(await client.get(one.get("Id"))).ok() for one in found.all(f"//t:CalendarItem[t:UID='{uid}']/t:ItemId")]


async def entry(client: Client, uid: str, folder: str = "calendar") -> Reply:
    """The one there is."""
    (found,) = await entries(client, uid, folder)
    return found


def of(reply: Reply) -> str:
    """The id of the item that was got."""
    return reply.one("//m:Items/*/t:ItemId").get("Id")


def key(reply: Reply) -> tuple[str, str]:
    """Its id and change key."""
    found = reply.one("//m:Items/*/t:ItemId")
    return found.get("Id"), found.get("ChangeKey")


def response(element: str, item: str, more: str = "", disposition: str = "SendOnly") -> str:
    """AcceptItem and its kin."""
    said = f' MessageDisposition="{disposition}"' if disposition else ""
    return (
        f'<m:CreateItem{said}><m:Items><t:{element}><t:ReferenceItemId Id="{item}"/>{more}</t:{element}></m:Items>'
        "</m:CreateItem>"
    )


def occurrence(item: str, index: int) -> str:
    """OccurrenceItemId."""
    return f'<t:OccurrenceItemId RecurringMasterId="{item}" InstanceIndex="{index}"/>'


def master(item: str) -> str:
    """RecurringMasterItemId."""
    return f'<t:RecurringMasterItemId OccurrenceId="{item}"/>'


def get(*ids: str) -> str:
    """GetItem of ids of any kind."""
    return (
        "<m:GetItem><m:ItemShape><t:BaseShape>AllProperties</t:BaseShape></m:ItemShape>"
        f"<m:ItemIds>{''.join(ids)}</m:ItemIds></m:GetItem>"
    )


def transfer(operation: str, folder: str, *ids: str) -> str:
    """MoveItem or CopyItem."""
    return (
        f'<m:{operation}><m:ToFolderId><t:DistinguishedFolderId Id="{folder}"/></m:ToFolderId>'
        f"<m:ItemIds>{''.join(ids)}</m:ItemIds></m:{operation}>"
    )


def item(id_: str) -> str:
    """ItemId."""
    return f'<t:ItemId Id="{id_}"/>'

"""A mailbox's calendar, contacts, tasks and notes by plain EWS from inside the mail network: what a program under test
did there, and what it must notice.
"""

from __future__ import annotations

import base64
import time
import urllib.request
import xml.etree.ElementTree as Tree
from collections.abc import Callable

URL = "https://mail.example.org/EWS/Exchange.asmx"
T = "{http://schemas.microsoft.com/exchange/services/2006/types}"
M = "{http://schemas.microsoft.com/exchange/services/2006/messages}"
_ENVELOPE = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types" '
    'xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages">'
    '<s:Header><t:RequestServerVersion Version="Exchange2013_SP1"/></s:Header><s:Body>{}</s:Body></s:Envelope>'
)


class Ews:
    """One person's."""

    def __init__(self, address: str, password: str) -> None:
        self._sign_in = "Basic " + base64.b64encode(f"{address}:{password}".encode()).decode()

    def ask(self, body: str) -> Tree.Element:
        """The answer; every response message in it has to be a success."""
        request = urllib.request.Request(URL, _ENVELOPE.format(body).encode())
        request.add_header("Authorization", self._sign_in)
        request.add_header("Content-Type", "text/xml; charset=utf-8")
        with urllib.request.urlopen(request, timeout=30) as answer:
            found = Tree.fromstring(answer.read())
        for one in found.iter():
            if one.get("ResponseClass", "Success") != "Success":
                raise AssertionError(Tree.tostring(one, "unicode"))
        return found

    def create(self, folder: str, item: str, send: str = "SendToNone") -> str:
        """Its id. `item` is XML; `send` matters to calendar items alone."""
        invitations = f' SendMeetingInvitations="{send}"' if "<t:CalendarItem>" in item else ""
        answer = self.ask(
            f'<m:CreateItem MessageDisposition="SaveOnly"{invitations}><m:SavedItemFolderId>'
            f'<t:DistinguishedFolderId Id="{folder}"/></m:SavedItemFolderId><m:Items>{item}</m:Items></m:CreateItem>'
        )
        return next(answer.iter(f"{T}ItemId")).attrib["Id"]

    def update(self, item: str, kind: str, field: str, value: str, send: str = "SendToNone") -> None:
        """Set one field: `item:Subject`, and the element that says it."""
        self.ask(
            f'<m:UpdateItem ConflictResolution="AlwaysOverwrite" MessageDisposition="SaveOnly" '
            f'SendMeetingInvitationsOrCancellations="{send}"><m:ItemChanges><t:ItemChange><t:ItemId Id="{item}"/>'
            f'<t:Updates><t:SetItemField><t:FieldURI FieldURI="{field}"/><t:{kind}>{value}</t:{kind}>'
            "</t:SetItemField></t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>"
        )

    def delete(self, item: str, send: str = "SendToNone") -> None:
        self.ask(
            f'<m:DeleteItem DeleteType="HardDelete" SendMeetingCancellations="{send}" '
            f'AffectedTaskOccurrences="AllOccurrences"><m:ItemIds><t:ItemId Id="{item}"/></m:ItemIds></m:DeleteItem>'
        )

    def occurrence(self, series: str, number: int) -> str:
        """The id of an occurrence of a series, from 1."""
        answer = self.ask(
            "<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape><m:ItemIds>"
            f'<t:OccurrenceItemId RecurringMasterId="{series}" InstanceIndex="{number}"/></m:ItemIds></m:GetItem>'
        )
        return next(answer.iter(f"{T}ItemId")).attrib["Id"]

    def view(self, start: str, end: str) -> list[tuple[str, str]]:
        """Subjects and starts of a span of the calendar."""
        answer = self.ask(
            '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>Default</t:BaseShape></m:ItemShape>'
            f'<m:CalendarView StartDate="{start}" EndDate="{end}"/><m:ParentFolderIds>'
            '<t:DistinguishedFolderId Id="calendar"/></m:ParentFolderIds></m:FindItem>'
        )
        return [
            (one.findtext(f"{T}Subject") or "", one.findtext(f"{T}Start") or "")
            for one in answer.iter(f"{T}CalendarItem")
        ]

    def find(self, folder: str, subject: str) -> Tree.Element | None:
        """All properties of the one with that subject; a contact is found by what it is filed under."""
        field = "contacts:FileAs" if folder == "contacts" else "item:Subject"
        answer = self.ask(
            '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>'
            f'<m:Restriction><t:IsEqualTo><t:FieldURI FieldURI="{field}"/><t:FieldURIOrConstant>'
            f'<t:Constant Value="{subject}"/></t:FieldURIOrConstant></t:IsEqualTo></m:Restriction><m:ParentFolderIds>'
            f'<t:DistinguishedFolderId Id="{folder}"/></m:ParentFolderIds></m:FindItem>'
        )
        ids = [one.attrib["Id"] for one in answer.iter(f"{T}ItemId")]
        if not ids:
            return None
        answer = self.ask(
            "<m:GetItem><m:ItemShape><t:BaseShape>AllProperties</t:BaseShape><t:BodyType>Text</t:BodyType>"
            f'</m:ItemShape><m:ItemIds><t:ItemId Id="{ids[0]}"/></m:ItemIds></m:GetItem>'
        )
        return next(iter(next(answer.iter(f"{M}Items"))))

    def named(self, folder: str) -> list[str]:
        """Subjects and names of all that is in a folder."""
        answer = self.ask(
            '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>Default</t:BaseShape></m:ItemShape>'
            f'<m:ParentFolderIds><t:DistinguishedFolderId Id="{folder}"/></m:ParentFolderIds></m:FindItem>'
        )
        return [one.text or "" for one in answer.iter() if one.tag in (f"{T}Subject", f"{T}DisplayName", f"{T}FileAs")]

    def facts(self, folder: str, subject: str, *names: str) -> list[str | None] | None:
        """The texts of some elements (the first with each name); None: there is no such item."""
        item = self.find(folder, subject)
        if item is None:
            return None
        return [next((each.text for each in item.iter(f"{T}{name}")), None) for name in names]

    def wait(self, ask: Callable[[], object], good: Callable[[object], bool], seconds: float = 60) -> object:
        """What it says as soon as that is good, or what it is at the end."""
        end = time.monotonic() + seconds
        while True:
            found = ask()
            if good(found) or time.monotonic() > end:
                return found
            time.sleep(0.1)

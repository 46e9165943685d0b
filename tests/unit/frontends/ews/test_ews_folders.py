"""GetFolder, FindFolder, CreateFolder, UpdateFolder, DeleteFolder, MoveFolder, CopyFolder, EmptyFolder, SyncFolderHierarchy."""

from __future__ import annotations

import pytest

TOP = '<t:DistinguishedFolderId Id="msgfolderroot"/>'


def get(*refs: str, shape: str = "AllProperties", extra: str = "") -> str:
    return (
        f"<m:GetFolder><m:FolderShape><t:BaseShape>{shape}</t:BaseShape>{extra}</m:FolderShape>"
        f"<m:FolderIds>{''.join(refs)}</m:FolderIds></m:GetFolder>"
    )


def by_id(id_: str) -> str:
    return f'<t:FolderId Id="{id_}"/>'


def named(name: str) -> str:
    return f'<t:DistinguishedFolderId Id="{name}"/>'


@pytest.mark.conformance("MSOXWSFOLD_S04_TC04_GetInboxFolder")
async def test_the_inbox_with_all_properties(anna):
    reply = (await anna.ask(get(named("inbox")))).ok()
    assert reply.text("//t:DisplayName") == "Inbox"
    assert reply.text("//t:FolderClass") == "IPF.Note"
    assert reply.text("//t:DistinguishedFolderId") == "inbox"
    assert reply.version == "Exchange2013_SP1"


@pytest.mark.conformance(
    "MSOXWSFOLD_S04_TC01_GetCalendarFolder",
    "MSOXWSFOLD_S04_TC02_GetContactsFolder",
    "MSOXWSFOLD_S04_TC03_GetJournalFolder",
    "MSOXWSFOLD_S04_TC05_GetNotesFolder",
    "MSOXWSFOLD_S04_TC06_GetTasksFolder",
)
async def test_each_kind_of_folder_has_its_element(anna):
    kinds = {
        "calendar": ("CalendarFolder", "IPF.Appointment"),
        "contacts": ("ContactsFolder", "IPF.Contact"),
        "tasks": ("TasksFolder", "IPF.Task"),
        "notes": ("Folder", "IPF.StickyNote"),
        "journal": ("Folder", "IPF.Journal"),
    }
    reply = (await anna.ask(get(*map(named, kinds)))).ok()
    found = reply.all("//m:Folders/*")
    assert [one.tag.rpartition("}")[2] for one in found] == [element for element, _ in kinds.values()]
    assert reply.texts("//t:FolderClass") == [container for _, container in kinds.values()]

"""Folders with everything that may be said of them and with nothing of it; managed and public folders there are none."""

from __future__ import annotations

import pytest
from test_ews_folders import by_id, get, named
from test_ews_permissions import FLAGS, row

KINDS = ("Folder", "CalendarFolder", "ContactsFolder", "TasksFolder")
EVERYTHING = "".join(f"<t:{name}>true</t:{name}>" for name in FLAGS) + (
    "<t:EditItems>All</t:EditItems><t:DeleteItems>All</t:DeleteItems><t:ReadItems>FullDetails</t:ReadItems>"
)


def folders(rows: str) -> str:
    return (
        f"<m:CreateFolder><m:ParentFolderId>{named('inbox')}</m:ParentFolderId><m:Folders>{rows}</m:Folders>"
        "</m:CreateFolder>"
    )


def transfer(operation: str, folder: str, ids: list[str]) -> str:
    return (
        f"<m:{operation}><m:ToFolderId>{named(folder)}</m:ToFolderId><m:FolderIds>{''.join(map(by_id, ids))}"
        f"</m:FolderIds></m:{operation}>"
    )


def made(reply) -> list[str]:
    return [one.get("Id") for one in reply.ok().all("//m:Folders/*/t:FolderId")]


@pytest.mark.parametrize(
    "whole",
    [
        pytest.param(True, marks=pytest.mark.conformance("MSOXWSFOLD_S08_TC01_AllOperationsWithAllOptionalElements")),
        pytest.param(
            False, marks=pytest.mark.conformance("MSOXWSFOLD_S08_TC02_AllOperationsWithoutAllOptionalElements")
        ),
    ],
)
async def test_every_operation_with_all_and_with_nothing(anna, whole):
    shared = f"<t:PermissionSet><t:Permissions>{row('Custom', EVERYTHING)}</t:Permissions></t:PermissionSet>"
    rows = "".join(
        f"<t:{kind}>{'<t:FolderClass>IPF.MyOwn</t:FolderClass>' if whole and kind == 'Folder' else ''}"
        f"<t:DisplayName>{kind}</t:DisplayName>{shared if whole and kind != 'CalendarFolder' else ''}</t:{kind}>"
        for kind in KINDS
    )
    ids = made(await anna.ask(folders(rows)))
    wanted = '<t:AdditionalProperties><t:FieldURI FieldURI="folder:PermissionSet"/></t:AdditionalProperties>'
    got = (await anna.ask(get(*map(by_id, ids), extra=wanted))).ok()
    assert [one.tag.rpartition("}")[2] for one in got.all("//m:Folders/*")] == list(KINDS)
    assert got.texts("//t:DisplayName[parent::t:Folder or parent::t:TasksFolder]") == ["Folder", "TasksFolder"]
    custom = got.all("//t:Permission[t:UserId/t:PrimarySmtpAddress='boris@example.org']")
    assert len(custom) == (3 if whole else 0)
    changes = "".join(
        f'<t:FolderChange>{by_id(one)}<t:Updates><t:SetFolderField><t:FieldURI FieldURI="folder:DisplayName"/>'
        f"<t:{kind}><t:DisplayName>{kind} 2</t:DisplayName></t:{kind}></t:SetFolderField></t:Updates></t:FolderChange>"
        for one, kind in zip(ids, KINDS, strict=True)
    )
    (await anna.ask(f"<m:UpdateFolder><m:FolderChanges>{changes}</m:FolderChanges></m:UpdateFolder>")).ok()
    copies = made(await anna.ask(transfer("CopyFolder", "drafts", ids)))
    moved = made(await anna.ask(transfer("MoveFolder", "deleteditems", ids)))
    got = (await anna.ask(get(*map(by_id, copies + moved)))).ok()
    assert got.texts("//m:Folders/*/t:DisplayName") == [f"{kind} 2" for kind in KINDS] * 2
    every = "".join(map(by_id, copies + moved))
    gone = f'<m:DeleteFolder DeleteType="HardDelete"><m:FolderIds>{every}</m:FolderIds></m:DeleteFolder>'
    assert (await anna.ask(gone)).ok().codes == ["NoError"] * 8
    assert set((await anna.ask(get(*map(by_id, copies + moved)))).codes) == {"ErrorFolderNotFound"}


def managed(*names: str, address: str = "") -> str:
    rows = "".join(f"<t:FolderName>{name}</t:FolderName>" for name in names)
    box = f"<m:Mailbox><t:EmailAddress>{address}</t:EmailAddress></m:Mailbox>" if address else ""
    return f"<m:CreateManagedFolder><m:FolderNames>{rows}</m:FolderNames>{box}</m:CreateManagedFolder>"


@pytest.mark.parametrize(
    ("request_", "codes"),
    [
        pytest.param(
            managed("Invoices", address="nobody@example.org"), ["ErrorNonExistentMailbox"],
            marks=pytest.mark.conformance("MSOXWSFOLD_S01_TC07_CreateManagedFolderInNonexistingMailbox"),
        ),
        pytest.param(
            managed("Invoices", "Invoices"), ["ErrorDuplicateInputFolderNames"] * 2,
            marks=pytest.mark.conformance("MSOXWSFOLD_S01_TC08_CreateDuplicateManagedFolder"),
        ),
        (managed("Invoices", "Letters"), ["ErrorManagedFolderNotFound"] * 2),
    ],
)  # fmt: skip
async def test_managed_folders_there_are_none(anna, request_, codes):
    assert (await anna.ask(request_)).codes == codes


@pytest.mark.conformance("MSOXWSFOLD_S05_TC04_EmptyPublicFolderFailed")
async def test_public_folders_are_not_emptied(anna):
    empty = (
        '<m:EmptyFolder DeleteType="HardDelete" DeleteSubFolders="true">'
        f"<m:FolderIds>{named('publicfoldersroot')}</m:FolderIds></m:EmptyFolder>"
    )
    reply = await anna.ask(empty)
    assert reply.one("//m:EmptyFolderResponseMessage").get("ResponseClass") == "Error"
    assert reply.codes == ["ErrorNoPublicFolderReplicaAvailable"]

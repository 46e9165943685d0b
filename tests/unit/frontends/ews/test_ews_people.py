"""Contacts, private lists, tasks and notes: CreateItem, GetItem, UpdateItem, FindItem, attachments."""

from __future__ import annotations

import base64

import pytest

CONTACT = (
    "<t:Subject>ignored</t:Subject>"
    '<t:Body BodyType="Text">met in Riga</t:Body><t:Categories><t:String>Red</t:String></t:Categories>'
    "<t:FileAsMapping>LastCommaFirst</t:FileAsMapping><t:DisplayName>Olga Petrova</t:DisplayName>"
    "<t:GivenName>Olga</t:GivenName><t:Initials>O.P.</t:Initials><t:MiddleName>I.</t:MiddleName>"
    "<t:Nickname>Olja</t:Nickname><t:CompanyName>Acme</t:CompanyName>"
    '<t:EmailAddresses><t:Entry Key="EmailAddress1" Name="Olga" RoutingType="SMTP">olga@example.net</t:Entry>'
    '<t:Entry Key="EmailAddress3">o@example.net</t:Entry></t:EmailAddresses>'
    '<t:PhysicalAddresses><t:Entry Key="Home"><t:Street>1 Main</t:Street><t:City>Riga</t:City><t:State>-</t:State>'
    "<t:CountryOrRegion>LV</t:CountryOrRegion><t:PostalCode>1010</t:PostalCode></t:Entry></t:PhysicalAddresses>"
    '<t:PhoneNumbers><t:Entry Key="MobilePhone">+371 1</t:Entry><t:Entry Key="TtyTddPhone">2</t:Entry></t:PhoneNumbers>'
    "<t:AssistantName>Ivan</t:AssistantName><t:Birthday>1980-02-29T00:00:00Z</t:Birthday>"
    "<t:BusinessHomePage>https://example.net</t:BusinessHomePage><t:Children><t:String>A</t:String></t:Children>"
    "<t:Companies><t:String>Acme</t:String></t:Companies><t:Department>R&amp;D</t:Department>"
    "<t:Generation>Jr</t:Generation>"
    '<t:ImAddresses><t:Entry Key="ImAddress2">im:olga</t:Entry></t:ImAddresses><t:JobTitle>Chief</t:JobTitle>'
    "<t:Manager>M</t:Manager><t:Mileage>9</t:Mileage><t:OfficeLocation>12</t:OfficeLocation>"
    "<t:PostalAddressIndex>Home</t:PostalAddressIndex><t:Profession>P</t:Profession><t:SpouseName>S</t:SpouseName>"
    "<t:Surname>Petrova</t:Surname><t:WeddingAnniversary>2001-05-05T00:00:00Z</t:WeddingAnniversary>"
)


def create(element: str, inner: str, folder: str = "") -> str:
    where = f'<m:SavedItemFolderId><t:DistinguishedFolderId Id="{folder}"/></m:SavedItemFolderId>' if folder else ""
    return f"<m:CreateItem>{where}<m:Items><t:{element}>{inner}</t:{element}></m:Items></m:CreateItem>"


def update(item: tuple[str, str], *changes: str, more: str = "") -> str:
    return (
        f'<m:UpdateItem ConflictResolution="AlwaysOverwrite" MessageDisposition="SaveOnly"{more}><m:ItemChanges>'
        f'<t:ItemChange><t:ItemId Id="{item[0]}" ChangeKey="{item[1]}"/><t:Updates>{"".join(changes)}</t:Updates>'
        "</t:ItemChange></m:ItemChanges></m:UpdateItem>"
    )


def set_(element: str, uri: str, inner: str, action: str = "SetItemField", index: str = "") -> str:
    path = f'<t:IndexedFieldURI FieldURI="{uri}" FieldIndex="{index}"/>' if index else f'<t:FieldURI FieldURI="{uri}"/>'
    value = "" if action == "DeleteItemField" else f"<t:{element}>{inner}</t:{element}>"
    return f"<t:{action}>{path}{value}</t:{action}>"


async def made(client, element: str, inner: str, folder: str = "") -> tuple[str, str]:
    return (await client.ask(create(element, inner, folder))).ok().ids()[0]


@pytest.mark.conformance(
    "MSOXWSCONT_S01_TC02_VerifyContactItemWithAllElement",
    "MSOXWSCONT_S06_TC02_OperateContactItemWithOptionalElements",
)
async def test_a_contact_with_all_it_can_have(anna):
    item = await made(anna, "Contact", CONTACT)
    got = (await anna.get(item[0])).ok()
    assert got.text("//t:FileAs") == "Petrova, Olga I."
    assert got.text("//t:Subject") == "ignored"
    assert got.text("//t:CompleteName/t:FullName") == "Olga Petrova"
    assert got.one("//t:EmailAddresses/t:Entry[1]").attrib == {
        "Key": "EmailAddress1", "Name": "Olga", "RoutingType": "SMTP", "MailboxType": "Contact",
    }  # fmt: skip
    assert got.texts("//t:EmailAddresses/t:Entry") == ["olga@example.net", "o@example.net"]
    assert got.text("//t:PhysicalAddresses/t:Entry/t:PostalCode") == "1010"
    assert got.texts("//t:PhoneNumbers/t:Entry") == ["+371 1", "2"]
    assert got.text("//t:Birthday") == "1980-02-29T00:00:00Z"
    assert got.text("//t:Department") == "R&D"
    assert got.text("//t:PostalAddressIndex") == "Home"
    assert got.text("//t:ItemClass") == "IPM.Contact"
    assert got.text("//t:Body") == "met in Riga"
    assert got.texts("//t:Categories/t:String") == ["Red"]
    found = (await anna.find("contacts", "AllProperties")).ok()
    assert found.text("//t:Surname") == "Petrova"


@pytest.mark.conformance("MSOXWSCONT_S02_TC01_UpdateContactItem")
async def test_single_entries_of_a_contact_are_changed_and_removed(anna):
    item = await made(anna, "Contact", CONTACT)
    changes = (
        set_("Contact", "contacts:EmailAddress",
             '<t:EmailAddresses><t:Entry Key="EmailAddress2">two@example.net</t:Entry></t:EmailAddresses>',
             index="EmailAddress2"),
        set_("Contact", "contacts:EmailAddress", "", "DeleteItemField", "EmailAddress3"),
        set_("Contact", "contacts:PhysicalAddress:City",
             '<t:PhysicalAddresses><t:Entry Key="Home"><t:City>Jurmala</t:City></t:Entry></t:PhysicalAddresses>',
             index="Home"),
        set_("Contact", "contacts:PhoneNumber", "", "DeleteItemField", "TtyTddPhone"),
        set_("Contact", "contacts:Surname", "<t:Surname>Orlova</t:Surname>"),
        set_("Contact", "contacts:Manager", "", "DeleteItemField"),
    )  # fmt: skip
    (await anna.ask(update(item, *changes))).ok()
    got = (await anna.get(item[0])).ok()
    assert got.texts("//t:EmailAddresses/t:Entry") == ["olga@example.net", "two@example.net"]
    assert got.text("//t:PhysicalAddresses/t:Entry/t:City") == "Jurmala"
    assert got.text("//t:PhysicalAddresses/t:Entry/t:Street") == "1 Main"
    assert got.texts("//t:PhoneNumbers/t:Entry") == ["+371 1"]
    assert got.text("//t:FileAs") == "Orlova, Olga I."
    assert not got.all("//t:Manager")


@pytest.mark.conformance("MSOXWSCONT_S01_TC10_VerifyHasPictureIsReadonly")
@pytest.mark.parametrize(
    ("inner", "code"),
    [
        ("<t:HasPicture>true</t:HasPicture>", "ErrorInvalidPropertySet"),
        ("<t:CompleteName/>", "ErrorInvalidPropertySet"),
        ("<t:Status>Completed</t:Status>", "ErrorInvalidPropertyRequest"),
        ("<t:MimeContent>QQ==</t:MimeContent>", "ErrorUnsupportedMimeConversion"),
        ("<t:ItemClass>IPM.Note</t:ItemClass>", "ErrorObjectTypeChanged"),
    ],
)
async def test_what_a_contact_cannot_have(anna, inner, code):
    assert (await anna.ask(create("Contact", inner))).codes == [code]


@pytest.mark.conformance("MSOXWSCONT_S01_TC09_VerifyErrorCannotCreateContactInNonContactFolder")
async def test_contacts_go_to_folders_of_contacts(anna):
    reply = await anna.ask(create("Contact", CONTACT, "inbox"))
    assert reply.codes == ["ErrorCannotCreateContactInNonContactFolder"]


async def test_a_picture_is_an_attachment(anna):
    item = await made(anna, "Contact", CONTACT)
    photo = base64.b64encode(b"\xff\xd8jpeg").decode()
    reply = await anna.ask(
        f'<m:CreateAttachment><m:ParentItemId Id="{item[0]}"/><m:Attachments><t:FileAttachment>'
        f"<t:Name>ContactPicture.jpg</t:Name><t:Content>{photo}</t:Content><t:IsContactPhoto>true</t:IsContactPhoto>"
        "</t:FileAttachment><t:FileAttachment><t:Name>cv.txt</t:Name><t:Content>Y3Y=</t:Content></t:FileAttachment>"
        "</m:Attachments></m:CreateAttachment>"
    )
    ids = [one.get("Id") for one in reply.ok().all("//t:AttachmentId")]
    assert len(ids) == 2
    got = (await anna.get(item[0])).ok()
    assert got.texts("//t:FileAttachment/t:IsContactPhoto") == ["true", "false"]
    assert got.text("//t:HasPicture") == "true"
    read = await anna.ask(
        f'<m:GetAttachment><m:AttachmentIds><t:AttachmentId Id="{ids[1]}"/></m:AttachmentIds></m:GetAttachment>'
    )
    assert base64.b64decode(read.ok().text("//t:Content")) == b"cv"
    gone = (
        f'<m:DeleteAttachment><m:AttachmentIds><t:AttachmentId Id="{ids[0]}"/></m:AttachmentIds></m:DeleteAttachment>'
    )
    (await anna.ask(gone)).ok()
    got = (await anna.get(item[0])).ok()
    assert got.text("//t:HasPicture") == "false"
    assert got.texts("//t:FileAttachment/t:Name") == ["cv.txt"]
    assert (await anna.ask(gone)).codes == ["ErrorItemNotFound"]


def member(address: str, name: str = "") -> str:
    said = f"<t:Name>{name}</t:Name>" if name else ""
    return f"<t:Member><t:Mailbox>{said}<t:EmailAddress>{address}</t:EmailAddress></t:Mailbox></t:Member>"


async def test_a_private_list_its_members_and_their_expansion(anna):
    inner = f"<t:DisplayName>Friends</t:DisplayName><t:Members>{member('a@example.net', 'A')}</t:Members>"
    item = await made(anna, "DistributionList", inner)
    members = f"<t:Members>{member('b@example.net')}{member('a@example.net')}</t:Members>"
    (
        await anna.ask(update(item, set_("DistributionList", "distributionlist:Members", members, "AppendToItemField")))
    ).ok()
    got = (await anna.get(item[0])).ok()
    assert got.texts("//t:Member/t:Mailbox/t:EmailAddress") == ["a@example.net", "b@example.net"]
    key = got.one("//t:Member[1]").get("Key")
    expand = f'<m:ExpandDL><m:Mailbox><t:ItemId Id="{item[0]}"/></m:Mailbox></m:ExpandDL>'
    assert (await anna.ask(expand)).ok().texts("//t:EmailAddress") == ["a@example.net", "b@example.net"]
    gone = set_("DistributionList", "distributionlist:Members:Member", "", "DeleteItemField", key)
    (await anna.ask(update(item, gone))).ok()
    assert (await anna.get(item[0])).ok().texts("//t:Member/t:Mailbox/t:EmailAddress") == ["b@example.net"]


async def test_a_list_in_a_list_and_in_itself_is_told_as_one_and_expanded_no_deeper(anna):
    """MS-OXWSDLIST 3.1.4.1: one level; whoever wants more asks with the member's id."""
    inner = f"<t:DisplayName>Inner</t:DisplayName><t:Members>{member('a@example.net')}</t:Members>"
    within = await made(anna, "DistributionList", inner)
    outer = await made(anna, "DistributionList", "<t:DisplayName>Outer</t:DisplayName>")
    lists = "".join(
        f"<t:Member><t:Mailbox><t:Name>{name}</t:Name><t:MailboxType>PrivateDL</t:MailboxType>"
        f'<t:ItemId Id="{id_}"/></t:Mailbox></t:Member>'
        for name, id_ in (("Inner", within[0]), ("Outer", outer[0]))
    )
    members = f"<t:Members>{lists}</t:Members>"
    (await anna.ask(update(outer, set_("DistributionList", "distributionlist:Members", members)))).ok()

    async def expanded(id_: str):
        return (await anna.ask(f'<m:ExpandDL><m:Mailbox><t:ItemId Id="{id_}"/></m:Mailbox></m:ExpandDL>')).ok()

    told = await expanded(outer[0])
    assert told.texts("//t:Mailbox/t:Name") == ["Inner", "Outer"]
    assert told.texts("//t:Mailbox/t:MailboxType") == ["PrivateDL", "PrivateDL"]
    assert told.texts("//t:Mailbox/t:RoutingType") == ["MAPIPDL", "MAPIPDL"]
    ids = [one.get("Id") for one in told.all("//t:Mailbox/t:ItemId")]
    assert ids == [within[0], outer[0]]
    assert (await expanded(ids[0])).texts("//t:EmailAddress") == ["a@example.net"]
    got = (await anna.get(outer[0])).ok()
    assert got.texts("//t:Member/t:Mailbox/t:MailboxType") == ["PrivateDL", "PrivateDL"]


async def test_names_resolve_in_contacts(anna):
    await made(anna, "Contact", CONTACT)
    for scope, expected in (("Contacts", ["olga@example.net"]), ("ActiveDirectory", [])):
        reply = await anna.ask(
            f'<m:ResolveNames ReturnFullContactData="true" SearchScope="{scope}">'
            "<m:UnresolvedEntry>petro</m:UnresolvedEntry></m:ResolveNames>"
        )
        assert reply.texts("//t:Mailbox/t:EmailAddress")[:1] == expected


DAILY = (
    "<t:Recurrence><t:{name}><t:Interval>{n}</t:Interval></t:{name}><t:NoEndRecurrence>"
    "<t:StartDate>2026-11-02</t:StartDate></t:NoEndRecurrence></t:Recurrence>"
)


async def test_a_task_and_its_status(anna):
    inner = (
        "<t:Subject>Report</t:Subject><t:ActualWork>30</t:ActualWork><t:DueDate>2026-12-02T00:00:00Z</t:DueDate>"
        "<t:PercentComplete>25</t:PercentComplete><t:StartDate>2026-12-01T00:00:00+02:00</t:StartDate>"
    )
    item = await made(anna, "Task", inner)
    got = (await anna.get(item[0])).ok()
    assert got.text("//t:Status") == "InProgress"
    assert got.text("//t:PercentComplete") == "25"
    assert got.text("//t:StartDate") == "2026-12-01T00:00:00Z"
    assert got.text("//t:Owner") == "Anna"
    (await anna.ask(update(item, set_("Task", "task:Status", "<t:Status>Completed</t:Status>")))).ok()
    got = (await anna.get(item[0])).ok()
    assert (got.text("//t:IsComplete"), got.text("//t:PercentComplete")) == ("true", "100")
    assert got.text("//t:ChangeCount") == "2"
    assert got.all("//t:CompleteDate")


@pytest.mark.conformance(
    "MSOXWSTASK_S01_TC01_VerifyDailyRegeneratingPatternType", "MSOXWSTASK_S01_TC02_VerifyDailyRecurrencePatternType"
)
@pytest.mark.parametrize("kind", ["DailyRecurrence", "DailyRegeneration"])
async def test_a_recurring_task_moves_on_when_it_is_done(anna, kind):
    inner = f"<t:Subject>Water</t:Subject><t:DueDate>2026-11-02T00:00:00Z</t:DueDate>{DAILY.format(name=kind, n=3)}"
    item = await made(anna, "Task", inner)
    (
        await anna.ask(update(item, set_("Task", "task:PercentComplete", "<t:PercentComplete>100</t:PercentComplete>")))
    ).ok()
    got = (await anna.get(item[0])).ok()
    assert got.text("//t:Status") == "NotStarted"
    assert got.text("//t:IsRecurring") == "true"
    assert got.text("//t:DueDate") > "2026-11-02T00:00:00Z"
    found = (await anna.find("tasks", "AllProperties")).ok()
    assert sorted(found.texts("//t:IsComplete")) == ["false", "true"]


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        ("<t:PercentComplete>101</t:PercentComplete>", "ErrorInvalidPercentCompleteValue"),
        ("<t:CompleteDate>9998-01-01T00:00:00Z</t:CompleteDate>", "ErrorInvalidCompleteDate"),
        (
            "<t:DueDate>2026-01-01T00:00:00Z</t:DueDate><t:StartDate>2026-01-02T00:00:00Z</t:StartDate>",
            "ErrorCalendarEndDateIsEarlierThanStartDate",
        ),
        ("<t:IsComplete>true</t:IsComplete>", "ErrorInvalidPropertySet"),
        (DAILY.format(name="DailyRecurrence", n=0), "ErrorCalendarInvalidRecurrence"),
    ],
)
async def test_what_a_task_cannot_have(anna, inner, code):
    assert (await anna.ask(create("Task", inner))).codes == [code]


@pytest.mark.conformance("MSOXWSTASK_S02_TC01_VerifyAffectedTaskOccurrencesType")
async def test_deleting_a_task_says_which_occurrences(anna):
    item = await made(anna, "Task", "<t:Subject>x</t:Subject>")
    ask = (
        '<m:DeleteItem DeleteType="HardDelete"{}><m:ItemIds><t:ItemId Id="' + item[0] + '"/></m:ItemIds></m:DeleteItem>'
    )
    assert (await anna.ask(ask.format(""))).codes == ["ErrorAffectedTaskOccurrencesRequired"]
    (await anna.ask(ask.format(' AffectedTaskOccurrences="AllOccurrences"'))).ok()
    assert (await anna.get(item[0])).codes == ["ErrorItemNotFound"]


async def test_a_sticky_note_is_an_item_of_its_class(anna):
    inner = '<t:ItemClass>IPM.StickyNote</t:ItemClass><t:Subject>Milk</t:Subject><t:Body BodyType="Text">Milk</t:Body>'
    item = await made(anna, "Item", inner)
    got = (await anna.get(item[0])).ok()
    assert (got.text("//t:Item/t:ItemClass"), got.text("//t:Body")) == ("IPM.StickyNote", "Milk")
    assert (await anna.find("notes")).ok().ids()[0][0] == item[0]


async def test_a_private_contact_is_not_shown_to_a_reader(anna, boris):
    item = await made(anna, "Contact", f"<t:Sensitivity>Private</t:Sensitivity>{CONTACT}")
    assert (await anna.get(item[0])).ok().text("//t:Sensitivity") == "Private"
    assert (await boris.get(item[0])).codes != ["NoError"]


def restricted(uri: str, value: str) -> str:
    return (
        f'<m:Restriction><t:IsEqualTo><t:FieldURI FieldURI="{uri}"/><t:FieldURIOrConstant><t:Constant Value="{value}"/>'
        "</t:FieldURIOrConstant></t:IsEqualTo></m:Restriction>"
    )


@pytest.mark.parametrize(("value", "count"), [("Petrova", 1), ("Orlova", 0)])
async def test_contacts_are_found_by_what_only_they_have(anna, value, count):
    await made(anna, "Contact", CONTACT)
    found = (await anna.find("contacts", more=restricted("contacts:Surname", value))).ok()
    assert len(found.ids()) == count


@pytest.mark.parametrize(
    ("first", "last", "count"), [("O", "P", 1), ("olga petrova", "", 1), ("P", "Z", 0), ("A", "N", 0)]
)
async def test_a_view_of_contacts_by_their_names(anna, first, last, count):
    await made(anna, "Contact", CONTACT)
    view = f'<m:ContactsView MaxEntriesReturned="5" InitialName="{first}" FinalName="{last}"/>'
    assert len((await anna.find("contacts", more=view)).ok().ids()) == count

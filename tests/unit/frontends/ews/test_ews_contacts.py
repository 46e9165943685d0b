"""Contacts: each kind of entry, how they are filed, copies and several at once, pictures of people (MS-OXWSCONT)."""

from __future__ import annotations

import base64

import pytest
from ews_meetings import item, transfer
from test_ews_people import CONTACT, create, made, set_, update
from test_ews_photos import JPEG, asked

PHONES = (
    "AssistantPhone", "BusinessFax", "BusinessPhone", "BusinessPhone2", "Callback", "CarPhone", "CompanyMainPhone",
    "HomeFax", "HomePhone", "HomePhone2", "Isdn", "MobilePhone", "OtherFax", "OtherTelephone", "Pager", "PrimaryPhone",
    "RadioPhone", "Telex", "TtyTddPhone",
)  # fmt: skip


async def shown(client, inner: str):
    return (await client.get((await made(client, "Contact", inner))[0])).ok()


@pytest.mark.conformance("MSOXWSCONT_S01_TC01_VerifyContactItemWithRequiredElement")
async def test_a_contact_with_nothing_in_it(anna):
    one = await made(anna, "Contact", "")
    assert (await anna.get(one[0])).ok().text("//t:ItemClass") == "IPM.Contact"
    delete = f'<m:DeleteItem DeleteType="HardDelete"><m:ItemIds>{item(one[0])}</m:ItemIds></m:DeleteItem>'
    (await anna.ask(delete)).ok()
    assert (await anna.get(one[0])).codes == ["ErrorItemNotFound"]


@pytest.mark.parametrize(
    ("element", "keys"),
    [
        pytest.param(
            "EmailAddresses", ("EmailAddress1", "EmailAddress2", "EmailAddress3"),
            marks=pytest.mark.conformance("MSOXWSCONT_S01_TC03_VerifyContactItemWithEmailAddressKeyTypeEnums"),
        ),
        pytest.param(
            "ImAddresses", ("ImAddress1", "ImAddress2", "ImAddress3"),
            marks=pytest.mark.conformance("MSOXWSCONT_S01_TC05_VerifyContactItemWithImAddressKeyTypeEnums"),
        ),
        pytest.param(
            "PhoneNumbers", PHONES,
            marks=pytest.mark.conformance("MSOXWSCONT_S01_TC06_VerifyContactItemWithPhoneNumbersKeyTypeEnums"),
        ),
    ],
)  # fmt: skip
async def test_each_entry_alone(anna, element, keys):
    for key in keys:
        got = await shown(anna, f'<t:{element}><t:Entry Key="{key}">{key}@example.net</t:Entry></t:{element}>')
        (entry,) = got.all(f"//t:{element}/t:Entry")
        assert (entry.get("Key"), entry.text) == (key, f"{key}@example.net")


NAMES = "<t:GivenName>Olga</t:GivenName><t:MiddleName>I.</t:MiddleName><t:CompanyName>Acme</t:CompanyName>"
FILED = {
    "None": "As I say", "LastCommaFirst": "Petrova, Olga I.", "FirstSpaceLast": "Olga I. Petrova Jr", "Company": "Acme",
    "LastCommaFirstCompany": "Petrova, Olga I.\r\nAcme", "CompanyLastFirst": "Acme\r\nPetrovaOlga I.",
    "LastFirst": "PetrovaOlga I.", "LastFirstCompany": "PetrovaOlga I.\r\nAcme",
    "CompanyLastCommaFirst": "Acme\r\nPetrova, Olga I.", "LastFirstSuffix": "PetrovaOlga I. Jr",
    "LastSpaceFirstCompany": "Petrova Olga I.\r\nAcme", "CompanyLastSpaceFirst": "Acme\r\nPetrova Olga I.",
    "LastSpaceFirst": "Petrova Olga I.", "DisplayName": "Olja", "FirstName": "Olga",
    "LastFirstMiddleSuffix": "PetrovaOlga I. Jr", "LastName": "Petrova", "Empty": "",
}  # fmt: skip


@pytest.mark.conformance("MSOXWSCONT_S01_TC04_VerifyContactItemWithFileAsMappingTypeEnums")
@pytest.mark.parametrize("mapping", list(FILED))
async def test_how_a_contact_is_filed(anna, mapping):
    filed = "<t:FileAs>As I say</t:FileAs>" if mapping == "None" else ""
    got = await shown(
        anna,
        f"{filed}<t:FileAsMapping>{mapping}</t:FileAsMapping><t:DisplayName>Olja</t:DisplayName>{NAMES}"
        "<t:Generation>Jr</t:Generation><t:Surname>Petrova</t:Surname>",
    )
    assert got.text("//t:FileAsMapping") == mapping
    said = "".join(got.texts("//t:FileAs"))
    assert said.split() == FILED[mapping].split()
    assert got.all("//t:CompleteName")


@pytest.mark.conformance("MSOXWSCONT_S01_TC07_VerifyContactItemWithPhysicalAddressIndexTypeEnums")
@pytest.mark.parametrize("index", ["None", "Business", "Home", "Other"])
async def test_which_address_is_the_postal_one(anna, index):
    got = await shown(anna, f"<t:PostalAddressIndex>{index}</t:PostalAddressIndex>")
    assert got.text("//t:PostalAddressIndex") == index


@pytest.mark.conformance("MSOXWSCONT_S01_TC08_VerifyContactItemWithPhysicalAddressKeyTypeEnums")
@pytest.mark.parametrize("key", ["Business", "Home", "Other"])
async def test_each_address_alone(anna, key):
    parts = {"Street": "1 Main", "City": "Riga", "State": "R", "CountryOrRegion": "LV", "PostalCode": "1010"}
    inner = "".join(f"<t:{name}>{value}</t:{name}>" for name, value in parts.items())
    got = await shown(anna, f'<t:PhysicalAddresses><t:Entry Key="{key}">{inner}</t:Entry></t:PhysicalAddresses>')
    entry = got.one("//t:PhysicalAddresses/t:Entry")
    assert entry.get("Key") == key
    assert {one.tag.rpartition("}")[2]: one.text for one in entry} == parts


@pytest.mark.conformance("MSOXWSCONT_S01_TC11_VerifyErrorCannotCreateContactInNonContactFolder")
@pytest.mark.parametrize("folder", ["calendar", "tasks", "drafts"])
async def test_other_folders_take_no_contacts(anna, folder):
    reply = await anna.ask(create("Contact", "<t:Surname>x</t:Surname>", folder))
    assert reply.codes == ["ErrorCannotCreateContactInNonContactFolder"]


@pytest.mark.parametrize(
    ("operation", "stays"),
    [
        pytest.param("CopyItem", 1, marks=pytest.mark.conformance("MSOXWSCONT_S03_TC01_CopyContactItem")),
        pytest.param("MoveItem", 0, marks=pytest.mark.conformance("MSOXWSCONT_S04_TC01_MoveContactItem")),
    ],
)
async def test_a_contact_goes_to_another_folder(anna, operation, stays):
    one = await made(anna, "Contact", CONTACT)
    there = (await anna.ask(transfer(operation, "drafts", item(one[0])))).ok().ids()[0][0]
    got = (await anna.get(there)).ok()
    assert (got.text("//t:Contact/t:Surname"), got.text("//t:FileAs")) == ("Petrova", "Petrova, Olga I.")
    assert len((await anna.find("contacts")).ok().ids()) == stays


@pytest.mark.conformance("MSOXWSCONT_S05_TC01_OperateMultipleContactItems")
async def test_several_contacts_at_once(anna):
    both = create("Contact", "<t:Surname>a</t:Surname>").replace(
        "</m:Items>", "<t:Contact><t:Surname>b</t:Surname></t:Contact></m:Items>"
    )
    ids = [each for each, _ in (await anna.ask(both)).ok().ids()]
    change = set_("Contact", "contacts:GivenName", "<t:GivenName>Z</t:GivenName>")
    changes = "".join(f"<t:ItemChange>{item(each)}<t:Updates>{change}</t:Updates></t:ItemChange>" for each in ids)
    request = (
        f'<m:UpdateItem ConflictResolution="AlwaysOverwrite"><m:ItemChanges>{changes}</m:ItemChanges></m:UpdateItem>'
    )
    assert (await anna.ask(request)).ok().codes == ["NoError"] * 2
    got = (await anna.get(*ids)).ok()
    assert (got.texts("//t:Contact/t:Surname"), got.texts("//t:Contact/t:GivenName")) == (["a", "b"], ["Z", "Z"])
    copies = (await anna.ask(transfer("CopyItem", "drafts", *map(item, ids)))).ok()
    moved = (await anna.ask(transfer("MoveItem", "deleteditems", *map(item, ids)))).ok()
    there = [each for each, _ in (*copies.ids(), *moved.ids())]
    assert (await anna.get(*there)).ok().texts("//t:Contact/t:Surname") == ["a", "b"] * 2
    gone = f'<m:DeleteItem DeleteType="HardDelete"><m:ItemIds>{"".join(map(item, there))}</m:ItemIds></m:DeleteItem>'
    assert (await anna.ask(gone)).ok().codes == ["NoError"] * 4


@pytest.mark.conformance("MSOXWSCONT_S06_TC01_OperateContactItemWithoutOptionalElements")
async def test_an_empty_contact_is_changed_copied_and_moved(anna):
    one = await made(anna, "Contact", "")
    (await anna.ask(update(one, set_("Contact", "contacts:Surname", "<t:Surname>b</t:Surname>")))).ok()
    copy = (await anna.ask(transfer("CopyItem", "contacts", item(one[0])))).ok().ids()[0][0]
    moved = (await anna.ask(transfer("MoveItem", "deleteditems", item(one[0])))).ok().ids()[0][0]
    assert (await anna.get(copy, moved)).ok().texts("//t:Contact/t:Surname") == ["b", "b"]


def photo(address: str, picture: bytes) -> str:
    content = base64.b64encode(picture).decode()
    return f"<m:SetUserPhoto><m:Email>{address}</m:Email><m:Content>{content}</m:Content></m:SetUserPhoto>"


@pytest.mark.conformance("MSOXWSCONT_S07_TC02_GetUserPhotoSizeTypeEnumValue")
@pytest.mark.parametrize(
    "size",
    ["HR48x48", "HR64x64", "HR96x96", "HR120x120", "HR240x240", "HR360x360", "HR432x432", "HR504x504", "HR648x648"],
)
async def test_a_picture_in_each_size(anna, size):
    await anna.single(photo("anna@example.org", JPEG))
    reply = await anna.ask(asked("anna@example.org", size))
    assert reply.body.get("ResponseClass") == "Success"
    assert reply.text("//m:PictureData")

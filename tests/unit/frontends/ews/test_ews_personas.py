"""FindPeople and GetPersona: the address book and one's contacts in one form."""

from __future__ import annotations

import pytest
from test_ews_hostile import fault
from test_ews_people import CONTACT, made

from postern.directory.interface import AccountChange, Details, NewAccount

BOOK = '<m:ParentFolderId><t:DistinguishedFolderId Id="directory"/></m:ParentFolderId>'
CONTACTS = '<m:ParentFolderId><t:DistinguishedFolderId Id="contacts"/></m:ParentFolderId>'


def find(
    where: str = "", query: str = "", *, view: str = "", base: str = "Default", more: str = "", extra: str = ""
) -> str:
    shape = f"<m:PersonaShape><t:BaseShape>{base}</t:BaseShape>{extra}</m:PersonaShape>"
    page = view or '<m:IndexedPageItemView MaxEntriesReturned="100" Offset="0" BasePoint="Beginning"/>'
    words = f"<m:QueryString>{query}</m:QueryString>" if query else ""
    return f"<m:FindPeople>{shape}{page}{more}{where}{words}</m:FindPeople>"


def page(limit: int, offset: int, base: str = "Beginning") -> str:
    return f'<m:IndexedPageItemView MaxEntriesReturned="{limit}" Offset="{offset}" BasePoint="{base}"/>'


def order(name: str, direction: str = "Ascending") -> str:
    field = f'<t:FieldURI FieldURI="persona:{name}"/>'
    return f'<m:SortOrder><t:FieldOrder Order="{direction}">{field}</t:FieldOrder></m:SortOrder>'


def restricted(name: str, constant: str) -> str:
    return (
        '<m:Restriction><t:Contains ContainmentMode="Prefixed" ContainmentComparison="IgnoreCase">'
        f'<t:FieldURI FieldURI="persona:{name}"/><t:Constant Value="{constant}"/></t:Contains></m:Restriction>'
    )


def names(reply) -> list[str]:
    return reply.texts("//t:Persona/t:DisplayName")


def counted(reply) -> tuple[str, str]:
    return reply.text("//m:TotalNumberOfPeopleInView"), reply.text("//m:FirstLoadedRowIndex")


async def test_the_address_book_by_pages(anna):
    whole = await anna.single(find(BOOK))
    assert names(whole) == ["Anna", "Boris", "Chen"] and counted(whole) == ("3", "0")
    second = await anna.single(find(BOOK, view=page(1, 1)))
    assert names(second) == ["Boris"] and counted(second) == ("3", "1")
    last = await anna.single(find(BOOK, view=page(2, 0, "End")))
    assert names(last) == ["Boris", "Chen"] and counted(last) == ("3", "1")
    beyond = await anna.single(find(BOOK, view=page(2, 9)))
    assert names(beyond) == [] and counted(beyond)[0] == "3"
    down = await anna.single(find(BOOK, more=order("DisplayName", "Descending"), view=page(2, 0)))
    assert names(down) == ["Chen", "Boris"]


async def test_words_begin_names_and_addresses(anna, world):
    await world.parts.directory.set_details("boris@example.org", Details(given_name="Boris", surname="Orlov"))
    await made(anna, "Contact", CONTACT, "contacts")
    assert names(await anna.single(find(BOOK, "bor"))) == ["Boris"]
    assert names(await anna.single(find(BOOK, "orl bor"))) == ["Boris"]
    assert names(await anna.single(find(BOOK, "oris"))) == []
    assert names(await anna.single(find(BOOK, "chen@"))) == ["Chen"]
    assert names(await anna.single(find(CONTACTS, "petr"))) == ["Olga Petrova"]
    assert names(await anna.single(find(CONTACTS, "nobody"))) == []
    # without a folder it is everywhere
    assert names(await anna.single(find("", "o"))) == ["Boris", "Olga Petrova"]


async def test_conditions_and_orders_over_both(anna, world):
    await world.parts.directory.set_details("boris@example.org", Details(given_name="Boris", title="Cook"))
    await world.parts.directory.set_details("chen@example.org", Details(title="Clerk"))
    found = await anna.single(find(BOOK, more=restricted("Title", "c")))
    assert names(found) == ["Boris", "Chen"]
    two = order("Title").replace("</m:SortOrder>", "") + order("DisplayName").replace("<m:SortOrder>", "")
    assert names(await anna.single(find(BOOK, more=restricted("Title", "c") + two))) == ["Chen", "Boris"]
    await made(anna, "Contact", CONTACT, "contacts")
    assert names(await anna.single(find(CONTACTS, more=restricted("Surname", "PET")))) == ["Olga Petrova"]
    assert names(await anna.single(find(CONTACTS, more=restricted("Surname", "x")))) == []
    as_exchangelib = restricted("Surname", "pet").replace("persona:", "contacts:")
    assert names(await anna.single(find(CONTACTS, more=as_exchangelib))) == ["Olga Petrova"]


async def test_shapes(anna):
    only = (await anna.single(find(BOOK, base="IdOnly"))).all("//t:Persona[1]/*")
    assert [one.tag.rpartition("}")[2] for one in only] == ["PersonaId"]
    extra = (
        '<t:AdditionalProperties><t:FieldURI FieldURI="persona:DisplayName"/>'
        '<t:FieldURI FieldURI="persona:Emails1"/></t:AdditionalProperties>'
    )
    some = (await anna.single(find(BOOK, base="IdOnly", extra=extra))).all("//t:Persona[1]/*")
    assert [one.tag.rpartition("}")[2] for one in some] == ["PersonaId", "DisplayName", "Emails1"]
    await made(anna, "Contact", CONTACT, "contacts")
    await anna.single(find(CONTACTS, base="AllProperties"))  # the schema looks at it


def get(id_: str = "", address: str = "") -> str:
    named = f'<m:PersonaId Id="{id_}"/>' if id_ else ""
    box = f"<m:EmailAddress><t:EmailAddress>{address}</t:EmailAddress></m:EmailAddress>" if address else ""
    return f"<m:GetPersona>{named}{box}</m:GetPersona>"


async def test_a_persona_by_its_id_and_by_its_address(anna, world):
    details = Details(phone="+1", mobile="+2", city="Riga", department="Kitchen", office="12")
    await world.parts.directory.set_details("boris@example.org", details)
    await made(anna, "Contact", CONTACT, "contacts")
    for where, query, address, phone in (
        (BOOK, "boris", "boris@example.org", "+2"),
        (CONTACTS, "olga", "olga@example.net", "+371 1"),
    ):
        found = await anna.single(find(where, query))
        persona = found.one("//t:PersonaId").get("Id")
        for body in (get(persona), get(address=address)):
            told = await anna.single(body)
            assert told.one("//t:PersonaId").get("Id") == persona
            assert told.text("//m:Persona/t:EmailAddress/t:EmailAddress") == address
            assert told.text("//t:MobilePhones//t:Number") == phone
    assert told.text("//t:HomeAddresses//t:City") == "Riga"
    assert len(told.all("//t:EmailAddresses/t:Address")) == 2


async def test_who_is_not_there_hidden_or_somebody_elses(anna, boris, world):
    persona = (await anna.single(find(BOOK, "boris"))).one("//t:PersonaId").get("Id")
    await world.parts.directory.change_account("boris@example.org", AccountChange(hidden=True))
    assert (await anna.ask(get(persona))).text("//m:ResponseCode") == "ErrorItemNotFound"
    assert (await anna.ask(get(address="nobody@example.org"))).text("//m:ResponseCode") == "ErrorItemNotFound"
    assert (await anna.ask(get("rubbish"))).text("//m:ResponseCode") == "ErrorInvalidIdMalformed"
    item = await made(anna, "Contact", CONTACT, "contacts")
    assert (await anna.ask(get(item[0]))).text("//m:ResponseCode") == "ErrorInvalidIdMalformed"
    mine = (await anna.single(find(CONTACTS, "olga"))).one("//t:PersonaId").get("Id")
    assert (await boris.ask(get(mine))).text("//m:ResponseCode") in ("ErrorItemNotFound", "ErrorAccessDenied")
    assert await fault(anna, anna.envelope(get())) == "ErrorInvalidIdEmpty"


async def test_questions_that_are_none(anna):
    assert await fault(anna, anna.envelope(find())) == "ErrorInvalidRequest"
    assert await fault(anna, anna.envelope(find(BOOK, "x" * 251))) == "ErrorInvalidRequest"
    elsewhere = restricted("Title", "c").replace("persona:Title", "item:Subject")
    assert (await anna.ask(find(BOOK, more=elsewhere))).text("//m:ResponseCode") == "ErrorUnsupportedPathForQuery"
    sorted_ = order("Title").replace("persona:Title", "item:Subject")
    assert await fault(anna, anna.envelope(find(BOOK, more=sorted_))) == "ErrorUnsupportedPathForSortGroup"
    nowhere = '<m:ParentFolderId><t:FolderId Id="rubbish"/></m:ParentFolderId>'
    assert (await anna.ask(find(nowhere))).text("//m:ResponseCode") == "ErrorInvalidIdMalformed"
    anna.version = "Exchange2010_SP2"
    assert await fault(anna, anna.envelope(find(BOOK))) == "ErrorInvalidOperation"


async def test_many_people_are_paged_without_reading_them_all(anna, world, monkeypatch):
    await world.parts.directory.create_accounts(
        [NewAccount(f"p{number:03}@example.org", display_name=f"P {number:03}") for number in range(300)]
    )
    read = []
    directory = world.parts.directory
    original = type(directory).book_entries

    async def counting(self, ids, match):
        read.append(len(ids))
        return await original(self, ids, match)

    monkeypatch.setattr(type(directory), "book_entries", counting)
    found = await anna.single(find(BOOK, view=page(10, 150)))
    assert len(names(found)) == 10 and counted(found) == ("303", "150") and sum(read) == 10
    assert names(found)[0] == "P 147"


@pytest.mark.conformance(
    "MSOXWSCONT_S07_TC01_SetUserPhotoSuccess",
    "MSOXWSCONT_S07_TC03_ChangeUserPhoto",
)
async def test_one_sets_ones_own_picture(anna, boris):
    import base64

    def put(picture: bytes, address: str = "anna@example.org") -> str:
        content = base64.b64encode(picture).decode()
        return f"<m:SetUserPhoto><m:Email>{address}</m:Email><m:Content>{content}</m:Content></m:SetUserPhoto>"

    asked = (
        "<m:GetUserPhoto><m:Email>anna@example.org</m:Email><m:SizeRequested>HR96x96</m:SizeRequested></m:GetUserPhoto>"
    )
    for picture in (b"\xff\xd8\xff\xe0 one", b"\x89PNG\r\n\x1a\n two"):
        done = await anna.ask(put(picture))
        assert done.body.get("ResponseClass") == "Success" and done.text("//m:ResponseCode") == "NoError"
        assert base64.b64decode((await boris.ask(asked)).text("//m:PictureData")) == picture
    for body, code in (
        (put(b"GIF89a"), "ErrorInvalidRequest"),
        (put(b"\xff\xd8\xff" + bytes(102_400)), "ErrorInvalidPhotoSize"),
        (put(picture, "boris@example.org"), "ErrorAccessDenied"),
        (put(picture, "nobody@example.org"), "ErrorAccessDenied"),
    ):
        assert (await anna.ask(body)).text("//m:ResponseCode") == code
    assert base64.b64decode((await boris.ask(asked)).text("//m:PictureData")) == picture

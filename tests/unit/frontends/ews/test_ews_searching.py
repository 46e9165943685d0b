"""FindItem by query string, among removed and associated items, and in groups (MS-OXWSSRCH)."""

from __future__ import annotations

import pytest
from ews_world import associated_view
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from postern.formats import aqs
from postern.model.ids import FolderId
from postern.model.items import Columns, Flag, SpecialUse
from postern.model.query import (
    All,
    And,
    AttachmentContains,
    BodyContains,
    HasFlags,
    HeaderContains,
    Not,
    Or,
    Query,
    ReceivedBetween,
    SizeAbove,
    SizeBelow,
    TextContains,
)

WORDS = ("plan", "lunch", "отчёт", "Straße", "x")
PEOPLE = ("boris", "chen")


def mail(number: int, subject: str, sender: str, text: str) -> bytes:
    return (
        f"From: {sender.capitalize()} <{sender}@example.org>\r\nTo: anna@example.org\r\nSubject: {subject}\r\n"
        f"Message-ID: <{number}@x.example>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    ).encode()


MAILS = [
    mail(n, WORDS[n % 5], PEOPLE[n % 2], f"{WORDS[(n + 1) % 5]} {WORDS[(n * 2) % 5]} " + "y" * (n * 700))
    for n in range(10)
]


def query(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"<m:QueryString>{escaped}</m:QueryString>"


async def search(client, text: str, folder: str = "inbox", shape: str = "Default", more: str = "", before: str = ""):
    return await client.ask(
        f'<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>{shape}</t:BaseShape></m:ItemShape>{before}{more}'
        f'<m:ParentFolderIds><t:DistinguishedFolderId Id="{folder}"/></m:ParentFolderIds>{query(text)}</m:FindItem>'
    )


def means(wanted: Query, content: bytes, flags: int, received: int) -> bool:
    """A plain reading of one message."""
    head, _, body = content.decode().partition("\r\n\r\n")
    fields = dict(line.split(": ", 1) for line in head.split("\r\n"))
    fold = str.casefold
    match wanted:
        case All():
            return True
        case And(of):
            return all(means(one, content, flags, received) for one in of)
        case Or(of):
            return any(means(one, content, flags, received) for one in of)
        case Not(of):
            return not means(of, content, flags, received)
        case HeaderContains(name, text):
            return any(fold(text) in fold(value) for key, value in fields.items() if key.lower() == name)
        case BodyContains(text):
            return fold(text) in fold(body)
        case AttachmentContains():
            return False  # nobody has read any
        case TextContains(text):
            return fold(text) in fold(head) or fold(text) in fold(body)
        case SizeAbove(octets):
            return len(content) > octets
        case SizeBelow(octets):
            return len(content) < octets
        case HasFlags(mask):
            return flags & mask == mask
        case ReceivedBetween(start, end):
            return (start is None or received >= start) and (end is None or received < end)
    raise AssertionError(wanted)


_WORD = st.sampled_from(["plan", "lun", "ОТЧЁТ", "strasse", "x", '"plan lunch"', "nothing", "yy"])
_TERM = st.one_of(
    _WORD,
    st.builds("{}:{}".format, st.sampled_from(["subject", "body", "from", "to", "participants"]), _WORD),
    st.builds("from:({} OR {})".format, st.sampled_from(PEOPLE), _WORD),
    st.builds("size:{}{}".format, st.sampled_from(["<", ">", "<=", ">="]), st.integers(0, 9000)),
    st.sampled_from(
        ["isread:true", "isread:no", "isflagged:yes", "received:today", "received:<2020-01-01", "kind:email"]
    ),
)
_QUERIES = st.recursive(
    _TERM,
    lambda inner: st.one_of(
        st.builds("{} {}".format, inner, inner),
        st.builds("({} OR {})".format, inner, inner),
        st.builds("{} AND NOT ({})".format, inner, inner),
    ),
    max_leaves=4,
)


async def fill(client) -> None:
    for number, content in enumerate(MAILS):
        await client.deliver(content, flags=(Flag.SEEN if number % 3 else 0) | (Flag.FLAGGED if number == 4 else 0))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(text="plan AND NOT (kind:email)")
@given(text=_QUERIES)
async def test_query_strings_say_what_a_reading_of_all_messages_says(anna, text):
    mailbox = await anna.world.parts.store.mailbox(anna.principal.mailbox)
    inbox = (await mailbox.special(SpecialUse.INBOX)).id
    if not (await mailbox.folder(inbox)).messages:
        await fill(anna)
    known: list[tuple[int, int, str]] = []
    async for rows in mailbox.items(inbox, Columns.FLAGS | Columns.RECEIVED_AT | Columns.MESSAGE_ID):
        known += rows
    contents = {f"{number}@x.example": content for number, content in enumerate(MAILS)}
    wanted = aqs.parse(text, anna.world.parts.clock.now().date(), strict=True)
    expected = {f"<{name}>" for flags, received, name in known if means(wanted, contents[name], flags, received)}
    reply = (await search(anna, text)).ok()
    assert set(reply.texts("//t:InternetMessageId")) == expected
    assert reply.one("//m:RootFolder").get("TotalItemsInView") == str(len(expected))


async def test_order_and_pages_of_what_is_found(anna):
    await fill(anna)
    order = (
        '<m:SortOrder><t:FieldOrder Order="Ascending"><t:FieldURI FieldURI="item:Size"/></t:FieldOrder></m:SortOrder>'
    )
    view = '<m:IndexedPageItemView MaxEntriesReturned="2" Offset="1" BasePoint="Beginning"/>'
    reply = (await search(anna, "from:chen", more=order, before=view)).ok()
    assert reply.texts("//t:InternetMessageId") == ["<3@x.example>", "<5@x.example>"]
    assert reply.one("//m:RootFolder").get("TotalItemsInView") == "5"
    newest = (await search(anna, "from:chen")).ok()
    assert newest.texts("//t:InternetMessageId")[0] == "<9@x.example>"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("subject:(plan", "ErrorInvalidArgument"),
        ('"plan', "ErrorInvalidArgument"),
        ("received:sometime", "ErrorInvalidArgument"),
        ("plan AND", "ErrorInvalidArgument"),
        ("x" * 5000, "ErrorQueryFilterTooLong"),
        ("a " * 300, "ErrorSearchQueryHasTooManyKeywords"),
        ("(" * 100 + "a" + ")" * 100, "ErrorSearchQueryHasTooManyKeywords"),
    ],
    ids=["parenthesis", "quotation", "date", "operator", "long", "many", "deep"],
)
async def test_query_strings_that_are_none(anna, text, code):
    assert (await search(anna, text)).codes == [code]


async def test_a_query_string_goes_with_neither_restriction_nor_group(anna):
    restriction = '<m:Restriction><t:Exists><t:FieldURI FieldURI="item:Subject"/></t:Exists></m:Restriction>'
    assert (await search(anna, "plan", more=restriction)).codes == ["ErrorInvalidArgument"]


async def test_contacts_are_found_by_what_they_say(anna):
    for name, company in (("Dora", "Winery"), ("Emil", "Brewery")):
        (
            await anna.ask(
                "<m:CreateItem><m:Items><t:Contact><t:DisplayName>"
                f"{name}</t:DisplayName><t:CompanyName>{company}</t:CompanyName></t:Contact></m:Items></m:CreateItem>"
            )
        ).ok()
    for text, names in {"winery": ["Dora"], "brew": ["Emil"], "subject:dora": ["Dora"], "-winery": ["Emil"]}.items():
        reply = (await search(anna, text, "contacts")).ok()
        assert reply.texts("//t:DisplayName") == names, text


async def delete(client, id_: str, kind: str) -> None:
    (
        await client.ask(
            f'<m:DeleteItem DeleteType="{kind}"><m:ItemIds><t:ItemId Id="{id_}"/></m:ItemIds></m:DeleteItem>'
        )
    ).ok()


async def traverse(client, traversal: str, folder: str, more: str = ""):
    return (
        await client.ask(
            f'<m:FindItem Traversal="{traversal}"><m:ItemShape><t:BaseShape>Default</t:BaseShape></m:ItemShape>{more}'
            f"<m:ParentFolderIds>{folder}</m:ParentFolderIds></m:FindItem>"
        )
    ).ok()


async def test_removed_items_are_found_where_they_were(anna, boris):
    await fill(anna)
    ids = [id_ for id_, _ in (await anna.find()).ids()]
    inbox = '<t:DistinguishedFolderId Id="inbox"/>'
    await delete(anna, ids[0], "SoftDelete")
    await delete(anna, ids[1], "SoftDelete")
    await delete(anna, ids[2], "HardDelete")
    await delete(anna, ids[3], "MoveToDeletedItems")
    found = await traverse(anna, "SoftDeleted", inbox)
    assert found.texts("//t:InternetMessageId") == ["<8@x.example>", "<9@x.example>"]
    restriction = (
        '<m:Restriction><t:Contains ContainmentMode="Substring" ContainmentComparison="IgnoreCase">'
        '<t:FieldURI FieldURI="item:Subject"/><t:Constant Value="X"/></t:Contains></m:Restriction>'
    )
    assert (await traverse(anna, "SoftDeleted", inbox, restriction)).texts("//t:InternetMessageId") == ["<9@x.example>"]
    assert not (await traverse(anna, "SoftDeleted", '<t:DistinguishedFolderId Id="drafts"/>')).ids()
    whole = '<t:DistinguishedFolderId Id="recoverableitemsdeletions"/>'
    assert len((await traverse(anna, "SoftDeleted", whole)).ids()) == 2
    (id_, _), *_ = found.ids()
    moved = await anna.ask(
        f'<m:MoveItem><m:ToFolderId>{inbox}</m:ToFolderId><m:ItemIds><t:ItemId Id="{id_}"/></m:ItemIds></m:MoveItem>'
    )
    moved.ok()
    assert len((await traverse(anna, "SoftDeleted", inbox)).ids()) == 1
    assert len((await anna.find()).ids()) == len(MAILS) - 3
    folders = await anna.ask(
        '<m:FindFolder Traversal="SoftDeleted"><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape>'
        '<m:ParentFolderIds><t:DistinguishedFolderId Id="msgfolderroot"/></m:ParentFolderIds></m:FindFolder>'
    )
    assert not folders.ok().ids("FolderId")


async def test_associated_items(anna):
    mailbox = await anna.world.parts.store.mailbox(anna.principal.mailbox)
    inbox = (await mailbox.special(SpecialUse.INBOX)).id
    await fill(anna)
    await mailbox.add(FolderId(-inbox), [associated_view()])
    found = await traverse(anna, "Associated", '<t:DistinguishedFolderId Id="inbox"/>')
    assert found.texts("//t:Subject") == ["view"]
    ((id_, _),) = found.ids()
    got = (await anna.get(id_)).ok()
    assert got.text("//t:IsAssociated") == "true" and got.text("//t:ItemClass") == "IPM.Configuration.View"
    assert got.one("//t:ParentFolderId").get("Id") == (await anna.get((await anna.find()).ids()[0][0])).one(
        "//t:ParentFolderId"
    ).get("Id")
    assert len((await anna.find()).ids()) == len(MAILS)
    sort = '<m:SortOrder><t:FieldOrder Order="Ascending"><t:FieldURI FieldURI="item:Subject"/></t:FieldOrder></m:SortOrder>'
    assert (await traverse(anna, "Associated", '<t:DistinguishedFolderId Id="inbox"/>', sort)).texts("//t:Subject") == [
        "view"
    ]
    await delete(anna, id_, "HardDelete")
    assert not (await traverse(anna, "Associated", '<t:DistinguishedFolderId Id="inbox"/>')).ids()


GROUP = (
    '<m:GroupBy Order="{}"><t:FieldURI FieldURI="{}"/><t:AggregateOn Aggregate="{}"><t:FieldURI FieldURI="{}"/>'
    "</t:AggregateOn></m:GroupBy>"
)


@pytest.mark.parametrize("order", ["Ascending", "Descending"])
@pytest.mark.parametrize("aggregate", ["Minimum", "Maximum"])
@pytest.mark.parametrize("on", ["item:Size", "item:Subject", "message:From"])
@pytest.mark.parametrize("by", ["item:Subject", "message:From", "message:IsRead"])
async def test_groups(anna, order, aggregate, on, by):
    await fill(anna)
    group = GROUP.format(order, by, aggregate, on)
    reply = await traverse(anna, "Shallow", '<t:DistinguishedFolderId Id="inbox"/>', group)
    groups = reply.all("//t:GroupedItems")
    numbers = {f"<{n}@x.example>": n for n in range(len(MAILS))}
    facts = {
        n: {
            "item:Size": len(MAILS[n]), "item:Subject": WORDS[n % 5].casefold(), "message:From": PEOPLE[n % 2],
            "message:IsRead": n % 3 > 0,
        }
        for n in range(len(MAILS))
    }  # fmt: skip
    shown = [[numbers[one.text] for one in group.findall(".//{*}InternetMessageId")] for group in groups]
    assert sorted(n for group in shown for n in group) == list(range(len(MAILS)))
    assert all(len({facts[n][by] for n in group}) == 1 for group in shown)
    assert len(shown) == len({facts[n][by] for n in facts})
    pick = min if aggregate == "Minimum" else max
    keys = [pick(facts[n][on] for n in group) for group in shown]
    assert keys == sorted(keys, reverse=order == "Descending")
    assert [one.findtext("{*}GroupIndex") for one in groups] == [str(n) for n in range(len(groups))]


async def test_pages_of_groups_count_on(anna):
    await fill(anna)
    view = '<m:IndexedPageItemView MaxEntriesReturned="3" Offset="4" BasePoint="Beginning"/>'
    group = GROUP.format("Ascending", "item:Subject", "Maximum", "item:Size")
    reply = await traverse(anna, "Shallow", '<t:DistinguishedFolderId Id="inbox"/>', view + group)
    assert [one.text for one in reply.all("//t:GroupIndex")] == ["2", "3"]


@pytest.mark.parametrize("order", ["Ascending", "Descending"])
async def test_the_standard_grouping_is_by_conversation_topic(anna, order):
    await fill(anna)
    await anna.deliver(mail(20, "Re: plan", "chen", "yes"))
    group = f'<m:DistinguishedGroupBy Order="{order}"><t:StandardGroupBy>ConversationTopic</t:StandardGroupBy></m:DistinguishedGroupBy>'
    reply = await traverse(anna, "Shallow", '<t:DistinguishedFolderId Id="inbox"/>', group)
    topics = [
        {text.removeprefix("Re: ") for text in (one.text for one in group.findall(".//{*}Subject"))}
        for group in reply.all("//t:GroupedItems")
    ]
    assert len(topics) == len(WORDS) and all(len(one) == 1 for one in topics)


@pytest.mark.parametrize(
    ("relation", "value", "found"),
    [
        ("IsEqualTo", "a", True),
        ("IsEqualTo", "b", True),
        ("IsEqualTo", "ab", False),
        ("IsNotEqualTo", "b", False),
        ("IsNotEqualTo", "c", True),
        ("IsGreaterThan", "a", True),
        ("IsGreaterThan", "b", False),
        ("IsLessThanOrEqualTo", "a", True),
    ],
)
async def test_one_of_several_values_will_do(anna, relation, value, found):
    """exchangelib's `contains` of a list asks for each of its values with IsEqualTo."""
    path = (
        '<t:ExtendedFieldURI PropertySetId="c11ff724-aa03-4555-9952-8fa248a11c3e" PropertyName="several"'
        ' PropertyType="StringArray"/>'
    )
    values = (
        f"<t:ExtendedProperty>{path}<t:Values><t:Value>a</t:Value><t:Value>b</t:Value></t:Values></t:ExtendedProperty>"
    )
    await anna.save(f"<t:Subject>x</t:Subject>{values}")
    limits = (
        f'<m:Restriction><t:{relation}>{path}<t:FieldURIOrConstant><t:Constant Value="{value}"/>'
        f"</t:FieldURIOrConstant></t:{relation}></m:Restriction>"
    )
    assert len((await anna.find("drafts", more=limits)).ok().ids()) == found


@pytest.mark.parametrize("folder", ["msgfolderroot", "root"])
@pytest.mark.parametrize("more", ["", '<m:SortOrder><t:FieldOrder Order="Ascending"><t:FieldURI FieldURI="item:Subject"/>'
                                  "</t:FieldOrder></m:SortOrder>"], ids=["", "sorted"])  # fmt: skip
async def test_the_roots_hold_no_items(anna, folder, more):
    """Programs that look into every folder look into these too."""
    await anna.save("<t:Subject>x</t:Subject>")
    reply = (await anna.find(folder, more=more)).ok()
    assert not reply.ids() and reply.one("//m:RootFolder").get("TotalItemsInView") == "0"
    assert reply.one("//m:RootFolder").get("IncludesLastItemInRange") == "true"

"""FindItem and SyncFolderItems."""

from __future__ import annotations

import pytest
from test_ews_folders import named
from test_ews_messages import MIME, set_, update


def sync(
    state: str = "",
    limit: int = 512,
    shape: str = "IdOnly",
    folder: str = "inbox",
    extra: str = "",
    more: str = "",
    scope: str = "",
) -> str:
    given = f"<m:SyncState>{state}</m:SyncState>" if state else ""
    return (
        f"<m:SyncFolderItems><m:ItemShape><t:BaseShape>{shape}</t:BaseShape>{extra}</m:ItemShape><m:SyncFolderId>"
        f"{named(folder)}</m:SyncFolderId>{given}{more}<m:MaxChangesReturned>{limit}</m:MaxChangesReturned>"
        f"{scope}</m:SyncFolderItems>"
    )


@pytest.mark.conformance(
    "MSOXWSSYNC_S02_TC01_SyncFolderItems_MessageType",
    "MSOXWSSYNC_S04_TC01_SyncFolderItems_WithoutOptionalElements",
)
async def test_following_a_folder(anna):
    await anna.deliver(MIME)
    first = (await anna.ask(sync(shape="Default"))).ok()
    assert first.texts("//t:Create//t:Subject") == ["Grüße"]
    ((item, key),) = first.ids()
    state = first.text("//m:SyncState")
    assert not (await anna.ask(sync(state))).ok().all("//m:Changes/*")
    (await anna.ask(update((item, key), set_("message:IsRead", "<t:IsRead>true</t:IsRead>")))).ok()
    second = (await anna.ask(sync(state))).ok()
    assert second.texts("//t:ReadFlagChange/t:IsRead") == ["true"]
    state = second.text("//m:SyncState")
    categories = "<t:Categories><t:String>Red</t:String></t:Categories>"
    (await anna.ask(update((item, key), set_("item:Categories", categories)))).ok()
    third = (await anna.ask(sync(state, shape="AllProperties"))).ok()
    assert third.texts("//t:Update//t:Categories/t:String") == ["Red"]
    (
        await anna.ask(
            f'<m:DeleteItem DeleteType="HardDelete"><m:ItemIds><t:ItemId Id="{item}"/></m:ItemIds></m:DeleteItem>'
        )
    ).ok()
    last = (await anna.ask(sync(third.text("//m:SyncState")))).ok()
    assert [one.get("Id") for one in last.all("//m:Changes/t:Delete/t:ItemId")] == [item]


async def test_a_page_after_the_other(anna):
    for _ in range(7):
        await anna.deliver(MIME)
    state, found, pages = "", set(), 0
    while True:
        page = (await anna.ask(sync(state, limit=3))).ok()
        found |= {one for one, _ in page.ids()}
        state, pages = page.text("//m:SyncState"), pages + 1
        if page.text("//m:IncludesLastItemInRange") == "true":
            break
    assert len(found) == 7 and pages == 3


async def test_what_is_ignored_is_not_told(anna):
    for _ in range(2):
        await anna.deliver(MIME)
    (first, _), (second, _) = (await anna.find()).ids()
    more = f'<m:Ignore><t:ItemId Id="{first}"/></m:Ignore>'
    assert [one for one, _ in (await anna.ask(sync(more=more))).ok().ids()] == [second]


async def test_states_of_nothing_and_pages_of_no_size(anna):
    state = (await anna.ask(sync(folder="drafts"))).text("//m:SyncState")
    for bad in ("x", "AAAA", "%%%", state):
        reply = await anna.ask(sync(bad))
        assert reply.codes == ["ErrorInvalidSyncStateData"]
        # exchangelib reads these before it looks at the code
        assert (reply.text("//m:SyncState"), reply.text("//m:IncludesLastItemInRange")) == ("", "true")
    for limit in (0, 513, -1):
        assert (await anna.ask(sync(limit=limit))).codes == ["ErrorSchemaValidation"]
    unknown = sync().replace('Id="inbox"', 'Id="voicemailbox"')
    assert (await anna.ask(unknown)).codes == ["ErrorSchemaValidation"]


def restriction(inner: str) -> str:
    return f"<m:Restriction>{inner}</m:Restriction>"


def compare(name: str, uri: str, value: str) -> str:
    return (
        f'<t:{name}><t:FieldURI FieldURI="{uri}"/><t:FieldURIOrConstant><t:Constant Value="{value}"/>'
        f"</t:FieldURIOrConstant></t:{name}>"
    )


def contains(uri: str, value: str, mode: str = "Substring", how: str = "IgnoreCase") -> str:
    return (
        f'<t:Contains ContainmentMode="{mode}" ContainmentComparison="{how}"><t:FieldURI FieldURI="{uri}"/>'
        f'<t:Constant Value="{value}"/></t:Contains>'
    )


@pytest.fixture
async def full(anna):
    """Ten messages in the inbox, numbered."""
    for number in range(10):
        flags = 1 if number % 2 else 0
        await anna.deliver(
            b"From: Sender %d <s%d@example.net>\r\nTo: anna@example.org\r\nSubject: Number %d caf\xc3\xa9\r\n"
            b"Date: %d Nov 2026 10:00:00 +0000\r\nMessage-ID: <%d@x>\r\n%b\r\nbody of %d\r\n"
            % (number, number % 3, number, number + 1, number, b"Importance: high\r\n" if number == 4 else b"", number),
            flags=flags,
        )
    return anna


CASES = [
    (compare("IsEqualTo", "message:IsRead", "true"), {1, 3, 5, 7, 9}),
    (compare("IsNotEqualTo", "message:IsRead", "true"), {0, 2, 4, 6, 8}),
    (compare("IsGreaterThan", "item:DateTimeSent", "2026-11-08T10:00:00Z"), {8, 9}),
    (compare("IsGreaterThanOrEqualTo", "item:DateTimeSent", "2026-11-08T11:00:00+01:00"), {7, 8, 9}),
    (compare("IsLessThan", "item:DateTimeSent", "2026-11-02T10:00:00Z"), {0}),
    (compare("IsLessThanOrEqualTo", "item:DateTimeSent", "2026-11-02T10:00:00Z"), {0, 1}),
    (compare("IsEqualTo", "item:Importance", "High"), {4}),
    (contains("item:Subject", "NUMBER 7"), {7}),
    (contains("item:Subject", "number 7", how="Exact"), set()),
    (contains("item:Subject", "CAFE", how="IgnoreCaseAndNonSpacingCharacters"), set(range(10))),
    (contains("item:Subject", "Number", mode="Prefixed"), set(range(10))),
    (contains("item:Subject", "Number 3 café", mode="FullString"), {3}),
    (contains("item:Subject", "num caf", mode="PrefixOnWords"), set(range(10))),
    (contains("item:Subject", "5 café", mode="ExactPhrase"), {5}),
    (contains("message:From", "s2@"), {2, 5, 8}),
    (contains("item:Body", "body of 6"), {6}),
    (f"<t:Not>{compare('IsEqualTo', 'message:IsRead', 'true')}</t:Not>", {0, 2, 4, 6, 8}),
    (f"<t:And>{contains('message:From', 's0@')}{compare('IsEqualTo', 'message:IsRead', 'true')}</t:And>", {3, 9}),
    (f"<t:Or>{contains('item:Subject', ' 1 ')}{contains('item:Subject', ' 2 ')}</t:Or>", {1, 2}),
    ('<t:Exists><t:FieldURI FieldURI="item:InReplyTo"/></t:Exists>', set()),
    ('<t:Exists><t:FieldURI FieldURI="message:InternetMessageId"/></t:Exists>', set(range(10))),
    ('<t:Excludes><t:ExtendedFieldURI PropertyTag="0x0E07" PropertyType="Integer"/><t:Bitmask Value="0x1"/></t:Excludes>',
     {0, 2, 4, 6, 8}),
    ('<t:IsEqualTo><t:ExtendedFieldURI PropertyTag="0x1035" PropertyType="String"/><t:FieldURIOrConstant>'
     '<t:Constant Value="&lt;5@x&gt;"/></t:FieldURIOrConstant></t:IsEqualTo>', {5}),
    ('<t:IsEqualTo><t:FieldURI FieldURI="item:DateTimeReceived"/><t:FieldURIOrConstant>'
     '<t:FieldURI FieldURI="item:DateTimeReceived"/></t:FieldURIOrConstant></t:IsEqualTo>', set(range(10))),
]  # fmt: skip


async def test_restrictions(full):
    for inner, wanted in CASES:
        reply = (await full.find(shape="Default", more=restriction(inner))).ok()
        found = {int(one.split()[1]) for one in reply.texts("//t:Subject")}
        assert found == wanted, inner


async def test_order_and_pages(full):
    order = (
        '<m:SortOrder><t:FieldOrder Order="Ascending"><t:FieldURI FieldURI="message:IsRead"/></t:FieldOrder>'
        '<t:FieldOrder Order="Descending"><t:FieldURI FieldURI="item:Subject"/></t:FieldOrder></m:SortOrder>'
    )
    page = '<m:IndexedPageItemView MaxEntriesReturned="4" Offset="3" BasePoint="Beginning"/>'
    reply = (await full.find(shape="Default", more=page + order)).ok()
    assert [int(one.split()[1]) for one in reply.texts("//t:Subject")] == [2, 0, 9, 7]
    root = reply.one("//m:RootFolder")
    assert (root.get("IndexedPagingOffset"), root.get("TotalItemsInView")) == ("7", "10")
    end = '<m:IndexedPageItemView MaxEntriesReturned="3" Offset="0" BasePoint="End"/>'
    reply = (await full.find(shape="Default", more=end + order)).ok()
    assert [int(one.split()[1]) for one in reply.texts("//t:Subject")] == [5, 3, 1]
    half = '<m:FractionalPageItemView MaxEntriesReturned="2" Numerator="1" Denominator="2"/>'
    reply = (await full.find(shape="Default", more=half + order)).ok()
    assert [int(one.split()[1]) for one in reply.texts("//t:Subject")] == [9, 7]
    body = (
        '<m:SortOrder><t:FieldOrder Order="Ascending"><t:FieldURI FieldURI="item:Body"/></t:FieldOrder></m:SortOrder>'
    )
    assert (await full.find(more=body)).codes == ["ErrorUnsupportedPathForSortGroup"]


async def test_groups(full):
    group = (
        '<m:GroupBy Order="Descending"><t:FieldURI FieldURI="message:From"/><t:AggregateOn Aggregate="Maximum">'
        '<t:FieldURI FieldURI="item:DateTimeSent"/></t:AggregateOn></m:GroupBy>'
    )
    reply = (await full.find(shape="Default", more=group)).ok()
    assert len(reply.all("//t:GroupedItems")) == 10
    read = group.replace("message:From", "message:IsRead")
    reply = (await full.find(shape="Default", more=read)).ok()
    groups = [{int(s.text.split()[1]) for s in one.iter("{*}Subject")} for one in reply.all("//t:GroupedItems")]
    assert groups == [{1, 3, 5, 7, 9}, {0, 2, 4, 6, 8}]


async def test_a_list_has_no_bodies(full):
    body = '<t:AdditionalProperties><t:FieldURI FieldURI="item:Body"/></t:AdditionalProperties>'
    assert (await full.find(extra=body)).codes == ["ErrorInvalidPropertyRequest"]
    assert not (await full.find(shape="AllProperties")).ok().all("//t:Body")


def queried(query: str, order: str = "") -> str:
    return (
        '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>Default</t:BaseShape></m:ItemShape>'
        f"{order}<m:ParentFolderIds>{named('inbox')}</m:ParentFolderIds>"
        f"<m:QueryString>{query}</m:QueryString></m:FindItem>"
    )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("subject:&quot;number 7&quot;", [7]),
        ("from:s2@ AND isread:yes", [5]),
        ("body:&quot;body of 6&quot; OR &quot;body of 3&quot;", [6, 3]),
        ("CAFÉ -from:(s0 OR s1)", [8, 5, 2]),
        ("attachment:plan", []),
    ],
)
async def test_query_strings(full, query, found):
    reply = (await full.ask(queried(query))).ok()
    assert [int(s.split()[1]) for s in reply.texts("//t:Subject")] == found
    order = (
        '<m:SortOrder><t:FieldOrder Order="Ascending"><t:FieldURI FieldURI="item:DateTimeSent"/></t:FieldOrder>'
        "</m:SortOrder>"
    )
    reply = (await full.ask(queried(query, order))).ok()
    assert [int(s.split()[1]) for s in reply.texts("//t:Subject")] == sorted(found)


async def test_a_query_string_that_is_too_much(full):
    (code,) = (await full.ask(queried("(" * 200))).codes
    assert code in ("ErrorInvalidArgument", "ErrorSearchQueryHasTooManyKeywords")

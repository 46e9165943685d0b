"""The address book: filters as SQL against a plain reading of them, lists, search, pictures."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postern.directory.interface import AddressList, Details, NewAccount, RecipientKind
from postern.model import filters
from postern.model.filters import And, Equal, Filter, Not, Or, Present, Substrings
from postern.model.refusal import Reason, Refusal
from postern.model.rights import MailboxRight

VALUES = ("Sales", "sales", "Köln", "KÖLN", "100%", "a_b", "back\\slash", "x")
ATTRIBUTES = {"department": "department", "l": "city", "title": "title"}


@pytest.fixture
async def book(directory):
    new = [NewAccount(f"u{n}@example.org", f"Person {n}") for n in range(8)]
    for n, account in enumerate(await directory.create_accounts(new)):
        await directory.set_details(
            account.address, Details(department=VALUES[n], city=VALUES[(n + 3) % 8], title="" if n % 2 else VALUES[-n])
        )
    return directory


def holds(wanted: Filter, details: Details) -> bool | None:
    """What RFC 4511 4.5.1.7 says; None is Undefined."""
    match wanted:
        case And(parts):
            found = [holds(part, details) for part in parts]
            return False if False in found else None if None in found else True
        case Or(parts):
            found = [holds(part, details) for part in parts]
            return True if True in found else None if None in found else False
        case Not(part):
            inner = holds(part, details)
            return None if inner is None else not inner
    field = ATTRIBUTES.get(wanted.attribute)
    if field is None:
        return None
    value = getattr(details, field).casefold()
    match wanted:
        case Present():
            return bool(value)
        case Equal(_, text):
            return bool(value) and value == text.casefold()
        case Substrings(_, initial, _, final):
            return bool(value) and value.startswith(initial.casefold()) and value.endswith(final.casefold())


attributes = st.sampled_from([*ATTRIBUTES, "unheardof"])
values = st.sampled_from([*VALUES, "%", "_", "S", "s"])
leaves = st.one_of(
    st.builds(Present, attributes),
    st.builds(Equal, attributes, values),
    st.builds(lambda a, v: Substrings(a, v, (), ""), attributes, values),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(wanted=trees)
async def test_filters_find_what_they_say(book, wanted):
    everybody = await book.entries()
    expected = {entry.address for entry in everybody if holds(wanted, entry.details)}
    assert {entry.address for entry in await book.entries(wanted)} == expected
    assert await book.count_entries(wanted) == len(expected)


async def test_search_finds_the_beginnings_of_words(book):
    await book.set_details("ann@example.org", Details(given_name="Анна", surname="O'Neil", department="Ärzte"))

    async def found(text: str) -> list[str]:
        return [entry.address for entry in await book.entries(search=text)]

    for text in ("анн", "o'ne", "ärz", "ÄRZ анна", "ann"):
        assert await found(text) == ["ann@example.org"], text
    for text in ("нна", "%", "_nn", "ann bob", "'; DROP TABLE objects"):
        assert await found(text) == [], text
    assert len(await found("person")) == 8
    assert len(await book.entries(search="person", offset=6, limit=5)) == 2


async def test_lists_and_members(book):
    await book.put_group("all@example.org")
    await book.set_members("all@example.org", add=["u1@example.org", "U2@example.org"])
    assert {e.address for e in await book.entries(filters.parse("(memberOf=all@example.org)"))} == {
        "u1@example.org",
        "u2@example.org",
    }
    await book.put_proxy("u3@example.org", "third@example.org")
    (entry,) = await book.entries(filters.parse("(proxyAddresses=SMTP:third@example.org)"))
    assert entry.proxies == ("third@example.org",)
    assert [e.kind for e in await book.entries(within="All Groups")] == [RecipientKind.GROUP]
    assert "Departments/Sales" in await book.address_list_names()
    assert {e.address for e in await book.entries(within="Departments/SALES")} == {"u0@example.org", "u1@example.org"}
    with pytest.raises(Refusal) as refused:
        await book.entries(within="Nowhere")
    assert refused.value.reason is Reason.NO_SUCH_RECIPIENT
    with pytest.raises(Refusal):
        await book.put_address_list(AddressList("x", "(password=*)"))


async def test_a_dynamic_group_follows_its_filter_and_holds_no_rights(book):
    await book.put_group("selling@example.org", filter="(department=sales)")
    assert set((await book.resolve("selling@example.org")).group.members) == {"u0@example.org", "u1@example.org"}
    await book.set_details("u0@example.org", Details())
    assert (await book.resolve("selling@example.org")).group.members == ("u1@example.org",)
    with pytest.raises(Refusal) as refused:
        await book.grant_on("ann@example.org", "selling@example.org", MailboxRight.SEND_AS)
    assert refused.value.reason is Reason.NOT_SUPPORTED


async def test_pictures(book):
    jpeg = b"\xff\xd8\xff" + bytes(10)
    await book.set_photo("u1@example.org", jpeg)
    entry = await book.entry("u1@example.org")
    assert entry.photo and await book.photo(entry.id) == jpeg
    for wrong, reason in ((b"<svg/>", Reason.BAD_VALUE), (jpeg + bytes(102_400), Reason.TOO_LARGE)):
        with pytest.raises(Refusal) as refused:
            await book.set_photo("u1@example.org", wrong)
        assert refused.value.reason is reason
    await book.set_photo("u1@example.org", None)
    assert not (await book.entry("u1@example.org")).photo

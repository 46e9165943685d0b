"""What signed-in people find."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.frontends.ldap.conftest import BASE, JPEG

from postern.directory.interface import AccountChange
from postern.formats import ber
from postern.frontends.ldap.translate import translate
from postern.protocols.ldap import controls, dn, filters
from postern.protocols.ldap.operations import Control, Scope
from postern.protocols.ldap.results import Code

EVERYBODY = ["ann@example.org", "aula@example.org", "bob@example.org", "carla@example.net", "team@example.org"]
SHOWN = "(mail=*)"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (SHOWN, EVERYBODY),
        ("(cn=ann*)", ["ann@example.org"]),
        ("(cn=ANN ARCHER)", ["ann@example.org"]),
        ("(cn=*arch*)", ["ann@example.org"]),
        ("(cn=*öZT*)", ["bob@example.org"]),
        ("(sn=öztürk)", ["bob@example.org"]),
        ("(|(mail=bo*)(cn=bo*)(sn=bo*))", ["bob@example.org"]),
        ("(&(mail=*)(|(cn=ann*)(givenName=bob)))", ["ann@example.org", "bob@example.org"]),
        ("(anr=arch)", ["ann@example.org"]),
        ("(anr=ann arch)", ["ann@example.org"]),
        ("(anr=zt)", []),
        ("(objectClass=room)", ["aula@example.org"]),
        ("(objectClass=group)", ["team@example.org"]),
        ("(&(objectClass=person)(!(cn=a*)))", ["bob@example.org", "carla@example.net"]),
        ("(department=sales)", ["ann@example.org"]),
        ("(telephoneNumber=*30*)", ["ann@example.org"]),
        ("(cn=*a*n*r)", ["ann@example.org"]),
        ("(cn>=c)", ["carla@example.net", "team@example.org"]),
        ("(displayName~=archer)", ["ann@example.org"]),
        ("(nonsense=*)", []),
        ("(!(nonsense=*))", []),
        ("(cn:caseIgnoreMatch:=ann)", []),
    ],
)
async def test_filters(client, text, found):
    assert sorted(await client.who(text)) == found


async def test_an_entry_has_the_attributes_of_a_person(client):
    _, (entry,), _ = await client.find("(mail=ann@example.org)")
    assert entry.dn == f"mail=ann@example.org,{BASE}"
    assert entry.attributes == {
        "objectClass": (b"top", b"person", b"organizationalPerson", b"inetOrgPerson"),
        "cn": (b"Ann Archer",),
        "displayName": (b"Ann Archer",),
        "givenName": (b"Ann",),
        "sn": (b"Archer",),
        "mail": (b"ann@example.org",),
        "telephoneNumber": (b"+49 30 1",),
        "department": (b"Sales",),
        "ou": (b"Sales",),
    }


async def test_attributes_are_picked(client):
    async def attributes(*asked, **more):
        _, (entry,), _ = await client.find("(mail=ann@example.org)", attributes=asked, **more)
        return dict(entry.attributes)

    assert await attributes("1.1") == {}
    assert await attributes("CN", "unknown") == {"cn": (b"Ann Archer",)}
    assert await attributes("jpegPhoto") == {"jpegPhoto": (JPEG,)}
    assert "jpegPhoto" not in await attributes("*")
    assert await attributes("cn", types_only=True) == {"cn": ()}


async def test_lists_are_containers_and_their_people_lie_beneath(client):
    _, entries, _ = await client.find("(ou=*)", scope=Scope.ONE_LEVEL)
    assert f"ou=All Rooms,{BASE}" in {entry.dn for entry in entries}
    _, entries, _ = await client.find(SHOWN, f"OU=all rooms, {BASE}", Scope.ONE_LEVEL)
    assert [entry.dn for entry in entries] == [f"mail=aula@example.org,ou=All Rooms,{BASE}"]
    _, (entry,), _ = await client.find(base=f"mail=aula@example.org,ou=All Rooms,{BASE}", scope=Scope.BASE)
    assert entry.attributes["cn"] == (b"Aula (100)",)
    _, entries, _ = await client.find("(ou=*)", f"ou=Departments,{BASE}", Scope.ONE_LEVEL, attributes=("ou",))
    places = {entry.dn for entry in entries if entry.dn.startswith("ou=")}
    assert places == {f"ou=R&D,ou=Departments,{BASE}", f"ou=Sales,ou=Departments,{BASE}"}
    assert await client.who(SHOWN, f"ou=sales,ou=departments,{BASE}") == ["ann@example.org"]


async def test_the_empty_base_is_the_whole_book(client):
    assert sorted(await client.who(SHOWN, "")) == EVERYBODY


@pytest.mark.parametrize(
    "base", ["dc=other", f"ou=nowhere,{BASE}", f"mail=ann@example.org,ou=All Rooms,{BASE}", f"cn=ann,{BASE}"]
)
async def test_what_is_not_there_is_not_there(client, base):
    result, entries, _ = await client.find(base=base)
    assert (result.code, entries) == (Code.NO_SUCH_OBJECT, [])


async def test_a_malformed_name_is_told_apart(client):
    assert (await client.find(base="no name"))[0].code == Code.INVALID_DN_SYNTAX


async def test_the_schema(client):
    _, (entry,), _ = await client.find(base="cn=Subschema", scope=Scope.BASE, attributes=("+",))
    assert any(b"'inetOrgPerson'" in one for one in entry.attributes["objectClasses"])


# --- what is not shown


async def test_hidden_recipients_are_never_shown(client, directory):
    for text in (SHOWN, "(mail=secret*)", "(cn=agent smith)", "(!(cn=a))", "(anr=agent)", "(objectClass=*)"):
        assert "secret@example.org" not in await client.who(text)
    for base in (f"mail=secret@example.org,{BASE}", f"mail=secret@example.org,ou=Global Address List,{BASE}"):
        assert (await client.find(base=base, scope=Scope.BASE))[0].code == Code.NO_SUCH_OBJECT
    # at once, however old the index is
    client.authentication.directory = directory
    await directory.change_account("bob@example.org", AccountChange(hidden=True))
    assert await client.who("(cn=bob*)") == []


async def test_a_recipient_hidden_behind_an_old_index_is_not_shown(client, directory, book):
    assert await client.who("(cn=bob*)") == ["bob@example.org"]
    book._index.build_s = 1e6  # as in an organisation so large that the index lags
    await directory.change_account("bob@example.org", AccountChange(hidden=True))
    assert await client.who("(cn=bob*)") == []
    assert await client.who("(!(cn=nobody))") == [a for a in EVERYBODY if a != "bob@example.org"]


@pytest.mark.parametrize(
    "text",
    ["(proxyAddresses=*annie*)", "(proxyAddresses=smtp:annie@example.org)", "(mail=annie*)", "(memberOf=*)",
     "(info=*tea*)", "(description=likes tea)", "(extensionAttribute1=*)", "(targetAddress=*)", "(homePhone=*)"],
)  # fmt: skip
async def test_what_is_not_shown_cannot_be_asked_for(client, text):
    assert await client.who(text) == []


async def test_a_policy_limits_the_lists(connect, directory):
    await directory.change_account("ann@example.org", AccountChange(policy="narrow"))
    client = connect()
    assert (await client.sign_in()).ok
    assert sorted(await client.who(SHOWN)) == ["ann@example.org", "aula@example.org"]
    assert await client.who("(cn=bob*)") == []
    _, entries, _ = await client.find("(ou=*)", scope=Scope.ONE_LEVEL, attributes=("1.1",))
    assert {e.dn for e in entries if e.dn.startswith("ou=")} == {
        f"ou=All Rooms,{BASE}",
        f"ou=Sales,ou=Departments,{BASE}",
    }
    for base in (f"ou=Global Address List,{BASE}", f"ou=R&D,ou=Departments,{BASE}", f"mail=bob@example.org,{BASE}"):
        assert (await client.find(base=base))[0].code == Code.NO_SUCH_OBJECT


# --- pages, order, views


async def in_pages(client, size, *given, **more):
    pages, cookie = [], b""
    while True:
        result, entries, answers = await client.find(SHOWN, given=(controls.paged(size, cookie), *given), **more)
        assert result.ok
        pages.append([entry.attributes["mail"][0].decode() for entry in entries])
        cookie = controls.next_page(answers)
        if not cookie:
            return pages


async def test_pages_have_everybody_once(client):
    pages = await in_pages(client, 2)
    assert [len(page) for page in pages] == [2, 2, 1]
    assert sorted([a for page in pages for a in page]) == EVERYBODY


async def test_pages_of_containers_and_people(client):
    seen, cookie = [], b""
    while True:
        _, entries, answers = await client.find(given=(controls.paged(3, cookie),))
        assert len(entries) <= 3
        seen += [entry.dn for entry in entries]
        cookie = controls.next_page(answers)
        if not cookie:
            break
    assert len(seen) == len(set(seen)) == 1 + 7 + 5


async def test_pages_go_on_where_they_were_when_somebody_joins_or_leaves(client, directory):
    _, first, answers = await client.find(SHOWN, given=(controls.paged(2),))
    await directory.put_contact("aaa@example.net", display_name="Aaa")
    await directory.delete_contact("carla@example.net")
    _, rest, _ = await client.find(SHOWN, given=(controls.paged(50, controls.next_page(answers)),))
    found = [entry.attributes["mail"][0].decode() for entry in (*first, *rest)]
    assert sorted(found) == [a for a in EVERYBODY if a != "carla@example.net"]


def sort(*keys: tuple[str, bool], critical=False) -> Control:
    value = ber.sequence(*(ber.sequence(ber.text(a), *([ber.boolean(True, 0x81)] if down else [])) for a, down in keys))
    return Control(controls.SORT_REQUEST, critical, value)


async def test_sorting(client):
    assert await client.who(SHOWN, given=(sort(("mail", False)),)) == EVERYBODY
    assert await client.who(SHOWN, given=(sort(("mail", True)),)) == EVERYBODY[::-1]
    by_name = await client.who(SHOWN, given=(sort(("sn", False)),))
    assert by_name[:2] == ["ann@example.org", "bob@example.org"]  # who has none comes last
    pages = await in_pages(client, 2, sort(("mail", True)))
    assert [a for page in pages for a in page] == EVERYBODY[::-1]
    result, entries, _ = await client.find(SHOWN, given=(sort(("jpegPhoto", False), critical=True),))
    assert (result.code, entries) == (Code.UNAVAILABLE_CRITICAL_EXTENSION, [])
    assert len(await client.who(SHOWN, given=(sort(("jpegPhoto", False)),))) == 5


def view(before: int, after: int, *, offset: int = 0, total: int = 0, value: bytes | None = None) -> Control:
    target = (
        ber.sequence(ber.integer(offset), ber.integer(total), tag=0xA0) if value is None else ber.octets(value, 0x81)
    )
    return Control(controls.VIEW_REQUEST, True, ber.sequence(ber.integer(before), ber.integer(after), target))


def placed(answers) -> tuple[int, int, int]:
    (found,) = [c for c in answers if c.oid == controls.VIEW_RESPONSE]
    inner = ber.Reader(found.value).enter()
    return inner.integer(), inner.integer(), inner.integer(ber.ENUMERATED)


async def test_views(client):
    by_mail = sort(("mail", False))

    async def look(window):
        result, entries, answers = await client.find(SHOWN, given=(by_mail, window))
        assert result.ok
        return [entry.attributes["mail"][0].decode() for entry in entries], placed(answers)

    assert await look(view(0, 1, offset=1)) == (EVERYBODY[:2], (1, 5, 0))
    assert await look(view(1, 1, offset=3, total=5)) == (EVERYBODY[1:4], (3, 5, 0))
    assert await look(view(0, 0, offset=100, total=100)) == (EVERYBODY[-1:], (5, 5, 0))
    assert await look(view(0, 1, value=b"bo")) == (EVERYBODY[2:4], (3, 5, 0))
    assert await look(view(0, 1, value=b"zzz")) == ([], (6, 5, 0))
    result, _, answers = await client.find(SHOWN, given=(view(0, 1, offset=1),))
    assert result.code == Code.SORT_CONTROL_MISSING
    assert placed(answers)[2] == Code.SORT_CONTROL_MISSING


async def test_size_limits(client, connect):
    result, entries, _ = await client.find(SHOWN, size_limit=2)
    assert (result.code, len(entries)) == (Code.SIZE_LIMIT_EXCEEDED, 2)
    assert (await client.find("(cn=ann*)", size_limit=1))[0].ok
    small = connect(max_entries=3)
    await small.sign_in()
    result, entries, _ = await small.find(SHOWN)
    assert (result.code, len(entries)) == (Code.SIZE_LIMIT_EXCEEDED, 3)
    assert [len(page) for page in await in_pages(small, 100)] == [3, 2]


# --- the index never loses what the directory would find


WORDS = st.sampled_from(["a", "an", "Ann", "arch", "ö", "Ö", "b", "example", "@", "sales", "100", "(", " ", "e", "x"])
LEAVES = st.one_of(
    st.builds(filters.Present, st.sampled_from(["cn", "sn", "mail", "objectClass", "nope", "department"])),
    st.builds(
        lambda a, o, v: filters.Compare(a, o, v.encode()),
        st.sampled_from(["cn", "sn", "mail", "department", "objectClass", "anr", "proxyAddresses"]),
        st.sampled_from(["=", ">=", "<=", "~="]),
        st.one_of(WORDS, st.sampled_from(["Ann Archer", "ann@example.org", "person", "group", "room", "user"])),
    ),
    st.builds(
        lambda a, i, m, f: filters.Substrings(a, i.encode(), (m.encode(),), f.encode()),
        st.sampled_from(["cn", "sn", "mail", "givenName"]),
        st.one_of(st.just(""), WORDS),
        WORDS,
        st.one_of(st.just(""), WORDS),
    ),
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda t: filters.And(tuple(t)), st.lists(inner, max_size=3)),
        st.builds(lambda t: filters.Or(tuple(t)), st.lists(inner, max_size=3)),
        st.builds(filters.Not, inner),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=FILTERS)
async def test_the_index_finds_what_the_directory_finds(directory, book, wanted):
    own = translate(wanted)
    expected = {entry.address for entry in await directory.entries(own)}
    search = await book.search(own)
    found = [entry.address async for piece in search.pieces() for _, entry in piece]
    assert set(found) == expected and len(found) == len(expected)
    await search.settle()
    assert len(search.ranks) == len(expected)


@given(st.lists(st.tuples(st.sampled_from(["cn", "ou", "mail"]), st.text(min_size=1).filter(lambda v: "\0" not in v))))
def test_names_are_written_and_read(parts):
    text = ",".join(dn.part(attribute, value) for attribute, value in parts)
    if len(text) <= dn.LIMIT and len(parts) <= dn.PARTS_LIMIT:
        assert dn.parse(text) == tuple(parts)

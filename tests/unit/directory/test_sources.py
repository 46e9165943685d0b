"""Directories elsewhere: what becomes of their entries, who has an address, what a removal leaves."""

from __future__ import annotations

import pytest

from postern.directory.interface import AccountChange, Alias, Details, RecipientKind, Source, SourceEntry
from postern.model.refusal import Reason, Refusal
from postern.model.rights import MailboxRight

USER, GROUP, CONTACT = RecipientKind.USER, RecipientKind.GROUP, RecipientKind.CONTACT


@pytest.fixture
async def joined(directory):
    await directory.put_source(Source("ad", "ad", precedence=10))
    await directory.put_source(Source("ldap", "ldap", precedence=20))
    return directory


def user(anchor: str, address: str, **more) -> SourceEntry:
    return SourceEntry(anchor, USER, address, dn=f"CN={anchor},DC=example", **more)


async def test_a_renamed_account_keeps_its_mailbox(joined):
    first = await joined.mirror("ad", [user("g1", "eve@example.org", login_names=("EX\\eve", "eve@EX.LOCAL"))])
    (eve,) = first.added
    assert eve.source == "ad" and (await joined.login("ex\\EVE")).id == eve.id
    done = await joined.mirror("ad", [user("g1", "eva@example.org", display_name="Eva", login_names=("EX\\eva",))])
    assert (done.added, done.changed) == ((), 1)
    eva = await joined.login("eva@example.org")
    assert (eva.id, eva.mailbox, eva.slot, eva.display_name) == (eve.id, eve.mailbox, eve.slot, "Eva")
    assert (await joined.login("eve@example.org")).id == eve.id, "the old address still arrives"
    assert await joined.login("ex\\eve") is None and (await joined.login("ex\\eva")).id == eve.id
    assert (await joined.source_link(eve.id)).anchor == "g1"
    assert (await joined.by_anchor("ad", "g1")).id == eve.id
    same = await joined.mirror("ad", [user("g1", "eva@example.org", display_name="Eva", login_names=("EX\\eva",))])
    assert (same.added, same.changed) == ((), 0), "nothing is written for what did not change"


async def test_a_removed_account_is_disconnected_and_found_again(joined):
    (eve,) = (await joined.mirror("ad", [user("g1", "eve@example.org", proxies=("e@example.org",))])).added
    await joined.put_group("crew@example.org")
    await joined.set_members("crew@example.org", add=["eve@example.org"])
    await joined.grant((await joined.login("bob@example.org")).mailbox, "eve@example.org", MailboxRight.FULL_ACCESS)
    assert (await joined.mirror("ad", removed=["g1"])).removed == 1
    for address in ("eve@example.org", "e@example.org"):
        assert not (await joined.resolve(address)).known
    ((gone, _),) = await joined.disconnected()
    assert gone.mailbox == eve.mailbox and not gone.enabled and gone.generation > eve.generation
    assert "eve" not in str([entry.address for entry in await joined.entries(hidden=True)])
    assert (await joined.resolve("crew@example.org")).group.members == ()
    assert (await joined.mirror("ad", removed=["g1"])).removed == 0
    await joined.mirror("ad", [user("g1", "eve@example.org", proxies=("e@example.org",))])
    again = await joined.login("e@example.org")
    assert again.mailbox == eve.mailbox and again.enabled and await joined.disconnected() == []
    await joined.mirror("ad", removed=["g1"])
    ((gone, _),) = await joined.disconnected()
    await joined.delete_account(gone.address)
    assert await joined.disconnected() == []


async def test_who_has_an_address(joined):
    found = await joined.mirror("ad", [user("g1", "ann@example.org", proxies=("bob@example.org", "new@example.org"))])
    assert found.added == () and {c.address for c in found.conflicts} == {"ann@example.org"}
    assert {(c.address, c.holder) for c in await joined.conflicts()} == {("ann@example.org", "ann@example.org")}
    (low,) = (await joined.mirror("ldap", [user("u1", "eve@example.org")])).added
    (high,) = (await joined.mirror("ad", [user("g2", "eve@example.org")])).added
    assert high.id != low.id and (await joined.login("eve@example.org")).id == high.id
    assert [c.address for c in await joined.conflicts() if c.source == "ldap"] == ["eve@example.org"]
    (third,) = (
        await joined.mirror("ad", [user("g3", "f@example.org", proxies=("bob@example.org", "ff@example.org"))])
    ).added
    assert (await joined.login("ff@example.org")).id == third.id
    assert (await joined.login("bob@example.org")).address == "bob@example.org", "what was made here comes first"


async def test_an_account_of_our_own_is_adopted_with_its_mailbox(joined):
    before = await joined.login("ann@example.org")
    await joined.put_source(Source("ad", "ad", adopt=True))
    assert (await joined.mirror("ad", [user("g1", "ann@example.org")])).conflicts == ()
    after = await joined.login("ann@example.org")
    assert (after.id, after.mailbox, after.source) == (before.id, before.mailbox, "ad")
    assert after.generation > before.generation and await joined.password_hash(after.id) == ""
    with pytest.raises(Refusal) as refused:
        await joined.set_password(after.id, "{PLAIN}x", None)
    assert refused.value.reason is Reason.CONFLICT
    with pytest.raises(Refusal):
        await joined.change_account("ann@example.org", AccountChange(address="anne@example.org"))
    assert (await joined.change_account("ann@example.org", AccountChange(forward_to=("bob@example.org",)))).forward_to


async def test_groups_find_their_members_whenever_they_come(joined):
    group = SourceEntry("gg", GROUP, "all@example.org", members=("CN=g1,DC=example", "g2", "x@elsewhere.example"))
    nested = SourceEntry("gn", GROUP, "", "Nested", dn="CN=gn,DC=example", members=("gg",))
    await joined.mirror("ad", [group, nested])
    assert (await joined.resolve("all@example.org")).group.members == ("x@elsewhere.example",)
    added = (await joined.mirror("ad", [user("g1", "one@example.org"), user("g2", "two@example.org")])).added
    members = (await joined.resolve("all@example.org")).group.members
    assert set(members) == {"one@example.org", "two@example.org", "x@elsewhere.example"}
    assert set((await joined.groups_of(added[0].id)).values()) == {"all@example.org", "gn@unaddressed.invalid"}
    assert not (await joined.resolve("gn@unaddressed.invalid")).known
    await joined.mirror("ad", [user("g1", "uno@example.org")])
    assert "uno@example.org" in (await joined.resolve("all@example.org")).group.members
    before = (await joined.life_changes()).generation
    await joined.mirror("ad", [SourceEntry("gg", GROUP, "all@example.org", members=("g2",))])
    assert (await joined.resolve("all@example.org")).group.members == ("two@example.org",)
    assert (await joined.life_changes(before)).rights
    with pytest.raises(Refusal):
        await joined.set_members("all@example.org", add=["ann@example.org"])


async def test_a_full_reading_ends_what_it_did_not_see(joined):
    await joined.mirror("ad", [user("g1", "one@example.org"), user("g2", "two@example.org")], run=1)
    contact = SourceEntry("c1", CONTACT, "jo@partner.example", "Jo", target="jo@partner.example")
    await joined.mirror("ad", [user("g1", "one@example.org"), contact], run=2, state='{"usn": 5}', at=9.0)
    assert (await joined.finish_run("ad", 2)).removed == 1
    assert await joined.login("two@example.org") is None and await joined.login("one@example.org") is not None
    source = (await joined.sources())[0]
    assert (source.state, source.synchronised_at) == ('{"usn": 5}', 9.0)
    assert (await joined.entry("jo@partner.example")).display_name == "Jo"
    await joined.mirror("ad", removed=["c1"])
    assert await joined.entry("jo@partner.example") is None


@pytest.mark.parametrize(
    ("change", "ended"),
    [
        ({"enabled": False}, True),
        ({"password_at": 2.0}, True),
        ({"expires_at": 5.0}, False),
        ({"details": Details(title="x")}, False),
    ],
)
async def test_what_ends_sessions(joined, change, ended):
    await joined.mirror("ad", [user("g1", "one@example.org", password_at=1.0)])
    old = await joined.login("one@example.org")
    start = (await joined.life_changes()).generation
    await joined.mirror("ad", [user("g1", "one@example.org", **{"password_at": 1.0, **change})])
    assert ((await joined.login("one@example.org")).generation > old.generation) == ended
    assert (old.id in (await joined.life_changes(start)).accounts) == ("details" not in change)


async def test_addresses_added_here_stay_and_those_of_the_source_follow_it(joined):
    await joined.mirror("ad", [user("g1", "one@example.org", proxies=("a@example.org", "b@example.org"))])
    await joined.put_proxy("one@example.org", "here@example.org")
    await joined.mirror("ad", [user("g1", "one@example.org", proxies=("b@example.org",))])
    assert set((await joined.entry("one@example.org")).proxies) == {"b@example.org", "here@example.org"}
    with pytest.raises(Refusal):
        await joined.put_alias(Alias("b@example.org", ("ann@example.org",)))
    assert await joined.delete_source("ad") >= 1
    assert (await joined.login("one@example.org")).source == ""


async def test_names_that_would_inject(joined):
    nasty = "x' OR 1=1 --"
    await joined.mirror("ad", [user("g1", "one@example.org", display_name=nasty, login_names=(nasty,))])
    assert (await joined.login(nasty)).address == "one@example.org"
    assert await joined.login("*") is None and await joined.login("%") is None

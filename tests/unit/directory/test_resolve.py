from __future__ import annotations

import asyncio

import pytest

from postern.directory.interface import AccountChange, Alias, Domain, DomainKind, NewAccount, Via
from postern.directory.sqlite import SqliteDirectory
from postern.model.refusal import Reason, Refusal
from postern.net.clock import SystemEntropy


async def test_finds_an_account_however_it_is_written(directory):
    for written in ("ann@example.org", "ANN@EXAMPLE.ORG", '"ann"@example.org', "ann@example.org."):
        found = await directory.resolve(written)
        assert found.account is not None and found.account.address == "ann@example.org", written
        assert not found.relay


async def test_addresses_of_others_are_relayed_and_unknown_ones_of_ours_are_not(directory):
    elsewhere = await directory.resolve("ann@example.net")
    assert elsewhere.relay and not elsewhere.known
    nobody = await directory.resolve("nobody@example.org")
    assert not nobody.relay and not nobody.known


@pytest.mark.parametrize(
    "nonsense", ["", "@", "@example.org", "ann", "ann@", "ann@ex ample.org", "a@-x.org", "a@\0.org"]
)
async def test_nonsense_is_neither_known_nor_relayed(directory, nonsense):
    found = await directory.resolve(nonsense)
    assert not found.known
    assert not found.relay


async def test_a_plus_address_leads_to_the_account_and_keeps_its_tag(directory):
    found = await directory.resolve("ann+Lists+x@example.org")
    assert found.account is not None and found.via is Via.PLUS
    assert found.tag == "lists+x"


async def test_an_account_whose_name_has_a_plus_wins_over_the_tag(directory):
    await directory.create_accounts([NewAccount("ann+own@example.org")])
    found = await directory.resolve("ann+own@example.org")
    assert found.account is not None and found.account.address == "ann+own@example.org"
    assert found.via is Via.EXACT


async def test_aliases_of_one_lead_to_it_and_aliases_of_many_list_them(directory):
    await directory.put_alias(Alias("info@example.org", ("ann@example.org",)))
    await directory.put_alias(Alias("all@example.org", ("ann@example.org", "x@example.net")))
    one = await directory.resolve("info@example.org")
    assert one.account is not None and one.via is Via.ALIAS
    many = await directory.resolve("all@example.org")
    assert many.targets == ("ann@example.org", "x@example.net") and many.known and not many.relay


async def test_postmaster_and_abuse_arrive_at_an_administrator(directory):
    for written in ("postmaster", "Postmaster@example.org", "abuse@example.org"):
        found = await directory.resolve(written)
        assert found.account is not None and found.account.address == "ann@example.org", written
    await directory.set_postmaster("bob@example.org")
    found = await directory.resolve("abuse@example.org")
    assert found.account is not None and found.account.address == "bob@example.org"


async def test_postmaster_is_reached_at_the_servers_own_name(directory, tmp_path):
    at_host = SqliteDirectory(directory.path, SystemEntropy(), host_name="Mail.example.com")
    found = await at_host.resolve("Postmaster@mail.example.com")
    assert found.account is not None and found.account.address == "ann@example.org"
    assert not found.relay
    other = await at_host.resolve("ann@mail.example.com")
    assert not other.known and other.relay
    await at_host.close()


async def test_a_catch_all_takes_what_nobody_else_does(directory):
    await directory.put_domain(Domain("example.org", catch_all="bob@example.org"))
    found = await directory.resolve("whoever@example.org")
    assert found.account is not None and found.account.address == "bob@example.org" and found.via is Via.CATCH_ALL
    assert (await directory.resolve("postmaster@example.org")).via is Via.ROLE


async def test_a_relay_domain_relays_its_unknown_recipients_only(directory):
    await directory.put_domain(Domain("branch.example", DomainKind.INTERNAL_RELAY))
    await directory.create_accounts([NewAccount("here@branch.example")])
    assert (await directory.resolve("here@branch.example")).account is not None
    assert (await directory.resolve("there@branch.example")).relay


async def test_groups_keep_their_members_in_order(directory):
    await directory.put_group("team@example.org", display_name="Team")
    await directory.set_members("team@example.org", add=["bob@example.org", "x@example.net", "ann@example.org"])
    await directory.set_members("team@example.org", remove=["X@example.net"])
    found = await directory.resolve("team@example.org")
    assert found.group is not None and found.group.members == ("bob@example.org", "ann@example.org")


async def test_a_change_by_another_process_is_seen_in_the_next_turn_of_the_loop(directory, tmp_path, chance):
    assert not (await directory.resolve("new@example.org")).known
    other = SqliteDirectory(tmp_path / "directory.db", chance)
    await other.create_accounts([NewAccount("new@example.org")])
    await other.close()
    await asyncio.sleep(0)
    assert (await directory.resolve("new@example.org")).known


async def test_international_domains_meet_in_one_form(directory):
    await directory.put_domain(Domain("пример.рф"))
    await directory.create_accounts([NewAccount("почта@пример.рф")])
    found = await directory.resolve("ПОЧТА@xn--e1afmkfd.xn--p1ai")
    assert found.account is not None


async def test_a_renamed_account_keeps_its_mailbox_and_its_old_address(directory):
    await directory.put_group("team@example.org")
    await directory.set_members("team@example.org", add=["bob@example.org"])
    before = (await directory.resolve("bob@example.org")).account
    await directory.change_account("bob@example.org", AccountChange(address="robert@example.org"))
    after = (await directory.resolve("robert@example.org")).account
    old = (await directory.resolve("bob@example.org")).account
    assert before is not None and after is not None and old is not None
    assert (after.id, after.mailbox, after.slot) == (before.id, before.mailbox, before.slot)
    assert old.id == after.id
    team = (await directory.resolve("team@example.org")).group
    assert team is not None and team.members == ("robert@example.org",)
    await directory.change_account("robert@example.org", AccountChange(address="bob@example.org"))
    assert (await directory.resolve("bob@example.org")).via is Via.EXACT


async def test_slots_and_numbers_are_never_given_twice(directory):
    gone = await directory.delete_account("bob@example.org")
    (new,) = await directory.create_accounts([NewAccount("bob@example.org")])
    assert new.slot > gone.slot and new.id > gone.id and new.mailbox != gone.mailbox


async def test_creating_is_all_or_nothing(directory):
    with pytest.raises(Refusal) as refused:
        await directory.create_accounts([NewAccount("x@example.org"), NewAccount("ann@example.org")])
    assert refused.value.reason is Reason.ALREADY_EXISTS
    assert not (await directory.resolve("x@example.org")).known


@pytest.mark.parametrize(
    "bad",
    [
        "x",
        "x y@example.org",
        ".x@example.org",
        "x..y@example.org",
        "x@elsewhere.org",
        "a\n@example.org",
        "x" * 65 + "@example.org",
    ],
)
async def test_bad_addresses_are_not_created(directory, bad):
    with pytest.raises(Refusal) as refused:
        await directory.create_accounts([NewAccount(bad)])
    assert refused.value.reason is Reason.BAD_NAME


async def test_a_domain_in_use_stays(directory):
    with pytest.raises(Refusal) as refused:
        await directory.delete_domain("example.org")
    assert refused.value.reason is Reason.CONFLICT
    await directory.put_domain(Domain("unused.example"))
    await directory.delete_domain("unused.example")


async def test_deleting_an_account_takes_its_aliases_along(directory):
    await directory.put_alias(Alias("b@example.org", ("bob@example.org",)))
    await directory.put_alias(Alias("both@example.org", ("bob@example.org", "ann@example.org")))
    await directory.delete_account("bob@example.org")
    assert not (await directory.resolve("b@example.org")).known
    both = (await directory.resolve("both@example.org")).account
    assert both is not None and both.address == "ann@example.org"


async def test_a_damaged_file_is_a_refusal(tmp_path, chance):
    (tmp_path / "bad.db").write_bytes(b"not a database, but long enough to be one " * 100)
    with pytest.raises(Refusal) as refused:
        SqliteDirectory(tmp_path / "bad.db", chance)
    assert refused.value.reason is Reason.CORRUPT

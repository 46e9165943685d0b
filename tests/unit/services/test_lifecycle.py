"""What ends sessions, and who may act as whom; over the real directory."""

from __future__ import annotations

import asyncio

import pytest

from postern.directory.failures import FailureLog
from postern.directory.interface import (
    AccountChange,
    Domain,
    NewAccount,
    Policy,
    RecipientKind,
    Source,
    SourceEntry,
)
from postern.directory.passwords import CHEAP, new_credentials
from postern.directory.sqlite import SqliteDirectory
from postern.model.refusal import Reason, Refusal
from postern.model.rights import AdminRole, MailboxRight
from postern.net.clock import SystemEntropy
from postern.services.authentication import Authentication, AuthenticationSettings
from postern.services.lifecycle import Sessions
from postern.services.permissions import Permissions


class Time:
    seconds = 1_700_000_000.0

    def timestamp(self) -> float:
        return self.seconds

    monotonic = timestamp


class Session:
    def __init__(self) -> None:
        self.ended: Reason | None = None
        self.aborted = False

    def end(self, reason: Reason) -> None:
        self.ended = reason

    def abort(self) -> None:
        self.aborted = True


async def no_sleep(_: float) -> None:
    pass


class World:
    def __init__(self, tmp_path) -> None:
        self.time, chance = Time(), SystemEntropy()
        self.directory = SqliteDirectory(tmp_path / "directory.db", chance, self.time)
        self.log = FailureLog(tmp_path / "failures.db")
        self.watched: list[object] = []
        self.sessions = Sessions(self.directory, Permissions(self.directory), self.time, self.watched.append)
        self.authentication = Authentication(
            self.directory,
            self.log,
            self.time,
            chance,
            AuthenticationSettings(cost=CHEAP),
            sleep=no_sleep,
            sessions=self.sessions,
        )

    async def sign_in(self, user: str, authzid: str = "", protocol: str = "imap"):
        return await self.authentication.verify_password(f"{user}@example.org", "secret", "::1", protocol, authzid)

    async def session(self, user: str, authzid: str = "", protocol: str = "imap") -> Session:
        session = Session()
        principal = await self.sign_in(user, authzid, protocol)
        session.forget = await self.authentication.watch(principal, protocol, session)
        session.principal = principal
        return session


@pytest.fixture
async def world(tmp_path):
    made = World(tmp_path)
    await made.directory.put_domain(Domain("example.org"))
    keys = new_credentials("secret", SystemEntropy(), CHEAP)
    await made.directory.create_accounts(
        [
            *(
                NewAccount(f"{user}@example.org", password_hash=keys[0], scram=keys[1])
                for user in ("ann", "bob", "eve")
            ),
            NewAccount("box@example.org", kind=RecipientKind.SHARED),
        ]
    )
    await made.sessions.look()
    yield made
    made.authentication.close()
    made.log.close()
    await made.directory.close()


async def refused(awaitable) -> Reason:
    with pytest.raises(Refusal) as caught:
        await awaitable
    return caught.value.reason


async def test_only_sessions_of_the_changed_account_end(world):
    ann, bob = await world.session("ann"), await world.session("bob")
    await world.directory.change_account("ann@example.org", AccountChange(display_name="Ann"))
    await world.sessions.look()
    assert ann.ended is None
    await world.directory.change_account("ann@example.org", AccountChange(enabled=False))
    await world.sessions.look()
    assert (ann.ended, bob.ended) == (Reason.ACCOUNT_DISABLED, None)
    await world.directory.change_account("ann@example.org", AccountChange(enabled=True))
    assert await refused(world.sessions.check(ann.principal, "imap")) is Reason.PASSWORD_CHANGED, (
        "an old token stays dead"
    )
    await world.sessions.check((await world.session("ann")).principal, "imap")


async def test_an_account_that_changes_between_its_password_and_its_session(world):
    principal = await world.sign_in("ann")
    await world.directory.change_account("ann@example.org", AccountChange(enabled=False))
    assert await refused(world.authentication.watch(principal, "imap", Session())) is Reason.ACCOUNT_DISABLED
    assert len(world.sessions) == 0


async def test_expiry_comes_by_itself_and_can_be_put_off(world):
    await world.directory.change_account("ann@example.org", AccountChange(expires_at=world.time.seconds + 10))
    ann = await world.session("ann")
    await world.directory.change_account("ann@example.org", AccountChange(expires_at=world.time.seconds + 20))
    world.time.seconds += 11
    await world.sessions.look()
    assert ann.ended is None
    world.time.seconds += 10
    await world.sessions.look()
    assert ann.ended is Reason.ACCOUNT_EXPIRED
    assert await refused(world.sign_in("ann")) is Reason.ACCOUNT_EXPIRED


async def test_a_policy_ends_the_protocols_it_forbids(world):
    imap, pop = await world.session("ann"), await world.session("ann", protocol="pop3")
    await world.directory.put_policy(Policy("default", protocols=frozenset({"imap", "smtp"})))
    await world.sessions.look()
    assert (imap.ended, pop.ended) == (None, Reason.ACCOUNT_DISABLED)
    assert await refused(world.sign_in("ann", protocol="pop3")) is Reason.ACCOUNT_DISABLED


async def test_a_password_that_is_too_old(world):
    await world.directory.put_policy(Policy("default", password_max_age_s=100.0))
    await world.sign_in("ann")
    world.time.seconds += 101
    assert await refused(world.sign_in("ann")) is Reason.PASSWORD_EXPIRED
    assert await refused(world.authentication.verify_password("ann", "wrong", "::1", "imap")) is Reason.BAD_CREDENTIALS


async def test_full_access_through_a_group_ends_with_the_membership(world):
    await world.directory.put_group("team@example.org")
    await world.directory.set_members("team@example.org", add=["ann@example.org", "bob@example.org"])
    await world.directory.grant_on("box@example.org", "team@example.org", MailboxRight.FULL_ACCESS)
    acting, own = await world.session("ann", "box@example.org"), await world.session("bob")
    other = await world.session("bob", "box@example.org")
    await world.directory.set_members("team@example.org", remove=["ann@example.org"])
    await world.sessions.look()
    assert (acting.ended, own.ended, other.ended) == (Reason.RIGHT_WITHDRAWN, None, None)


async def test_impersonation_ends_with_either_account_or_the_role(world):
    assert await refused(world.sign_in("eve", "ann@example.org")) is Reason.NOT_PERMITTED
    await world.directory.assign_role(AdminRole.IMPERSONATION, "eve@example.org")
    acting = await world.session("eve", "ann@example.org")
    assert acting.principal.address == "ann@example.org" and acting.principal.actor is not None
    await world.directory.assign_role(AdminRole.ORGANISATION, "bob@example.org")
    assert await refused(world.sign_in("eve", "bob@example.org")) is Reason.NOT_PERMITTED, (
        "nobody becomes an administrator"
    )
    for change in ("ann", "eve", "role"):
        acting = await world.session("eve", "ann@example.org")
        if change == "role":
            await world.directory.assign_role(AdminRole.IMPERSONATION, "eve@example.org", assigned=False)
        else:
            await world.directory.change_account(f"{change}@example.org", AccountChange(enabled=False))
        await world.sessions.look()
        assert acting.ended in {Reason.ACCOUNT_DISABLED, Reason.RIGHT_WITHDRAWN}
        if change != "role":
            await world.directory.change_account(f"{change}@example.org", AccountChange(enabled=True))


async def test_what_is_over_is_forgotten(world):
    ann = await world.session("ann")
    assert len(world.sessions) == 1
    ann.forget()
    ann.forget()
    assert len(world.sessions) == 0
    await world.directory.delete_account("ann@example.org")
    await world.sessions.look()
    assert ann.ended is None


class Bus:
    def subscribe(self, slot, wake):
        self.wake = wake
        return lambda: None


async def test_a_lost_message_is_made_up_for(world, monkeypatch):
    monkeypatch.setattr("postern.services.lifecycle.LOOK_EVERY_S", 0.02)
    work = asyncio.create_task(world.sessions.run(Bus()))
    await asyncio.sleep(0)
    ann = await world.session("ann")
    await world.directory.delete_account("ann@example.org")
    for _ in range(100):
        await asyncio.sleep(0.01)
        if ann.ended:
            break
    work.cancel()
    assert ann.ended is Reason.ACCOUNT_DISABLED


async def test_a_mirrored_accounts_password_is_asked_of_its_source(world):
    asked = []

    class Elsewhere:
        async def verify(self, account, password):
            asked.append(password)
            return password == "right"

    await world.directory.put_source(Source("ad", "ad"))
    entry = SourceEntry("g1", RecipientKind.USER, "kim@example.org", password_at=1.0, login_names=("EX\\kim",))
    await world.directory.mirror("ad", [entry])

    async def sign_in(password):
        return await world.authentication.verify_password("ex\\KIM", password, "::1", "imap")

    assert await refused(sign_in("right")) is Reason.TRY_LATER
    world.authentication.password_sources["ad"] = Elsewhere()
    assert (await sign_in("right")).address == "kim@example.org"
    await sign_in("right")
    assert asked == ["right"], "remembered"
    assert await refused(sign_in("wrong")) is Reason.BAD_CREDENTIALS
    assert await refused(sign_in("")) is Reason.BAD_CREDENTIALS
    assert "" not in asked, "an empty password would be an anonymous bind"
    await world.directory.mirror(
        "ad", [SourceEntry("g1", RecipientKind.USER, "kim@example.org", password_at=2.0, login_names=("EX\\kim",))]
    )
    await sign_in("right")
    assert asked.count("right") == 2, "a changed password is not remembered"


async def test_a_change_by_another_process_within_one_turn_is_not_overlooked(world):
    ann = await world.session("ann")
    other = SqliteDirectory(world.directory.path, SystemEntropy(), world.time)
    await world.directory.account(ann.principal.account)  # read and believed until the loop's turn ends
    await other.change_account("ann@example.org", AccountChange(enabled=False))
    await world.sessions.look()
    await other.close()
    assert ann.ended is Reason.ACCOUNT_DISABLED


async def test_who_counts_strangers_hears_of_each_that_has_signed_in(world):
    ann = await world.session("ann")
    principal = await world.sign_in("bob")
    await world.directory.change_account("bob@example.org", AccountChange(enabled=False))
    with pytest.raises(Refusal):
        await world.authentication.watch(principal, "imap", Session())
    assert world.watched == [ann]

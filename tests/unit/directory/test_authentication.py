from __future__ import annotations

import asyncio
import base64
import hashlib

import pytest

from postern.directory.failures import FailureLog, LockTimes
from postern.directory.interface import AccountChange, Alias
from postern.directory.passwords import CHEAP, new_credentials
from postern.model.refusal import Reason, Refusal
from postern.model.rights import MailboxRight
from postern.net.clock import SystemEntropy
from postern.services.authentication import Authentication, AuthenticationSettings
from postern.services.limits import LimitSettings

PASSWORD = "пароль ann"


@pytest.fixture
def waited() -> list[float]:
    return []


@pytest.fixture
def make(directory, tmp_path, time, chance, waited):
    made = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    def build(**settings):
        log = FailureLog(tmp_path / "failures.db")
        limits = LimitSettings(
            **{key: settings.pop(key) for key in list(settings) if key in LimitSettings.__struct_fields__}
        )
        chosen = AuthenticationSettings(limits, cost=CHEAP, **settings)
        one = Authentication(directory, log, time, chance, chosen, sleep=sleep)
        made.append((one, log))
        return one

    yield build
    for one, log in made:
        one.close()
        log.close()


async def refused(awaitable) -> Reason:
    with pytest.raises(Refusal) as caught:
        await awaitable
    return caught.value.reason


async def test_a_right_password_by_address_alias_or_local_part(make, directory):
    await directory.put_alias(Alias("a@example.org", ("ann@example.org",)))
    auth = make()
    for user in ("ann@example.org", "ANN@example.org", "a@example.org", "ann"):
        principal = await auth.verify_password(user, PASSWORD, "192.0.2.1", "imap")
        assert principal.address == "ann@example.org" and principal.mailbox and principal.slot >= 1


async def test_unknown_user_and_wrong_password_look_the_same(make, waited, monkeypatch):
    from postern.directory import passwords

    worked = []
    real = passwords.verify
    monkeypatch.setattr(passwords, "verify", lambda p, stored: worked.append(stored) or real(p, stored))
    auth = make()
    wrong = await refused(auth.verify_password("ann@example.org", "x", "192.0.2.1", "imap"))
    unknown = await refused(auth.verify_password("nobody@example.org", "x", "192.0.2.2", "imap"))
    nameless = await refused(auth.verify_password("bob@example.org", "x", "192.0.2.3", "imap"))
    assert wrong is unknown is nameless is Reason.BAD_CREDENTIALS
    assert waited == [0.5, 0.5, 0.5]
    assert len(worked) == 3 and len(set(worked)) == 1


async def test_an_unknown_user_is_not_let_in_by_the_password_of_the_sample(make):
    assert (
        await refused(make().verify_password("nobody@example.org", PASSWORD, "::1", "imap")) is Reason.BAD_CREDENTIALS
    )
    assert await refused(make().verify_password("sales@example.org", PASSWORD, "::1", "imap")) is Reason.BAD_CREDENTIALS


async def test_the_limit_of_an_address_is_shared_by_workers_and_ends(make, time, waited):
    workers = [make(failures_per_address=4), make(failures_per_address=4)]
    for attempt in range(4):
        reason = await refused(workers[attempt % 2].verify_password(f"u{attempt}", "x", "192.0.2.1", "imap"))
        assert reason is Reason.BAD_CREDENTIALS
    assert waited == [0.5, 1.0, 2.0, 4.0]
    for worker in workers:
        assert await refused(worker.verify_password("ann", PASSWORD, "192.0.2.1", "imap")) is Reason.TOO_MANY_FAILURES
        assert (await worker.verify_password("ann", PASSWORD, "192.0.2.9", "imap")).address == "ann@example.org"
    time.seconds += 901
    assert await workers[0].verify_password("ann", PASSWORD, "192.0.2.1", "imap")


async def test_the_limit_of_an_account_counts_over_addresses_and_for_unknown_ones(make):
    auth = make(failures_per_account=3)
    for user in ("ann@example.org", "ghost@example.org"):
        for attempt in range(3):
            await refused(auth.verify_password(user, f"x{attempt}", f"192.0.2.{attempt}", "imap"))
        assert await refused(auth.verify_password(user, PASSWORD, "198.51.100.1", "imap")) is Reason.TOO_MANY_FAILURES


async def test_the_same_wrong_password_counts_once(make):
    auth = make(failures_per_account=3)
    for _ in range(10):
        await refused(auth.verify_password("ann", "old password", "192.0.2.1", "imap"))
    assert await auth.verify_password("ann", PASSWORD, "192.0.2.1", "imap")


async def test_a_burst_in_parallel_does_not_pass_the_limit(make, monkeypatch):
    from postern.directory import passwords

    calls = []
    real = passwords.verify
    monkeypatch.setattr(passwords, "verify", lambda p, stored: calls.append(p) or real(p, stored))
    auth = make(failures_per_address=5)
    await asyncio.gather(*(refused(auth.verify_password("ann", f"guess {n}", "192.0.2.1", "imap")) for n in range(40)))
    assert len(calls) == 5


async def test_one_ipv6_network_is_one_attacker(make):
    auth = make(failures_per_address=2)
    for host in ("2001:db8::1", "2001:db8::2"):
        await refused(auth.verify_password("ann", host, host, "imap"))
    assert await refused(auth.verify_password("ann", PASSWORD, "2001:db8::3", "imap")) is Reason.TOO_MANY_FAILURES
    assert await auth.verify_password("ann", PASSWORD, "2001:db8:0:1::3", "imap")


@pytest.mark.parametrize(("cache_s", "calls"), [(60.0, 1), (0.0, 3)])
async def test_the_cache_saves_work_and_can_be_off(make, monkeypatch, time, cache_s, calls):
    from postern.directory import passwords

    worked = []
    real = passwords.verify
    monkeypatch.setattr(passwords, "verify", lambda p, stored: worked.append(p) or real(p, stored))
    auth = make(cache_s=cache_s)
    for _ in range(3):
        await auth.verify_password("ann", PASSWORD, "192.0.2.1", "imap")
    assert len(worked) == calls
    time.seconds += 61
    await auth.verify_password("ann", PASSWORD, "192.0.2.1", "imap")
    assert len(worked) == calls + 1


async def test_a_changed_password_is_not_in_the_cache(make, directory, chance):
    from postern.directory.passwords import new_credentials

    auth = make()
    principal = await auth.verify_password("ann", PASSWORD, "192.0.2.1", "imap")
    await directory.set_password(principal.account, *new_credentials("new", chance, CHEAP))
    assert await refused(auth.verify_password("ann", PASSWORD, "192.0.2.1", "imap")) is Reason.BAD_CREDENTIALS


async def test_disabled_accounts_and_protocols_are_told_only_to_who_knows_the_password(make, directory):
    auth = make()
    await directory.change_account("ann@example.org", AccountChange(protocols=frozenset({"imap"})))
    assert await refused(auth.verify_password("ann", PASSWORD, "::1", "pop3")) is Reason.ACCOUNT_DISABLED
    assert await auth.verify_password("ann", PASSWORD, "::1", "imap")
    await directory.change_account("ann@example.org", AccountChange(enabled=False))
    assert await refused(auth.verify_password("ann", PASSWORD, "::1", "imap")) is Reason.ACCOUNT_DISABLED
    assert await refused(auth.verify_password("ann", "x", "::1", "imap")) is Reason.BAD_CREDENTIALS


async def test_accounts_that_may_use_the_same_protocols_share_one_set(directory):
    """Each connection holds its account."""
    for one in ("ann@example.org", "sales@example.org"):
        await directory.change_account(one, AccountChange(protocols=frozenset({"imap", "smtp"})))
    ann, sales = [(await directory.resolve(one)).account for one in ("ann@example.org", "sales@example.org")]
    assert ann.protocols == {"imap", "smtp"}
    assert ann.protocols is sales.protocols


async def test_acting_as_another_mailbox_needs_full_access(make, directory):
    auth = make()
    sales = (await directory.resolve("sales@example.org")).account
    reason = await refused(auth.verify_password("ann", PASSWORD, "::1", "imap", "sales@example.org"))
    assert reason is Reason.NOT_PERMITTED
    await directory.grant(sales.mailbox, "ann@example.org", MailboxRight.FULL_ACCESS)
    principal = await auth.verify_password("ann", PASSWORD, "::1", "imap", "sales@example.org")
    assert principal.mailbox == sales.mailbox and principal.slot == sales.slot
    assert principal.address == "ann@example.org"


async def test_scram_of_unknown_users_is_steady_and_fails(make):
    auth = make()
    known = await auth.scram("ann@example.org")
    ghost = await auth.scram("ghost@example.org")
    assert ghost == await auth.scram("ghost@example.org")
    assert len(ghost.salt) == len(known.salt) and ghost.iterations == known.iterations
    assert (await auth.finish_scram("ann@example.org", True, "::1")).address == "ann@example.org"
    assert await refused(auth.finish_scram("ghost@example.org", True, "::1")) is Reason.BAD_CREDENTIALS
    assert await refused(auth.finish_scram("ann@example.org", False, "::1")) is Reason.BAD_CREDENTIALS


async def test_failed_proofs_count_one_by_one(make):
    auth = make(failures_per_account=3)
    for _ in range(3):
        assert await refused(auth.finish_scram("ann", False, "::1")) is Reason.BAD_CREDENTIALS
    assert await refused(auth.scram("ann", "::2")) is Reason.TOO_MANY_FAILURES


async def test_a_damaged_counter_file_is_made_anew(tmp_path):
    (tmp_path / "f.db").write_bytes(b"no database at all" * 300)
    log = FailureLog(tmp_path / "f.db")
    log.add({"a": 0}, 1, 10.0, LockTimes())
    assert log.count("a", 5.0, 60.0) == 1
    log.close()


OLD = "correct horse"
SSHA = "{SSHA}" + base64.b64encode(hashlib.sha1(OLD.encode() + b"salt").digest() + b"salt").decode()


async def import_hash(directory):
    account = await directory.login("ann@example.org")
    await directory.set_password(account.id, SSHA, None)
    return await directory.login("ann@example.org")


async def upgraded(directory, account) -> str:
    for _ in range(500):
        stored = await directory.password_hash(account.id)
        if stored != SSHA:
            return stored
        await asyncio.sleep(0.01)
    raise AssertionError("the hash stayed as it was")


async def test_an_imported_hash_becomes_argon2id_at_the_first_sign_in(make, directory):
    account = await import_hash(directory)
    auth = make()
    await auth.verify_password("ann@example.org", OLD, "192.0.2.1", "imap")
    assert (await upgraded(directory, account)).startswith("{ARGON2ID}")
    after = await directory.login("ann@example.org")
    assert after.generation == account.generation  # no session ends
    assert await directory.scram(account.id) is not None
    await make().verify_password("ann@example.org", OLD, "192.0.2.1", "imap")
    assert await directory.password_hash(account.id) != SSHA


async def test_a_wrong_password_upgrades_nothing(make, directory):
    account = await import_hash(directory)
    auth = make()
    assert await refused(auth.verify_password("ann@example.org", "x", "192.0.2.1", "imap")) is Reason.BAD_CREDENTIALS
    await asyncio.sleep(0.05)
    assert await directory.password_hash(account.id) == SSHA


async def test_a_password_that_was_changed_meanwhile_stays(make, directory):
    account = await import_hash(directory)
    hashed, keys = new_credentials("another", SystemEntropy(), CHEAP)
    await directory.set_password(account.id, hashed, keys)
    await directory.upgrade_password(account.id, SSHA, *new_credentials(OLD, SystemEntropy(), CHEAP))
    assert await directory.password_hash(account.id) == hashed


async def test_it_can_be_switched_off(make, directory):
    account = await import_hash(directory)
    await make(upgrade=False).verify_password("ann@example.org", OLD, "192.0.2.1", "imap")
    await asyncio.sleep(0.05)
    assert await directory.password_hash(account.id) == SSHA


async def test_what_was_counted_while_the_clock_was_ahead_locks_nobody(make, time):
    """Set back by a year, the clock would have kept an account and its address out for a year."""
    auth = make(failures_per_account_and_address=2)
    for wrong in ("a", "b", "c"):
        await refused(auth.verify_password("ann@example.org", wrong, "192.0.2.1", "imap"))
    assert await refused(auth.verify_password("ann@example.org", PASSWORD, "192.0.2.1", "imap")) is (
        Reason.TOO_MANY_FAILURES
    )
    time.seconds -= 365 * 86_400
    await auth.verify_password("ann@example.org", PASSWORD, "192.0.2.1", "imap")
    assert await refused(auth.verify_password("ann@example.org", "d", "192.0.2.1", "imap")) is Reason.BAD_CREDENTIALS
    await auth.verify_password("ann@example.org", PASSWORD, "192.0.2.1", "imap")

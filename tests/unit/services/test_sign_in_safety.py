"""Locks, app passwords, one-time codes, access rules and the log, as attackers and users meet them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import statistics
import subprocess
import sys
import time as real_time
from types import SimpleNamespace

import pytest

from postern.directory import app_passwords, passwords, totp
from postern.directory.failures import FailureLog, LockTimes
from postern.directory.interface import AccountChange, Domain, NewAccount
from postern.directory.passwords import CHEAP, HashCost, new_credentials
from postern.directory.safeguards import AccessRule, AppPassword, RuleAction
from postern.directory.sqlite import SqliteDirectory
from postern.model.networks import parse_network
from postern.model.refusal import Reason, Refusal
from postern.net.clock import SystemClock, SystemEntropy
from postern.protocols.sasl import scram
from postern.services import attempts
from postern.services.attempts import Attempt, Proof
from postern.services.authentication import Authentication, AuthenticationSettings
from postern.services.lifecycle import Sessions
from postern.services.limits import LimitSettings
from postern.services.permissions import Permissions
from postern.services.second_factor import SecondFactorRequired
from postern.services.signin_log import SignInLog, SignInQuery, search
from postern.telemetry.daily import DailyLines

ANNA, PASSWORD = "anna@example.org", "correct horse"
HOME, AWAY = "192.0.2.1", "198.51.100.1"


class Time(SystemClock):
    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def timestamp(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
async def world(tmp_path):
    clock, entropy = Time(), SystemEntropy()
    directory = SqliteDirectory(tmp_path / "directory.db", entropy, clock)
    await directory.put_domain(Domain("example.org"))
    hashed, keys = new_credentials(PASSWORD, entropy, CHEAP)
    await directory.create_accounts(
        [NewAccount(ANNA, "Anna", hashed, keys), NewAccount("bert@example.org", "Bert", hashed, keys)]
    )
    await directory.put_group("staff@example.org")
    await directory.set_members("staff@example.org", add=[ANNA])
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0)

    made = []

    def open_(cost: HashCost = CHEAP, *, threads: int = 2, max_waiting: int = 100, sleeping=sleep, **limits):
        failures = FailureLog(tmp_path / "failures.db")
        log = SignInLog(directory, DailyLines(tmp_path / "sign-ins", clock, f"w{len(made)}"), clock)
        settings = AuthenticationSettings(LimitSettings(**limits), threads=threads, max_waiting=max_waiting, cost=cost)
        one = Authentication(directory, failures, clock, entropy, settings, sleep=sleeping, log=log)
        one.log = log
        made.append((one, failures))
        return one

    def records():
        for one, _ in made:
            one.log._lines.flush()
        return search(tmp_path / "sign-ins", SignInQuery())

    async def app_password(name="phone", *, expires_at=None, **scope) -> str:
        account = await directory.login(ANNA)
        secret, key = app_passwords.new(entropy), await directory.secret("app passwords")
        own = app_passwords.scram_keys(key, account.id, secret, CHEAP.scram_iterations)
        digest = app_passwords.digest(key, account.id, secret)
        new = AppPassword(
            0, name, digest, expires_at=expires_at, scram_stored=own.stored_key, scram_server=own.server_key, **scope
        )
        await directory.add_app_password(account.id, new)
        return secret

    async def enrol(auth) -> tuple[bytes, list[str]]:
        account = await directory.login(ANNA)
        await auth.second_factor.begin(account, "Postern")
        secret = (await directory.enrolment(account.id)).secret
        codes = await auth.second_factor.confirm(account, totp.code(secret, int(clock.seconds // 30)))
        clock.seconds += 30
        return secret, list(codes)

    yield SimpleNamespace(
        directory=directory,
        clock=clock,
        open=open_,
        records=records,
        app_password=app_password,
        enrol=enrol,
        waits=waits,
        data=tmp_path,
    )
    for one, failures in made:
        one.close()
        failures.close()
    await directory.close()


async def refused(awaitable) -> Reason:
    with pytest.raises(Refusal) as caught:
        await awaitable
    return caught.value.reason


def sign_in(auth, password=PASSWORD, *, user=ANNA, source=HOME, protocol="imap", **more):
    return auth.verify_password(user, password, source, protocol, **more)


# --- locks


async def test_attack_from_one_place_locks_that_place_and_not_the_owner(world):
    auth = world.open(failures_per_account_and_address=3)
    for attempt in range(3):
        assert await refused(sign_in(auth, f"guess {attempt}", source=AWAY)) is Reason.BAD_CREDENTIALS
    assert await refused(sign_in(auth, source=AWAY)) is Reason.TOO_MANY_FAILURES
    assert await sign_in(auth, user="bert@example.org", source=AWAY), "another account from there"
    assert await sign_in(auth, source=HOME)


async def test_attack_from_many_places_leaves_the_familiar_network_open(world):
    auth = world.open(failures_per_account=5)
    assert await sign_in(auth, source="192.0.2.77"), "the owner's provider gives another address each day"
    for attempt in range(5):
        await refused(sign_in(auth, f"guess {attempt}", source=f"203.0.113.{attempt}"))
    assert await refused(sign_in(auth, source=AWAY)) is Reason.TOO_MANY_FAILURES
    assert await sign_in(auth, source=HOME)
    assert await sign_in(world.open(failures_per_account=5), source=HOME), "in every worker"
    world.clock.seconds += 31 * 86400
    assert await sign_in(auth, source=AWAY), "the lock has ended"


async def test_locks_end_and_grow_and_can_be_taken_away(world):
    auth = world.open(failures_per_account_and_address=2, times=LockTimes(900, 100, 350, 86400))
    lengths = []
    for _ in range(4):
        for attempt in range(2):
            await refused(sign_in(auth, f"guess {attempt}", source=AWAY))
        counters = auth.limits.counters(await world.directory.login(ANNA), ANNA, AWAY)
        ((lock, _passes),) = auth.limits.locks(counters)
        lengths.append(lock.until - lock.at)
        assert await refused(sign_in(auth, source=AWAY)) is Reason.TOO_MANY_FAILURES
        world.clock.seconds = lock.until + 1
    assert lengths == [100, 200, 350, 350]
    for attempt in range(2):
        await refused(sign_in(auth, f"guess {attempt}", source=AWAY))
    failures = FailureLog(world.data / "failures.db")
    assert failures.clear(f"account {ANNA}") == 1
    failures.close()
    assert await sign_in(auth, source=AWAY)


async def test_delays_grow_with_the_failures_of_an_account_from_everywhere(world):
    auth = world.open()
    for attempt in range(6):
        await refused(sign_in(auth, f"guess {attempt}", source=f"203.0.113.{attempt}"))
    assert world.waits == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]


# --- app passwords


async def test_app_password_scope_by_protocol_network_and_time(world):
    auth = world.open()
    ends = world.clock.seconds + 3600
    secret = await world.app_password(
        protocols=frozenset({"imap"}), networks=(parse_network("192.0.2.0/24"),), expires_at=ends
    )
    for typed in (secret, secret.replace("-", ""), secret.replace("-", " ")):
        principal = await sign_in(auth, typed)
        assert principal.app_password and principal.expires_at == ends
    assert await refused(sign_in(auth, secret, protocol="smtp")) is Reason.BAD_CREDENTIALS
    assert await refused(sign_in(auth, secret, source=AWAY)) is Reason.BAD_CREDENTIALS
    assert await refused(sign_in(auth, secret, user="bert@example.org")) is Reason.BAD_CREDENTIALS
    assert await refused(sign_in(auth, secret, protocol="http", interactive=True)) is Reason.BAD_CREDENTIALS
    assert await sign_in(auth), "the password goes on as before"
    world.clock.seconds = ends
    assert await refused(sign_in(auth, secret)) is Reason.BAD_CREDENTIALS
    causes = [record.cause for record in world.records() if not record.ok]
    assert causes.count("app-password-protocol") == 1
    assert causes.count("app-password-network") == 1 and causes.count("app-password-expired") == 1


async def test_last_use_is_known_and_removal_ends_the_session(world):
    auth = world.open()
    secret = await world.app_password()
    principal = await sign_in(auth, secret)
    failures = FailureLog(world.data / "failures.db")
    assert failures.last_use(principal.app_password) == (world.clock.seconds, HOME)
    failures.close()
    sessions = Sessions(world.directory, Permissions(world.directory), world.clock)
    await sessions.check(principal, "imap")
    await world.directory.remove_app_password(principal.account, "phone")
    assert await refused(sessions.check(principal, "imap")) is Reason.PASSWORD_CHANGED
    assert await refused(sign_in(auth, secret)) is Reason.BAD_CREDENTIALS


async def test_app_password_is_found_without_a_slow_hash(world, monkeypatch):
    from postern.directory import passwords

    auth = world.open()
    secrets = [await world.app_password(f"device {number}") for number in range(20)]
    monkeypatch.setattr(passwords, "verify", lambda *_: pytest.fail("a slow hash was computed"))
    for secret in secrets:
        assert await sign_in(auth, secret)


def prove(credentials, password: str) -> bytes | None:
    """What the server's side of an exchange finds proved: None for nothing."""
    run = scram.server(b"server", None, plus=False)
    next(run)
    client = scram.client("anna", password, b"client")
    run.send(next(client))
    challenge = run.send(credentials)
    try:
        run.send(client.send(challenge.data))
    except StopIteration as stop:
        done = stop.value
        if not hasattr(done, "stored_key"):
            return None
        with pytest.raises(StopIteration) as ended:
            client.send(done.server_final)
        assert ended.value.value, "the server proved itself"
        return done.stored_key
    raise AssertionError


async def test_scram_takes_app_passwords_where_the_password_is_not_accepted(world):
    auth = world.open()
    one, two = await world.app_password("one"), await world.app_password("two", protocols=frozenset({"smtp"}))
    assert prove(await auth.scram(ANNA, HOME, "imap"), PASSWORD) == b""
    await world.enrol(auth)
    keys = await auth.scram(ANNA, HOME, "imap")
    assert prove(keys, PASSWORD) is None and prove(keys, two) is None
    stored_key = prove(keys, one)
    principal = await auth.finish_scram(ANNA, True, HOME, "imap", stored_key=stored_key)
    assert principal.app_password
    ghost = await auth.scram("ghost@example.org", HOME, "imap")
    assert keys.iterations == ghost.iterations and len(keys.salt) == len(ghost.salt)
    await world.directory.remove_app_password(principal.account, "one")
    assert await refused(auth.finish_scram(ANNA, True, HOME, "imap", stored_key=stored_key)) is Reason.BAD_CREDENTIALS


# --- one-time codes


@pytest.mark.parametrize(
    ("at", "expected"),
    [(59, "94287082"), (1111111109, "07081804"), (1234567890, "89005924"), (20000000000, "65353130")],
)
def test_rfc_6238_appendix_b(at, expected):
    assert totp.code(b"12345678901234567890", at // 30, 8) == expected


async def test_code_after_the_password_and_its_replay_is_refused(world):
    auth = world.open()
    secret, _ = await world.enrol(auth)
    with pytest.raises(SecondFactorRequired) as asked:
        await sign_in(auth, protocol="http", interactive=True)
    code = totp.code(secret, int(world.clock.seconds // 30))
    other = world.open()
    assert await other.finish_second_factor(asked.value.ticket, f" {code[:3]} {code[3:]}", HOME, "http")
    for worker in (auth, other):
        reason = await refused(worker.finish_second_factor(asked.value.ticket, code, HOME, "http"))
        assert reason is Reason.BAD_CREDENTIALS
    earlier = totp.code(secret, int(world.clock.seconds // 30) - 1)
    assert await refused(auth.finish_second_factor(asked.value.ticket, earlier, HOME, "http"))
    assert [record.cause for record in world.records() if not record.ok] == ["used-code"] * 3
    assert "second-factor" in {record.factor for record in world.records() if record.ok}


async def test_tickets_expire_and_cannot_be_forged(world):
    auth = world.open()
    _, codes = await world.enrol(auth)
    with pytest.raises(SecondFactorRequired) as asked:
        await sign_in(auth, protocol="http", interactive=True)
    ticket = asked.value.ticket
    for bad in ("", "x", ticket[:-2] + "AA", ticket + "A" * 4000, "é"):
        assert await refused(auth.finish_second_factor(bad, codes[0], HOME, "http")) is Reason.BAD_CREDENTIALS
    world.clock.seconds += 301
    assert await refused(auth.finish_second_factor(ticket, codes[0], HOME, "http")) is Reason.BAD_CREDENTIALS


async def test_guessing_codes_is_locked_and_recovery_codes_open_once(world):
    auth = world.open(codes_per_account=3, failures_per_account_and_address=0)
    secret, codes = await world.enrol(auth)
    with pytest.raises(SecondFactorRequired) as asked:
        await sign_in(auth, protocol="http", interactive=True)
    ticket = asked.value.ticket
    for _ in range(3):
        await refused(auth.finish_second_factor(ticket, "000000", HOME, "http"))
    right = totp.code(secret, int(world.clock.seconds // 30))
    assert await refused(auth.finish_second_factor(ticket, right, HOME, "http")) is Reason.BAD_CREDENTIALS
    assert await auth.finish_second_factor(ticket, codes[3].upper(), HOME, "http")
    assert await refused(auth.finish_second_factor(ticket, codes[3], HOME, "http")) is Reason.BAD_CREDENTIALS
    assert world.records()[-1].cause == "wrong-code"


async def test_account_with_codes_uses_mail_with_app_passwords_only(world):
    auth = world.open()
    principal = await sign_in(auth)
    await world.enrol(auth)
    sessions = Sessions(world.directory, Permissions(world.directory), world.clock)
    assert await refused(sessions.check(principal, "imap")) is Reason.PASSWORD_CHANGED, "older sessions are over"
    secret = await world.app_password()
    for protocol in ("imap", "smtp", "pop3"):
        assert await refused(sign_in(auth, protocol=protocol)) is Reason.BAD_CREDENTIALS
        assert await sign_in(auth, secret, protocol=protocol)
        assert await refused(auth.finish_proof(ANNA, HOME, protocol)) is Reason.BAD_CREDENTIALS, "NTLM, Kerberos"
        assert await refused(auth.finish_scram(ANNA, True, HOME, protocol)) is Reason.BAD_CREDENTIALS
        assert await auth.finish_proof(ANNA, HOME, protocol, proof=Proof.INDEPENDENT)


# --- access rules


async def test_rules_decide_in_order_by_protocol_network_and_group(world):
    auth = world.open()
    put = world.directory.put_access_rule
    office = (parse_network("192.0.2.0/24"),)
    await put(AccessRule("staff outside", RuleAction.APP_PASSWORD, frozenset({"imap"}), group="staff@example.org"))
    await put(AccessRule("office", RuleAction.ALLOW, networks=office), before="staff outside")
    await put(AccessRule("rest", RuleAction.DENY))
    secret = await world.app_password()
    assert await sign_in(auth)
    assert await refused(sign_in(auth, source=AWAY)) is Reason.BAD_CREDENTIALS
    assert await sign_in(auth, secret, source=AWAY)
    assert await refused(sign_in(auth, secret, source=AWAY, protocol="smtp")) is Reason.BAD_CREDENTIALS
    assert await refused(sign_in(auth, user="bert@example.org", source=AWAY)) is Reason.BAD_CREDENTIALS
    await world.directory.set_members("staff@example.org", remove=[ANNA])
    assert await refused(sign_in(auth, secret, source=AWAY)) is Reason.BAD_CREDENTIALS, "at once"
    assert {r.detail for r in world.records() if r.cause == "rule"} == {"rest"}
    await world.directory.delete_access_rule("rest")
    assert await sign_in(auth, source=AWAY)


async def test_a_place_that_is_unknown_is_in_every_forbidden_network(world):
    auth = world.open()
    account = await world.directory.login(ANNA)
    await world.directory.put_access_rule(
        AccessRule("bad", RuleAction.DENY, networks=(parse_network("203.0.113.0/24"),))
    )
    assert await refused(auth.admit(account, "imap")) is Reason.BAD_CREDENTIALS
    assert await auth.admit(account, "imap", peer_address=HOME)


# --- nobody learns who exists, nor whether a password would be right


async def outcomes(auth, waits, **attempt) -> tuple:
    """Reason, delay, and argon2 runs of one attempt."""
    from postern.directory import passwords

    before, runs, real = len(waits), [], passwords.verify
    passwords.verify = lambda password, stored: runs.append(1) or real(password, stored)
    try:
        reason = await refused(sign_in(auth, **attempt))
    finally:
        passwords.verify = real
    return reason, waits[before:], len(runs)


@pytest.mark.parametrize("barred", ["nothing", "codes", "deny", "app-password"])
async def test_user_enumeration_is_impossible_whatever_protects_the_account(world, barred):
    auth = world.open()
    await sign_in(auth)  # the right password is in the cache
    if barred == "codes":
        await world.enrol(auth)
    elif barred != "nothing":
        await world.directory.put_access_rule(AccessRule("x", RuleAction(barred)))
    await world.app_password()
    wrong = [{"password": "wrong", "source": "203.0.113.1"}, {"user": "ghost@example.org", "source": "203.0.113.2"}]
    right = [] if barred == "nothing" else [{"source": "203.0.113.3"}]
    found = []
    for one in (*wrong, *right):
        found.append(await outcomes(world.open(), world.waits, **one))
        failures = FailureLog(world.data / "failures.db")
        failures.clear(f"account {ANNA}")
        failures.close()
    assert all(one == (Reason.BAD_CREDENTIALS, [0.5], 1) for one in found), found


async def test_user_enumeration_by_timing(world):
    """Known, unknown and barred names take the same time, within the noise of the hash itself."""
    cost = HashCost(2, 16384, 4096)
    await world.directory.set_password(
        (await world.directory.login(ANNA)).id, *new_credentials(PASSWORD, SystemEntropy(), cost)
    )
    auth = world.open(cost, failures_per_address=0, failures_per_account=0, failures_per_account_and_address=0)
    await world.directory.put_access_rule(AccessRule("no smtp", RuleAction.DENY, frozenset({"smtp"})))
    await sign_in(auth)
    kinds = {
        "wrong": {"password": "wrong"},
        "unknown": {"user": "ghost@example.org"},
        "right but denied": {"protocol": "smtp"},
    }
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(15):
        for kind, attempt in kinds.items():
            # of CPU: others on the machine take time from one more than from another
            began = real_time.process_time()
            await refused(sign_in(auth, **attempt))
            taken[kind].append(real_time.process_time() - began)
    fastest = {kind: min(times) for kind, times in taken.items()}
    assert max(fastest.values()) < 1.5 * min(fastest.values()), fastest


# --- the log


async def test_the_log_has_the_facts_and_never_a_secret(world):
    auth = world.open()
    attempts.note(Attempt(HOME, "imap", "PLAIN", "TLSv1.3", "TLS_AES_256_GCM_SHA384", "7-1"))
    await sign_in(auth)
    await refused(sign_in(auth, "Hunter2 wrong"))
    await refused(sign_in(auth, "x", user="MyOwnPassword!7"))
    await refused(sign_in(auth, "x", user="Ghost@Example.org"))
    secret = await world.app_password()
    await sign_in(auth, secret)
    await refused(sign_in(auth, secret, protocol="http"))
    first, wrong, typo, ghost, *_ = records = world.records()
    assert (first.ok, first.account, first.mechanism, first.tls) == (True, ANNA, "PLAIN", "TLSv1.3")
    assert (wrong.reason, wrong.cause) == ("bad_credentials", "wrong-password")
    assert typo.account.startswith("unknown:") and ghost.account == "ghost@example.org"
    assert [r.factor for r in records if r.ok] == ["", "app-password"]
    text = b"".join(path.read_bytes() for path in (world.data / "sign-ins").iterdir())
    for hidden in (PASSWORD, "Hunter2", "MyOwnPassword", secret, secret.replace("-", "")):
        assert hidden.lower().encode() not in text.lower()


async def test_a_flood_of_refusals_does_not_fill_the_log(world):
    auth = world.open(failures_per_address=1)
    await refused(sign_in(auth, "wrong"))
    for _ in range(500):
        assert await refused(sign_in(auth)) is Reason.TOO_MANY_FAILURES
    world.clock.seconds += 61
    await refused(sign_in(auth))
    locked = [record.repeated for record in world.records() if record.cause == "locked"]
    assert locked == [0, 499]


# --- speed


async def test_excess_passwords_are_refused_as_temporary_and_one_peer_leaves_room(world):
    auth = world.open(threads=1, max_waiting=8, failures_per_address=0, failures_per_account_and_address=0)
    flood = [sign_in(auth, f"guess {n}", source=AWAY, user=f"u{n}@example.org") for n in range(20)]
    others = [sign_in(auth, source=f"192.0.2.{n}") for n in range(4)]
    found = await asyncio.gather(*flood, *others, return_exceptions=True)
    reasons = [one.reason for one in found[:20]]
    assert reasons.count(Reason.TRY_LATER) == 18 and reasons.count(Reason.BAD_CREDENTIALS) == 2
    assert Reason.TRY_LATER.temporary
    assert not any(isinstance(one, BaseException) for one in found[20:])


async def test_a_plain_digest_takes_no_place_in_the_queue_for_dear_ones(world):
    anna = await world.directory.login(ANNA)
    await world.directory.set_password(anna.id, *new_credentials(PASSWORD, SystemEntropy(), CHEAP))
    digest = "{SHA512}" + base64.b64encode(hashlib.sha512(PASSWORD.encode()).digest()).decode()
    auth = world.open(threads=1, max_waiting=0, failures_per_address=0)
    assert await refused(sign_in(auth)) is Reason.TRY_LATER
    await world.directory.set_password(anna.id, digest, None)
    assert (await sign_in(auth)).address == ANNA
    assert await refused(sign_in(auth, "wrong")) is Reason.BAD_CREDENTIALS


SLEEPER = """
import time
lags = []
while len(lags) < 600:
    before = time.perf_counter()
    time.sleep(0.002)
    lags.append(time.perf_counter() - before - 0.002)
print(sorted(lags)[len(lags) * 19 // 20])
"""
"""A process that sleeps all the while: by what it is late, the machine is late."""


@pytest.mark.slow(8)
async def test_loop_lag_at_thirty_uncached_sign_ins_a_second(world):
    """RFC 9106's 64 MiB and three passes in threads: what else the loop does hardly notices."""
    cost = HashCost()
    await world.directory.set_password(
        (await world.directory.login(ANNA)).id, *new_credentials(PASSWORD, SystemEntropy(), cost)
    )
    auth = world.open(cost, failures_per_address=0, failures_per_account=0, failures_per_account_and_address=0)
    lags: list[float] = []

    async def measure() -> None:
        while True:
            before = real_time.perf_counter()
            await asyncio.sleep(0.002)
            lags.append(real_time.perf_counter() - before - 0.002)

    sleeper = await asyncio.create_subprocess_exec(sys.executable, "-c", SLEEPER, stdout=subprocess.PIPE)
    measuring = asyncio.create_task(measure())
    running = []
    for number in range(30):
        running.append(asyncio.create_task(sign_in(auth, f"guess {number}", source=f"203.0.113.{number}")))
        await asyncio.sleep(1 / 30)
    results = await asyncio.gather(*running, return_exceptions=True)
    measuring.cancel()
    late, _ = await sleeper.communicate()
    assert {one.reason for one in results} <= {Reason.BAD_CREDENTIALS, Reason.TRY_LATER}
    # a busy machine stalls a process now and then; blocking on one hash would show in every tenth turn
    assert statistics.quantiles(lags, n=20)[-1] < 0.02 + 2 * float(late), max(lags)


async def test_a_remembered_sign_in_ends_with_what_it_rested_on(world):
    """Another worker changes the directory, the failures or nothing but the time."""
    elsewhere = SqliteDirectory(world.data / "directory.db", SystemEntropy(), world.clock)
    auth, worker = world.open(), world.open(failures_per_account_and_address=3)
    account = await elsewhere.login(ANNA)

    async def let_in(**more) -> Reason | None:
        await asyncio.sleep(0)  # each request comes in a turn of its own
        try:
            await sign_in(auth, protocol="http", **more)
        except Refusal as refusal:
            return refusal.reason
        return None

    try:
        assert [await let_in() for _ in range(3)] == [None] * 3
        assert await let_in(password="x" + PASSWORD) is Reason.BAD_CREDENTIALS
        await elsewhere.put_access_rule(AccessRule("no", RuleAction.DENY, networks=(parse_network("192.0.2.0/24"),)))
        assert await let_in() is Reason.BAD_CREDENTIALS
        await elsewhere.delete_access_rule("no")
        assert [await let_in() for _ in range(2)] == [None] * 2
        await elsewhere.change_account(ANNA, AccountChange(enabled=False))
        assert await let_in() is Reason.ACCOUNT_DISABLED
        await elsewhere.change_account(ANNA, AccountChange(enabled=True))
        assert [await let_in() for _ in range(2)] == [None] * 2
        await elsewhere.change_account(ANNA, AccountChange(expires_at=world.clock.seconds + 5))
        assert [await let_in() for _ in range(2)] == [None] * 2
        world.clock.seconds += 6
        assert await let_in() is Reason.ACCOUNT_EXPIRED
        await elsewhere.change_account(ANNA, AccountChange(expires_at=world.clock.seconds + 50_000))
        assert [await let_in(source=AWAY) for _ in range(2)] == [None] * 2
        for number in range(3):
            await refused(sign_in(worker, f"guess {number}", source=AWAY, protocol="http"))
        assert await let_in(source=AWAY) is Reason.TOO_MANY_FAILURES
        assert [await let_in() for _ in range(2)] == [None] * 2
        hashed, keys = new_credentials("another one", SystemEntropy(), CHEAP)
        await elsewhere.set_password(account.id, hashed, keys)
        assert await let_in() is Reason.BAD_CREDENTIALS
        assert [await let_in(password="another one") for _ in range(2)] == [None] * 2
    finally:
        await elsewhere.close()


async def test_a_remembered_sign_in_is_verified_again_in_time(world, monkeypatch):
    auth, asked = world.open(), []
    verify = passwords.verify
    monkeypatch.setattr(passwords, "verify", lambda *given: asked.append(given) or verify(*given))
    for expected in (1, 1, 1):
        await sign_in(auth)
        assert len(asked) == expected
    world.clock.seconds += 59
    await world.directory.put_group("others@example.org")
    for _ in range(2):
        await sign_in(auth)
    assert len(asked) == 1
    world.clock.seconds += 2
    for _ in range(2):
        await sign_in(auth)
    assert len(asked) == 2


async def test_cached_sign_in_costs_microseconds(world):
    auth = world.open()
    await world.directory.put_access_rule(
        AccessRule("office", RuleAction.ALLOW, networks=(parse_network("192.0.2.0/24"),))
    )
    await sign_in(auth)
    best = 1.0
    for _ in range(20):
        began = real_time.thread_time()
        for _ in range(50):
            await sign_in(auth)
        best = min(best, (real_time.thread_time() - began) / 50)
    # of the processor: 50 us by itself, several times that beside others; one hash takes milliseconds
    assert best < 300e-6, f"{best * 1e6:.0f} us"

"""A clock that was wrong for a while: nobody stays signed in or out for as long, and the log does not fall silent."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from postern.directory.endings import Endings
from postern.directory.failures import FailureLog
from postern.directory.interface import Domain, NewAccount
from postern.directory.passwords import CHEAP, new_credentials
from postern.directory.sqlite import SqliteDirectory
from postern.model.refusal import Reason, Refusal
from postern.net.clock import SystemEntropy
from postern.services.attempts import Attempt
from postern.services.principal import Principal
from postern.services.second_factor import TICKET_S, SecondFactor
from postern.services.signin_log import REPEAT_S, SignInLog, SignInQuery, search
from postern.services.websessions import WebSessions, WebSessionSettings
from postern.telemetry.daily import DailyLines

ANNA = "anna@example.org"
YEAR = 365 * 86400.0


class LeapingClock:
    """Time goes by for both clocks; only that of the wall leaps."""

    def __init__(self) -> None:
        self.wall, self.running = 1_800_000_000.0, 1000.0

    def timestamp(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.running

    def go_on(self, seconds: float) -> None:
        self.wall += seconds
        self.running += seconds

    def leap(self, seconds: float) -> None:
        self.wall += seconds


@pytest.fixture
async def world(tmp_path):
    clock, entropy = LeapingClock(), SystemEntropy()
    directory = SqliteDirectory(tmp_path / "directory.db", entropy, clock)
    await directory.put_domain(Domain("example.org"))
    hashed, keys = new_credentials("correct horse", entropy, CHEAP)
    await directory.create_accounts([NewAccount(ANNA, "Anna", hashed, keys)])
    endings, failures = Endings(tmp_path / "endings.db"), FailureLog(tmp_path / "failures.db")
    log = SignInLog(directory, DailyLines(tmp_path / "sign-ins", clock, "w"), clock)
    account = await directory.login(ANNA)
    yield SimpleNamespace(
        clock=clock,
        account=account,
        principal=Principal(account.id, account.address, account.mailbox, account.slot, account.generation),
        sessions=WebSessions(directory, endings, clock, entropy, WebSessionSettings(idle_s=900, longest_s=86_400)),
        factor=SecondFactor(directory, failures, clock, entropy),
        log=log,
        data=tmp_path,
    )
    log.close()
    endings.close()
    failures.close()
    await directory.close()


async def lives(world, token: str) -> bool:
    try:
        await world.sessions.open(token.encode())
    except Refusal as refusal:
        assert refusal.reason is Reason.BAD_CREDENTIALS
        return False
    return True


async def test_a_browsers_session_from_times_to_come_has_ended(world):
    world.clock.leap(YEAR)
    _, token = await world.sessions.begin(world.principal, "form", private=False)
    assert await lives(world, token)
    world.clock.leap(-YEAR)
    assert not await lives(world, token), "it would live for a year"
    _, token = await world.sessions.begin(world.principal, "form", private=False)
    assert await lives(world, token)
    world.clock.leap(-200)
    assert await lives(world, token), "a clock that is put right by minutes ends nothing"


async def test_a_session_that_was_used_in_times_to_come_has_ended(world):
    _, token = await world.sessions.begin(world.principal, "form", private=True)
    world.clock.leap(4 * 3600)
    _, renewed = await world.sessions.open(token.encode())
    assert renewed
    world.clock.leap(-4 * 3600)
    assert await lives(world, token) and not await lives(world, renewed)


async def test_signed_out_everywhere_while_the_clock_was_ahead(world):
    """It ends what there was, in the end, and not what begins within the next year."""
    _, stolen = await world.sessions.begin(world.principal, "form", private=True)
    world.clock.leap(YEAR)
    await world.sessions.end_all(world.account.id)
    world.clock.leap(-YEAR)
    world.clock.go_on(60)
    assert not await lives(world, stolen)
    world.clock.go_on(60)
    _, token = await world.sessions.begin(world.principal, "form", private=True)
    assert await lives(world, token)
    assert not await lives(world, stolen)


@pytest.mark.parametrize("by", [YEAR, -YEAR], ids=["ahead", "back"])
async def test_a_ticket_for_a_code_is_of_this_time(world, by):
    ticket = await world.factor.ticket(world.account)
    world.clock.go_on(TICKET_S - 1)
    assert (await world.factor.read(ticket))[0].address == ANNA
    world.clock.leap(by)
    with pytest.raises(Refusal) as caught:
        await world.factor.read(ticket)
    assert caught.value.reason is Reason.BAD_CREDENTIALS


@pytest.mark.parametrize("by", [YEAR, -YEAR], ids=["ahead", "back"])
async def test_refusals_are_logged_again_a_minute_later_whatever_the_clock_says(world, by):
    async def refuse() -> None:
        await world.log.refused(Attempt("192.0.2.1", "imap"), world.account, Reason.TOO_MANY_FAILURES, "locked")

    await refuse()
    world.clock.leap(by)
    await refuse()
    world.clock.go_on(REPEAT_S + 1)
    await refuse()
    world.log._lines.flush()
    found = search(world.data / "sign-ins", SignInQuery())
    assert sorted(record.repeated for record in found) == [0, 1], "one was written at once, one a minute later"

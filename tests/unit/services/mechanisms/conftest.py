"""An organisation of a directory and an authentication service, without a server."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from postern.config.loading import parse
from postern.directory.failures import FailureLog
from postern.directory.interface import AccountChange, Domain, NewAccount
from postern.directory.passwords import CHEAP, new_credentials
from postern.directory.sqlite import SqliteDirectory
from postern.formats.ntlm import keys
from postern.net.clock import SystemClock, SystemEntropy
from postern.roles import mechanisms
from postern.services.authentication import Authentication, AuthenticationSettings
from postern.services.limits import LimitSettings
from postern.services.negotiation import Circumstances

END_POINT = bytes(range(32))
PASSWORD = "Straße 17"


class Clock(SystemClock):
    """The system's, and what a test adds."""

    ahead_s = 0.0

    def timestamp(self) -> float:
        return super().timestamp() + self.ahead_s

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


@pytest.fixture
async def world(tmp_path):
    """`anna` may use NTLM, `bert` has a password only, `post` is shared; `open` makes the mechanisms of settings."""
    entropy, clock = SystemEntropy(), Clock()
    directory = SqliteDirectory(tmp_path / "directory.db", entropy, clock)
    await directory.put_domain(Domain("example.org"))
    hashed, scram = new_credentials(PASSWORD, entropy, CHEAP)
    anna, *_ = await directory.create_accounts(
        [NewAccount(f"{name}@example.org", password_hash=hashed, scram=scram) for name in ("anna", "bert", "carl")]
    )
    await directory.put_derived_keys(anna.id, {"nt": keys.nt_hash(PASSWORD)})
    waits: list[float] = []

    async def sleep(delay: float) -> None:
        waits.append(delay)

    made = []

    def open_(text: str = "[ntlm]\naccounts = true\n", **options):
        failures = FailureLog(tmp_path / "failures.db")
        settings = parse(f'[server]\nhostname = "mail.example.org"\n{text}', base=tmp_path)
        authentication = Authentication(
            directory,
            failures,
            clock,
            entropy,
            AuthenticationSettings(LimitSettings(**options), cost=CHEAP, domains=settings.authentication.domains),
            sleep=sleep,
        )
        mechanisms.register(authentication, settings, directory, tmp_path, clock, entropy)
        made.append(authentication)
        return authentication

    def begin(authentication, scheme, protocol="smtp", **seen):
        seen = {"server_end_point": END_POINT, **seen}
        return authentication.negotiations.begin(scheme, Circumstances("192.0.2.7", protocol, **seen))

    async def disable(address: str) -> None:
        await directory.change_account(address, AccountChange(enabled=False))

    yield SimpleNamespace(
        directory=directory, clock=clock, open=open_, begin=begin, waits=waits, anna=anna, disable=disable
    )
    for authentication in made:
        authentication.close()
    await directory.close()

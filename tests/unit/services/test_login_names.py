"""Names as people and their programs write them."""

from __future__ import annotations

import pytest

from postern.directory.failures import FailureLog
from postern.directory.interface import Domain, NewAccount
from postern.directory.passwords import CHEAP, new_credentials
from postern.directory.sqlite import SqliteDirectory
from postern.model.refusal import Reason, Refusal
from postern.net.clock import SystemClock, SystemEntropy
from postern.services.authentication import Authentication, AuthenticationSettings
from postern.services.limits import LimitSettings
from postern.services.login_names import LoginNames

PASSWORD = "correct horse"


@pytest.fixture
async def directory(tmp_path):
    entropy = SystemEntropy()
    directory = SqliteDirectory(tmp_path / "directory.db", entropy, SystemClock())
    hashed, keys = new_credentials(PASSWORD, entropy, CHEAP)
    for domain in ("example.org", "example.net"):
        await directory.put_domain(Domain(domain))
        await directory.create_accounts([NewAccount(f"anna@{domain}", password_hash=hashed, scram=keys)])
    yield directory
    await directory.close()


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("anna@example.org", "anna@example.org"),
        ("ACME\\anna", "anna@example.org"),
        ("acme\\ANNA", "anna@example.org"),
        ("Umbrella\\anna", "anna@example.net"),
        ("example.net\\anna", "anna@example.net"),
        ("EXAMPLE.ORG\\Anna", "anna@example.org"),
        ("whatever\\anna@example.org", "anna@example.org"),
        ("WORKGROUP\\anna", None),
        ("example.com\\anna", None),
        ("ACME\\", None),
        ("\\anna", None),
        ("ACME\\x\\anna", None),
        ("\\", None),
        ("", None),
    ],
)
async def test_spellings(directory, written, address):
    names = LoginNames(directory, {"ACME": "example.org", "umbrella": "example.net"})
    found = await names.find(written)
    assert (found.address if found else None) == address


async def test_every_spelling_counts_against_the_same_account(directory, tmp_path):
    async def sleep(seconds: float) -> None:
        """At once."""

    failures = FailureLog(tmp_path / "failures.db")
    limits = LimitSettings(failures_per_account_and_address=3)
    settings = AuthenticationSettings(limits, cost=CHEAP, domains={"ACME": "example.org"})
    authentication = Authentication(directory, failures, SystemClock(), SystemEntropy(), settings, sleep=sleep)
    principal = await authentication.verify_password("acme\\anna", PASSWORD, "192.0.2.1", "imap")
    assert principal.address == "anna@example.org"
    for number, user in enumerate(("ACME\\anna", "example.org\\anna", "anna@example.org")):
        with pytest.raises(Refusal):
            await authentication.verify_password(user, f"wrong {number}", "192.0.2.1", "imap")
    with pytest.raises(Refusal) as refused:
        await authentication.verify_password("ACME\\anna", PASSWORD, "192.0.2.1", "imap")
    assert refused.value.reason is Reason.TOO_MANY_FAILURES
    authentication.close()
    failures.close()

"""`postern auth`, on a real data directory."""

from __future__ import annotations

import pytest

from postern.cli import language
from postern.directory import totp
from postern.directory.failures import FailureLog, LockTimes
from postern.directory.sqlite import SqliteDirectory
from postern.model.refusal import Reason
from postern.net.clock import SystemClock, SystemEntropy
from postern.services.attempts import Attempt
from postern.services.signin_log import SignInLog
from postern.telemetry.daily import DailyLines

ANNA = "anna@example.org"


@pytest.fixture
def admin(postern, tmp_path, monkeypatch):
    config = tmp_path / "postern.toml"
    config.write_text(
        '[server]\ndata = "data"\n'
        "[authentication]\nargon2_passes = 1\nargon2_memory_kib = 1024\nscram_iterations = 4096\n"
    )
    (tmp_path / "data").mkdir()
    SqliteDirectory(tmp_path / "data" / "directory.db", SystemEntropy())._db.close()
    monkeypatch.setenv("POSTERN_CONFIG", str(config))
    assert postern("domain", "add", "example.org").status == 0
    assert postern("mailbox", "add", ANNA, "--password", "Secret-1").status == 0
    return postern


def explained(admin, *more: str, protocol: str = "imap", source: str = "192.0.2.7", user: str = ANNA) -> str:
    return admin("auth", "explain", user, "--protocol", protocol, "--from", source, *more, "--json").json["outcome"]


def test_app_passwords(admin):
    made = admin(
        "auth", "app-password", "add", ANNA, "phone", "--protocols", "imap", "--expires", "2099-01-01", "--json"
    )
    assert made.json["protocols"] == ["imap"] and len(made.json["password"]) == 23
    again = admin("auth", "app-password", "add", ANNA, "phone")
    assert again.status == 1 and "phone" in again.err
    assert admin("auth", "app-password", "add", ANNA, "x", "--networks", "nonsense").status == 1
    listed = admin("auth", "app-password", "list", ANNA, "--json")
    assert [row["name"] for row in listed.json] == ["phone"] and made.json["password"] not in listed.out
    assert made.json["password"] not in admin("auth", "app-password", "list", ANNA).out
    wrong = admin("auth", "app-password", "remove", ANNA, "fone")
    assert wrong.status == 1 and "phone" in wrong.err
    assert admin("auth", "app-password", "remove", ANNA, "phone", "--json").json["removed"]
    assert admin("auth", "app-password", "list", ANNA, "--json").json == []


def test_one_time_codes(admin):
    begun = admin("auth", "totp", "enrol", ANNA, "--issuer", "Example Ltd", "--json").json
    assert begun["uri"].startswith("otpauth://totp/Example%20Ltd:anna@example.org?secret=")
    assert not admin("auth", "totp", "show", ANNA, "--json").json["confirmed"]
    assert explained(admin) == "password", "an enrolment without a first code changes nothing"
    assert admin("auth", "totp", "confirm", ANNA, "12").status == 1
    shown = admin("auth", "totp", "enrol", ANNA)
    assert "█" in shown.out and "otpauth://" in shown.out
    begun = admin("auth", "totp", "enrol", ANNA, "--json").json
    import base64

    secret = base64.b32decode(begun["secret"])
    code = totp.code(secret, int(SystemClock().timestamp() // 30))
    confirmed = admin("auth", "totp", "confirm", ANNA, code, "--json").json
    assert len(set(confirmed["recovery_codes"])) == 10
    assert admin("auth", "totp", "show", ANNA, "--json").json["recovery_codes"] == 10
    assert explained(admin) == "refused", "programs need an app password, and there is none"
    assert explained(admin, "--page", protocol="http") == "password-and-code"
    admin("auth", "app-password", "add", ANNA, "phone")
    assert explained(admin) == "app-password"
    assert explained(admin, "--mechanism", "SCRAM-SHA-256") == "app-password"
    assert len(admin("auth", "totp", "recovery", ANNA, "--json").json["recovery_codes"]) == 10
    assert admin("auth", "totp", "remove", ANNA).status == 0
    assert admin("auth", "totp", "remove", ANNA).status == 1
    assert explained(admin) == "password"


def test_rules_and_what_they_explain(admin):
    assert admin("group", "add", "staff@example.org").status == 0
    assert admin("group", "add-member", "staff@example.org", ANNA).status == 0
    add = ("auth", "rule", "add")
    assert admin(*add, "no pop", "deny", "--protocols", "pop3").status == 0
    assert admin(*add, "outside", "app-password", "--group", "staff@example.org").status == 0
    placed = admin(*add, "office", "allow", "--networks", "192.0.2.0/24", "--before", "no pop", "--json").json
    assert placed["number"] == 1
    assert [row["rule"] for row in admin("auth", "rule", "list", "--json").json] == ["office", "no pop", "outside"]
    assert explained(admin, protocol="pop3") == "password"
    assert explained(admin, protocol="pop3", source="198.51.100.1") == "refused"
    assert explained(admin, source="198.51.100.1") == "refused"
    text = admin("auth", "explain", ANNA, "--protocol", "imap", "--from", "198.51.100.1").out
    assert "Rule office is about other networks." in text and "Rule outside fits: app-password." in text
    assert admin(*add, "x", "perhaps").status == 1
    assert admin(*add, "x", "deny", "--group", ANNA).status == 1
    wrong = admin("auth", "rule", "remove", "nopop")
    assert wrong.status == 1 and "no pop" in wrong.err
    assert admin("auth", "rule", "remove", "outside").status == 0
    assert explained(admin, source="198.51.100.1") == "password"


def test_explaining_in_both_languages(admin, monkeypatch):
    unknown = admin("auth", "explain", "ghost@example.org", "--protocol", "imap", "--from", "2001:db8::1")
    assert unknown.status == 0 and "no account ghost@example.org" in unknown.out
    not_offered = explained(admin, "--mechanism", "CRAM-MD5")
    assert not_offered == "refused"
    assert admin("auth", "explain", ANNA, "--protocol", "imap", "--from", "here").status == 2
    monkeypatch.setattr(language, "_chosen", "ru")
    told = admin("auth", "explain", ANNA, "--protocol", "imap", "--from", "192.0.2.1", "--lang", "ru").out
    assert "С верным паролем впустят." in told


def test_locks_and_unlocking(admin, tmp_path):
    failures = FailureLog(tmp_path / "data" / "failures.db")
    now = SystemClock().timestamp()
    keys = {f"account {ANNA}": 1, f"account {ANNA} from 192.0.2.7": 1, "address 192.0.2.7": 1}
    failures.add(keys, 1, now, LockTimes())
    failures.close()
    assert {row["key"] for row in admin("auth", "locks", "--json").json} == set(keys)
    assert explained(admin) == "refused"
    assert "unlock" in admin("auth", "explain", ANNA, "--protocol", "imap", "--from", "192.0.2.7").out
    assert admin("auth", "unlock", ANNA, "--json").json["locks"] == 2
    assert explained(admin) == "refused", "the address is locked still"
    assert admin("auth", "unlock", "192.0.2.7", "--json").json["locks"] == 1
    assert explained(admin) == "password"
    assert admin("auth", "locks", "--json").json == []
    assert admin("auth", "unlock", "ann@example.org").status == 1


async def _write(path, clock):
    directory = SqliteDirectory(path / "directory.db", SystemEntropy())
    log = SignInLog(directory, DailyLines(path / "sign-ins", clock, "w0"), clock)
    account = await directory.login(ANNA)
    one = Attempt("192.0.2.7", "imap", "PLAIN", "TLSv1.3", "TLS_AES_256_GCM_SHA384", "1-2")
    log.accepted(one, account)
    await log.refused(Attempt("198.51.100.9", "smtp", "LOGIN"), account, Reason.BAD_CREDENTIALS, "wrong-password")
    await log.refused(Attempt("198.51.100.9", "smtp", "LOGIN"), "My secret 1", Reason.BAD_CREDENTIALS, "unknown-user")
    log.close()
    await directory.close()


def test_the_log(admin, tmp_path):
    import asyncio

    asyncio.run(_write(tmp_path / "data", SystemClock()))
    rows = admin("auth", "log", "--json").json
    assert [row["ok"] for row in rows] == [True, False, False]
    assert rows[0]["tls"] == "TLSv1.3" and rows[0]["mechanism"] == "PLAIN"
    assert [row["account"] for row in admin("auth", "log", "--failed", "--account", ANNA, "--json").json] == [ANNA]
    assert len(admin("auth", "log", "--from", "198.51.100.0/24", "--since", "1h", "--json").json) == 2
    assert admin("auth", "log", "--from", "x").status == 2
    text = admin("auth", "log").out
    assert "wrong-password" in text and "ecret" not in text

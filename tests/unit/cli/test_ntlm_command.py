"""`postern mailbox ntlm`: an NT hash is kept on request, of the present password only."""

from __future__ import annotations

import pytest

from postern.directory.sqlite import SqliteDirectory
from postern.net.clock import SystemEntropy


@pytest.fixture
def organisation(postern, tmp_path, monkeypatch):
    config = tmp_path / "postern.toml"
    config.write_text(
        '[server]\ndata = "data"\n[authentication]\nargon2_passes = 1\nargon2_memory_kib = 1024\n'
        "scram_iterations = 4096\n"
    )
    (tmp_path / "data").mkdir()
    SqliteDirectory(tmp_path / "data" / "directory.db", SystemEntropy())._db.close()
    monkeypatch.setenv("POSTERN_CONFIG", str(config))
    assert postern("domain", "add", "example.org").status == 0
    assert postern("mailbox", "add", "scanner@example.org", "--password", "first secret").status == 0
    return postern


def test_allow_list_forbid(organisation):
    assert organisation("mailbox", "ntlm", "list", "--json").json == []
    wrong = organisation("mailbox", "ntlm", "allow", "scanner@example.org", "--password", "another")
    assert wrong.status != 0
    assert "not the password" in wrong.err
    done = organisation("mailbox", "ntlm", "allow", "scanner@example.org", "--password", "first secret")
    assert done.status == 0
    assert "accounts = true" in done.out
    listed = organisation("mailbox", "ntlm", "list", "--json").json
    assert [row["address"] for row in listed] == ["scanner@example.org"]
    assert organisation("mailbox", "ntlm", "forbid", "scanner@example.org").status == 0
    assert organisation("mailbox", "ntlm", "list", "--json").json == []


def test_a_new_password_forgets_it(organisation):
    organisation("mailbox", "ntlm", "allow", "scanner@example.org", "--password", "first secret")
    organisation("mailbox", "password", "scanner@example.org", "--password", "second secret")
    assert organisation("mailbox", "ntlm", "list", "--json").json == []


def test_unknown_accounts_get_the_nearest(organisation):
    answer = organisation("mailbox", "ntlm", "allow", "scaner@example.org", "--password", "x")
    assert answer.status != 0
    assert "scanner@example.org" in answer.err

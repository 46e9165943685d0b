"""Every administrative command, on a real data directory without a server."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys

import pytest

from postern.directory.passwords import verify
from postern.directory.sqlite import SqliteDirectory
from postern.net.clock import SystemEntropy

VECTOR = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"


@pytest.fixture
def admin(postern, tmp_path, monkeypatch):
    """An organisation example.org; runs commands against it."""
    config = tmp_path / "postern.toml"
    config.write_text(
        '[server]\ndata = "data"\n'
        "[authentication]\nargon2_passes = 1\nargon2_memory_kib = 1024\nscram_iterations = 4096\n"
    )
    (tmp_path / "data").mkdir()
    SqliteDirectory(tmp_path / "data" / "directory.db", SystemEntropy())._db.close()
    monkeypatch.setenv("POSTERN_CONFIG", str(config))
    assert postern("domain", "add", "example.org").status == 0
    return postern


def stored(tmp_path, address: str) -> str:
    async def look() -> str:
        directory = SqliteDirectory(tmp_path / "data" / "directory.db", SystemEntropy())
        account = await directory.login(address)
        assert account is not None
        found = await directory.password_hash(account.id)
        await directory.close()
        return found

    return asyncio.run(look())


def test_a_mailbox_from_beginning_to_end(admin):
    made = admin("mailbox", "add", "anna@example.org", "--name", "Anna", "--quota", "1G", "--json").json
    assert made["quota_bytes"] == 1 << 30 and len(made["password"]) > 15
    assert admin("mailbox", "add", "ANNA@example.org").status == 1
    shown = admin("mailbox", "show", "anna@example.org", "--json").json
    assert shown["messages"] == 0 and shown["used_bytes"] == 0 and shown["mailbox"] == made["mailbox"]
    changed = admin(
        "mailbox", "set", "anna@example.org", "--address", "ann@example.org", "--protocols", "imap", "--disabled",
        "--forward", "x@elsewhere.example, y@elsewhere.example", "--no-keep", "--json",
    ).json  # fmt: skip
    assert changed["address"] == "ann@example.org" and changed["protocols"] == ["imap"] and not changed["enabled"]
    assert changed["forward_to"] == ["x@elsewhere.example", "y@elsewhere.example"] and not changed["forward_keep"]
    assert admin("mailbox", "show", "anna@example.org", "--json").json["aliases"] == ["anna@example.org"]
    assert admin("mailbox", "remove", "anna@example.org", "--yes").status == 1, "an alias is not the mailbox"
    assert admin("mailbox", "remove", "ann@example.org", "--yes").status == 0
    assert admin("mailbox", "list", "--json").json == []


def test_passwords(admin, tmp_path, monkeypatch):
    admin("mailbox", "add", "a@example.org", "--password", "one")
    assert verify("one", stored(tmp_path, "a@example.org"))
    monkeypatch.setattr("sys.stdin", io.StringIO("two\n"))
    assert admin("mailbox", "password", "a@example.org", "--password", "-").status == 0
    assert verify("two", stored(tmp_path, "a@example.org"))
    made = admin("mailbox", "password", "a@example.org", "--json").json["password"]
    assert verify(made, stored(tmp_path, "a@example.org"))
    assert admin("mailbox", "unlock", "a@example.org").status == 0


def test_importing_users_with_their_hashes(admin, tmp_path):
    users = tmp_path / "users"
    users.write_text(f"# from the old server\n\nu1@example.org:{{SHA512-CRYPT}}{VECTOR}\nu2@example.org:{VECTOR}::::\n")
    assert admin("mailbox", "import-users", str(users), "--json").json == {"added": 2, "changed": 0}
    assert admin("mailbox", "import-users", str(users), "--json").json == {"added": 0, "changed": 2}
    for user in ("u1@example.org", "u2@example.org"):
        assert verify("Hello world!", stored(tmp_path, user))
    assert admin("mailbox", "show", "u1@example.org", "--json").json["messages"] == 0


@pytest.mark.parametrize("line", ["nonsense", "a@example.org:{ROT13}x", "a@example.org:"])
def test_a_bad_line_imports_nothing(admin, tmp_path, line):
    users = tmp_path / "users"
    users.write_text(f"ok@example.org:{VECTOR}\n{line}\n")
    refused = admin("mailbox", "import-users", str(users))
    assert refused.status == 1 and "line 2" in refused.err
    assert admin("mailbox", "list", "--json").json == []


def test_permissions(admin):
    for name in ("anna", "bert"):
        admin("mailbox", "add", f"{name}@example.org", "--password", "x")
    admin("mailbox", "add", "sales@example.org", "--shared")
    grant = ("mailbox", "permission", "grant", "sales@example.org", "anna@example.org")
    assert admin(*grant, "full-access").status == 0
    assert admin(*grant, "reviewer", "--folder", "inbox").status == 0
    assert admin(*grant, "author", "--folder", "*").status == 0
    assert admin(*grant, "king").status == 1
    assert admin(*grant, "author", "--folder", "No such").status == 1
    rows = admin("mailbox", "permission", "list", "sales@example.org", "--json").json
    assert [(row["right"], row["folder"]) for row in rows] == [
        ("full-access", None),
        ("author", "*"),
        ("reviewer", "INBOX"),
    ]
    revoke = ("mailbox", "permission", "revoke", "sales@example.org", "anna@example.org")
    assert admin(*revoke, "full-access").status == admin(*revoke, "--folder", "*").status == 0
    rows = admin("mailbox", "permission", "list", "sales@example.org", "--json").json
    assert [row["right"] for row in rows] == ["reviewer"]


def test_aliases_groups_and_domains(admin):
    admin("mailbox", "add", "anna@example.org", "--password", "x")
    assert admin("alias", "add", "info@example.org", "anna@example.org", "x@elsewhere.example").status == 0
    assert admin("alias", "list", "--json").json[0]["targets"] == ["anna@example.org", "x@elsewhere.example"]
    assert admin("alias", "remove", "info@example.org").status == 0
    assert admin("alias", "remove", "info@example.org").status == 1
    made = admin("group", "add", "team@example.org", "anna@example.org", "--name", "Team", "--internal", "--json").json
    assert made == {
        "group": "team@example.org",
        "name": "Team",
        "members": ["anna@example.org"],
        "internal": True,
        "owner": "",
        "filter": "",
        "hidden": False,
        "source": "",
    }
    admin("group", "add-member", "team@example.org", "bert@elsewhere.example")
    admin("group", "remove-member", "team@example.org", "anna@example.org")
    assert admin("group", "show", "team@example.org", "--json").json["members"] == ["bert@elsewhere.example"]
    assert admin("group", "remove", "team@example.org").status == 0
    assert admin("group", "list", "--json").json == []
    admin("domain", "add", "branch.example", "--kind", "internal_relay", "--catch-all", "anna@example.org")
    assert [row["domain"] for row in admin("domain", "list", "--json").json] == ["example.org", "branch.example"]
    assert admin("domain", "remove", "example.org").status == 1
    assert admin("domain", "remove", "branch.example").status == 0


def test_commands_without_an_organisation_make_none(postern, tmp_path, monkeypatch):
    config = tmp_path / "postern.toml"
    config.write_text('[server]\ndata = "data"\n')
    monkeypatch.setenv("POSTERN_CONFIG", str(config))
    for words in (("mailbox", "list"), ("mailbox", "add", "a@example.org"), ("domain", "add", "example.org")):
        done = postern(*words)
        assert done.status == 1 and "no organisation" in done.err
    assert not (tmp_path / "data").exists()


def test_ports_and_settings(postern, tmp_path):
    rows = postern("ports", "listening", "--json").json
    assert {row["id"]: row["port"] for row in rows}["imaps"] == 993
    (tmp_path / "p.toml").write_text("[listen.pop3]\nenabled = false\n")
    assert "pop3" not in {
        row["id"] for row in postern("ports", "listening", "-c", str(tmp_path / "p.toml"), "--json").json
    }
    assert "is good" in postern("settings", "-c", str(tmp_path / "p.toml")).out
    assert postern("settings", "--reference").out.startswith("# Settings")


def test_help_of_every_command_has_an_example(postern):
    from postern.cli.commands import build

    def walk(app, path):
        for name in app:
            if name.startswith("-"):
                continue
            command = app[name]
            if list(n for n in command if not n.startswith("-")):
                yield from walk(command, (*path, name))
            else:
                yield (*path, name), command.help

    found = dict(walk(build(), ()))
    assert len(found) > 25
    for path, text in found.items():
        assert "Example" in text or "Пример" in text, path  # in the language the modules were loaded with


def test_lists_of_commands_say_what_each_is_for():
    """Groups that are loaded when they are used have to be told what the list says of them."""
    for group in ((), ("mailbox",), ("auth",)):
        line = [sys.executable, "-m", "postern", *group, "--help"]  # of its own: what is loaded here says it anyway
        out = subprocess.run(line, capture_output=True, text=True, check=True, timeout=60).stdout
        listed = out.split("Commands", 1)[1].splitlines()[1:]
        first = [row.split() for row in listed if row.startswith("│ ") and row[2] != " "]
        assert len(first) > 5, out
        assert [words[1] for words in first if len(words) < 4] == []

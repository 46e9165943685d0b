"""`postern mailbox sieve|rules|oof` and `postern public`, on a real data directory without a server."""

from __future__ import annotations

import json

import pytest

from postern.directory.sqlite import SqliteDirectory
from postern.net.clock import SystemEntropy

SCRIPT = 'require "fileinto";\nif header :contains "subject" "x" { fileinto "Archive"; }\n'


@pytest.fixture
def admin(postern, tmp_path, monkeypatch):
    """An organisation with anna and boris; runs commands against it."""
    config = tmp_path / "postern.toml"
    config.write_text(
        '[server]\ndata = "data"\n'
        "[authentication]\nargon2_passes = 1\nargon2_memory_kib = 1024\nscram_iterations = 4096\n"
    )
    (tmp_path / "data").mkdir()
    SqliteDirectory(tmp_path / "data" / "directory.db", SystemEntropy())._db.close()
    monkeypatch.setenv("POSTERN_CONFIG", str(config))
    assert postern("domain", "add", "example.org").status == 0
    for name in ("anna", "boris"):
        assert postern("mailbox", "add", f"{name}@example.org").status == 0
    return postern


@pytest.fixture
def written(tmp_path):
    def write(name: str, text: str) -> str:
        (tmp_path / name).write_text(text, "utf-8")
        return str(tmp_path / name)

    return write


ANNA = "anna@example.org"


def test_a_script_from_beginning_to_end(admin, written):
    path = written("main.sieve", SCRIPT)
    assert admin("mailbox", "sieve", "list", ANNA, "--json").json == []
    assert admin("mailbox", "sieve", "put", ANNA, "main", path, "--json").json == {
        "name": "main",
        "octets": len(SCRIPT),
    }
    listed = admin("mailbox", "sieve", "list", ANNA, "--json").json
    assert listed == [{"name": "main", "active": False, "octets": len(SCRIPT)}]
    assert admin("mailbox", "sieve", "get", ANNA, "main", "--json").json == {"name": "main", "script": SCRIPT}
    assert admin("mailbox", "sieve", "activate", ANNA, "main").status == 0
    assert [one["active"] for one in admin("mailbox", "sieve", "list", ANNA, "--json").json] == [True]
    assert "main" in admin("mailbox", "sieve", "list", ANNA).out
    refused = admin("mailbox", "sieve", "remove", ANNA, "main")
    assert refused.status == 1 and refused.err, "an active script is not removed"
    assert admin("mailbox", "sieve", "activate", ANNA, "--none", "--json").json == {"active": None}
    assert admin("mailbox", "sieve", "remove", ANNA, "main").status == 0
    assert admin("mailbox", "sieve", "list", ANNA, "--json").json == []


def test_scripts_that_cannot_be_kept(admin, written):
    wrong = written("wrong.sieve", 'keep;\nfrob "x";\n')
    checked = admin("mailbox", "sieve", "check", wrong, "--json")
    assert checked.status == 1 and not checked.json["valid"] and checked.json["problems"][0]["line"] == 2
    assert "wrong.sieve:2:1:" in admin("mailbox", "sieve", "check", wrong).err
    assert admin("mailbox", "sieve", "check", written("good.sieve", SCRIPT), "--json").json == {
        "valid": True,
        "problems": [],
    }
    kept = admin("mailbox", "sieve", "put", ANNA, "main", wrong)
    assert kept.status == 1 and "frob" in kept.err
    assert admin("mailbox", "sieve", "put", ANNA, "main", "/nowhere/file").status == 1
    assert admin("mailbox", "sieve", "activate", ANNA).status == 2
    assert admin("mailbox", "sieve", "activate", ANNA, "missing").status == 1
    assert admin("mailbox", "sieve", "get", ANNA, "missing").status == 1
    assert admin("mailbox", "sieve", "remove", ANNA, "missing").status == 1
    assert admin("mailbox", "sieve", "list", "nobody@example.org").status == 1


RULE = {
    "name": "lists",
    "priority": 2,
    "enabled": True,
    "conditions": {"contains_subject_strings": ["[list]"]},
    "actions": {"mark_as_read": True},
}


def test_a_rule_from_beginning_to_end(admin, written):
    path = written("rule.json", json.dumps(RULE))
    assert admin("mailbox", "rules", "check", path).status == 0
    put = admin("mailbox", "rules", "put", ANNA, "lists", path, "--json").json
    assert put["id"] == "lists" and put["name"] == "lists"
    listed = admin("mailbox", "rules", "list", ANNA, "--json").json
    assert [(one["id"], one["priority"], one["enabled"]) for one in listed] == [("lists", 2, True)]
    shown = admin("mailbox", "rules", "get", ANNA, "lists").out
    assert admin("mailbox", "rules", "put", ANNA, "again", written("again.json", shown)).status == 0, (
        "get's form is put's"
    )
    assert admin("mailbox", "rules", "activate", ANNA, "lists", "--off", "--json").json == {
        "id": "lists",
        "enabled": False,
    }
    states = {one["id"]: one["enabled"] for one in admin("mailbox", "rules", "list", ANNA, "--json").json}
    assert states == {"lists": False, "again": True}
    assert "lists" in admin("mailbox", "rules", "list", ANNA).out
    assert admin("mailbox", "rules", "remove", ANNA, "lists").status == 0
    missing = admin("mailbox", "rules", "remove", ANNA, "lists")
    assert missing.status == 1 and "there is no rule lists" in missing.err
    assert admin("mailbox", "rules", "get", ANNA, "lists").status == 1
    assert admin("mailbox", "rules", "activate", ANNA, "lists").status == 1


@pytest.mark.parametrize("text", ["{", '"text"', '{"name": 1}', '{"name": "x", "priority": "first"}'])
def test_rules_that_are_none(admin, written, text):
    refused = admin("mailbox", "rules", "check", written("rule.json", text))
    assert refused.status == 1 and refused.err and "Traceback" not in refused.err
    assert admin("mailbox", "rules", "put", ANNA, "x", written("rule.json", text)).status == 1


def test_junk_lists(admin):
    assert admin("mailbox", "rules", "junk", ANNA, "--json").json is None
    set_ = admin(
        "mailbox", "rules", "junk", ANNA, "--on", "--block", "spam.example", "--safe", "a@good.example", "--json"
    )
    assert set_.json["enabled"] and set_.json["blocked_senders"] == ["spam.example"]
    moved = admin("mailbox", "rules", "junk", ANNA, "--safe", "SPAM.example", "--json").json
    assert moved["blocked_senders"] == [] and moved["safe_senders"] == ["a@good.example", "SPAM.example"]
    assert admin("mailbox", "rules", "junk", ANNA, "--forget", "spam.example", "--json").json["safe_senders"] == [
        "a@good.example"
    ]
    assert "a@good.example" in admin("mailbox", "rules", "junk", ANNA).out
    assert not admin("mailbox", "rules", "junk", ANNA, "--off", "--json").json["enabled"]


def test_out_of_office(admin, written):
    assert admin("mailbox", "oof", ANNA, "--json").json["state"] == "disabled"
    reply = written("reply.txt", "Я в отпуске.")
    on = admin(
        "mailbox",
        "oof",
        ANNA,
        "--on",
        "--internal",
        f"@{reply}",
        "--external",
        "Away.",
        "--audience",
        "known",
        "--json",
    )
    assert (on.json["state"], on.json["active"], on.json["audience"]) == ("enabled", True, "known")
    assert (on.json["internal_reply"], on.json["external_reply"]) == ("Я в отпуске.", "Away.")
    planned = admin("mailbox", "oof", ANNA, "--start", "2199-01-01", "--end", "2199-02-01", "--json").json
    assert (planned["state"], planned["active"]) == ("scheduled", False) and planned["ends_at"] > planned["starts_at"]
    assert "2199" in admin("mailbox", "oof", ANNA).out
    assert admin("mailbox", "oof", ANNA, "--off", "--json").json["state"] == "disabled"
    assert admin("mailbox", "oof", ANNA, "--start", "2199-01-01").status == 2
    assert admin("mailbox", "oof", ANNA, "--start", "soon", "--end", "later").status == 2
    assert admin("mailbox", "oof", ANNA, "--audience", "some").status == 2
    assert admin("mailbox", "oof", ANNA, "--internal", "@/nowhere").status == 1
    assert admin("mailbox", "oof", "nobody@example.org", "--on").status == 1


def test_public_folders_from_beginning_to_end(admin):
    assert admin("public", "list", "--json").json == []
    missing = admin("public", "remove", "Projects")
    assert missing.status == 1 and "postern public add" in missing.err
    assert admin("public", "add", "Projects/2024", "--default", "reviewer", "--json").json == {
        "folder": "Projects/2024",
        "default": "reviewer",
    }
    assert admin("public", "add", "Notices").status == 0
    assert admin("public", "add", "Notices").status == 1
    assert admin("public", "add", "Other", "--default", "king").status != 0
    rows = {one["folder"]: one["default"] for one in admin("public", "list", "--json").json}
    assert rows == {"Projects": "none", "Projects/2024": "reviewer", "Notices": "author"}
    assert admin("public", "grant", "Projects/2024", ANNA, "owner").status == 0
    assert admin("public", "grant", "Projects/2024", "nobody@example.org", "owner").status == 1
    assert admin("public", "grant", "INBOX", ANNA, "owner").status == 1, "the mailbox's own folders are not public"
    roles = {one["who"]: one["role"] for one in admin("public", "roles", "Projects/2024", "--json").json}
    assert roles == {"default": "reviewer", ANNA: "owner"}
    assert admin("public", "revoke", "Projects/2024", ANNA).status == 0
    assert [one["who"] for one in admin("public", "roles", "Projects/2024", "--json").json] == ["default"]
    parent = admin("public", "remove", "Projects")
    assert parent.status == 1, "it has a folder below it"
    assert admin("public", "remove", "Projects/2024").status == 0
    assert sorted(one["folder"] for one in admin("public", "list", "--json").json) == ["Notices", "Projects"]
    mailbox = next(
        one for one in admin("mailbox", "list", "--json").json if one["address"].startswith("public-folders@")
    )
    assert mailbox["address"] == "public-folders@example.org"


def test_public_folders_in_russian(admin):
    assert "Общая папка Новости готова." in admin("--lang", "ru", "public", "add", "Новости").out
    assert "ПАПКА" in admin("--lang", "ru", "public", "list").out

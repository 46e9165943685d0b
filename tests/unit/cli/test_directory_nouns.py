"""user, room, contact, group, addresslist, role, policy and permission explain, on a real data directory."""

from __future__ import annotations

import pytest

from postern.directory.sqlite import SqliteDirectory
from postern.net.clock import SystemEntropy

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


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
    for user in ("anna", "bert"):
        assert postern("mailbox", "add", f"{user}@example.org", "--password", "Secret-1").status == 0
    return postern


def test_the_address_book(admin, tmp_path):
    picture = tmp_path / "a.png"
    picture.write_bytes(PNG)
    changed = admin(
        "user", "set", "anna@example.org", "--department", "Продажи", "--city", "Köln", "--given-name", "Anna",
        "--custom", "3=gold", "--photo", str(picture), "--json",
    ).json  # fmt: skip
    assert changed["department"] == "Продажи" and changed["custom"] == {"3": "gold"} and changed["photo"]
    assert [row["address"] for row in admin("user", "find", "прод", "--json").json] == ["anna@example.org"]
    assert admin("addresslist", "add", "Köln", "--filter", "(l=KÖLN)", "--json").json["entries"] == 1
    lists = {row["list"]: row["entries"] for row in admin("addresslist", "list", "--json").json}
    assert lists["Departments/Продажи"] == 1 and lists["Global Address List"] == 2
    assert [row["address"] for row in admin("addresslist", "show", "Köln", "--json").json] == ["anna@example.org"]
    made = admin("group", "add", "sales@example.org", "--filter", "(department=продажи)", "--json").json
    assert made["members"] == ["anna@example.org"]
    assert admin("group", "add-member", "sales@example.org", "bert@example.org").status == 1
    wrong = admin("addresslist", "add", "x", "--filter", "(nonsense=1)")
    assert wrong.status == 1 and "department" in wrong.err
    assert admin("addresslist", "remove", "Köln").status == 0
    assert admin("addresslist", "remove", "Global Address List").status == 1
    admin("user", "set", "anna@example.org", "--department", "")
    assert admin("group", "show", "sales@example.org", "--json").json["members"] == []
    assert admin("mailbox", "set", "anna@example.org", "--hidden").status == 0
    assert admin("user", "find", "anna", "--json").json == []


def test_rooms_and_contacts(admin):
    room = admin("room", "add", "atrium@example.org", "--name", "Atrium", "--seats", "12", "--json").json
    assert room["kind"] == "room" and room["shared"]
    admin("room", "add", "beamer@example.org", "--equipment")
    admin("room", "set", "atrium@example.org", "--seats", "14", "--building", "B2")
    rows = {row["address"]: row for row in admin("room", "list", "--json").json}
    assert rows["atrium@example.org"]["seats"] == "14" and rows["beamer@example.org"]["kind"] == "equipment"
    assert (
        admin("contact", "add", "jo@partner.example", "--name", "Jo", "--json").json["target"] == "jo@partner.example"
    )
    ours = admin("contact", "add", "jo@example.org", "--target", "jo@partner.example", "--json").json
    assert ours["target"] == "jo@partner.example"
    assert admin("contact", "add", "self@example.org").status == 1, "an address of ours needs a target"
    assert {row["contact"] for row in admin("contact", "list", "--json").json} == {
        "jo@partner.example",
        "jo@example.org",
    }
    assert admin("contact", "remove", "jo@partner.example").status == 0
    assert admin("room", "remove", "beamer@example.org", "--yes").status == 0


def test_roles_and_explanations(admin):
    assert admin("role", "add", "help-desk", "bert@example.org", "--scope", "(department=Sales)").status == 0
    asked = ("permission", "explain", "bert@example.org", "reset-passwords", "anna@example.org", "--json")
    assert not admin(*asked).json["allowed"]
    admin("user", "set", "anna@example.org", "--department", "Sales")
    found = admin(*asked).json
    assert found["allowed"] and found["ground"] == "role" and found["scope"] == "(department=Sales)"
    admin("mailbox", "set", "anna@example.org", "--admin")
    protected = admin(*asked).json
    assert not protected["allowed"] and protected["protected"]
    assert admin("role", "remove", "organisation", "anna@example.org").status == 1, "the last one stays"
    near = admin("role", "add", "helpdesc", "bert@example.org")
    assert near.status == 1 and "help-desk" in near.err
    assert [row["role"] for row in admin("role", "list", "--json").json] == ["help-desk", "organisation"]


def test_rights_explained(admin):
    def explain(*words):
        return admin("permission", "explain", *words, "--json").json

    admin("group", "add", "team@example.org", "bert@example.org")
    assert explain("anna@example.org", "send-as", "anna@example.org")["ground"] == "owner"
    assert not explain("bert@example.org", "send-as", "anna@example.org")["allowed"]
    admin("permission", "grant", "anna@example.org", "team@example.org", "send-as")
    assert explain("bert@example.org", "send-as", "anna@example.org")["by"] == "team@example.org"
    admin("permission", "grant", "team@example.org", "anna@example.org", "send-on-behalf")
    assert explain("anna@example.org", "send-on-behalf", "team@example.org")["allowed"]
    assert admin("permission", "list", "team@example.org", "--json").json[0]["right"] == "send-on-behalf"
    assert admin("permission", "grant", "team@example.org", "anna@example.org", "full-access").status == 1
    admin("permission", "grant", "anna@example.org", "default", "reviewer", "--folder", "INBOX")
    found = explain("bert@example.org", "read", "anna@example.org", "--folder", "INBOX")
    assert found["ground"] == "default"
    assert not explain("anonymous", "read", "anna@example.org", "--folder", "INBOX")["allowed"]
    text = admin("permission", "explain", "bert@example.org", "delete", "anna@example.org", "--folder", "INBOX").out
    assert "may not" in text and "permission grant" in text
    lost = admin("permission", "explain", "brt@example.org", "send-as", "anna@example.org")
    assert lost.status == 1 and "bert@example.org" in lost.err


def test_password_policies(admin):
    admin("policy", "set", "default", "--min-length", "10", "--classes", "3", "--history", "2", "--max-age-days", "90")
    admin("policy", "set", "kiosk", "--protocols", "http", "--quota", "100M")
    assert admin("mailbox", "password", "anna@example.org", "--password", "short-A1").status == 1
    assert admin("mailbox", "password", "anna@example.org", "--password", "longenoughbut").status == 1
    assert admin("mailbox", "password", "anna@example.org", "--password", "Longer-anna-11").status == 1
    assert admin("mailbox", "password", "anna@example.org", "--password", "Long-Enough-1").status == 0
    again = admin("mailbox", "password", "anna@example.org", "--password", "Long-Enough-1")
    assert again.status == 1 and "again" in again.err
    assert admin("mailbox", "add", "kim@example.org", "--policy", "kiosk", "--json").json["quota_bytes"] == 100 << 20
    assert admin("mailbox", "show", "kim@example.org", "--json").json["protocols"] == ["http"]
    assert admin("mailbox", "set", "kim@example.org", "--policy", "nothing").status == 1
    assert admin("policy", "remove", "kiosk").status == 0
    assert admin("policy", "remove", "default").status == 1
    assert "smtp" in admin("mailbox", "show", "kim@example.org", "--json").json["protocols"]
    assert admin("user", "disable", "kim@example.org", "--json").json == {
        "address": "kim@example.org",
        "enabled": False,
    }
    assert not admin("user", "show", "kim@example.org", "--json").json["enabled"]
    assert admin("mailbox", "set", "kim@example.org", "--expires", "2020-01-01", "--json").json["expires_at"] > 0
    assert admin("mailbox", "set", "kim@example.org", "--expires", "never", "--json").json["expires_at"] is None


@pytest.mark.parametrize("command", [["mailbox", "set"], ["user", "set"], ["room", "set"]])
def test_a_change_of_nothing_says_what_to_name(admin, command):
    done = admin(*command, "anna@example.org")
    assert done.status == 1 and "--help" in done.err and not done.out

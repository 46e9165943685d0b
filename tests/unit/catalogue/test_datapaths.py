from __future__ import annotations

import pytest

from postern.catalogue.load import CatalogueError, load, parse_toml
from postern.catalogue.schema import Encryption


def test_the_listeners_of_the_first_edition():
    ports = {one.id: one.port for one in load().listeners}
    assert ports == {
        "smtp": 25,
        "submission": 587,
        "submissions": 465,
        "imap": 143,
        "imaps": 993,
        "pop3": 110,
        "pop3s": 995,
        "managesieve": 4190,
        "ldap": 389,
        "ldaps": 636,
        "https": 443,
        "http": 80,
        "metrics": 9925,
    }


def test_every_row_has_both_languages_and_its_source():
    for path in load().paths:
        assert path.names.en and path.names.ru and path.purpose.en and path.purpose.ru and path.provenance, path.id
        assert bool(path.notes.en) == bool(path.notes.ru), path.id
        assert any("а" <= letter.lower() <= "я" for letter in path.purpose.ru), path.id


def test_no_password_travels_in_clear():
    for one in load().listeners:
        assert not {"PLAIN", "LOGIN"} & set(one.authentication_before_tls), one.id
        if one.mechanisms:
            assert one.encryption_default is not Encryption.NONE, one.id


def test_port_25_offers_no_authentication():
    assert load().listener("smtp").mechanisms == ()


def test_paths_of_roles():
    assert [one.id for one in load().listening(frozenset({"transport"}))] == ["smtp", "submission", "submissions"]
    assert not load().listening(frozenset({"edge"}))


ROW = """
[[path]]
id = "postern.a"
section = "clients"
names = { en = "a", ru = "а" }
source = { en = "a", ru = "а" }
source_roles = ["mail-client"]
destination = { en = "a", ru = "а" }
destination_roles = ["hub-transport"]
purpose = { en = "a", ru = "а" }

[path.listener]
id = "a"
role = "transport"
port = 25
protocol = "smtp"
encryption_supported = ["none", "starttls"]
encryption_default = "starttls"
authentication_supported = ["PLAIN"]
authentication_default = ["PLAIN"]
"""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('["hub-transport"]', '["nobody"]', "destination"),
        ('["mail-client"]', '["nobody"]', "source"),
        ('role = "transport"', 'role = "nobody"', "role"),
        ("port = 25", "port = 70000", "ports"),
        ('protocol = "smtp"', 'protocol = "uucp"', "protocol"),
        ('encryption_default = "starttls"', 'encryption_default = "implicit"', "encryption"),
        ('encryption_default = "starttls"', 'encryption_default = "none"', "passwords"),
        ('authentication_default = ["PLAIN"]', 'authentication_default = ["LOGIN"]', "LOGIN"),
        ('"PLAIN"', '"ROT13"', "ROT13"),
        (
            'authentication_default = ["PLAIN"]',
            'authentication_default = ["PLAIN"]\nauthentication_before_tls = ["PLAIN"]',
            "TLS",
        ),
        ('id = "postern.a"', 'id = "postern.a"\ncolour = "red"', "colour"),
        ('id = "postern.a"', "", "id"),
        ('id = "postern.a"', 'id = "a b"', "id"),
        ('names = { en = "a", ru = "а" }', 'names = { en = "a" }', "one language"),
    ],
)
def test_a_bad_row_is_refused_with_its_name(old, new, says):
    parse_toml(ROW, "test")
    with pytest.raises(CatalogueError, match=says):
        parse_toml(ROW.replace(old, new), "test")


def test_an_id_is_there_once():
    with pytest.raises(CatalogueError, match="twice"):
        parse_toml(ROW + ROW, "test")


def test_an_unknown_edition():
    with pytest.raises(KeyError, match="exchange-2099"):
        load("exchange-2099")

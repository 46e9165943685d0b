from __future__ import annotations

import pytest

from postern.catalogue.datapaths import CatalogueError, load, parse
from postern.catalogue.schema import Encryption


def test_the_listeners_of_the_first_edition():
    ports = {path.id: path.port for path in load().paths}
    assert ports == {
        "smtp": 25,
        "submission": 587,
        "submissions": 465,
        "imap": 143,
        "imaps": 993,
        "pop3": 110,
        "pop3s": 995,
        "metrics": 9925,
    }


def test_every_row_has_both_languages_and_its_source():
    for path in load().paths:
        assert path.names.en and path.names.ru and path.purpose.en and path.purpose.ru and path.provenance, path.id
        assert bool(path.notes.en) == bool(path.notes.ru), path.id
        assert any("а" <= letter.lower() <= "я" for letter in path.purpose.ru), path.id


def test_no_password_travels_in_clear():
    for path in load().paths:
        assert not path.authentication_in_clear, path.id
        if path.mechanisms:
            assert path.encryption_default is not Encryption.NONE, path.id


def test_port_25_offers_no_authentication():
    assert load()["smtp"].mechanisms == ()


def test_paths_of_roles():
    assert [p.id for p in load().listening(frozenset({"transport"}))] == ["smtp", "submission", "submissions"]
    assert not load().listening(frozenset({"edge"}))


ROW = """
[[path]]
id = "a"
source = "client"
destination = "transport"
names = { en = "a", ru = "а" }
purpose = { en = "a", ru = "а" }
ports = [{ number = 25 }]
protocol = "smtp"
encryption_supported = ["none", "starttls"]
encryption_default = "starttls"
authentication_supported = ["PLAIN"]
authentication_default = ["PLAIN"]
"""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('destination = "transport"', 'destination = "nobody"', "destination"),
        ('source = "client"', 'source = "nobody"', "source"),
        ("number = 25", "number = 70000", "ports"),
        ('protocol = "smtp"', 'protocol = "uucp"', "protocol"),
        ('encryption_default = "starttls"', 'encryption_default = "implicit"', "encryption"),
        ('encryption_default = "starttls"', 'encryption_default = "none"', "passwords"),
        ('authentication_default = ["PLAIN"]', 'authentication_default = ["LOGIN"]', "LOGIN"),
        ('"PLAIN"', '"ROT13"', "ROT13"),
        ('id = "a"', 'id = "a"\ncolour = "red"', "colour"),
        ('id = "a"', "", "id"),
    ],
)
def test_a_bad_row_is_refused_with_its_name(old, new, says):
    parse(ROW, "test")
    with pytest.raises(CatalogueError, match=says):
        parse(ROW.replace(old, new), "test")


def test_an_id_is_there_once():
    with pytest.raises(CatalogueError, match="twice"):
        parse(ROW + ROW, "test")


def test_an_unknown_edition():
    with pytest.raises(KeyError):
        load("exchange-2099")

"""Distinguished names: what means nothing goes, what is escaped stays, and long ones cost no more than their length."""

from __future__ import annotations

import time

import pytest

from postern.protocols.ldap.names import domain_of, key, tidy, within


@pytest.mark.parametrize(("dn", "then"), [
    ("CN=a b , OU=c ; DC=d", "CN=a b,OU=c;DC=d"),
    (r"CN=a\ , OU=b", r"CN=a\ ,OU=b"),
    (r"CN=a\, b , OU=c", r"CN=a\, b,OU=c"),
    (r"CN=a\\ , OU=b", r"CN=a\\,OU=b"),
    ("  CN=a+SN=b  ", "CN=a+SN=b"),
    ("", ""),
])  # fmt: skip
def test_spaces_that_mean_nothing(dn, then):
    assert tidy(dn) == then


def test_names_of_one_entry():
    assert key("cn=A, dc=Example, dc=ORG") == key("CN=a,DC=example,DC=org")
    assert within("CN=a, OU=b, DC=c", "ou=B,dc=C") and not within("CN=a,OU=bb", "OU=b")
    assert domain_of("CN=a, DC=Example, DC=org") == "example.org"


@pytest.mark.parametrize("piece", [" ", "\\", "\n", " ,", "\\ "])
def test_long_names(piece):
    began = time.process_time()
    tidy("CN=a" + piece * (200_000 // len(piece)) + "b")
    assert time.process_time() - began < 1

"""Contacts and lists as vCards (RFC 2426, RFC 6350)."""

from __future__ import annotations

from datetime import UTC, datetime

from postern.convert.vcard import write_contact, write_list
from postern.model.contact import Contact, DistributionList, Member


def unfolded(card: bytes) -> list[str]:
    assert all(len(one) <= 75 for one in card.split(b"\r\n"))
    return card.decode().replace("\r\n ", "").split("\r\n")


def test_a_contact():
    card = write_contact(
        Contact(
            display_name="Анна Иванова; dr",
            given_name="Анна",
            surname="Иванова",
            title="Dr.",
            company="Acme, Inc.",
            department="R&D",
            email1="anna@example.org",
            email2="a@example.net",
            business_phone="+7 1",
            mobile_phone="+7 2",
            home_street="Ring 1\r\nback",
            home_city="Moskau",
            birthday=datetime(1980, 2, 29, tzinfo=UTC),
            text="long " * 40,
            categories=("Red", "a,b"),
        ),
        "id-1",
        datetime(2026, 11, 2, 9, 0, tzinfo=UTC),
    )
    lines = unfolded(card)
    assert lines[0] == "BEGIN:VCARD" and lines[-2:] == ["END:VCARD", ""]
    for one in (
        "VERSION:3.0", "FN:Анна Иванова\\; dr", "N:Иванова;Анна;;Dr.;", "ORG:Acme\\, Inc.;R&D", "UID:id-1",
        "BDAY:1980-02-29", "CATEGORIES:Red,a\\,b", "REV:20261102T090000Z", f"NOTE:{'long ' * 40}",
    ):  # fmt: skip
        assert one in lines
    assert [one.rpartition(":")[2] for one in lines if one.startswith("EMAIL")] == ["anna@example.org", "a@example.net"]
    assert [one.rpartition(":")[2] for one in lines if one.startswith("TEL")] == ["+7 1", "+7 2"]
    assert [one.partition(":")[2] for one in lines if one.startswith("ADR")] == [";;Ring 1\\nback;Moskau;;;"]


def test_an_empty_contact_is_a_card():
    assert {"FN:", "N:;;;;"} <= set(unfolded(write_contact(Contact())))


def test_a_list():
    group = DistributionList(name="Team", members=(Member("a@example.org", "A"), Member("", "gone", "SMTP", "item")))
    lines = unfolded(write_list(group))
    assert {"VERSION:4.0", "KIND:group", "FN:Team", "MEMBER:mailto:a@example.org"} <= set(lines)
    assert sum(one.startswith("MEMBER") for one in lines) == 1

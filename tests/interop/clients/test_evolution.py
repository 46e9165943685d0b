"""Evolution's EWS back end by address and password: its Autodiscover, mail, folders and offline address book.

evolution-ews is driven without its windows: see `evolution_steps.py`.
"""

from __future__ import annotations

import pytest
from tests.interop.clients.evolution import run_steps

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def seen(mail_network, tmp_path_factory):
    return run_steps(mail_network, "evolution_steps.py", tmp_path_factory.mktemp("evolution"))


def test_autodiscover(seen):
    assert seen["autodiscover"] == [
        "https://mail.example.org/EWS/Exchange.asmx",
        "https://mail.example.org/OAB/oab.xml",
    ]


def test_folders_and_their_uses(seen):
    named, special = seen["folders"]
    assert named == ["Inbox", "Drafts", "Sent Items", "Deleted Items", "Junk Email", "Outbox", "Archive"]
    assert special == ["Deleted Items", "Junk Email"]


def test_mail_both_ways(seen):
    assert seen["connect"] is True
    assert "\nSubject: First letter\n" in seen["read"]
    assert "The words of the first letter." in seen["read"]
    there, here = seen["flags"]
    assert {"\\Seen", "\\Flagged"} <= set(there)
    assert here
    moved, left = seen["move"]
    assert moved != ["(not there)"]
    assert left is None
    assert isinstance(seen["send"], str), seen["send"]
    assert seen["send"].strip() == "Written with Evolution: äöü."
    assert seen["new_mail"] is True


def test_address_books_calendars_and_lists_are_made(seen):
    assert seen["collection"] == {
        "Global Address List": "Address Book",
        "Contacts": "Address Book",
        "Calendar": "Calendar",
        "Tasks": "Task List",
        "Notes": "Memo List",
    }


def test_the_offline_address_book_is_fetched_and_decoded(seen, mail_network):
    book = seen["offline_book"]
    assert "problem" not in book, book
    assert book["cached"] == len(mail_network.listed), book
    assert ["anna", "anna@example.org"] in book["found"]
    assert ["emil", "emil@example.com"] in book["found"]

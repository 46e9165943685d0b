"""Evolution's EWS back end by address and password: its Autodiscover, mail, folders and offline address book.

evolution-ews is driven without its windows: see `evolution_steps.py`.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.interop
BACK_END = Path("/usr/lib/evolution-ews/libevolution-ews.so")


@pytest.fixture(scope="module")
def seen(mail_network, tmp_path_factory):
    there = subprocess.run(
        ["/usr/bin/python3", "-c", "import gi; gi.require_version('Camel', '1.2')"], capture_output=True
    )
    if there.returncode or not BACK_END.exists():
        pytest.skip("evolution-ews is not installed: run scripts/install-test-parts as root")
    home = tmp_path_factory.mktemp("evolution")
    person = mail_network.person("chen")  # a mailbox that nothing else in the network uses
    steps = Path(__file__).with_name("evolution_steps.py")
    done = mail_network.run(
        "dbus-run-session", "--", "/usr/bin/python3", str(steps), str(home), person.address, person.password,
        "anna@example.org", timeout=240, HOME=str(home), XDG_RUNTIME_DIR=str(home), GSETTINGS_BACKEND="memory",
        GIO_USE_NETWORK_MONITOR="base", PYTHONPATH="",
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert "FOUND " in said, said[-3000:]
    return json.JSONDecoder().raw_decode(said.partition("FOUND ")[2])[0]


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


def test_the_offline_address_book_is_fetched_and_decoded(seen):
    book = seen["offline_book"]
    assert book["cached"] == 5, book
    assert ["anna", "anna@example.org"] in book["found"]
    assert ["emil", "emil@example.com"] in book["found"]

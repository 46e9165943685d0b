"""Runs under Debian's Python with Evolution's libraries inside the mail network: an account of its EWS back end.

What both runs share: the account's sources, steps, and the children that the back end makes of the account.
"""

import json
import os
import sys
import time
import traceback

import gi

for name, version in (("EDataServer", "1.2"),):
    gi.require_version(name, version)
from gi.repository import EDataServer, GLib  # noqa: E402

home, address, password, other = sys.argv[1:]
seen: dict[str, object] = {}
times: dict[str, float] = {}


def step(call):
    began = time.monotonic()
    try:
        seen[call.__name__] = call()
    except Exception as problem:
        seen[call.__name__] = {"problem": str(problem), "where": traceback.format_exc()[-1500:]}
    times[call.__name__] = round(time.monotonic() - began, 1)


def wait(done, seconds=60):
    """What it says as soon as that is something, or at the end."""
    end = time.monotonic() + seconds
    while True:
        found = done()
        if found or time.monotonic() > end:
            return found
        while GLib.MainContext.default().iteration(False):
            pass
        time.sleep(0.1)


def tell():
    print("FOUND " + json.dumps({"seconds": times, **seen}), flush=True)


COLLECTION = """[Data Source]
DisplayName={address}
Enabled=true
Parent=

[Collection]
BackendName=ews
CalendarEnabled=true
ContactsEnabled=true
MailEnabled=true
Identity={address}

[Authentication]
Host=mail.example.org
Method=plain/password
Port=443
ProxyUid=system-proxy
User={address}

[Ews Backend]
Email={address}
Hosturl=https://mail.example.org/EWS/Exchange.asmx
Oaburl=https://mail.example.org/OAB/oab.xml
AuthMechanism=PLAIN
ListenNotifications=false
OabOffline={offline}
OalSelected={book}
"""
MAIL = """[Data Source]
DisplayName={address}
Enabled=true
Parent=ews-account

[{kind}]
BackendName=ews

[Authentication]
Host=mail.example.org
Method=plain/password
Port=443
User={address}
"""


def write_sources(book: str = "") -> None:
    """The account, as its assistant writes it; `book`: identity and name of an offline address book."""
    sources = os.path.join(home, ".config", "evolution", "sources")
    os.makedirs(sources, exist_ok=True)
    for name, text, kind in (
        ("ews-account", COLLECTION, ""),
        ("ews-store", MAIL, "Mail Account"),
        ("ews-transport", MAIL, "Mail Transport"),
    ):
        facts = {"address": address, "kind": kind, "book": book.replace("\\", "\\\\")}
        with open(os.path.join(sources, f"{name}.source"), "w") as file:
            file.write(text.format(offline=str(bool(book)).lower(), **facts))


KINDS = ("Address Book", "Calendar", "Task List", "Memo List")
credentials = EDataServer.NamedParameters.new()
credentials.set("username", address)
credentials.set("password", password)
_registry = []


def children():
    """The account's folders that are no mail, by name: kind and source."""
    if not _registry:
        _registry.append(EDataServer.SourceRegistry.new_sync(None))
    found = {}
    for kind in KINDS:
        for one in _registry[0].list_sources(kind):
            if one.get_parent() == "ews-account":
                found[one.get_display_name()] = (kind, one)
    return found


def authenticated(source):
    """The password, as often as it takes until its back end is there to hear it."""

    def connected():
        source.invoke_authenticate_sync(credentials, None)
        there = EDataServer.SourceConnectionStatus.CONNECTED
        return wait(lambda: source.get_connection_status() == there, 1)

    assert wait(connected, 20), source.get_connection_status()


def collection():
    """The folders that the account's back end makes address books, calendars and lists of."""
    children()
    account = wait(lambda: _registry[0].ref_source("ews-account"))
    account.invoke_authenticate_sync(credentials, None)
    wait(lambda: {kind for kind, _ in children().values()} >= set(KINDS))
    return {name: kind for name, (kind, _) in children().items()}

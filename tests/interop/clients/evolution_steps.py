"""Runs under Debian's Python with Evolution's libraries inside the mail network: an account of its EWS back end.

    dbus-run-session -- python3 evolution_steps.py HOME ADDRESS PASSWORD OTHER

Autodiscover is evolution-ews's own function, mail its Camel provider, the rest evolution-data-server over D-Bus. Prints
`FOUND` and JSON: what each step saw. A step that fails says why, and the others go on.
"""

import base64
import ctypes
import os
import sqlite3
import sys
import urllib.error
import urllib.request
import xml.etree.ElementTree as Tree

import gi

for name, version in (("Camel", "1.2"), ("EDataServer", "1.2"), ("EBook", "1.2")):
    gi.require_version(name, version)
from gi.repository import Camel, EBook, EDataServer  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import letters  # noqa: E402
from evolution_account import (  # noqa: E402
    address,
    children,
    collection,
    credentials,
    home,
    other,
    password,
    step,
    tell,
    wait,
    write_sources,
)  # fmt: skip

# the book that its list box would offer: identity and name of a list of the manifest
asked = urllib.request.Request("https://mail.example.org/OAB/oab.xml")
asked.add_header("Authorization", "Basic " + base64.b64encode(f"{address}:{password}".encode()).decode())


def manifest():
    try:
        with urllib.request.urlopen(asked) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        assert error.code == 503, error  # it is being made
        return None


lists = [one.attrib for one in Tree.fromstring(wait(manifest)) if one.tag.endswith("OAL")]
write_sources(next(f"{one['id']}:{one['name']}" for one in lists if "Global" in one["name"]))
own = letters.Mailbox(address, password)
own.add("INBOX", "First letter", "The words of the first letter.", other, address)
own.add("INBOX", "Second letter", "The words of the second letter.", other, address)

data, cache = os.path.join(home, "mail"), os.path.join(home, "cache")
Camel.init(home, False)
Camel.Provider.init() if hasattr(Camel.Provider, "init") else Camel.provider_init()


class Session(Camel.Session):
    """Without questions to anybody."""


session = Session(user_data_dir=data, user_cache_dir=cache)
session.set_online(True)
store = session.add_service("ews-store", "ews", Camel.ProviderType.STORE)
settings = store.ref_settings()


@step
def autodiscover():
    """By address and password."""
    settings.set_property("email", address)
    settings.set_property("user", address)
    settings.set_property("auth-mechanism", "PLAIN")
    library = ctypes.CDLL("/usr/lib/evolution-ews/libevolution-ews.so")
    call = library.e_ews_autodiscover_ws_url_sync
    call.restype = ctypes.c_int
    call.argtypes = [ctypes.c_void_p] * 2 + [ctypes.c_char_p] * 2 + [ctypes.c_void_p] * 4
    source = EDataServer.Source.new_with_uid("lookup", None)
    authentication = source.get_extension("Authentication")
    authentication.set_user(address)
    authentication.set_method("plain/password")
    pem, flags, error = ctypes.c_void_p(), ctypes.c_int(), ctypes.c_void_p()
    done = call(hash(source), hash(settings), address.encode(), password.encode(), ctypes.addressof(pem),
                ctypes.addressof(flags), None, ctypes.addressof(error))  # fmt: skip
    if not done:
        message = ctypes.cast(error.value + 8, ctypes.POINTER(ctypes.c_char_p))[0] if error.value else b"?"
        return {"problem": message.decode()}
    return [settings.get_property("hosturl"), settings.get_property("oaburl")]


@step
def connect():
    store.set_password(password)
    return store.connect_sync(None)


@step
def folders():
    """By name, and those it knows by their use."""
    store.get_folder_info_sync(None, Camel.StoreGetFolderInfoFlags.RECURSIVE, None)
    named = ("Inbox", "Drafts", "Sent Items", "Deleted Items", "Junk Email", "Outbox", "Archive")
    special = (store.get_trash_folder_sync, store.get_junk_folder_sync)
    return [store.get_folder_sync(name, 0, None).get_full_name() for name in named], [
        one(None).get_full_name() for one in special
    ]


inbox = None


def subjects(folder):
    return {folder.get_message_info(uid).get_subject(): uid for uid in folder.get_uids()}


def refreshed(folder, subject):
    def there():
        folder.refresh_info_sync(None)
        return subject in subjects(folder)

    assert wait(there), f"{subject} is not in {sorted(subjects(folder))}"
    return subjects(folder)[subject]


@step
def read():
    global inbox
    inbox = store.get_folder_sync("Inbox", 0, None)
    uid = refreshed(inbox, "First letter")
    message = inbox.get_message_sync(uid, None)
    stream = Camel.StreamMem.new()
    message.write_to_stream_sync(stream, None)
    return bytes(stream.get_byte_array()).decode()


@step
def flags():
    """There and back; its importance is EWS's, its follow-up is what IMAP calls flagged."""
    seen_flag, follow = Camel.MessageFlags.SEEN, "follow-up"
    uid = refreshed(inbox, "First letter")
    info = inbox.get_message_info(uid)
    info.set_flags(seen_flag, seen_flag)
    info.set_user_tag(follow, "Follow-Up")
    inbox.synchronize_sync(False, None)
    there = own.wait("INBOX", "First letter", lambda flags: {"\\Seen", "\\Flagged"} <= flags, 5)
    own.flag("INBOX", "Second letter", "(\\Seen \\Flagged)")
    uid = refreshed(inbox, "Second letter")

    def here():
        inbox.refresh_info_sync(None)
        info = inbox.get_message_info(uid)
        return bool(info.get_flags() & seen_flag) and info.get_user_tag(follow)

    return [there, wait(here)]


@step
def move():
    store.create_folder_sync(None, "Evolved", None)
    target = store.get_folder_sync("Evolved", 0, None)
    uid = refreshed(inbox, "Second letter")
    inbox.transfer_messages_to_sync([uid], target, True, None)
    inbox.synchronize_sync(False, None)
    refreshed(target, "Second letter")
    return [own.wait("Evolved", "Second letter", lambda flags: True), own.flags("INBOX", "Second letter")]


@step
def send():
    transport = session.add_service("ews-transport", "ews", Camel.ProviderType.TRANSPORT)
    known = transport.ref_settings()
    for name in ("email", "user", "auth-mechanism", "hosturl"):
        known.set_property(name, settings.get_property(name))
    transport.set_password(password)
    transport.connect_sync(None)
    message = Camel.MimeMessage.new()
    sender, recipients = Camel.InternetAddress.new(), Camel.InternetAddress.new()
    sender.add("A person", address)
    recipients.add("Another", other)
    message.set_from(sender)
    message.set_recipients("To", recipients)
    message.set_subject("From Evolution")
    text = "Written with Evolution: \u00e4\u00f6\u00fc."
    message.set_content(text.encode(), "text/plain; charset=utf-8")
    transport.send_to_sync(message, sender, recipients, None)
    there = letters.Mailbox(other, password)
    there.wait("INBOX", "From Evolution", lambda flags: True)
    refreshed(inbox, "First letter")
    sent = store.get_folder_sync("Sent Items", 0, None)
    copy = Camel.MessageInfo.new(None)
    copy.set_flags(Camel.MessageFlags.SEEN, Camel.MessageFlags.SEEN)
    sent.append_message_sync(message, copy, None)  # as its composer does: it sends without keeping
    refreshed(sent, "From Evolution")
    return there.text("INBOX", "From Evolution")


@step
def new_mail():
    letters.send(other, password, address, "Third letter", "It came later.")
    return bool(refreshed(inbox, "Third letter"))


step(collection)


@step
def offline_book():
    """Downloaded, inflated and decoded by evolution-ews; found without the server."""
    name, (_, source) = next((name, pair) for name, pair in children().items() if "Global" in name)
    client = EBook.BookClient.connect_sync(source, 0xFFFFFFFF, None)  # it is connected when it has the password
    source.invoke_authenticate_sync(credentials, None)
    place = os.path.join(home, ".cache", "evolution", "addressbook", source.get_uid(), "cache.db")

    def cached():
        if not os.path.exists(place):
            return []
        with sqlite3.connect(f"file:{place}?mode=ro", uri=True) as data:
            tables = [row[0] for row in data.execute("SELECT name FROM sqlite_master WHERE type='table'")]
            # its sort keys are no text
            return data.execute("SELECT 1 FROM ECacheObjects").fetchall() if "ECacheObjects" in tables else []

    rows = wait(cached)
    _, contacts = client.get_contacts_sync('(contains "email" "example")', None)
    found = sorted([one.get_property("full-name"), one.get_property("email-1")] for one in contacts)
    return {"name": name, "cached": len(rows), "found": found}


own.close()
tell()

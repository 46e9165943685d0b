"""Runs under Debian's Python with Evolution's libraries inside the mail network: an account of its EWS back end.

    dbus-run-session -- python3 evolution_steps.py HOME ADDRESS PASSWORD OTHER

Autodiscover is evolution-ews's own function, mail its Camel provider, the rest evolution-data-server over D-Bus. Prints
`FOUND` and JSON: what each step saw. A step that fails says why, and the others go on.
"""

import ctypes
import json
import os
import sys
import time
import traceback

import gi

for name, version in (("Camel", "1.2"), ("EDataServer", "1.2"), ("EBook", "1.2"), ("ECal", "2.0")):
    gi.require_version(name, version)
from gi.repository import Camel, EBook, ECal, EDataServer, Gio, GLib, GObject  # noqa: E402

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


def wait(done, seconds=15):
    end = time.monotonic() + seconds
    while True:
        found = done()
        if found or time.monotonic() > end:
            return found
        GLib.MainContext.default().iteration(False)
        time.sleep(0.02)


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
    pem, flags, error = ctypes.c_void_p(), ctypes.c_int(), ctypes.c_void_p()
    done = call(hash(source), hash(settings), address.encode(), password.encode(), ctypes.addressof(pem),
                ctypes.addressof(flags), None, ctypes.addressof(error))  # fmt: skip
    if not done:
        message = ctypes.cast(error.value + 8, ctypes.POINTER(ctypes.c_char_p))[0] if error.value else b"?"
        return {"problem": message.decode()}
    return [settings.get_property("hosturl"), settings.get_property("oaburl")]


def folder_tree(info):
    while info is not None:
        yield info.full_name
        yield from folder_tree(info.child)
        info = info.next


@step
def connect():
    store.set_password(password)
    return store.connect_sync(None)


@step
def folders():
    return sorted(folder_tree(store.get_folder_info_sync(None, Camel.StoreGetFolderInfoFlags.RECURSIVE, None)))


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
def flag():
    uid = refreshed(inbox, "First letter")
    inbox.set_message_flags(uid, Camel.MessageFlags.SEEN | Camel.MessageFlags.FLAGGED,
                            Camel.MessageFlags.SEEN | Camel.MessageFlags.FLAGGED)  # fmt: skip
    return inbox.synchronize_sync(False, None)


print("FOUND " + json.dumps({"seconds": times, **seen}), flush=True)

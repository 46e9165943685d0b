"""Runs under Debian's Python with Evolution's libraries: an LDAP address book, asked by evolution-data-server."""

import json
import sys
import time

import gi

gi.require_version("EBook", "1.2")
gi.require_version("EBookContacts", "1.2")
gi.require_version("EDataServer", "1.2")
from gi.repository import EBook, EDataServer, GLib  # noqa: E402

host, port, user, password, base, *queries = sys.argv[1:]
registry = EDataServer.SourceRegistry.new_sync(None)
source = EDataServer.Source.new_with_uid("postern-ldap", None)
source.set_display_name("Postern")
source.set_parent("ldap-stub")
source.get_extension("Address Book").set_backend_name("ldap")
authentication = source.get_extension("Authentication")
authentication.set_host(host)
authentication.set_port(int(port))
authentication.set_user(user)
authentication.set_method("ldap/simple-binddn")
source.get_extension("Security").set_method("ldaps")
settings = source.get_extension(EDataServer.SOURCE_EXTENSION_LDAP_BACKEND)
settings.set_authentication(EDataServer.SourceLDAPAuthentication.BINDDN)
settings.set_security(EDataServer.SourceLDAPSecurity.LDAPS)
settings.set_scope(EDataServer.SourceLDAPScope.SUBTREE)
settings.set_root_dn(base)
settings.set_limit(100)
registry.commit_source_sync(source, None)


def wait(done):
    end = time.monotonic() + 60
    while not done() and time.monotonic() < end:
        GLib.MainContext.default().iteration(False)
        time.sleep(0.02)


wait(lambda: registry.ref_source("postern-ldap") is not None)
source = registry.ref_source("postern-ldap")
client = EBook.BookClient.connect_sync(source, 0xFFFFFFFF, None)  # it is connected when it has the password
credentials = EDataServer.NamedParameters.new()
credentials.set("username", user)
credentials.set("password", password)
source.invoke_authenticate_sync(credentials, None)
wait(lambda: source.get_connection_status() == EDataServer.SourceConnectionStatus.CONNECTED)
found = {}
for query in queries:
    _, contacts = client.get_contacts_sync(query, None)
    found[query] = sorted([one.get_property("full-name"), one.get_property("email-1")] for one in contacts)
print("FOUND " + json.dumps(found), flush=True)

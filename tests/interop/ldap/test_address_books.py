"""The address book over LDAP with real clients: ldapsearch, ldap3, Evolution's data server, Thunderbird."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
from pathlib import Path

import pytest
from tests.integration.organisation import PASSWORD, Running, make_organisation, make_settings
from tests.interop.ldap import thunderbird

from postern.directory.interface import AccountChange, Details
from postern.roles.parts import Parts

pytestmark = pytest.mark.interop
BASE = "dc=example,dc=org"
USER = "anna@example.org"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    settings = make_settings(tmp_path_factory.mktemp("data"), workers=1)
    make_organisation(settings)

    async def fill() -> None:
        parts = Parts.open(settings, "test", None, 0)
        await parts.directory.set_details(USER, Details(given_name="Anna", surname="Archer", department="Sales"))
        await parts.directory.put_contact("zoe@example.net", display_name="Zoë Zimmer")
        await parts.directory.change_account("chen@example.org", AccountChange(hidden=True))
        await parts.close()

    asyncio.run(fill())
    running = Running(settings)
    running.wait_ready()
    yield running
    assert running.stop() == 0


@pytest.fixture
def ldapsearch(server, program, run):
    def call(*arguments: str, port: str = "ldaps", check: bool = True):
        scheme = "ldaps" if port == "ldaps" else "ldap"
        return run(
            program("ldapsearch"), "-LLL", "-o", "ldif-wrap=no", "-H", f"{scheme}://127.0.0.1:{server.ports[port]}",
            *arguments, check=check, LDAPTLS_REQCERT="never",
        )  # fmt: skip

    return call


SIMPLE = ("-x", "-D", USER, "-w", PASSWORD)


def found(text: str) -> list[str]:
    return sorted(line[6:] for line in text.splitlines() if line.startswith("mail: "))


def test_ldapsearch_binds_searches_and_pages(ldapsearch):
    assert found(ldapsearch(*SIMPLE, "-b", BASE, "(|(mail=an*)(cn=an*)(sn=an*))").stdout) == [USER]
    assert found(ldapsearch(*SIMPLE, "-b", BASE, "(cn=zoë*)").stdout) == ["zoe@example.net"]
    everybody = [USER, "boris@example.org", "zoe@example.net"]
    assert found(ldapsearch(*SIMPLE, "-b", BASE, "-E", "pr=2/noprompt", "(mail=*)").stdout) == everybody
    assert found(ldapsearch(*SIMPLE, "-b", f"ou=All Contacts,{BASE}", "-E", "sss=-cn", "(mail=*)").stdout) == [
        "zoe@example.net"
    ]


def test_ldapsearch_starttls_and_sasl(ldapsearch):
    assert found(ldapsearch("-ZZ", *SIMPLE, "-b", BASE, "(anr=anna arch)", port="ldap").stdout) == [USER]
    refused = ldapsearch(*SIMPLE, "-b", BASE, port="ldap", check=False)
    assert refused.returncode == 13
    for mechanism, port in (("PLAIN", "ldaps"), ("SCRAM-SHA-256", "ldaps"), ("SCRAM-SHA-256", "ldap")):
        sasl = ("-Y", mechanism, "-U", USER, "-w", PASSWORD)
        assert found(ldapsearch(*sasl, "-b", BASE, "(cn=anna)", port=port).stdout) == [USER]


def test_ldapsearch_without_sign_in_sees_the_root_only(ldapsearch):
    assert f"namingContexts: {BASE}" in ldapsearch("-x", "-b", "", "-s", "base", "+").stdout
    assert ldapsearch("-x", "-b", BASE, check=False).returncode == 50
    assert ldapsearch("-x", "-D", USER, "-w", "wrong", "-b", BASE, check=False).returncode == 49


def test_ldap3_reads_the_schema_and_pages(server):
    import ldap3

    tls = ldap3.Tls(validate=ssl.CERT_NONE)
    host = ldap3.Server("127.0.0.1", server.ports["ldaps"], use_ssl=True, tls=tls, get_info=ldap3.ALL)
    with ldap3.Connection(host, USER, PASSWORD, auto_bind=True) as connection:
        assert host.info.naming_contexts == [BASE]
        assert "inetOrgPerson" in host.schema.object_classes
        assert connection.extend.standard.who_am_i() == f"u:{USER}"
        pages = connection.extend.standard.paged_search(BASE, "(mail=*)", attributes=["mail"], paged_size=1)
        assert len(list(pages)) == 3
        assert not connection.delete(f"mail={USER},{BASE}")
        assert connection.result["description"] == "unwillingToPerform"
        assert not connection.compare(f"mail={USER},{BASE}", "cn", "anna")


def test_evolution_finds_people(server, program, tmp_path):
    python = "/usr/bin/python3"
    program("dbus-run-session")
    there = subprocess.run([python, "-c", "import gi; gi.require_version('EBook', '1.2')"], capture_output=True)
    if there.returncode or not Path("/usr/libexec/evolution-addressbook-factory").exists():
        pytest.skip("evolution-data-server is not installed: run scripts/install-test-parts as root")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment |= {
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(tmp_path),
        "LDAPTLS_REQCERT": "never",
        "GSETTINGS_BACKEND": "memory",
    }
    queries = ('(contains "x-evolution-any-field" "arch")', '(beginswith "full_name" "bo")', '(exists "email")')
    done = subprocess.run(
        ["dbus-run-session", "--", python, str(Path(__file__).with_name("evolution_client.py")), "127.0.0.1",
         str(server.ports["ldaps"]), USER, PASSWORD, BASE, *queries],
        env=environment, capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if "FOUND " in line]
    assert lines, done.stdout[-2000:] + done.stderr[-2000:]
    answer = json.JSONDecoder().raw_decode(lines[0].partition("FOUND ")[2])[0]
    assert answer[queries[0]] == [["anna", USER]]
    assert answer[queries[1]] == [["boris", "boris@example.org"]]
    assert sorted(one[1] for one in answer[queries[2]]) == [USER, "boris@example.org", "zoe@example.net"]


def test_thunderbird_finds_people(server, program, tmp_path):
    place = (server.ports["ldaps"], BASE, server.settings.certificate)
    query = "(or(PrimaryEmail,bw,an)(DisplayName,c,Zimm))"
    answer = thunderbird.search(program("thunderbird"), tmp_path, place, USER, PASSWORD, query)
    assert answer.get("found") == [["Zoë Zimmer", "zoe@example.net", "", ""], ["anna", USER, "Archer", "Sales"]], answer

"""The directory probe, and the LDAP session itself, against OpenLDAP."""

from __future__ import annotations

import subprocess

import pytest
import trustme
from tests.interop.check import peers

from postern.checks.model import Service, Tls
from postern.checks.wire import Tools, opened
from postern.net.clock import SystemClock, SystemEntropy
from postern.protocols.ldap import controls, filters
from postern.protocols.ldap import operations as op
from postern.protocols.ldap.client import ClientSession

pytestmark = pytest.mark.interop
BASE = "dc=example,dc=org"


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def server(authority):
    with peers.slapd(authority) as ports:
        yield ports


async def test_root_dse_starttls_and_ldaps(server, authority, ask, codes, tmp_path):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for port, tls in zip(server, (Tls.EITHER, Tls.IMPLICIT), strict=True):
        outcome = await ask("127.0.0.1", port, "ldap", tls, names=("ldap.example.org",), trust=tmp_path / "ca.pem")
        assert outcome.findings == (), outcome
        assert outcome.seen.facts["namingContexts"] == (BASE,)
        assert outcome.seen.tls.trusted is True
    assert "tls-failed" in codes(await ask("127.0.0.1", server[0], "ldap", Tls.IMPLICIT))


async def test_the_session_binds_adds_searches_in_pages_modifies_and_deletes(server, program):
    service = Service(host="slapd", address="127.0.0.1", port=server[0])
    async with opened(service, Tools(SystemClock(), SystemEntropy())) as wire:
        session = ClientSession()

        async def run(operation):
            return await wire.drive(operation, session.receive, session.next_message)

        assert (await run(session.bind("cn=admin," + BASE, b"wrong"))).name == "invalidCredentials"
        assert (await run(session.bind("cn=admin," + BASE, b"secret"))).ok
        top = {"objectClass": (b"dcObject", b"organization"), "dc": (b"example",), "o": (b"Example",)}
        assert (await run(session.change(op.AddRequest(BASE, top)))).ok
        people = {}
        for index in range(25):
            name = f"Анна ({index}) *\\"
            dn = f"uid=u{index},{BASE}"
            people[dn] = name
            entry = {
                "objectClass": (b"inetOrgPerson",),
                "uid": (f"u{index}".encode(),),
                "cn": (name.encode(),),
                "sn": (b"x",),
            }
            assert (await run(session.change(op.AddRequest(dn, entry)))).ok

        found, cookie, pages = {}, b"", 0
        request = op.SearchRequest(BASE, filter=filters.parse("(objectClass=inetOrgPerson)"), attributes=("cn",))
        while True:
            page = await run(session.search(request, controls.paged(10, cookie)))
            assert page.result.ok
            found |= {entry.dn: entry.attributes["cn"][0].decode() for entry in page.entries}
            pages, cookie = pages + 1, page.cookie
            if not cookie:
                break
        assert found == people
        assert pages == 3

        # a stranger's value finds itself and nothing else; the server and its own client agree on every filter
        for text in (
            f"(cn={filters.escape('Анна (7) *' + chr(92))})", "(cn=Анна*)", "(&(uid=u1*)(!(uid=u1)))",
            "(|(uid=u2)(uid=u3))", "(uid>=u3)", "(cn:caseIgnoreMatch:=nobody)", "(&)",
        ):  # fmt: skip
            ours = await run(session.search(op.SearchRequest(BASE, filter=filters.parse(text), attributes=("1.1",))))
            theirs = subprocess.run(
                [program("ldapsearch"), "-x", "-LLL", "-H", f"ldap://127.0.0.1:{server[0]}", "-b", BASE, text, "1.1"],
                capture_output=True, text=True, timeout=60,
            )  # fmt: skip
            assert theirs.returncode == 0, (text, theirs.stderr)
            assert len(ours.entries) == theirs.stdout.count("dn:"), text

        some = f"uid=u1,{BASE}"
        change = op.ModifyRequest(some, ((op.Change.REPLACE, "sn", (b"y", b"z")), (op.Change.DELETE, "cn", ())))
        assert (await run(session.change(change))).name == "objectClassViolation"
        assert (await run(session.change(op.ModifyRequest(some, change.changes[:1])))).ok
        assert (await run(session.change(op.DeleteRequest(some)))).ok
        assert (await run(session.search(op.SearchRequest(some, op.Scope.BASE)))).result.name == "noSuchObject"
        who = await run(session.extended(op.ExtendedRequest(controls.WHO_AM_I)))
        assert who.value == b"dn:cn=admin," + BASE.encode()
        await wire.send(session.unbind())

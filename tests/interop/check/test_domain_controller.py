"""The probes against an Active Directory domain controller."""

from __future__ import annotations

import re
import subprocess

import pytest

from postern.checks.model import Reach, Tls

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]


async def test_ldap_shows_its_root_dse_and_upgrades(domain_controller, ask):
    dc = domain_controller
    for port in (389, 3268):
        outcome = await ask(dc.address, port, "ldap", Tls.EITHER, names=(dc.host,), trust=dc.authority)
        assert outcome.findings == (), outcome
        assert outcome.seen.facts["defaultNamingContext"] == (dc.base,)
        assert outcome.seen.facts["dnsHostName"] == (dc.host,)
        assert "GSS-SPNEGO" in outcome.seen.mechanisms
        assert outcome.seen.starttls is True
        assert outcome.seen.tls.trusted is True
        assert outcome.seen.tls.version == "TLSv1.3"


async def test_ldaps(domain_controller, ask, codes):
    dc = domain_controller
    for port in (636, 3269):
        outcome = await ask(dc.address, port, "ldap", Tls.IMPLICIT, names=(dc.host,), trust=dc.authority)
        assert outcome.findings == (), outcome
        assert dc.host in outcome.seen.tls.certificate.names
    assert "certificate-name" in codes(await ask(dc.address, 636, "ldap", Tls.IMPLICIT, names=("dc9.example.net",)))
    assert "certificate-untrusted" in codes(await ask(dc.address, 636, "ldap", Tls.IMPLICIT, names=(dc.host,)))


async def test_connectionless_ldap(domain_controller, ask):
    outcome = await ask(domain_controller.address, 389, "ldap", transport="udp")
    assert outcome.findings == (), outcome
    assert outcome.seen.facts["dnsHostName"] == (domain_controller.host,)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_kerberos_tells_its_realm_and_clock(domain_controller, ask, transport):
    dc = domain_controller
    outcome = await ask(dc.address, 88, "kerberos", transport=transport, domain=dc.domain)
    assert outcome.findings == (), outcome
    assert outcome.seen.facts["realm"] == (dc.realm,)
    assert outcome.seen.greeting == "KDC_ERR_C_PRINCIPAL_UNKNOWN"
    assert abs(outcome.seen.skew_s) < 5


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_dns_has_the_records_of_the_domain(domain_controller, ask, codes, transport):
    dc = domain_controller
    questions = ((f"_ldap._tcp.dc._msdcs.{dc.domain}", "SRV"), (dc.host, "A"))
    outcome = await ask(dc.address, 53, "dns", transport=transport, questions=questions)
    assert outcome.findings == (), outcome
    assert outcome.seen.facts[f"{dc.host} A"] == (dc.address,)
    missing = await ask(dc.address, 53, "dns", transport=transport, questions=((f"nobody.{dc.domain}", "A"),))
    assert codes(missing) == ["no-records"]


async def test_the_endpoint_mapper_lists_ports_that_are_open(domain_controller, ask):
    dc = domain_controller
    outcome = await ask(dc.address, 135, "rpc")
    assert outcome.findings == (), outcome
    seen = outcome.seen.facts["interfaces"]
    assert any(line.startswith("DRSUAPI") for line in seen), seen
    ports = {int(re.search(r" (\d+)/tcp", line)[1]) for line in seen if line.endswith("/tcp")}
    listening = subprocess.run(
        ["ss", "-Hlnt", f"src {dc.address}"], capture_output=True, text=True, timeout=10, check=True
    ).stdout
    assert ports <= {int(line.split()[3].rpartition(":")[2]) for line in listening.splitlines()}
    assert len(ports) > 1


async def test_a_closed_port(domain_controller, ask, codes):
    outcome = await ask(domain_controller.address, 25, "smtp", Tls.STARTTLS)
    assert outcome.seen.reach is Reach.REFUSED
    assert codes(outcome) == ["closed"]


async def test_another_protocol_than_expected(domain_controller, ask, codes):
    dc = domain_controller
    assert codes(await ask(dc.address, 135, "ldap")) == ["wrong-protocol"]
    assert codes(await ask(dc.address, 389, "rpc")) == ["wrong-protocol"]
    assert codes(await ask(dc.address, 389, "ldap", Tls.IMPLICIT)) == ["tls-failed"]
    assert codes(await ask(dc.address, 88, "http")) == ["wrong-protocol"]

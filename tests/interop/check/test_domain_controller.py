"""The probes against an Active Directory domain controller."""

from __future__ import annotations

import json
import re
import subprocess
import sys

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
        ["ss", "-Hlnt", f"src {dc.address}"], capture_output=True, text=True, timeout=60, check=True
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


def test_a_topology_is_walked_from_an_exchange_server_to_its_domain_controller(domain_controller, tmp_path):
    dc = domain_controller
    file = tmp_path / "topology.toml"
    file.write_text(
        f"""
organisation = "Corp"
[[zone]]
name = "servers"
networks = ["127.77.0.0/16"]
trust = "internal"
[[host]]
name = "{dc.host}"
addresses = ["{dc.address}"]
zone = "servers"
roles = ["domain-controller", "dns-server"]
[[host]]
name = "ex16.{dc.domain}"
addresses = ["127.77.200.1"]
zone = "servers"
edition = "2016"
roles = ["mailbox"]
"""
    )
    command = [sys.executable, "-m", "postern", "check", "--topology", file, "--from", f"ex16.{dc.domain}", "--json"]
    command += ["--host", dc.host, "--trust", dc.authority]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60)
    rows = json.loads(done.stdout)
    asked = {(row["port"], row["transport"], row["protocol"]): row for row in rows if row["state"] != "skipped"}
    for kind in (
        (88, "tcp", "kerberos"),
        (53, "udp", "dns"),
        (389, "tcp", "ldap"),
        (3268, "tcp", "ldap"),
        (135, "tcp", "rpc"),
    ):
        assert kind in asked, sorted(asked)
    # the only thing that this domain controller lacks is a record of our invented server
    found = {(one["code"], one["found"]) for row in asked.values() for one in row["findings"]}
    assert found == {("no-records", f"ex16.{dc.domain} A")}, found
    assert done.returncode == 0, done.stderr
    assert any("ldap" in row["found"] for row in asked.values())

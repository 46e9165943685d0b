"""Which services a topology, a host or a listener comes to."""

from __future__ import annotations

import pytest

from postern.catalogue.load import all_rows, load
from postern.catalogue.roles import EDITIONS
from postern.checks import plan
from postern.checks.model import Tls
from postern.checks.speaking import expectation, speaks
from postern.topology.loading import parse

TOPOLOGY = """
organisation = "Example"

[[zone]]
name = "inside"
networks = ["10.0.0.0/24"]
trust = "internal"

[[zone]]
name = "office"
networks = ["10.0.1.0/24"]
trust = "internal"
roles = ["outlook", "mail-client", "web-client"]

[[zone]]
name = "internet"
trust = "external"
roles = ["internet-smtp"]

[[host]]
name = "dc1.example.org"
addresses = ["10.0.0.10"]
zone = "inside"
roles = ["domain-controller", "dns-server"]

[[host]]
name = "mail.example.org"
addresses = ["10.0.0.20", "10.0.0.21"]
zone = "inside"
edition = "postern"
roles = ["hub-transport", "mailbox", "client-access"]

[[host]]
name = "ex16.example.org"
addresses = ["10.0.0.30"]
zone = "inside"
edition = "2016"
roles = ["mailbox"]
"""


@pytest.fixture
def topology():
    return parse(TOPOLOGY)


def sockets(found, host):
    return {(one.port, one.transport, one.protocol, one.tls) for one in found.services if one.host == host}


def test_clients_reach_what_a_zone_of_clients_needs(topology):
    found = plan.of_topology(topology, "office")
    assert (143, "tcp", "imap", Tls.STARTTLS) in sockets(found, "mail.example.org")
    assert (993, "tcp", "imap", Tls.IMPLICIT) in sockets(found, "mail.example.org")
    assert (443, "tcp", "http", Tls.IMPLICIT) in sockets(found, "ex16.example.org")
    web = next(one for one in found.services if (one.host, one.port) == ("ex16.example.org", 443))
    assert "/ews/exchange.asmx" in web.directories
    assert "/mapi/emsmdb/" in web.directories


def test_every_address_of_a_host_is_asked(topology):
    found = plan.of_topology(topology, "office", "mail.example.org")
    assert {one.host for one in found.services} == {"mail.example.org"}
    assert {one.address for one in found.services if one.port == 993} == {"10.0.0.20", "10.0.0.21"}


def test_between_servers_the_data_paths_are_walked_though_nothing_is_filtered_there(topology):
    found = plan.of_topology(topology, "ex16.example.org")
    kinds = sockets(found, "dc1.example.org")
    assert (88, "tcp", "kerberos", Tls.NONE) in kinds
    assert (88, "udp", "kerberos", Tls.NONE) in kinds
    assert (389, "tcp", "ldap", Tls.EITHER) in kinds
    assert (53, "udp", "dns", Tls.NONE) in kinds
    dns = next(one for one in found.services if one.protocol == "dns")
    assert ("_ldap._tcp.dc._msdcs.example.org", "SRV") in dns.questions
    assert ("mail.example.org", "A") in dns.questions
    assert dns.domain == "example.org"


def test_only_hosts_of_the_topology_are_asked(topology):
    hosts = {host.name: host.addresses for host in topology.hosts}
    for source in (*hosts, "office", "internet"):
        found = plan.of_topology(topology, source)
        assert all(one.address in hosts[one.host] for one in found.services)
        assert all(one.host != source for one in found.services)
    skipped = plan.of_topology(topology, "mail.example.org").skipped
    assert any(one.host == "internet" for one in skipped)
    assert all(one.reason.ru for one in skipped)


def test_one_server_of_each_edition():
    for edition in EDITIONS:
        found = plan.of_host("mail.example.org", ["192.0.2.1"], edition)
        assert found.services, edition
        assert len({(one.port, one.transport) for one in found.services}) == len(found.services)
    demo = plan.of_host("localhost", ["127.0.0.1"], "postern", 20000)
    assert {20025, 20143, 20993} <= {one.port for one in demo.services}


def test_every_row_and_port_has_something_to_ask_or_a_reason_not_to():
    for path in all_rows():
        for port in path.ports:
            if port.any or port.dynamic or port.last - port.first >= plan.RANGE_LIMIT:
                continue
            expected = expectation(path, port.first, port.transport)
            protocol, tls = speaks(path, port.first, port.transport)
            assert expected.path == path.id
            assert protocol in {
                "",
                "smtp",
                "imap",
                "pop3",
                "http",
                "ldap",
                "kerberos",
                "dns",
                "rpc",
                "sip",
                "managesieve",
            }
            if protocol in {"imap", "pop3"} and port.first in {993, 995}:
                assert tls is Tls.IMPLICIT


def test_exchange_465_begins_in_clear_text_and_posterns_with_tls():
    client_proxy = next(path for path in all_rows() if path.id == "internal.transport.client-proxy")
    assert speaks(client_proxy, 465, "tcp") == ("smtp", Tls.STARTTLS)
    assert speaks(load("postern")["postern.submissions"], 465, "tcp") == ("smtp", Tls.IMPLICIT)


def test_an_administrators_port_for_a_path_is_spoken_to_alike(topology):
    path = load("postern")["postern.imaps"]
    assert speaks(path, 10993, "tcp") == ("imap", Tls.IMPLICIT)
    service = plan.of_listener(path, "mail", "127.0.0.1", 10993, ("PLAIN",))
    assert service.expectations[0].mechanisms == ("PLAIN",)
    assert service.expectations[0].allowed == ("PLAIN", "SCRAM-SHA-256-PLUS")

from __future__ import annotations

from itertools import product

import pytest
from tests.topologies import MIGRATION, SMALL

from postern.catalogue.load import all_rows
from postern.topology.flows import by_zone, path_flows, required_flows
from postern.topology.loading import parse

TOPOLOGY = parse(MIGRATION, "migration.toml")
FLOWS = required_flows(TOPOLOGY)


def between(source: str, destination: str, flows=FLOWS) -> set[str]:
    return {flow.port_text for flow in flows if (flow.source.name, flow.destination.name) == (source, destination)}


def test_nothing_is_filtered_between_inside_servers_and_domain_controllers() -> None:
    inside = ("ex10", "ex16", "post1")
    pairs = {(a, b) for a, b in product((*inside, "dc1"), repeat=2) if a != b}
    assert {(flow.source.name, flow.destination.name) for flow in FLOWS if flow.unfiltered} == pairs
    assert all(between(*pair) == {"any"} for pair in pairs)
    flow = next(flow for flow in FLOWS if (flow.source.name, flow.destination.name) == ("ex16", "dc1"))
    assert flow.path_ids[0] == "2016.ground.exchange-to-directory"
    assert "internal.directory" in flow.path_ids


def test_port_by_port_where_nothing_is_filtered() -> None:
    assert {"389/tcp", "389/udp", "3268/tcp", "88/tcp"} <= between("ex16", "dc1", path_flows(TOPOLOGY))
    assert "any" not in {flow.port_text for flow in path_flows(TOPOLOGY)}


def test_clients() -> None:
    assert between("internet", "ex16") == {"80/tcp", "443/tcp", "587/tcp"}
    assert between("offices", "ex16") == {
        "80/tcp", "443/tcp", "587/tcp", "143/tcp", "993/tcp", "110/tcp", "995/tcp",
    }  # fmt: skip
    assert {"143/tcp", "465/tcp", "587/tcp", "993/tcp"} <= between("offices", "post1")


def test_mail_with_the_internet_passes_the_edge() -> None:
    assert "25/tcp" in between("internet", "edge1")
    assert between("internet", "ex16").isdisjoint({"25/tcp"})
    assert between("internet", "post1").isdisjoint({"25/tcp"})
    assert between("post1", "internet") == between("ex16", "internet") == set()
    assert between("edge1", "ex16") == {"25/tcp"}
    assert between("edge1", "post1") == {"25/tcp"}
    direct = parse(MIGRATION.replace('name = "post1"\n', 'name = "post1"\ninternet_mail = true\n', 1))
    assert "25/tcp" in between("internet", "post1", required_flows(direct))
    assert between("post1", "internet", required_flows(direct)) == {"25/tcp"}


def test_without_an_edge_mail_comes_straight() -> None:
    text = MIGRATION.replace('edition = "2016"\nroles = ["edge-transport"]', 'roles = ["smtp-relay"]')
    text = text.replace('to = ["post1", "edge1"]', 'to = ["post1"]')
    flows = required_flows(parse(text))
    assert "25/tcp" in between("internet", "ex16", flows)
    assert between("ex16", "internet", flows) == {"25/tcp"}


def test_a_postern_edge() -> None:
    flows = required_flows(parse(SMALL))
    assert between("internet", "edge", flows) == {"25/tcp"}
    assert between("edge", "ex16", flows) == {"25/tcp"}


def test_rpc_goes_on_after_the_endpoint_mapper_but_not_from_outside() -> None:
    assert {"135/tcp", "6005-65534/tcp"} <= between("offices", "ex10")
    assert between("internet", "ex10").isdisjoint({"135/tcp", "6005-65534/tcp"})
    ranged = parse(MIGRATION.replace('name = "ex10"\n', 'name = "ex10"\nrpc_ports = "50000-50100"\n', 1))
    assert "50000-50100/tcp" in between("offices", "ex10", required_flows(ranged))


def test_paths_that_are_off_by_default_need_a_word() -> None:
    published = parse(
        MIGRATION.replace('name = "ex16"\n', 'name = "ex16"\nalso = ["*.calendar-publishing"]\n', 1),
    )
    ids = {path_id for flow in required_flows(published) for path_id in flow.path_ids}
    assert "2016.clients.calendar-publishing" in ids
    assert "2016.clients.calendar-publishing" not in {path_id for flow in FLOWS for path_id in flow.path_ids}
    no_pop = parse(MIGRATION.replace('name = "ex16"\n', 'name = "ex16"\nwithout = ["*pop3*"]\n', 1))
    assert between("offices", "ex16", required_flows(no_pop)).isdisjoint({"110/tcp", "995/tcp"})


def test_a_gateway_and_its_media() -> None:
    assert {"5060/tcp", "5061/tcp", "5062/tcp"} <= between("pbx", "ex16")
    assert "1024-65535/udp" in between("pbx", "ex16")
    assert between("pbx", "post1") == set()


def test_own_flows() -> None:
    assert "22/tcp" in between("offices", "post1")
    flow = next(f for f in FLOWS if f.path_ids == ("own.ssh",) and f.destination.name == "edge1")
    assert (flow.purpose.en, flow.encryption) == ("Administration", "unknown")


def test_the_weakest_encryption_is_told() -> None:
    found = {
        flow.port_text: flow.encryption
        for flow in FLOWS
        if (flow.source.name, flow.destination.name) == ("offices", "ex16")
    }
    assert found["80/tcp"] == "none"
    assert found["443/tcp"] == found["993/tcp"] == "required"
    assert found["143/tcp"] == "optional"


def test_flows_are_ordered_and_each_once() -> None:
    keys = [(f.destination, f.source, f.transport, f.first, f.last) for f in FLOWS]
    assert keys == sorted(set(keys))
    assert by_zone(FLOWS).keys() >= {("internet", "perimeter"), ("offices", "servers"), ("servers", "servers")}
    assert sum(map(len, by_zone(FLOWS).values())) == len(FLOWS)


def test_ids_are_the_catalogues() -> None:
    known = {row.id for row in all_rows()} | {"ground-rule", "own.ssh"}
    assert {path_id for flow in FLOWS for path_id in flow.path_ids} <= known


@pytest.mark.parametrize("edition", ["2007", "2010", "2013", "2016", "2019", "postern"])
def test_clients_of_every_edition_reach_their_server(edition: str) -> None:
    roles = {
        "2007": '"client-access"', "2010": '"client-access"',
        "2013": '"client-access"', "postern": '"client-access", "hub-transport"',
    }.get(edition, '"mailbox"')  # fmt: skip
    text = f"""
organisation = "One"
[[zone]]
name = "inside"
trust = "internal"
networks = ["10.0.0.0/8"]
roles = ["mail-client"]
[[host]]
name = "one"
addresses = ["10.0.0.1"]
zone = "inside"
edition = "{edition}"
roles = [{roles}]
"""
    assert "143/tcp" in between("inside", "one", required_flows(parse(text)))

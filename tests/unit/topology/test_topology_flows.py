from __future__ import annotations

from tests.topologies import SMALL as GOOD

from postern.topology.flows import by_zone, required_flows
from postern.topology.loading import parse


def test_nothing_is_filtered_between_inside_servers_and_domain_controllers() -> None:
    flows = [flow for flow in required_flows(parse(GOOD)) if flow.unfiltered]
    assert {(flow.source.name, flow.destination.name) for flow in flows} == {("ex16", "dc"), ("dc", "ex16")}
    assert flows[0].port_text == "any"
    assert set(by_zone(flows)) == {("inside", "inside")}

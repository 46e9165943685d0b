"""An organisation in the middle of a migration, for tests that compare rules with flows."""

from __future__ import annotations

from postern.topology import loading
from postern.topology.flows import path_flows, required_flows

TEXT = """\
organisation = "Migration"

[[zone]]
name = "site-a"
trust = "internal"
networks = ["10.1.0.0/16", "2001:db8:a::/48"]

[[zone]]
name = "site-b"
trust = "internal"
networks = ["10.2.0.0/16"]

[[zone]]
name = "clients"
trust = "internal"
networks = ["10.50.0.0/16"]
roles = ["outlook", "mail-client", "web-client"]

[[zone]]
name = "dmz"
trust = "perimeter"
networks = ["192.0.2.0/28"]

[[zone]]
name = "internet"
trust = "external"
roles = ["internet-smtp"]

[[host]]
name = "ex10"
addresses = ["10.1.0.10"]
zone = "site-a"
edition = "2010"
roles = ["mailbox", "client-access", "hub-transport"]

[[host]]
name = "ex16"
addresses = ["10.1.0.16", "2001:db8:a::16"]
zone = "site-a"
edition = "2016"
roles = ["mailbox"]

[[host]]
name = "post"
addresses = ["10.2.0.20"]
zone = "site-b"
edition = "postern"
roles = ["mailbox", "client-access", "hub-transport"]

[[host]]
name = "edge"
addresses = ["192.0.2.5"]
zone = "dmz"
edition = "2016"
roles = ["edge-transport"]

[[host]]
name = "dc"
addresses = ["10.1.0.1"]
zone = "site-a"
roles = ["domain-controller", "dns-server"]
"""

TOPOLOGY = loading.parse(TEXT)
FLOWS = required_flows(TOPOLOGY)
PATHS = path_flows(TOPOLOGY)
HOSTS = {host.name: host.addresses for host in TOPOLOGY.hosts}

"""Topology files that several tests read."""

from __future__ import annotations

SMALL = """\
organisation = "Example"

[[zone]]
name = "inside"
trust = "internal"
networks = ["10.1.0.0/16", "2001:db8:1::/48"]

[[zone]]
name = "dmz"
trust = "perimeter"
networks = ["192.0.2.0/28"]

[[zone]]
name = "internet"
trust = "external"
roles = ["internet-smtp", "outlook"]

[[host]]
name = "ex16"
addresses = ["10.1.0.16", "2001:db8:1::16"]
zone = "inside"
edition = "2016"
roles = ["mailbox"]
rpc_ports = "6005-59530"
without = ["*.imap"]

[[host]]
name = "edge"
addresses = ["192.0.2.5"]
zone = "dmz"
edition = "postern"
roles = ["edge-transport"]

[[host]]
name = "dc"
addresses = ["10.1.0.1"]
zone = "inside"
roles = ["domain-controller", "dns-server"]
"""

MIGRATION = """\
organisation = "Migration"

[[zone]]
name = "servers"
trust = "internal"
networks = ["10.1.0.0/16", "2001:db8:1::/48"]

[[zone]]
name = "offices"
trust = "internal"
networks = ["10.2.0.0/16", "2001:db8:2::/48"]
roles = ["outlook", "mail-client", "web-client"]

[[zone]]
name = "perimeter"
trust = "perimeter"
networks = ["192.0.2.0/28", "2001:db8:3::/64"]

[[zone]]
name = "internet"
trust = "external"
roles = ["internet-smtp", "outlook", "mobile", "web-client"]

[[host]]
name = "ex10"
addresses = ["10.1.0.10"]
zone = "servers"
edition = "2010"
roles = ["hub-transport", "client-access", "mailbox", "unified-messaging"]

[[host]]
name = "ex16"
addresses = ["10.1.0.16", "2001:db8:1::16"]
zone = "servers"
edition = "2016"
roles = ["mailbox"]

[[host]]
name = "post1"
addresses = ["10.1.0.20", "2001:db8:1::20"]
zone = "servers"
edition = "postern"
roles = ["hub-transport", "client-access", "mailbox"]

[[host]]
name = "edge1"
addresses = ["192.0.2.5", "2001:db8:3::5"]
zone = "perimeter"
edition = "2016"
roles = ["edge-transport"]

[[host]]
name = "dc1"
addresses = ["10.1.0.2", "2001:db8:1::2"]
zone = "servers"
roles = ["domain-controller", "dns-server"]

[[host]]
name = "pbx"
addresses = ["10.2.9.9"]
zone = "offices"
roles = ["voip-gateway"]

[[flow]]
name = "ssh"
from = ["offices"]
to = ["post1", "edge1"]
ports = ["22/tcp"]
purpose = "Administration"
"""

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

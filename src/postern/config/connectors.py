"""Tables of postern.toml about mail that comes in and goes out: connectors, and the keys that sign it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from postern.config.table import Limit, Port, Table


class ReceiveConnector(Table, frozen=True, kw_only=True):
    """`[[receive_connector]]`: who may hand in what; the first one that fits a connection counts."""

    name: Annotated[str, Meta(min_length=1, description="in logs and trace records")]
    listeners: Annotated[
        tuple[Literal["smtp", "submission", "submissions"], ...], Meta(min_length=1, description="data paths")
    ] = ("smtp",)
    remote: Annotated[tuple[str, ...], Meta(min_length=1, description="networks of peers, CIDR")] = (
        "0.0.0.0/0",
        "::/0",
    )
    anonymous: Annotated[bool, Meta(description="take mail for accepted domains without authentication")] = False
    anonymous_relay: Annotated[bool, Meta(description="relay anywhere without authentication: printers, scanners")] = (
        False
    )
    authenticated: Annotated[bool, Meta(description="relay for authenticated users")] = False
    check_sender: Annotated[bool, Meta(description="authenticated users send only as addresses they may use")] = True
    check_sender_domain: Annotated[
        bool, Meta(description="refuse Internet mail from domains that do not exist or take no mail (null MX)")
    ] = True
    require_tls: Annotated[bool, Meta(description="MAIL only after TLS")] = False
    internal_servers: Annotated[
        bool, Meta(description="the organisation's servers, known by their certificates, may relay and send as anybody")
    ] = True


class SendConnector(Table, frozen=True, kw_only=True):
    """`[[send_connector]]`: how mail leaves for a set of domains; the most specific domain counts."""

    name: Annotated[str, Meta(min_length=1, description="in logs and trace records")]
    domains: Annotated[tuple[str, ...], Meta(min_length=1, description="`*`, `example.net` or `*.example.net`")] = (
        "*",
    )
    smart_hosts: Annotated[
        tuple[str, ...], Meta(description="`host`, `host:port` or `[address]:port`; empty: by MX records")
    ] = ()
    port: Annotated[Port, Meta(description="TCP port of hosts that name none")] = 25
    tls: Annotated[
        Literal["none", "opportunistic", "required", "verified", "server"],
        Meta(description="what the next hop must offer; server: be one of the organisation's (`postern server list`)"),
    ] = "opportunistic"
    username: Annotated[str, Meta(description="account at the smart host; empty: none")] = ""
    password_file: Annotated[str, Meta(description="file that holds its password")] = ""
    max_message_bytes: Annotated[Limit, Meta(description="largest message, octets; 0 is no limit")] = 0


class Dkim(Table, frozen=True, kw_only=True):
    """`[[dkim]]`: a key that signs outgoing mail of a domain."""

    domain: Annotated[str, Meta(min_length=1, description="signing domain (d=)")]
    selector: Annotated[str, Meta(min_length=1, description="selector (s=)")]
    key: Annotated[str, Meta(min_length=1, description="PEM file, RSA or Ed25519")]


DEFAULT_CONNECTORS = (
    ReceiveConnector(name="internet", listeners=("smtp",), anonymous=True),
    ReceiveConnector(name="clients", listeners=("submission", "submissions"), authenticated=True, require_tls=True),
)
"""In force where the file has none: anonymous mail for accepted domains on 25, users on 587 and 465."""

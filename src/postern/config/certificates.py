"""Certificates and partners in postern.toml."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from postern.config.table import Port, Table


class Tls(Table, frozen=True, kw_only=True):
    """`[tls]`: the certificate that clients see."""

    certificate: Annotated[str, Meta(description="PEM file with the chain; empty: DATA/tls/certificate.pem")] = ""
    key: Annotated[str, Meta(description="PEM file with the private key; empty: DATA/tls/key.pem")] = ""
    client_certificate: Annotated[
        str, Meta(description="PEM file with the chain shown to partners; empty: the listeners'")
    ] = ""
    client_key: Annotated[str, Meta(description="PEM file with its private key")] = ""
    warn_days: Annotated[
        int, Meta(ge=0, le=3650, description="days before its end from which the log warns of a certificate")
    ] = 21


class Acme(Table, frozen=True, kw_only=True):
    """`[acme]`: certificates by ACME (RFC 8555), renewed by the server itself."""

    directory: Annotated[
        str, Meta(description="the authority's directory, such as https://acme-v02.api.letsencrypt.org/directory")
    ] = ""
    agree_to_terms: Annotated[bool, Meta(description="the authority's terms of service are agreed to")] = False
    email: Annotated[tuple[str, ...], Meta(description="addresses the authority may write to")] = ()
    names: Annotated[tuple[str, ...], Meta(description="DNS names; empty: server.hostname")] = ()
    challenge: Annotated[
        Literal["http-01", "tls-alpn-01", "dns-01"],
        Meta(description="how control of the names is shown: port 80, port 443, or TXT records"),
    ] = "http-01"
    addresses: Annotated[
        tuple[str, ...], Meta(description="IP addresses that answer challenges; empty: those of [network]")
    ] = ()
    http_port: Annotated[Port, Meta(description="TCP port that answers http-01 while an order runs")] = 80
    tls_port: Annotated[Port, Meta(description="TCP port that answers tls-alpn-01 while an order runs")] = 443
    hook: Annotated[
        tuple[str, ...],
        Meta(description="program for dns-01 and its arguments; called with `present` or `remove`, name, value"),
    ] = ()
    hook_wait_s: Annotated[
        int, Meta(ge=0, le=3600, description="seconds from the hook's end until the authority is told to look")
    ] = 10
    renew_days: Annotated[int, Meta(ge=1, le=365, description="days before its end that a certificate is renewed")] = 30
    reuse_key: Annotated[bool, Meta(description="keep the private key at a renewal: pins and TLSA records hold")] = True
    trust: Annotated[
        str, Meta(description="PEM file with the authorities of the ACME server's own certificate; empty: the system's")
    ] = ""
    eab_key_id: Annotated[str, Meta(description="key id of an external account binding; empty: none")] = ""
    eab_key_file: Annotated[str, Meta(description="file with its HMAC key, base64url")] = ""


class Partner(Table, frozen=True, kw_only=True):
    """`[[partner]]`: domains with which mail is exchanged over mutually authenticated TLS only (domain security)."""

    name: Annotated[str, Meta(min_length=1, description="in logs")]
    domains: Annotated[
        tuple[str, ...], Meta(min_length=1, description="`example.net`, or `*.example.net` for all below it")
    ]
    authority: Annotated[
        str, Meta(description="PEM file with the authorities of its certificates; empty: the system's")
    ] = ""
    names: Annotated[
        tuple[str, ...],
        Meta(description="its certificates must be for one of these; empty: for a domain of its or a host in one"),
    ] = ()
    pins: Annotated[
        tuple[str, ...],
        Meta(description="SHA-256 of its keys, hexadecimal (`postern cert show`): they alone count, if there are any"),
    ] = ()
    send: Annotated[bool, Meta(description="what is sent to it goes to a host so proved, or waits")] = True
    receive: Annotated[bool, Meta(description="what comes in its name comes from a host so proved, or is refused")] = (
        True
    )

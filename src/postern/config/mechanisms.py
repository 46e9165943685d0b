"""Tables of postern.toml for sign-in by tokens: a mechanism is offered as soon as its table says what it works with."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from postern.config.table import Table

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures of tokens (RFC 7518 3.1, RFC 8037). None with a shared key: a public key could be passed off as it."""


class Kerberos(Table, frozen=True, kw_only=True):
    """`[kerberos]`: sign-in by Kerberos tickets."""

    keytab: Annotated[
        str, Meta(description="file with the keys of smtp/HOST, imap/HOST, pop/HOST, HTTP/HOST; empty: no Kerberos")
    ] = ""
    principal: Annotated[
        str, Meta(description="as whom this server signs in to others of its organisation; empty: the keytab's first")
    ] = ""
    realms: Annotated[
        dict[str, str],
        Meta(description="realm = domain of its users' addresses; empty: the keytab's realm, in small letters"),
    ] = msgspec.field(default_factory=dict)


class Ntlm(Table, frozen=True, kw_only=True):
    """`[ntlm]`: sign-in by NTLMv2, never NTLMv1. Mail offers it with `winbind`, or where a listener names it."""

    accounts: Annotated[bool, Meta(description="offer it to accounts with an NT hash (`postern mailbox ntlm`)")] = False
    winbind: Annotated[bool, Meta(description="ask the domain through winbind about all other accounts")] = False
    helper: Annotated[str, Meta(description="Samba's ntlm_auth, for winbind")] = "/usr/bin/ntlm_auth"
    domain: Annotated[str, Meta(max_length=15, description="NetBIOS name of the domain; empty: none")] = ""
    names: Annotated[
        tuple[str, ...], Meta(description="host names that clients know this server by, besides server.hostname")
    ] = ()
    require_mic: Annotated[bool, Meta(description="refuse clients without a message integrity code, such as curl")] = (
        False
    )


class Oidc(Table, frozen=True, kw_only=True):
    """`[[oidc]]`: an OpenID Connect issuer whose access tokens sign in (OAUTHBEARER, XOAUTH2, Bearer)."""

    issuer: Annotated[str, Meta(min_length=9, pattern="^https://", description="its URL, as tokens name it")]
    audience: Annotated[tuple[str, ...], Meta(min_length=1, description="who tokens have to be for; any one of them")]
    claim: Annotated[str, Meta(min_length=1, description="claim that has the user's address")] = "email"
    scope: Annotated[str, Meta(description="scope that a token must have; empty: any")] = ""
    algorithms: Annotated[tuple[Algorithm, ...], Meta(min_length=1, description="signatures taken")] = (
        "RS256",
        "PS256",
        "ES256",
        "EdDSA",
    )
    authority: Annotated[str, Meta(description="PEM file of the authority of its certificate; empty: the system's")] = (
        ""
    )

"""Which sockets to open: the catalogue's data paths as the settings change them."""

from __future__ import annotations

import msgspec

from postern.catalogue.load import load
from postern.catalogue.schema import Listener
from postern.config.settings import Settings

LOOPBACK = ("127.0.0.1", "::1")


class Listening(msgspec.Struct, frozen=True):
    """One data path and where it is served."""

    path: Listener
    addresses: tuple[str, ...]
    port: int
    mechanisms: tuple[str, ...]
    """SASL mechanisms in the order offered."""


def listeners(settings: Settings, roles: frozenset[str] | None = None) -> tuple[Listening, ...]:
    """Everything to be opened, in the catalogue's order; `roles` limits it to their data paths."""
    opened = []
    for path in load().listeners:
        if roles is not None and path.role not in roles:
            continue
        own = settings.listen.get(path.id)
        if not (own.enabled if own else path.on_by_default):
            continue
        addresses = (own.addresses if own else ()) or settings.network.addresses
        if path.loopback_only:
            # only a loopback address may be chosen for it
            addresses = tuple(a for a in addresses if a in LOOPBACK) or LOOPBACK[:1]
        mechanisms = _offered(path, settings) if own is None or own.mechanisms is None else own.mechanisms
        opened.append(Listening(path, addresses, (own.port if own else 0) or path.port, mechanisms))
    return tuple(opened)


def _offered(path: Listener, settings: Settings) -> tuple[str, ...]:
    """The catalogue's default, and what it supports of the mechanisms that have settings.

    Where nobody signs in by default (mail between servers), nobody signs in by these either.
    """
    if not path.mechanisms:
        return ()
    also = [name for name in configured(settings) if name in path.authentication_supported]
    if path.protocol != "http" and not settings.ntlm.winbind:
        # few accounts have an NT hash, and curl and mbsync try nothing else where mail offers NTLM: `mechanisms` may
        also = [name for name in also if name != "NTLM" and (name != "GSS-SPNEGO" or settings.kerberos.keytab)]
    return (*path.mechanisms, *also)


def takes_certificates(settings: Settings) -> bool:
    """Whether certificates sign in to mail: users', or front ends'."""
    return bool(settings.authentication.client_ca) or settings.authentication.front_end_certificates


def configured(settings: Settings) -> tuple[str, ...]:
    """Mechanisms that prove by tokens and have what they need."""
    ntlm = settings.ntlm.accounts or settings.ntlm.winbind
    return (
        *(("EXTERNAL",) if takes_certificates(settings) else ()),
        *(("GSSAPI",) if settings.kerberos.keytab else ()),
        *(("GSS-SPNEGO",) if settings.kerberos.keytab or ntlm else ()),
        *(("NTLM",) if ntlm else ()),
        *(("OAUTHBEARER", "XOAUTH2") if settings.oidc else ()),
        # the same by HTTP's names
        *(("Negotiate",) if settings.kerberos.keytab or ntlm else ()),
        *(("Bearer",) if settings.oidc else ()),
        *(("certificate",) if settings.http.client_ca else ()),
    )

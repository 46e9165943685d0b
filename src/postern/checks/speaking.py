"""Which protocol a data path speaks on a port, and what the catalogue lets one expect there."""

from __future__ import annotations

from typing import NamedTuple

from postern.catalogue.roles import BY_ID, Kind
from postern.catalogue.schema import DataPath, Encryption, Level, Listener, Port
from postern.checks.model import Expectation, Tls

_MAIL = frozenset({"smtp", "imap", "pop3"})
_TCP: dict[int, tuple[str, Tls]] = {
    **dict.fromkeys((25, 465, 475, 587, 717, 2525), ("smtp", Tls.STARTTLS)),
    143: ("imap", Tls.STARTTLS),
    993: ("imap", Tls.IMPLICIT),
    110: ("pop3", Tls.STARTTLS),
    995: ("pop3", Tls.IMPLICIT),
    4190: ("managesieve", Tls.STARTTLS),
    **dict.fromkeys((80, 81), ("http", Tls.NONE)),
    **dict.fromkeys((443, 444), ("http", Tls.IMPLICIT)),
    **dict.fromkeys((389, 3268), ("ldap", Tls.EITHER)),
    **dict.fromkeys((636, 3269, 50636), ("ldap", Tls.IMPLICIT)),
    50389: ("ldap", Tls.NONE),
    88: ("kerberos", Tls.NONE),
    53: ("dns", Tls.NONE),
    135: ("rpc", Tls.NONE),
    **dict.fromkeys((5060, 5062, 5065, 5067), ("sip", Tls.NONE)),
    **dict.fromkeys((5061, 5063, 5066, 5068), ("sip", Tls.IMPLICIT)),
}
"""Exchange's 465 is no exception: its Client Proxy connector begins in clear text and has STARTTLS."""
_UDP: dict[int, tuple[str, Tls]] = {
    53: ("dns", Tls.NONE),
    88: ("kerberos", Tls.NONE),
    389: ("ldap", Tls.NONE),
    5060: ("sip", Tls.NONE),
}
_OF_ENCRYPTION = {Encryption.NONE: Tls.NONE, Encryption.STARTTLS: Tls.STARTTLS, Encryption.IMPLICIT: Tls.IMPLICIT}
_UNSEEN = frozenset({"anonymous", "forms", "certificate"})
"""Ways in that no challenge names."""
OWN_PAGES = {"https": "/whoami", "metrics": "/metrics"}
"""A page of one of our own web listeners that answers with what it has; the others have `/`."""
_SASL = (
    ("basic", "LOGIN|PLAIN"),
    ("ntlm", "NTLM"),
    ("integrated windows", "NTLM|GSSAPI|NEGOTIATE"),
    ("kerberos", "GSSAPI"),
    ("exchange server", "GSSAPI"),
)
"""How the tables' words begin, and the SASL mechanisms they mean."""


class WebDirectory(NamedTuple):
    """A virtual directory of Exchange."""

    path: str
    editions: frozenset[str]
    schemes: frozenset[str]
    """One of them has to be in the challenge; empty: a form asks for the password."""


_ALL = frozenset({"2010", "2013", "2016", "2019"})
_WINDOWS = frozenset({"NTLM", "NEGOTIATE"})
DIRECTORIES = (
    WebDirectory("/autodiscover/autodiscover.xml", _ALL, _WINDOWS | {"BASIC"}),
    WebDirectory("/ews/exchange.asmx", _ALL, _WINDOWS | {"BASIC"}),
    WebDirectory("/mapi/emsmdb/", _ALL - {"2010"}, _WINDOWS | {"BASIC"}),
    WebDirectory("/rpc/rpcproxy.dll", _ALL, _WINDOWS | {"BASIC"}),
    WebDirectory("/microsoft-server-activesync", _ALL, frozenset({"BASIC"})),
    WebDirectory("/owa/", _ALL, frozenset()),
    WebDirectory("/ecp/", _ALL, frozenset()),
)
"""What clients use at the front end (2010: Client Access), with the authentication that is there by default."""
SCHEMES = {one.path: one.schemes for one in DIRECTORIES if one.schemes}


def speaks(path: DataPath | None, port: int, transport: str) -> tuple[str, Tls]:
    """Protocol and TLS mode; an empty protocol where nobody can be asked, only reached."""
    if path is not None and path.listener is not None and transport == "tcp":
        return path.listener.protocol, _OF_ENCRYPTION[path.listener.encryption_default]
    known = (_TCP if transport == "tcp" else _UDP).get(port)
    if known is None and path is not None and transport == "tcp" and len(path.ports) == 1:
        # a port that the administrator chose for a path with one port of its own
        known = _TCP.get(path.ports[0].first)
    return known or ("", Tls.EITHER)


def directories(edition: str, *, clients: bool) -> tuple[str, ...]:
    """Paths to ask a web server of an edition for."""
    if not clients:
        return ()
    return tuple(one.path for one in DIRECTORIES if edition in one.editions)


def expectation(path: DataPath, port: int, transport: str) -> Expectation:
    """What a row leads one to expect on a port of its destination."""
    purpose = path.purpose or path.names
    if path.listener is not None:
        return listener_expectation(path.listener, path)
    protocol, tls = speaks(path, port, transport)
    level = path.level_of(next((one for one in path.ports if one.covers(port)), Port(port, port, transport)))
    if protocol in _MAIL and tls is Tls.STARTTLS and level in {Level.NONE, Level.UNKNOWN}:
        tls = Tls.EITHER
    mechanisms: tuple[str, ...] = ()
    words = [word.lower() for word in path.authentication_default]
    # where anonymous peers are welcome, none of the other ways is missed by all of them
    if protocol in _MAIL and not any(word.startswith("anonymous") for word in words):
        mechanisms = tuple(
            dict.fromkeys(meaning for word in words for start, meaning in _SASL if word.startswith(start))
        )
    return Expectation(
        path.id, purpose, tls, level, mechanisms, None, False, _among_servers(path, protocol), path.breaks
    )


def listener_expectation(listener: Listener, path: DataPath, mechanisms: tuple[str, ...] | None = None) -> Expectation:
    """What one of Postern's own listeners has to offer; `mechanisms` where settings change them."""
    offered = listener.mechanisms if mechanisms is None else mechanisms
    offered = tuple(name for name in offered if name not in _UNSEEN)
    return Expectation(
        path.id,
        path.purpose or path.names,
        _OF_ENCRYPTION[listener.encryption_default],
        path.level,
        # channel binding is offered only where the client could use it
        tuple(name for name in offered if not name.endswith("-PLUS")),
        tuple(dict.fromkeys((*offered, *(name for name in listener.authentication_supported if "-PLUS" in name)))),
        in_clear=False,  # the catalogue's rules forbid it
        self_signed=_among_servers(path, listener.protocol),
        breaks=path.breaks,
    )


def _among_servers(path: DataPath, protocol: str) -> bool:
    """Servers encrypt towards each other without an authority; SMTP from the Internet is opportunistic (RFC 7435)."""
    kinds = {BY_ID[role].kind for role in path.source_roles}
    return protocol in {"smtp", "ldap"} and bool(kinds) and Kind.CLIENT not in kinds

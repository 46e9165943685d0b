"""What the catalogue says of a data path: who speaks to whom, on which port, how authenticated and encrypted."""

from __future__ import annotations

from enum import Enum

import msgspec


class Level(Enum):
    """How far a data path is encrypted as it comes out of the box; what pictures colour and audits weigh."""

    NONE = "none"
    """Clear text, nothing better exists."""
    OPTIONAL = "optional"
    """Encryption is offered (STARTTLS, opportunistic TLS, IPsec, SRTP), clear text works too."""
    REQUIRED = "required"
    """Always encrypted unless somebody changes it."""
    UNKNOWN = "unknown"
    """The source does not say, or the path carries many protocols (everything between two servers)."""


class Encryption(Enum):
    """How a connection to one of Postern's listeners comes to be encrypted."""

    NONE = "none"
    STARTTLS = "starttls"
    """Starts in clear text, upgraded by STARTTLS or STLS."""
    IMPLICIT = "implicit"
    """TLS from the first byte (RFC 8314 3)."""


class Port(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the destination listens: one port or a range, of one transport."""

    first: int
    last: int
    """Not below `first`; equal for a single port."""
    transport: str = "tcp"
    """`tcp` or `udp`."""
    dynamic: bool = False
    """Handed out by the RPC endpoint mapper (135) from `first` to `last`, the edition's dynamic range."""
    any: bool = False
    """Every port of the transport: nothing may be filtered. `first` is 1 and `last` 65535."""

    def covers(self, number: int) -> bool:
        """Whether a port number lies in it."""
        return self.first <= number <= self.last

    def __str__(self) -> str:
        if self.any:
            return f"any/{self.transport}"
        if self.dynamic:
            return f"dynamic/{self.transport}"
        return (
            f"{self.first}/{self.transport}"
            if self.first == self.last
            else f"{self.first}-{self.last}/{self.transport}"
        )


class Names(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text in both languages."""

    en: str = ""
    ru: str = ""

    def of(self, language: str) -> str:
        """In a language, English if it is not one of ours or the translation is missing."""
        return (self.ru or self.en) if language.startswith("ru") else self.en

    def __bool__(self) -> bool:
        return bool(self.en)


class Listener(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one of Postern's own data paths opens by itself."""

    id: str
    """Stable; the name of the listener in settings, logs, metrics and trace records."""
    role: str
    """Role of the process that listens: edge, transport, mailbox, client-access, um, directory."""
    port: int
    """TCP port unless settings say otherwise."""
    protocol: str
    """smtp, imap, pop3, ldap, http: which front end serves it."""
    encryption_supported: tuple[Encryption, ...]
    encryption_default: Encryption
    authentication_supported: tuple[str, ...]
    """SASL mechanisms by name; `anonymous` where none is needed."""
    authentication_default: tuple[str, ...]
    """What is offered unless settings say otherwise."""
    authentication_before_tls: tuple[str, ...] = ()
    """What is offered before STARTTLS too: only mechanisms that do not show the password."""
    on_by_default: bool = True
    loopback_only: bool = False
    """Never bound to an address that others can reach."""

    @property
    def implicit_tls(self) -> bool:
        """Whether connections start with a TLS handshake."""
        return self.encryption_default is Encryption.IMPLICIT

    @property
    def starttls(self) -> bool:
        """Whether the upgrade command is offered."""
        return self.encryption_default is Encryption.STARTTLS

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """SASL mechanisms offered by default, without `anonymous`."""
        return tuple(name for name in self.authentication_default if name != "anonymous")


CLEAR_PORTS = frozenset({23, 80, 81, 3128, 5060, 5062, 6588, 1080, 1081, 50389})
TLS_PORTS = frozenset({443, 444, 465, 563, 636, 993, 995, 3269, 5061, 5063, 50636})


class DataPath(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One row of the catalogue, the same for every edition."""

    id: str
    """Stable, for people: `2010.transport.hub-to-hub`, `mixed.hub-2007.mailbox-2007`, `postern.smtp`."""
    editions: tuple[str, ...]
    """Ids from `roles.EDITIONS` it holds in."""
    table: str
    """data-paths, windows-firewall, ports, matrix, internal or postern (`load.TABLES`)."""
    section: str
    """Part of the table: transport, clients, hybrid, ...; the server of the mixed matrix."""
    names: Names
    """What the path is called, as printed."""
    source: Names
    """Who opens the connection, as printed."""
    destination: Names
    """Who listens, as printed."""
    source_roles: tuple[str, ...]
    """Ids from `roles.ROLES`; any one of them opens it. Empty: anybody."""
    destination_roles: tuple[str, ...]
    """Ids from `roles.ROLES`; any one of them listens. Empty: anybody."""
    ports: tuple[Port, ...]
    """Empty where `port_text` is `none`, `local` or `configurable`."""
    port_text: str
    """The ports as printed, `;` between them: `25/tcp;389/tcp+udp;dynamic/tcp`."""
    protocols: tuple[str, ...] = ()
    authentication_default: tuple[str, ...] = ()
    authentication_supported: tuple[str, ...] = ()
    encryption: str = ""
    """As printed; empty where the source does not say."""
    encrypted_by_default: bool | None = None
    """None where the source does not say so apart."""
    level: Level = Level.UNKNOWN
    both_ways: bool = False
    """Either end may open the connection."""
    same_host: bool = False
    """Both ends are on the same computer: no network device sees it, and no firewall rule is wanted."""
    on_by_default: bool = True
    default_state: Names = Names()
    """In words, where it is more than on or off."""
    purpose: Names = Names()
    notes: Names = Names()
    breaks: Names = Names()
    """What stops working when it is closed."""
    service: Names = Names()
    """The service that listens or connects."""
    direction: str = ""
    """In the table of internal ports: listen, connect or both, seen from the service's server."""
    rule_name: str = ""
    """Windows Firewall rule, as printed."""
    rule_name_ru: str = ""
    program: str = ""
    """Relative to Exchange's folder, or to Windows' for System32 and Inetsrv; `any`: no restriction."""
    provenance: str = ""
    """Where the cells come from: a word or `cell:source` joined by `|`."""
    confidence: str = "high"
    """high, medium or low: of the weakest cell."""
    listener: Listener | None = None
    """Postern's own edition: what it opens by itself. None for outgoing links and all other editions."""

    @property
    def none(self) -> bool:
        """Whether the row says that there is no direct connection."""
        return self.port_text == "none"

    @property
    def filtered(self) -> bool:
        """Whether a network device ever sees it: it names ports, and is not within one computer."""
        return bool(self.ports) and not self.same_host

    def level_of(self, port: Port) -> Level:
        """Encryption on one of the row's ports: 993 is always encrypted where 143 need not be."""
        if port.first == port.last and len(self.ports) > 1 and self.level is not Level.UNKNOWN:
            if port.first in CLEAR_PORTS:
                return Level.NONE
            if port.first in TLS_PORTS:
                return Level.REQUIRED if self.encryption else self.level
        return self.level


class Edition(msgspec.Struct, frozen=True):
    """A product's data paths."""

    name: str
    paths: tuple[DataPath, ...]

    def __getitem__(self, path_id: str) -> DataPath:
        """A data path by its id. Raises KeyError."""
        for path in self.paths:
            if path.id == path_id:
                return path
        raise KeyError(path_id)

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """What Postern opens, in the catalogue's order."""
        return tuple(path.listener for path in self.paths if path.listener is not None)

    def listener(self, listener_id: str) -> Listener:
        """A listener by the name it has in settings. Raises KeyError."""
        for one in self.listeners:
            if one.id == listener_id:
                return one
        raise KeyError(listener_id)

    def listening(self, roles: frozenset[str]) -> tuple[Listener, ...]:
        """Listeners of these process roles, in the catalogue's order."""
        return tuple(one for one in self.listeners if one.role in roles)

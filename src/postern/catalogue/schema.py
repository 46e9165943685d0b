"""What the catalogue says of a data path: who speaks to whom, on which port, how authenticated and encrypted."""

from __future__ import annotations

from enum import Enum

import msgspec


class Encryption(Enum):
    """How a connection of this path comes to be encrypted."""

    NONE = "none"
    STARTTLS = "starttls"
    """Starts in clear text, upgraded by STARTTLS or STLS."""
    IMPLICIT = "implicit"
    """TLS from the first byte (RFC 8314 3)."""


class Port(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the destination listens."""

    number: int
    transport: str = "tcp"


class Names(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What people call it."""

    en: str
    ru: str

    def of(self, language: str) -> str:
        """In a language, English if it is not one of ours."""
        return self.ru if language.startswith("ru") else self.en


class DataPath(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One row of the catalogue."""

    id: str
    """Stable; the name of the listener in settings, logs, metrics and trace records."""
    edition: str
    source: str
    """Role, or `client`, `internet`, `administrator`."""
    destination: str
    """Role that listens."""
    names: Names
    purpose: Names
    ports: tuple[Port, ...]
    protocol: str
    """smtp, imap, pop3, http: which front end serves it."""
    encryption_supported: tuple[Encryption, ...]
    encryption_default: Encryption
    authentication_supported: tuple[str, ...]
    """SASL mechanisms by name; `anonymous` where none is needed."""
    authentication_default: tuple[str, ...]
    """What is offered unless settings say otherwise."""
    authentication_in_clear: bool = False
    """Whether mechanisms that show the password are offered before TLS."""
    on_by_default: bool = True
    loopback_only: bool = False
    """Never bound to an address that others can reach."""
    notes: Names = Names("", "")
    provenance: str = ""
    """Where the row comes from: specification, product documentation."""

    @property
    def port(self) -> int:
        """The first port's number."""
        return self.ports[0].number

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

    def listening(self, roles: frozenset[str]) -> tuple[DataPath, ...]:
        """Paths whose destination is one of the roles, in the catalogue's order."""
        return tuple(path for path in self.paths if path.destination in roles)

"""What a step of an exchange leads to."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Challenge(NamedTuple):
    """Send this (not yet base64) and feed the answer to `step`."""

    data: bytes


class Verify(NamedTuple):
    """The client gave a password; check it."""

    authcid: str
    """Who the client is."""
    authzid: str
    """Whom it wants to act as; empty for itself."""
    password: str


class NeedScram(NamedTuple):
    """Fetch this user's credentials (fake ones for an unknown user) and call `resume`."""

    authcid: str
    authzid: str


class Done(NamedTuple):
    """The client proved who it is."""

    authcid: str
    authzid: str
    server_final: bytes
    """To be sent as a last challenge, answered by an empty response, before success is announced."""
    stored_key: bytes = b""
    """Which of the alternatives it was that the client proved; empty: the credentials' own."""


class Failed(NamedTuple):
    """The exchange failed."""

    reason: str
    """For the log."""
    authcid: str = ""
    """Whose attempt it was, if that was known: it counts against that account."""
    malformed: bool = False
    """The client broke the mechanism's syntax (a 501 in SMTP, BAD in IMAP), nothing was verified."""


Outcome = Challenge | Verify | NeedScram | Done | Failed


class ScramCredentials(Protocol):
    """What the directory keeps of a password for SCRAM (RFC 5802 3)."""

    @property
    def salt(self) -> bytes:
        """Salt of the user, steady for unknown users too."""
        ...

    @property
    def iterations(self) -> int:
        """PBKDF2 rounds."""
        ...

    @property
    def stored_key(self) -> bytes:
        """H(ClientKey)."""
        ...

    @property
    def alternatives(self) -> tuple[tuple[bytes, bytes], ...]:
        """StoredKey and ServerKey of other passwords with this salt that are as good."""
        ...

    @property
    def server_key(self) -> bytes:
        """HMAC(SaltedPassword, "Server Key")."""
        ...


class ChannelBinding(NamedTuple):
    """What the TLS layer gives to bind to; an empty value is not available."""

    server_end_point: bytes = b""
    """Hash of the server's certificate (RFC 5929 4)."""
    exporter: bytes = b""
    """Keying material exported under `EXPORTER-Channel-Binding` (RFC 9266)."""

    def data(self, kind: str) -> bytes:
        """Binding data of a type by its registered name, empty if unknown or not available."""
        if kind == "tls-server-end-point":
            return self.server_end_point
        return self.exporter if kind == "tls-exporter" else b""

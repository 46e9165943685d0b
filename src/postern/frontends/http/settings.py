"""Limits and manners of one HTTP listener."""

from __future__ import annotations

import msgspec


class HttpSettings(msgspec.Struct, frozen=True):
    """What an HTTP front end is told by the server's settings and the catalogue."""

    listener: str
    """Data path id, for the log."""
    hostname: str
    """Who answers; what redirects name where the client's own name for us cannot be trusted."""
    names: tuple[str, ...] = ()
    """Further names we are asked by, besides those in accepted domains; `*` takes any."""
    mechanisms: tuple[str, ...] = ()
    """As in the catalogue: Basic, Digest, Negotiate, NTLM, Bearer, certificate, forms."""
    realm: str = ""
    """Shown by clients that ask for a password; part of Digest's keys."""
    cleartext_login: str = "never"
    https_port: int = 443
    """Where the listener without TLS sends browsers."""
    hsts_s: int = 31_536_000
    """Strict-Transport-Security (RFC 6797): seconds that browsers remember to use TLS only; 0: not sent."""
    head_bytes: int = 65536
    """Of a request: a Kerberos ticket with many groups needs 48 KiB in base64."""
    fields: int = 100
    body_bytes: int = 67_108_864
    head_timeout_s: float = 20.0
    """For the whole head, however slowly it comes."""
    body_timeout_s: float = 60.0
    """For a body's first octets; more for each `body_rate` octets that have come."""
    body_rate: int = 4096
    """Octets a second at which a body has to come in the long run."""
    idle_timeout_s: float = 120.0
    """Between two requests."""
    write_timeout_s: float = 60.0
    """A client that takes nothing of an answer for so long is gone."""
    user_concurrency: int = 0
    """Requests of one account at once, in each worker; 0: no limit."""
    user_per_minute: int = 0
    """Requests of one account in a minute, in each worker; 0: no limit."""
    max_connections_per_address: int = 200
    """0: no limit."""

    def offers(self, mechanism: str) -> bool:
        """Whether the listener has a mechanism; case does not matter."""
        return mechanism.lower() in {one.lower() for one in self.mechanisms}

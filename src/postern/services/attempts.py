"""What is known of an attempt to sign in besides who and by what secret: for the log, and for rules about places.

A front end notes it for the task that serves the connection, as log lines get their correlation id: mechanisms, limits
and rights need not hand it through.
"""

from __future__ import annotations

from contextvars import ContextVar
from enum import Enum

import msgspec


class Attempt(msgspec.Struct, frozen=True):
    """One attempt."""

    address: str = ""
    """The peer's."""
    protocol: str = ""
    """One of ALL_PROTOCOLS."""
    mechanism: str = ""
    """As the client asked for it: SCRAM-SHA-256, USER, LOGIN, Basic, form."""
    tls: str = ""
    """Version, such as TLSv1.3; empty without TLS."""
    cipher: str = ""
    session: str = ""
    """Correlation id in the server's log."""


class Proof(Enum):
    """By what somebody proved who they are, as far as a second factor is concerned."""

    PASSWORD = "password"  # noqa: S105 - the name of a kind; also NTLM, Kerberos: made of the password
    ASKED = "asked"
    """A password, at a front end that asks for a code next."""
    APP_PASSWORD = "app-password"  # noqa: S105 - the name of a kind
    SECOND_FACTOR = "second-factor"
    """A password and a one-time code."""
    INDEPENDENT = "independent"
    """A client certificate, or a token whose issuer answers for how its users sign in."""


_current: ContextVar[Attempt] = ContextVar("attempt")
_NOTHING = Attempt()


def note(attempt: Attempt) -> None:
    """From now on this task is about that attempt."""
    _current.set(attempt)


def current(address: str = "", protocol: str = "") -> Attempt:
    """The attempt that was noted, unless it is about another address or protocol than those given."""
    noted = _current.get(_NOTHING)
    if (address and noted.address != address) or (protocol and noted.protocol != protocol):
        return Attempt(address, protocol)
    return noted

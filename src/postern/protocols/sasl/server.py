"""Server side of SASL exchanges, for SMTP, IMAP and POP3 alike.

    exchange = start("SCRAM-SHA-256", binding, entropy)
    outcome = exchange.step(initial_response)          # None if the client sent none
    while True:
        match outcome:
            case Challenge(data):  send it, read a response, outcome = exchange.step(response)
            case NeedScram(user):  outcome = exchange.resume(await authentication.scram(user))
            case Verify():         check authcid and password; the exchange is over
            case Done():           if server_final: send it as a challenge, expect an empty response; authenticated
            case Failed():         refuse

The caller does base64 (`sasl.encoding`), cancels on `*` and decides what an authorization identity may be.
"""

from __future__ import annotations

from collections.abc import Generator

import msgspec

from postern.model.ports import Entropy
from postern.protocols.sasl import plain, scram
from postern.protocols.sasl.outcome import (
    Challenge,
    ChannelBinding,
    Done,
    Failed,
    NeedScram,
    Outcome,
    ScramCredentials,
    Verify,
)

EXTERNAL = "EXTERNAL"
NONCE_BYTES = 18
"""Entropy of a server nonce; 24 characters of base64."""


class Mechanism(msgspec.Struct, frozen=True):
    """One row of the list."""

    name: str
    clear_text: bool
    """The password or a token as good as one crosses the wire, or nothing protects what follows: only under TLS
    unless the operator says otherwise."""
    binding: bool
    """Needs channel-binding data."""
    tokens: bool = False
    """Its tokens are made and read elsewhere (`services.negotiation`); `start` does not know it."""


MECHANISMS: dict[str, Mechanism] = {
    m.name: m
    for m in (
        Mechanism("EXTERNAL", clear_text=True, binding=False, tokens=True),  # RFC 4422 A
        Mechanism("GSSAPI", clear_text=True, binding=False, tokens=True),  # RFC 4752
        Mechanism("GSS-SPNEGO", clear_text=True, binding=False, tokens=True),  # MS-SPNG, as Exchange and LDAP have it
        Mechanism("SCRAM-SHA-256-PLUS", clear_text=False, binding=True),  # RFC 7677
        Mechanism("SCRAM-SHA-256", clear_text=False, binding=False),  # RFC 7677
        Mechanism("NTLM", clear_text=True, binding=False, tokens=True),  # MS-SMTPNTLM
        Mechanism("OAUTHBEARER", clear_text=True, binding=False, tokens=True),  # RFC 7628
        Mechanism("XOAUTH2", clear_text=True, binding=False, tokens=True),  # Google's and Microsoft's
        Mechanism("PLAIN", clear_text=True, binding=False),  # RFC 4616
        Mechanism("LOGIN", clear_text=True, binding=False),  # draft-murchison-sasl-login, Outlook
    )
}
"""Everything known here, strongest first: the order in which mechanisms are offered."""


def offered(
    allowed: tuple[str, ...], *, clear_text: bool, binding: ChannelBinding | None, certificate: bool = False
) -> tuple[str, ...]:
    """The mechanisms of `allowed` that may be announced on this connection now, strongest first.

    `certificate`: the client has shown one, which EXTERNAL needs.
    """
    return tuple(
        m.name
        for m in MECHANISMS.values()
        if m.name in allowed
        and (clear_text or not m.clear_text)
        and (binding is not None or not m.binding)
        and (certificate or m.name != EXTERNAL)
    )


class Exchange:
    """One run of a mechanism. After Verify, Done or Failed it is over."""

    __slots__ = ("_run", "_started")

    def __init__(self, run: Generator[Outcome, bytes | ScramCredentials | None, Outcome]) -> None:
        self._run = run
        self._started = False

    def step(self, response: bytes | None) -> Outcome:
        """Feed the initial response (None if there was none), later the answers to challenges."""
        if not self._started:
            self._started = True
            next(self._run)
        return self._send(response)

    def resume(self, credentials: ScramCredentials) -> Outcome:
        """Answer a NeedScram."""
        return self._send(credentials)

    def _send(self, value: bytes | ScramCredentials | None) -> Outcome:
        try:
            return self._run.send(value)
        except StopIteration as stop:
            outcome: Outcome = stop.value
            return outcome


def start(mechanism: str, binding: ChannelBinding | None, entropy: Entropy) -> Exchange | None:
    """Begin an exchange; None for a mechanism that is unknown or impossible on this connection.

    `binding` is what TLS gives to bind to, None without TLS or where -PLUS is not offered (SCRAM checks that it was not
    stripped from the list); whether the mechanism is *allowed* is the caller's check.
    """
    known = MECHANISMS.get(mechanism.upper())
    if known is None or known.tokens or (known.binding and binding is None):
        return None
    match known.name:
        case "PLAIN":
            return Exchange(plain.plain())
        case "LOGIN":
            return Exchange(plain.login())
    return Exchange(scram.server(scram.nonce(entropy, NONCE_BYTES), binding, plus=known.binding))


__all__ = [
    "EXTERNAL",
    "MECHANISMS",
    "Challenge",
    "ChannelBinding",
    "Done",
    "Exchange",
    "Failed",
    "Mechanism",
    "NeedScram",
    "Outcome",
    "ScramCredentials",
    "Verify",
    "offered",
    "start",
]

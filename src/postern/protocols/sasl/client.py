"""Client side of SASL, for sending mail through a smart host."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from postern.model.ports import Entropy
from postern.protocols.sasl import scram

PREFERENCE = ("SCRAM-SHA-256", "PLAIN", "LOGIN")
"""Strongest first. PLAIN and LOGIN are for connections under TLS only: the caller's check."""


class ClientExchange:
    """One run of a mechanism on the client's side."""

    __slots__ = ("_run", "initial", "mechanism", "verified")

    def __init__(self, mechanism: str, run: Generator[bytes, bytes, bool], *, initial: bool) -> None:
        self.mechanism = mechanism
        self._run = run
        self.verified = mechanism != "SCRAM-SHA-256"
        """Whether the server has proved, as far as the mechanism can, that it knows the password."""
        self.initial = next(run) if initial else None
        """Initial response, None for a mechanism in which the server speaks first."""

    def step(self, challenge: bytes) -> bytes | None:
        """The response to a challenge; None cancels the exchange, because the server did not prove itself."""
        try:
            return self._run.send(challenge)
        except StopIteration as stop:
            self.verified = bool(stop.value)
            return b"" if self.verified else None
        except ValueError:
            return None


def start(user: str, password: str, server_offers: Sequence[str], entropy: Entropy) -> ClientExchange | None:
    """Begin with the strongest mechanism that the server offers; None if none is known."""
    offers = {name.upper() for name in server_offers}
    for mechanism in PREFERENCE:
        if mechanism in offers:
            match mechanism:
                case "PLAIN":
                    return ClientExchange(mechanism, _plain(user, password), initial=True)
                case "LOGIN":
                    run = _login(user, password)
                    next(run)
                    return ClientExchange(mechanism, run, initial=False)
            return ClientExchange(mechanism, scram.client(user, password, scram.nonce(entropy, 18)), initial=True)
    return None


def _plain(user: str, password: str) -> Generator[bytes, bytes, bool]:
    yield b"\0%b\0%b" % (user.encode(), password.encode())
    return False


def _login(user: str, password: str) -> Generator[bytes, bytes, bool]:
    yield b""
    yield user.encode()
    yield password.encode()
    return False

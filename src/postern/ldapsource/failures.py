"""What can go wrong with a directory elsewhere."""

from __future__ import annotations

import ssl

from postern.model.refusal import ProtocolViolation
from postern.protocols.ldap.client import Disconnected
from postern.protocols.ldap.results import Code, Result

TROUBLE = (OSError, TimeoutError, ssl.SSLError, ProtocolViolation, Disconnected)
"""What the network and the other side do to us."""

_PASSING = frozenset(
    {
        Code.BUSY,
        Code.UNAVAILABLE,
        Code.OPERATIONS_ERROR,
        Code.OTHER,
        Code.TIME_LIMIT_EXCEEDED,
        Code.ADMIN_LIMIT_EXCEEDED,
    }
)


class SourceFailure(Exception):  # noqa: N818 - the field's word
    """A directory did not do what was asked; the text says why, for the log and the administrator."""


class Unavailable(SourceFailure):
    """A controller cannot answer now: another one may."""


class Denied(SourceFailure):
    """The service account was refused: no other controller will have it either."""

    def __init__(self, text: str, result: Result) -> None:
        super().__init__(text)
        self.result = result


class Refused(SourceFailure):
    """The server answered with an error."""

    def __init__(self, text: str, result: Result) -> None:
        super().__init__(text)
        self.result = result


def check(result: Result, where: str) -> None:
    """Raise what a result stands for. Nobody is followed to another server."""
    if result.ok:
        return
    text = f"{where}: {result.name} {result.diagnostic}".strip()
    if result.code == Code.REFERRAL:
        raise Refused(
            f"{where} refers to {', '.join(result.referrals) or 'elsewhere'}: referrals are not followed", result
        )
    if result.code in _PASSING:
        raise Unavailable(text)
    raise Refused(text, result)

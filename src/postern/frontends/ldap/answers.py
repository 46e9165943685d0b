"""What a client is told for each reason of a refusal."""

from __future__ import annotations

from postern.model.refusal import Reason, Refusal
from postern.protocols.ldap.results import Code, Result

_WRONG = Result(Code.INVALID_CREDENTIALS)
"""Nobody learns from a refused sign-in whether there is such a user, and what is the matter with the account."""
_NOT_HERE = Result(Code.UNWILLING_TO_PERFORM)

RESULTS: dict[Reason, Result] = {
    Reason.NO_SUCH_RECIPIENT: Result(Code.NO_SUCH_OBJECT),
    Reason.NO_SUCH_FOLDER: Result(Code.NO_SUCH_OBJECT),
    Reason.NO_SUCH_ITEM: Result(Code.NO_SUCH_OBJECT),
    Reason.ALREADY_EXISTS: Result(Code.ENTRY_ALREADY_EXISTS),
    Reason.NOT_PERMITTED: _WRONG,
    Reason.RELAY_DENIED: _NOT_HERE,
    Reason.SENDER_NOT_ALLOWED: _NOT_HERE,
    Reason.SENDER_DOMAIN_UNKNOWN: _NOT_HERE,
    Reason.SENDER_DOMAIN_SILENT: _NOT_HERE,
    Reason.BAD_CREDENTIALS: _WRONG,
    Reason.ACCOUNT_DISABLED: _WRONG,
    Reason.ACCOUNT_EXPIRED: _WRONG,
    Reason.SECOND_FACTOR_REQUIRED: _WRONG,
    Reason.PASSWORD_EXPIRED: _WRONG,
    Reason.PASSWORD_CHANGED: _WRONG,
    Reason.RIGHT_WITHDRAWN: _WRONG,
    Reason.ENCRYPTION_REQUIRED: Result(
        Code.CONFIDENTIALITY_REQUIRED, diagnostic="encryption is needed first: use StartTLS or the port for TLS"
    ),
    Reason.PEER_NOT_AUTHENTICATED: _NOT_HERE,
    Reason.PEER_CERTIFICATE: _NOT_HERE,
    Reason.OVER_QUOTA: _NOT_HERE,
    Reason.TOO_LARGE: Result(Code.ADMIN_LIMIT_EXCEEDED, diagnostic="the filter is too large"),
    Reason.TOO_MANY: Result(Code.ADMIN_LIMIT_EXCEEDED),
    Reason.BAD_NAME: Result(Code.INVALID_DN_SYNTAX),
    Reason.BAD_VALUE: Result(Code.ADMIN_LIMIT_EXCEEDED, diagnostic="the filter is too large"),
    Reason.CONFLICT: _NOT_HERE,
    Reason.HAS_CHILDREN: _NOT_HERE,
    Reason.NOT_SUPPORTED: Result(Code.AUTH_METHOD_NOT_SUPPORTED),
    Reason.LOOP: _NOT_HERE,
    Reason.TRY_LATER: Result(Code.UNAVAILABLE, diagnostic="try again later"),
    Reason.TOO_MANY_CONNECTIONS: Result(Code.BUSY, diagnostic="too many connections"),
    Reason.TOO_MANY_FAILURES: Result(Code.BUSY, diagnostic="too many failed sign-ins, try again later"),
    Reason.DISK_FULL: Result(Code.UNAVAILABLE),
    Reason.READ_ONLY: Result(Code.UNAVAILABLE),
    Reason.CORRUPT: Result(Code.UNAVAILABLE, diagnostic="the directory is damaged, the administrator has to repair it"),
    Reason.IN_USE: Result(Code.BUSY),
    Reason.SHUTTING_DOWN: Result(Code.UNAVAILABLE, diagnostic="the server is stopping"),
}

ENDED: dict[Reason, str] = {
    Reason.ACCOUNT_DISABLED: "the account may not use this any more",
    Reason.ACCOUNT_EXPIRED: "the account has expired",
    Reason.PASSWORD_CHANGED: "the password was changed, sign in again",
    Reason.RIGHT_WITHDRAWN: "a right was withdrawn, sign in again",
}
"""Why a session ends that was signed in: its user may know."""


def result_of(refusal: Refusal) -> Result:
    """The result for a refusal."""
    return RESULTS[refusal.reason]

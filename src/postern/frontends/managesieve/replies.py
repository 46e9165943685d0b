"""What a client is told for each reason of a refusal (RFC 5804 1.3)."""

from __future__ import annotations

from postern.model.refusal import Reason, Refusal
from postern.protocols.managesieve.replies import no

REPLIES: dict[Reason, tuple[str, bytes]] = {
    Reason.NO_SUCH_RECIPIENT: ("there is no mailbox for this account", b""),
    Reason.NO_SUCH_FOLDER: ("there is no such folder", b"NONEXISTENT"),
    Reason.NO_SUCH_ITEM: ("there is no such script", b"NONEXISTENT"),
    Reason.ALREADY_EXISTS: ("there is a script of that name", b"ALREADYEXISTS"),
    Reason.NOT_PERMITTED: ("not permitted", b""),
    Reason.RELAY_DENIED: ("not permitted", b""),
    Reason.SENDER_NOT_ALLOWED: ("not permitted", b""),
    Reason.SENDER_DOMAIN_UNKNOWN: ("not permitted", b""),
    Reason.SENDER_DOMAIN_SILENT: ("not permitted", b""),
    Reason.BAD_CREDENTIALS: ("wrong user name or password", b""),
    Reason.ACCOUNT_DISABLED: ("IMAP and Sieve are not allowed for this account", b""),
    Reason.ACCOUNT_EXPIRED: ("the account has expired", b""),
    Reason.SECOND_FACTOR_REQUIRED: ("wrong user name or password", b""),
    Reason.PASSWORD_EXPIRED: ("the password has expired, set a new one", b""),
    Reason.PASSWORD_CHANGED: ("the password was changed, sign in again", b""),
    Reason.RIGHT_WITHDRAWN: ("a right was withdrawn, sign in again", b""),
    Reason.PEER_NOT_AUTHENTICATED: ("not permitted", b""),
    Reason.PEER_CERTIFICATE: ("not permitted now", b"TRYLATER"),
    Reason.ENCRYPTION_REQUIRED: ("encryption is needed first: use STARTTLS", b"ENCRYPT-NEEDED"),
    Reason.OVER_QUOTA: ("the mailbox is full", b"QUOTA"),
    Reason.TOO_LARGE: ("the script is too large", b"QUOTA/MAXSIZE"),
    Reason.TOO_MANY: ("there are too many scripts", b"QUOTA/MAXSCRIPTS"),
    Reason.BAD_NAME: ("a script cannot have that name", b""),
    Reason.BAD_VALUE: ("the script is not valid", b""),
    Reason.CONFLICT: ("the script is active", b"ACTIVE"),
    Reason.HAS_CHILDREN: ("not possible", b""),
    Reason.NOT_SUPPORTED: ("not supported", b""),
    Reason.LOOP: ("not possible", b""),
    Reason.TRY_LATER: ("try again later", b"TRYLATER"),
    Reason.TOO_MANY_CONNECTIONS: ("too many connections", b"TRYLATER"),
    Reason.TOO_MANY_FAILURES: ("too many failed logins, try again later", b"TRYLATER"),
    Reason.DISK_FULL: ("the disk is full", b"TRYLATER"),
    Reason.READ_ONLY: ("the mailbox is read-only at the moment", b"TRYLATER"),
    Reason.CORRUPT: ("the mailbox is damaged, the administrator has to repair it", b""),
    Reason.IN_USE: ("in use", b"TRYLATER"),
    Reason.SHUTTING_DOWN: ("the server is stopping", b"TRYLATER"),
}


def reply_to(refusal: Refusal) -> bytes:
    """A NO; what is wrong with a script is told in full."""
    text, code = REPLIES[refusal.reason]
    return no(refusal.detail if refusal.reason is Reason.BAD_VALUE and refusal.detail else text, code)

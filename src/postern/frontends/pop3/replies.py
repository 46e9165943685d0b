"""What a client is told for each reason of a refusal."""

from __future__ import annotations

from postern.model.refusal import Reason, Refusal
from postern.protocols.pop3.replies import error

REPLIES: dict[Reason, bytes] = {
    Reason.NO_SUCH_RECIPIENT: error("there is no mailbox for this account", "SYS/PERM"),
    Reason.NO_SUCH_FOLDER: error("the inbox is missing", "SYS/PERM"),
    Reason.NO_SUCH_ITEM: error("the message is no longer there"),
    Reason.ALREADY_EXISTS: error("it is already there"),
    Reason.NOT_PERMITTED: error("not permitted", "AUTH"),
    Reason.RELAY_DENIED: error("not permitted"),
    Reason.SENDER_NOT_ALLOWED: error("not permitted"),
    Reason.SENDER_DOMAIN_UNKNOWN: error("not permitted"),
    Reason.SENDER_DOMAIN_SILENT: error("not permitted"),
    Reason.BAD_CREDENTIALS: error("wrong user name or password", "AUTH"),
    Reason.ACCOUNT_DISABLED: error("POP3 is not allowed for this account", "AUTH"),
    Reason.ACCOUNT_EXPIRED: error("the account has expired", "AUTH"),
    Reason.SECOND_FACTOR_REQUIRED: error("wrong user name or password", "AUTH"),
    Reason.PASSWORD_EXPIRED: error("the password has expired, set a new one", "AUTH"),
    Reason.PASSWORD_CHANGED: error("the password was changed, sign in again", "AUTH"),
    Reason.RIGHT_WITHDRAWN: error("a right was withdrawn, sign in again", "AUTH"),
    Reason.PEER_NOT_AUTHENTICATED: error("not permitted", "SYS/PERM"),
    Reason.PEER_CERTIFICATE: error("not permitted now", "SYS/TEMP"),
    Reason.ENCRYPTION_REQUIRED: error("encryption is needed first: use STLS", "AUTH"),
    Reason.OVER_QUOTA: error("the mailbox is full", "SYS/PERM"),
    Reason.TOO_LARGE: error("too large"),
    Reason.TOO_MANY: error("too many"),
    Reason.BAD_NAME: error("bad name"),
    Reason.BAD_VALUE: error("bad value"),
    Reason.CONFLICT: error("changed meanwhile", "SYS/TEMP"),
    Reason.HAS_CHILDREN: error("not possible"),
    Reason.NOT_SUPPORTED: error("not supported"),
    Reason.LOOP: error("not possible"),
    Reason.TRY_LATER: error("try again later", "SYS/TEMP"),
    Reason.TOO_MANY_CONNECTIONS: error("too many connections", "SYS/TEMP"),
    Reason.TOO_MANY_FAILURES: error("too many failed logins, try again later", "LOGIN-DELAY"),
    Reason.DISK_FULL: error("the disk is full", "SYS/TEMP"),
    Reason.READ_ONLY: error("the mailbox is read-only at the moment", "SYS/TEMP"),
    Reason.CORRUPT: error("the mailbox is damaged, the administrator has to repair it", "SYS/PERM"),
    Reason.IN_USE: error("another session has this mailbox", "IN-USE"),
    Reason.SHUTTING_DOWN: error("the server is stopping", "SYS/TEMP"),
}


def reply_to(refusal: Refusal) -> bytes:
    """The line for a refusal."""
    return REPLIES[refusal.reason]

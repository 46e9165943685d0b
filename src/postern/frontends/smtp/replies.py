"""One table from refusal reasons to replies (RFC 3463, RFC 5248), with what differs at a stage."""

from __future__ import annotations

from enum import Enum

from postern.model.refusal import Reason
from postern.protocols.smtp.reply import Reply


class Stage(Enum):
    """What was refused."""

    CONNECT = "connect"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    AUTH = "auth"


REPLIES: dict[Reason, Reply] = {
    Reason.NO_SUCH_RECIPIENT: Reply(550, "5.1.1", "No such recipient here"),
    Reason.NO_SUCH_FOLDER: Reply(550, "5.2.0", "Mailbox cannot take this message"),
    Reason.NO_SUCH_ITEM: Reply(554, "5.3.0", "Cannot be done"),
    Reason.ALREADY_EXISTS: Reply(554, "5.3.0", "Cannot be done"),
    Reason.NOT_PERMITTED: Reply(550, "5.7.1", "Not permitted"),
    Reason.RELAY_DENIED: Reply(550, "5.7.1", "Relaying denied"),
    Reason.SENDER_NOT_ALLOWED: Reply(550, "5.7.1", "Not allowed to send as this address"),
    Reason.SENDER_DOMAIN_UNKNOWN: Reply(550, "5.1.8", "The sender's domain does not exist"),
    # RFC 7505 4.2
    Reason.SENDER_DOMAIN_SILENT: Reply(550, "5.7.27", "The sender's domain accepts no mail (null MX)"),
    Reason.BAD_CREDENTIALS: Reply(535, "5.7.8", "Authentication credentials invalid"),
    Reason.ACCOUNT_DISABLED: Reply(525, "5.7.13", "User account disabled"),
    Reason.ACCOUNT_EXPIRED: Reply(525, "5.7.13", "User account expired"),
    Reason.SECOND_FACTOR_REQUIRED: Reply(535, "5.7.8", "Authentication credentials invalid"),
    Reason.PASSWORD_EXPIRED: Reply(535, "5.7.8", "The password has expired, set a new one"),
    Reason.PASSWORD_CHANGED: Reply(535, "5.7.8", "The password was changed, sign in again"),
    Reason.RIGHT_WITHDRAWN: Reply(550, "5.7.1", "A right was withdrawn, sign in again"),
    Reason.ENCRYPTION_REQUIRED: Reply(538, "5.7.11", "Encryption required for requested authentication mechanism"),
    # RFC 3463 3.8: X.7.10 is registered for "encryption needed", X.7.5 for cryptographic failures
    Reason.PEER_NOT_AUTHENTICATED: Reply(
        550, "5.7.10", "Mail from this domain is taken over mutually authenticated TLS only"
    ),
    Reason.PEER_CERTIFICATE: Reply(454, "4.7.5", "Your certificate does not prove that you may send for this domain"),
    Reason.OVER_QUOTA: Reply(552, "5.2.2", "Mailbox full"),
    Reason.TOO_LARGE: Reply(552, "5.3.4", "Message too big for this system"),
    Reason.TOO_MANY: Reply(550, "5.5.3", "Too many recipients"),
    Reason.BAD_NAME: Reply(553, "5.1.3", "Bad address"),
    Reason.BAD_VALUE: Reply(501, "5.5.4", "Syntax error in parameters or arguments"),
    Reason.CONFLICT: Reply(554, "5.3.0", "Cannot be done"),
    Reason.HAS_CHILDREN: Reply(554, "5.3.0", "Cannot be done"),
    Reason.NOT_SUPPORTED: Reply(504, "5.5.4", "Not supported"),
    Reason.LOOP: Reply(554, "5.4.6", "Mail loop detected"),
    Reason.TRY_LATER: Reply(451, "4.3.0", "Try again later"),
    Reason.TOO_MANY_CONNECTIONS: Reply(421, "4.7.0", "Too many connections"),
    Reason.TOO_MANY_FAILURES: Reply(454, "4.7.0", "Too many failed attempts, try again later"),
    Reason.DISK_FULL: Reply(452, "4.3.1", "Insufficient system storage"),
    Reason.READ_ONLY: Reply(451, "4.3.2", "System not accepting messages"),
    Reason.CORRUPT: Reply(450, "4.2.1", "Mailbox not available"),
    Reason.IN_USE: Reply(450, "4.2.0", "Mailbox busy"),
    Reason.SHUTTING_DOWN: Reply(421, "4.3.2", "Service is stopping"),
}

_AT_STAGE: dict[tuple[Stage, Reason], Reply] = {
    (Stage.MAIL, Reason.OVER_QUOTA): Reply(552, "5.2.2", "Your mailbox is too full to send"),
    (Stage.MAIL, Reason.NO_SUCH_RECIPIENT): Reply(550, "5.1.0", "Sender address rejected"),
    (Stage.AUTH, Reason.NOT_PERMITTED): Reply(535, "5.7.8", "Authentication credentials invalid"),
    (Stage.AUTH, Reason.TRY_LATER): Reply(454, "4.7.0", "Temporary authentication failure"),
}

FAILURE = Reply(451, "4.3.0", "Internal error")
TIMEOUT = Reply(421, "4.4.2", "Nothing was heard for too long")
NO_PROGRESS = Reply(421, "4.4.2", "No message came for too long")
STOPPING = Reply(421, "4.3.2", "Service is stopping, connect again")
NO_SERVICE = Reply(554, "5.7.1", "No service for you here")
AUTHENTICATED = Reply(235, "2.7.0", "Authentication succeeded")
AUTH_MALFORMED = Reply(501, "5.5.2", "Malformed authentication exchange")


def ended_reply(reason: Reason) -> Reply:
    """Why a session is closed whose user may not go on (RFC 5321 3.8)."""
    return Reply(421, "4.7.0", REPLIES[reason].text)


def reply_to(reason: Reason, stage: Stage) -> Reply:
    """What a peer is told of a refusal."""
    return _AT_STAGE.get((stage, reason)) or REPLIES[reason]

"""What a service's no is called in EWS (MS-OXWSCDATA 2.2.5.24), in one table."""

from __future__ import annotations

from typing import NamedTuple

from postern.model.refusal import Reason, Refusal


class Code(NamedTuple):
    """A ResponseCode with words for it."""

    code: str
    text: str


CODES: dict[Reason, Code] = {
    Reason.NO_SUCH_RECIPIENT: Code("ErrorNonExistentMailbox", "There is no such mailbox or recipient."),
    Reason.NO_SUCH_FOLDER: Code("ErrorFolderNotFound", "There is no such folder."),
    Reason.NO_SUCH_ITEM: Code("ErrorItemNotFound", "There is no such item."),
    Reason.ALREADY_EXISTS: Code("ErrorFolderExists", "A folder of that name is there already."),
    Reason.NOT_PERMITTED: Code("ErrorAccessDenied", "You do not have the right to do that."),
    Reason.RELAY_DENIED: Code("ErrorAccessDenied", "Mail to that recipient is not accepted."),
    Reason.SENDER_NOT_ALLOWED: Code("ErrorSendAsDenied", "You may not send in that name."),
    Reason.SENDER_DOMAIN_UNKNOWN: Code("ErrorSendAsDenied", "You may not send in that name."),
    Reason.SENDER_DOMAIN_SILENT: Code("ErrorSendAsDenied", "You may not send in that name."),
    Reason.BAD_CREDENTIALS: Code("ErrorAccessDenied", "The sign-in is not valid."),
    Reason.ACCOUNT_DISABLED: Code("ErrorAccountDisabled", "The account is disabled."),
    Reason.ACCOUNT_EXPIRED: Code("ErrorAccountDisabled", "The account has expired."),
    Reason.PASSWORD_EXPIRED: Code("ErrorPasswordExpired", "The password has expired."),
    Reason.SECOND_FACTOR_REQUIRED: Code("ErrorAccessDenied", "A second factor is required."),
    Reason.PASSWORD_CHANGED: Code("ErrorPasswordChangeRequired", "The password was changed."),
    Reason.RIGHT_WITHDRAWN: Code("ErrorAccessDenied", "The right to do that was withdrawn."),
    Reason.ENCRYPTION_REQUIRED: Code("ErrorAccessDenied", "That needs encryption."),
    Reason.PEER_NOT_AUTHENTICATED: Code("ErrorAccessDenied", "That needs authentication."),
    Reason.OVER_QUOTA: Code("ErrorQuotaExceeded", "The mailbox is full."),
    Reason.TOO_LARGE: Code("ErrorMessageSizeExceeded", "The message is too large."),
    Reason.TOO_MANY: Code("ErrorDataSizeLimitExceeded", "That is more than is allowed."),
    Reason.BAD_NAME: Code("ErrorFolderSaveFailed", "A folder cannot have that name or place."),
    Reason.BAD_VALUE: Code("ErrorInvalidRequest", "A value is not valid."),
    Reason.CONFLICT: Code("ErrorIrresolvableConflict", "The item was changed in the meantime."),
    Reason.HAS_CHILDREN: Code("ErrorCannotDeleteObject", "The folder has folders in it."),
    Reason.NOT_SUPPORTED: Code("ErrorInvalidRequest", "That is not supported."),
    Reason.LOOP: Code("ErrorInvalidRecipients", "The message has been here before."),
    Reason.TRY_LATER: Code("ErrorServerBusy", "The server is busy. Try again later."),
    Reason.PEER_CERTIFICATE: Code("ErrorServerBusy", "The server cannot do that now. Try again later."),
    Reason.TOO_MANY_CONNECTIONS: Code("ErrorExceededConnectionCount", "Too many connections."),
    Reason.TOO_MANY_FAILURES: Code("ErrorServerBusy", "Too many failures. Try again later."),
    Reason.DISK_FULL: Code("ErrorInsufficientResources", "The server has no room left."),
    Reason.READ_ONLY: Code("ErrorMailboxStoreUnavailable", "The mailbox cannot be changed now."),
    Reason.CORRUPT: Code("ErrorMailboxStoreUnavailable", "The mailbox is damaged. An administrator has to look at it."),
    Reason.IN_USE: Code("ErrorMailboxStoreUnavailable", "The mailbox is in use."),
    Reason.SHUTTING_DOWN: Code("ErrorServerBusy", "The server is stopping. Try again later."),
}


def of(refusal: Refusal) -> Code:
    """The code of a refusal."""
    return CODES[refusal.reason]

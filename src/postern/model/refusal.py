"""Expected noes. Every protocol maps each reason to a reply in one table; a test proves none is missing."""

from __future__ import annotations

from enum import Enum


class Reason(Enum):
    """Why a service refuses; the value says whether trying again later can help."""

    # permanent
    NO_SUCH_RECIPIENT = "no_such_recipient"
    NO_SUCH_FOLDER = "no_such_folder"
    NO_SUCH_ITEM = "no_such_item"
    ALREADY_EXISTS = "already_exists"
    NOT_PERMITTED = "not_permitted"
    RELAY_DENIED = "relay_denied"
    SENDER_NOT_ALLOWED = "sender_not_allowed"
    BAD_CREDENTIALS = "bad_credentials"
    ACCOUNT_DISABLED = "account_disabled"
    ACCOUNT_EXPIRED = "account_expired"
    PASSWORD_EXPIRED = "password_expired"  # noqa: S105 - the name of a reason
    SECOND_FACTOR_REQUIRED = "second_factor_required"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - the name of a reason
    RIGHT_WITHDRAWN = "right_withdrawn"
    ENCRYPTION_REQUIRED = "encryption_required"
    PEER_NOT_AUTHENTICATED = "peer_not_authenticated"
    OVER_QUOTA = "over_quota"
    TOO_LARGE = "too_large"
    TOO_MANY = "too_many"
    BAD_NAME = "bad_name"
    BAD_VALUE = "bad_value"
    CONFLICT = "conflict"
    HAS_CHILDREN = "has_children"
    NOT_SUPPORTED = "not_supported"
    SENDER_DOMAIN_UNKNOWN = "sender_domain_unknown"
    SENDER_DOMAIN_SILENT = "sender_domain_silent"
    LOOP = "loop"
    # temporary
    TRY_LATER = "try_later"
    PEER_CERTIFICATE = "peer_certificate"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    TOO_MANY_FAILURES = "too_many_failures"
    DISK_FULL = "disk_full"
    READ_ONLY = "read_only"
    CORRUPT = "corrupt"
    IN_USE = "in_use"
    SHUTTING_DOWN = "shutting_down"

    @property
    def temporary(self) -> bool:
        """Whether the same request may succeed later without a change to it."""
        return self in _TEMPORARY


_TEMPORARY = frozenset(
    {
        Reason.TRY_LATER,
        Reason.PEER_CERTIFICATE,
        Reason.TOO_MANY_CONNECTIONS,
        Reason.TOO_MANY_FAILURES,
        Reason.DISK_FULL,
        Reason.READ_ONLY,
        Reason.CORRUPT,
        Reason.IN_USE,
        Reason.SHUTTING_DOWN,
    }
)


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not an error
    """A service's expected no. `detail` is for the log and the administrator, never for an anonymous peer."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail


class ProtocolViolation(Exception):  # noqa: N818 - the field's word
    """The peer broke syntax or order. Raised in `protocols` and `formats` only."""

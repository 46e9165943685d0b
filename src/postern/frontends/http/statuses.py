"""What a client is told for each reason of a refusal, and the names of statuses."""

from __future__ import annotations

from http import HTTPStatus

from postern.model.refusal import Reason

STATUSES: dict[Reason, int] = {
    Reason.NO_SUCH_RECIPIENT: 404,
    Reason.NO_SUCH_FOLDER: 404,
    Reason.NO_SUCH_ITEM: 404,
    Reason.ALREADY_EXISTS: 409,
    Reason.NOT_PERMITTED: 403,
    Reason.RELAY_DENIED: 403,
    Reason.SENDER_NOT_ALLOWED: 403,
    Reason.SENDER_DOMAIN_UNKNOWN: 403,
    Reason.SENDER_DOMAIN_SILENT: 403,
    Reason.BAD_CREDENTIALS: 401,
    Reason.ACCOUNT_DISABLED: 401,
    Reason.ACCOUNT_EXPIRED: 401,
    Reason.PASSWORD_EXPIRED: 401,
    Reason.PASSWORD_CHANGED: 401,
    Reason.SECOND_FACTOR_REQUIRED: 401,
    Reason.RIGHT_WITHDRAWN: 401,
    Reason.ENCRYPTION_REQUIRED: 403,
    Reason.PEER_NOT_AUTHENTICATED: 403,
    Reason.PEER_CERTIFICATE: 403,
    Reason.OVER_QUOTA: 507,
    Reason.TOO_LARGE: 413,
    Reason.TOO_MANY: 400,
    Reason.BAD_NAME: 400,
    Reason.BAD_VALUE: 400,
    Reason.CONFLICT: 409,
    Reason.HAS_CHILDREN: 409,
    Reason.NOT_SUPPORTED: 501,
    Reason.LOOP: 508,
    Reason.TRY_LATER: 503,
    Reason.TOO_MANY_CONNECTIONS: 503,
    Reason.TOO_MANY_FAILURES: 429,
    Reason.DISK_FULL: 507,
    Reason.READ_ONLY: 503,
    Reason.CORRUPT: 500,
    Reason.IN_USE: 423,
    Reason.SHUTTING_DOWN: 503,
}
RETRY_AFTER_S = 30
"""Told with statuses that a later attempt may change."""
PHRASES: dict[int, bytes] = {status.value: status.phrase.encode() for status in HTTPStatus}

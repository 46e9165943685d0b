"""When a delivery status notification is due, and what it says (RFC 3461, RFC 3464). The wire form is formats.dsn's."""

from __future__ import annotations

import msgspec

from postern.model.envelope import Envelope, Recipient
from postern.model.ids import DeliveryKey
from postern.model.transfer import StoredContent

FULL_RETURN_BYTES = 65536
"""Without RET, failures return the whole message up to this size, its header above."""

DSN_SEGMENT = -(1 << 61)
"""`segment` of the keys of DSNs; `record` is the number of the report, never reused."""


class Subject(msgspec.Struct, frozen=True, array_like=True):
    """One recipient in a report."""

    recipient: Recipient
    action: str
    """failed, delayed, delivered, relayed or expanded (RFC 3464 2.3.3)."""
    status: str
    diagnostic: str = ""
    """Reply of the remote server (then `remote` is set), or our own words."""
    remote: str = ""
    last_attempt: float | None = None
    asked: str = ""
    """Address the sender wrote, if it led elsewhere."""


class Report(msgspec.Struct, frozen=True, array_like=True):
    """A DSN that is owed, complete: it waits in the queue's outbox until it is submitted, exactly once."""

    to: str
    queue_id: str
    envid: str
    ret: str
    smtputf8: bool
    received_at: float
    content: StoredContent
    subjects: tuple[Subject, ...]
    retry_until: float | None = None
    """Seconds since the epoch; for delayed."""


def wants(action: str, notify: str) -> bool:
    """Whether a recipient's NOTIFY asks for this action to be reported (RFC 3461 4.1, 5.2)."""
    if action == "failed":
        return not notify or "FAILURE" in notify
    if action == "delayed":
        # without NOTIFY the choice is ours (RFC 3461 5.2.5); every large system warns
        return not notify or "DELAY" in notify
    return "SUCCESS" in notify


def due(
    envelope: Envelope,
    queue_id: str,
    received_at: float,
    content: StoredContent,
    owed: list[tuple[str, Subject]],
    retry_until: float | None = None,
) -> list[Report]:
    """Reports for subjects of one message, each given with its reverse path; one report for each address and kind.

    Nothing for the null reverse path, and nothing that NOTIFY does not ask for.
    """
    grouped: dict[tuple[str, str], list[Subject]] = {}
    for to, subject in owed:
        if to and wants(subject.action, subject.recipient.notify):
            kind = subject.action if subject.action in ("failed", "delayed") else "success"
            grouped.setdefault((to, kind), []).append(subject)
    return [
        Report(
            to=to,
            queue_id=queue_id,
            envid=envelope.envid,
            ret=envelope.ret,
            smtputf8=envelope.smtputf8,
            received_at=received_at,
            content=content,
            subjects=tuple(subjects),
            retry_until=retry_until if kind == "delayed" else None,
        )
        for (to, kind), subjects in grouped.items()
    ]


def returns_full(report: Report) -> bool:
    """Whether the DSN carries the whole message: only failures do, RET=HDRS never (RFC 3461 4.3)."""
    if any(s.action != "failed" for s in report.subjects) or report.ret == "HDRS":
        return False
    return report.ret == "FULL" or report.content.size <= FULL_RETURN_BYTES


def key_of(number: int) -> DeliveryKey:
    """The key under which a report is submitted."""
    return DeliveryKey(DSN_SEGMENT, number)

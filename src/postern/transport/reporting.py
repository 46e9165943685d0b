"""From a report that is owed to the message that says it."""

from __future__ import annotations

from datetime import UTC, datetime

from postern.formats import dsn as wire
from postern.model.ports import Clock
from postern.transport.dsn import Report, Subject, returns_full


def write_report(report: Report, original: bytes, queue_id: str, host_name: str, clock: Clock) -> wire.Notification:
    """The DSN. `queue_id` is its own, and makes its Message-ID: written twice it is the same message."""
    return wire.build(
        wire.Report(
            to=report.to,
            reporting_host=host_name,
            message_id=f"{queue_id}.dsn@{host_name}",
            recipients=[_status(subject, report.retry_until) for subject in report.subjects],
            original=original,
            full=returns_full(report),
            envelope_id=report.envid,
            arrived=datetime.fromtimestamp(report.received_at, UTC),
            queue_id=report.queue_id,
            smtputf8=report.smtputf8,
        ),
        clock.now(),
    )


def _status(subject: Subject, retry_until: float | None) -> wire.RecipientStatus:
    original = subject.recipient.original
    if not original and subject.asked:
        # not the sender's ORCPT, but what was written is what the sender knows
        original = f"{'rfc822' if subject.asked.isascii() else 'utf-8'};{subject.asked}"
    return wire.RecipientStatus(
        address=subject.recipient.address,
        action=wire.Action(subject.action),
        status=subject.status,
        original=original,
        diagnostic=subject.diagnostic,
        remote_host=subject.remote,
        last_attempt=None if subject.last_attempt is None else datetime.fromtimestamp(subject.last_attempt, UTC),
        retry_until=None if retry_until is None else datetime.fromtimestamp(retry_until, UTC),
    )

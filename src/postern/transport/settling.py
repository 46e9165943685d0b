"""What an attempt means for each recipient: gone, tried again, given up; and what the sender is told."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from postern.model.ports import Entropy
from postern.model.transfer import Fate, Result
from postern.transport import dsn
from postern.transport.dsn import Report, Subject
from postern.transport.queue_rows import Claim, Waiting
from postern.transport.schedule import Schedule


class Settlement(msgspec.Struct, frozen=True):
    """All of it, for one transaction."""

    settled: list[tuple[Waiting, Result]]
    """Each recipient with what really became of it."""
    stay: list[tuple[float, bool, str, str, str, float, int]]
    """due_at, warned, status, text, remote, last_attempt, id of those that are tried again."""
    gone: list[tuple[int]]
    reports: list[Report]


def decide(
    claim: Claim, results: Mapping[int, Result], now: float, running: float, schedule: Schedule, entropy: Entropy
) -> Settlement:
    """`results` by `Waiting.id`; `now` in seconds since the epoch, `running` in running time.

    Mail is given up after it was worked on for long enough, whatever the clock says. A sender is told of a delay by
    the clock too: a server that was down for a day does not begin to count anew.
    """
    waited = running - claim.came_at
    left = schedule.expiry_seconds - waited
    late = max(waited, now - claim.received_at) >= schedule.delay_notice_seconds
    settlement = Settlement([], [], [], [])
    owed: list[tuple[str, Subject]] = []
    for waiting in claim.recipients:
        result = results.get(waiting.id)
        if result is None:
            continue
        if result.fate is Fate.DEFERRED and left <= 0:
            text = f"gave up after {_span(waited)}: {result.text}"
            result = msgspec.structs.replace(result, fate=Fate.FAILED, status="5.4.7", text=text)
        action = _ACTIONS.get(result.fate)
        warn = result.fate is Fate.DEFERRED and late and not waiting.warned
        if action is not None or warn:
            owed.append((waiting.reverse_path, _subject(waiting, action or "delayed", result, now)))
        if result.fate is Fate.DEFERRED:
            due = now + schedule.delay_seconds(waiting.attempts + 1, entropy)
            warned = waiting.warned or warn
            settlement.stay.append((due, warned, result.status, result.text, result.remote, now, waiting.id))
        else:
            settlement.gone.append((waiting.id,))
        settlement.settled.append((waiting, result))
    reports = dsn.due(claim.envelope, claim.queue_id, claim.received_at, claim.content, owed, now + max(left, 0.0))
    settlement.reports.extend(reports)
    return settlement


_ACTIONS = {
    Fate.FAILED: "failed",
    Fate.DELIVERED: "delivered",
    Fate.RELAYED_BLIND: "relayed",
}


def _subject(waiting: Waiting, action: str, result: Result, now: float) -> Subject:
    return Subject(waiting.recipient, action, result.status, result.text, result.remote, now, waiting.asked)


def _span(seconds: float) -> str:
    """A duration for the sender to read."""
    hours = int(seconds // 3600)
    return f"{hours // 24} days" if hours >= 48 else f"{hours} hours" if hours > 1 else f"{int(seconds // 60)} minutes"

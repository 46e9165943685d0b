"""Message tracking: what happened to every message, as lines of JSON, one file per day and worker.

Events are named as in Exchange's message tracking log. Writing is buffered (a crash loses up to a second of events,
never mail); searching reads the files back, newest days included, so that it works with and without a running server.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from postern.model.ports import Clock
from postern.telemetry import daily
from postern.telemetry.daily import DailyLines

RETENTION_DAYS = 30
LIFETIME_SECONDS = 6 * 86400
"""A day more than a message may wait in the queue."""


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that happened to one message."""

    at: float
    """Seconds since the epoch."""
    event: str
    """RECEIVE, SUBMIT, EXPAND, DELIVER, SEND, RELAY, DEFER, FAIL, DSN, SUSPEND, RESUME, REMOVE, LOOP."""
    queue_id: str
    message_id: str = ""
    sender: str = ""
    recipients: tuple[str, ...] = ()
    size: int = 0
    source: str = ""
    """SMTP, STORE, ROUTING, DSN, ADMIN ...: which part said so."""
    peer: str = ""
    """IP address or host name at the other end."""
    tls: str = ""
    status: str = ""
    """Enhanced status code."""
    text: str = ""
    """The other server's reply, or a reason."""
    related: str = ""
    """Address that was expanded, or the queue id of the message that a DSN is about."""
    session: str = ""
    """Correlation id in the server's log."""


class Tracker(DailyLines):
    """Writes events. One per process; must be used from one loop or thread."""

    def __init__(self, directory: Path, clock: Clock, worker: str) -> None:
        super().__init__(directory, clock, worker)
        self._encoder = msgspec.json.Encoder()

    def record(self, event: str, queue_id: str, **details: object) -> None:
        """Note an event that happens now. Fields are those of `Event`."""
        self.write(Event(self._clock.timestamp(), event, queue_id, **details))  # type: ignore[arg-type]

    def write(self, event: Event) -> None:
        """Note an event."""
        self.append(self._encoder.encode(event))


class TraceQuery(msgspec.Struct, frozen=True):
    """What to look for; empty fields match everything. Comparison ignores case."""

    sender: str = ""
    recipient: str = ""
    message_id: str = ""
    """With or without angle brackets."""
    queue_id: str = ""
    since: float | None = None
    until: float | None = None
    limit: int = 1000
    """Messages, the newest ones."""


def search(directory: Path, query: TraceQuery) -> list[Event]:
    """All events, in order of time, of the messages of which some event matches."""
    found: dict[str, float] = {}
    needles = [
        n.lower().encode()
        for n in (query.sender, query.recipient, query.message_id.strip("<>"), query.queue_id)
        if n and n.isascii() and '"' not in n and "\\" not in n
    ]
    files = daily.files(directory, query.since, query.until)
    for event in _events(files, needles):
        if _matches(event, query):
            found[event.queue_id] = max(event.at, found.get(event.queue_id, 0.0))
    if not found:
        return []
    newest = set(sorted(found, key=lambda q: found[q])[-query.limit :])
    # a message's other events may lie on other days than asked for, by as much as it may stay in the queue
    everything = daily.files(directory, None if query.since is None else query.since - LIFETIME_SECONDS)
    events = [e for e in _events(everything, []) if e.queue_id in newest or e.related in newest]
    return sorted(events, key=lambda e: e.at)


def prune(directory: Path, now: float, days: int = RETENTION_DAYS) -> int:
    """Remove files of days that are too old; how many."""
    return daily.prune(directory, now, days)


def _events(files: list[Path], needles: Sequence[bytes]) -> Iterator[Event]:
    """Events of the lines that contain all needles; a line torn by a crash is skipped."""
    decoder = msgspec.json.Decoder(Event)
    for line in daily.lines(files, tuple(needles)):
        try:
            yield decoder.decode(line)
        except msgspec.DecodeError:
            continue


def _matches(event: Event, query: TraceQuery) -> bool:
    if query.since is not None and event.at < query.since:
        return False
    if query.until is not None and event.at > query.until:
        return False
    if query.sender and event.sender.lower() != query.sender.lower():
        return False
    if query.message_id and event.message_id.lower() != query.message_id.strip("<>").lower():
        return False
    if query.queue_id and event.queue_id.lower() != query.queue_id.lower():
        return False
    wanted = query.recipient.lower()
    return not wanted or any(r.lower() == wanted for r in event.recipients) or event.related.lower() == wanted

"""`postern trace`: what happened to messages, from the tracking log."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from postern.cli.language import _
from postern.cli.moments import moment, parse_moment
from postern.cli.organisation import Config, Json, load_settings
from postern.cli.output import fail, print_json
from postern.transport.tracking import Event, TraceQuery, search

app = App(name="trace")

TRACKING_DIRECTORY = "tracking"

When = Annotated[str, Parameter(help=_("A date, a date with time, or a span such as 2h, 3d (ago)."))]


@app.default
def trace(  # noqa: D103, PLR0913 - help is above, options are arguments
    *,
    sender: Annotated[str, Parameter(help=_("Address in MAIL FROM."))] = "",
    recipient: Annotated[str, Parameter(help=_("A recipient's address, as written or as expanded."))] = "",
    message_id: Annotated[str, Parameter(help=_("Message-ID, with or without angle brackets."))] = "",
    queue_id: Annotated[str, Parameter(help=_("Queue id, as in Received fields, replies and logs."))] = "",
    since: When = "",
    until: When = "",
    limit: Annotated[int, Parameter(help=_("Messages at most, the newest ones."))] = 1000,
    config: Config = None,
    json: Json = False,
) -> None:
    try:
        query = TraceQuery(
            sender=sender,
            recipient=recipient,
            message_id=message_id,
            queue_id=queue_id,
            since=parse_moment(since) if since else None,
            until=parse_moment(until) if until else None,
            limit=limit,
        )
    except ValueError as problem:
        fail(_("not a time: {reason}", reason=problem), 2)
    data = load_settings(config).data_dir
    try:
        events = search(data / TRACKING_DIRECTORY, query)
    except OSError as problem:
        fail(_("cannot read {file}: {reason}", file=problem.filename, reason=problem.strerror or problem))
    if json:
        print_json([_facts(event) for event in events])
        return
    if not events:
        sys.stdout.write(_("No message fits.") + "\n")
        return
    _show(events)


def _facts(event: Event) -> dict[str, Any]:
    """All fields, also empty ones: programs need not ask whether they are there."""
    return {name: msgspec.to_builtins(getattr(event, name)) for name in event.__struct_fields__}


def _show(events: list[Event]) -> None:
    """By message: what it is, then its events."""
    by_message: dict[str, list[Event]] = {}
    for event in events:
        by_message.setdefault(event.queue_id, []).append(event)
    first = True
    for queue_id, own in by_message.items():
        if not first:
            sys.stdout.write("\n")
        first = False
        sender = next((e.sender for e in own if e.sender), "") or "<>"
        message_id = next((e.message_id for e in own if e.message_id), "")
        sys.stdout.write(f"{queue_id}  {_('from {sender}', sender=sender)}")
        sys.stdout.write(f"  <{message_id}>\n" if message_id else "\n")
        for event in own:
            sys.stdout.write(f"  {moment(event.at)}  {event.event:<8} {_line(event)}\n")


def _line(event: Event) -> str:
    words = [", ".join(event.recipients[:5])]
    if len(event.recipients) > 5:
        words.append(_("and {count} more", count=len(event.recipients) - 5))
    if event.related and event.related not in event.recipients:
        words.append(f"({event.related})")
    if event.peer:
        words.append(f"[{event.peer}]")
    if event.tls:
        words.append(event.tls.split(" ")[0])
    if event.text:
        words.append(event.text)
    return " ".join(word for word in words if word)

"""`postern queue`: mail that waits for its next hop, and what can be done about it."""

from __future__ import annotations

import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import msgspec
from cyclopts import App, Parameter

from postern.cli.language import _
from postern.cli.moments import ago, moment
from postern.cli.organisation import Config, Json, load_settings, open_organisation, run
from postern.cli.output import done, fail, print_json, show_list, size
from postern.transport.queue_admin import QueueAdmin, QueuedMessage, Selection

if TYPE_CHECKING:
    from postern.roles.parts import Parts

app = App(name="queue", help=_("Mail that waits for its next hop."))

STATES = ("waiting", "active", "suspended")
"""Of recipients, as `QueuedRecipient.state` has them; translated where they are shown."""

Ids = Annotated[tuple[str, ...], Parameter(help=_("Queue ids, as the list shows them."))]
Sender = Annotated[str | None, Parameter(help=_("Only mail of this sender; <> for delivery reports."))]
Recipient = Annotated[str, Parameter(help=_("Only this recipient."))]
Domain = Annotated[str, Parameter(help=_("Only recipients in this domain."))]
All = Annotated[bool, Parameter(name="--all", negative="", help=_("Everything in the queue."))]
Limit = Annotated[int, Parameter(help=_("Messages at most."))]


def _open(config: Path | None) -> AbstractAsyncContextManager[Parts]:
    return open_organisation(load_settings(config))


def _admin(parts: Parts) -> QueueAdmin:
    return QueueAdmin(parts.queue.file, parts.clock)


def _selection(ids: tuple[str, ...], sender: str | None, recipient: str, domain: str, everything: bool) -> Selection:
    """What a command that changes something is about; nothing given must never mean everything."""
    if not everything and not ids and sender is None and not recipient and not domain:
        fail(_("Say which mail: queue ids, --sender, --recipient, --domain, or --all."), 2)
    return Selection(ids, sender, recipient, domain)


async def _unknown(admin: QueueAdmin, ids: tuple[str, ...]) -> list[str]:
    """Those of the ids that no message in the queue has, as they were given; asked before anything is changed."""
    known = {message.queue_id.lower() for message in await admin.messages(Selection(ids), -1)} if ids else set()
    return [given for given in dict.fromkeys(ids) if given.lower() not in known]


def _complain(unknown: list[str]) -> None:
    """End with an error if there were unknown ids; what is known was done and told."""
    if unknown:
        _missing(unknown)


def _missing(unknown: list[str]) -> NoReturn:
    fail(
        _(
            "No such message in the queue: {id}. It may have been delivered or returned meanwhile;"
            " `postern queue list` shows what waits, `postern trace --queue-id ID` what became of a message.",
            id=", ".join(unknown),
        )
    )


def _summary(message: QueuedMessage) -> dict[str, Any]:
    """A row of the list; JSON gets all fields."""
    facts: dict[str, Any] = msgspec.to_builtins(message)
    waiting = [r.next_attempt for r in message.recipients if r.next_attempt is not None]
    states = sorted({r.state for r in message.recipients})
    reasons = [r.text for r in message.recipients if r.text]
    return facts | {
        "age": ago(message.received_at),
        "octets": size(message.size),
        "from": message.sender or "<>",
        "to": _first(message),
        "state": ", ".join(_(state) for state in states),
        "next": moment(min(waiting)) if waiting else "-",
        "reason": reasons[-1][:60] if reasons else "-",
    }


def _first(message: QueuedMessage) -> str:
    more = len(message.recipients) - 1
    return message.recipients[0].address + (f" +{more}" if more else "")


_MADE = ("age", "octets", "from", "to", "state", "next", "reason")


@app.command(
    name="list",
    help=_(
        "List waiting mail, the oldest first; with --domains the totals by domain."
        "\n\nExample: postern queue list --domain example.net --json"
    ),
)
def list_(  # noqa: D103 - help is above
    *,
    sender: Sender = None,
    recipient: Recipient = "",
    domain: Domain = "",
    domains: Annotated[bool, Parameter(negative="", help=_("Totals by domain."))] = False,
    limit: Limit = 1000,
    config: Config = None,
    json: Json = False,
) -> None:
    async def totals() -> list[dict[str, Any]]:
        async with _open(config) as parts:
            return [msgspec.to_builtins(d) for d in await _admin(parts).destinations()]

    async def messages() -> list[dict[str, Any]]:
        async with _open(config) as parts:
            found = await _admin(parts).messages(Selection((), sender, recipient, domain), limit)
            return [_summary(message) for message in found]

    if domains:
        rows = [row | {"age": ago(row["oldest"])} for row in run(totals)]
        columns = {
            "target": _("DOMAIN"),
            "recipients": _("RECIPIENTS"),
            "suspended": _("SUSPENDED"),
            "age": _("OLDEST"),
            "text": _("REASON"),
        }
        show_list([_without(row, ("age",)) for row in rows] if json else rows, columns, json=json)
        return
    rows = run(messages)
    columns = {
        "queue_id": _("ID"),
        "age": _("AGE"),
        "octets": _("SIZE"),
        "from": _("FROM"),
        "to": _("TO"),
        "state": _("STATE"),
        "next": _("NEXT ATTEMPT"),
        "reason": _("REASON"),
    }
    show_list([_without(row, _MADE) for row in rows] if json else rows, columns, json=json)


def _without(row: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in keys}


@app.command(help=_("Show one message with all its recipients.\n\nExample: postern queue show P100000-1F"))
def show(queue_id: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    async def work() -> list[QueuedMessage]:
        async with _open(config) as parts:
            return await _admin(parts).messages(Selection((queue_id,)))

    found = run(work)
    if not found:
        _missing([queue_id])
    message = found[0]
    if json:
        print_json(message)
        return
    lines = [
        (_("Queue id"), message.queue_id),
        (_("From"), message.sender or "<>"),
        (_("Message-ID"), message.message_id or "-"),
        (_("Size"), size(message.size)),
        (_("Received"), moment(message.received_at)),
    ]
    for label, value in lines:
        sys.stdout.write(f"{label}: {value}\n")
    for r in message.recipients:
        sys.stdout.write(f"\n{_('To')}: {r.address}  [{_(r.state)}]\n")
        tried = _("attempts: {count}", count=r.attempts)
        if r.last_attempt is not None:
            tried += ", " + _("last {when}", when=moment(r.last_attempt))
        if r.next_attempt is not None:
            tried += ", " + _("next {when}", when=moment(r.next_attempt))
        sys.stdout.write(f"  {tried}\n")
        if r.text:
            sys.stdout.write(f"  {r.remote + ': ' if r.remote else ''}{r.status} {r.text}\n")


@app.command(help=_("Try waiting mail now.\n\nExample: postern queue retry --domain example.net"))
def retry(  # noqa: D103
    *ids: str,
    sender: Sender = None,
    recipient: Recipient = "",
    domain: Domain = "",
    everything: All = False,
    config: Config = None,
    json: Json = False,
) -> None:
    chosen = _selection(ids, sender, recipient, domain, everything)

    async def work() -> tuple[list[str], int, int]:
        async with _open(config) as parts:
            admin = _admin(parts)
            return await _unknown(admin, ids), await admin.retry(chosen), await admin.count_suspended(chosen)

    unknown, count, suspended = run(work)
    facts = {"recipients": count, "suspended": suspended}
    done(_("Tried now: {count} recipients.", count=count), facts, json=json)
    if suspended:
        hint = _(
            "{count} recipients are suspended and are not tried:"
            " `postern queue resume` with the same words tries them.",
            count=suspended,
        )
        sys.stderr.write(f"postern: {hint}\n")
    _complain(unknown)
    if suspended and not count:
        raise SystemExit(1)


@app.command(help=_("Try no more until resumed.\n\nExample: postern queue suspend --domain example.net"))
def suspend(  # noqa: D103
    *ids: str,
    sender: Sender = None,
    recipient: Recipient = "",
    domain: Domain = "",
    everything: All = False,
    config: Config = None,
    json: Json = False,
) -> None:
    chosen = _selection(ids, sender, recipient, domain, everything)

    async def work() -> tuple[list[str], int]:
        async with _open(config) as parts:
            admin = _admin(parts)
            unknown = await _unknown(admin, ids)
            _track(parts, "SUSPEND", await admin.messages(chosen, -1), ("waiting", "active"))
            return unknown, await admin.suspend(chosen)

    unknown, count = run(work)
    done(_("Suspended: {count} recipients.", count=count), {"recipients": count}, json=json)
    _complain(unknown)


@app.command(help=_("Try suspended mail again.\n\nExample: postern queue resume --all"))
def resume(  # noqa: D103
    *ids: str,
    sender: Sender = None,
    recipient: Recipient = "",
    domain: Domain = "",
    everything: All = False,
    config: Config = None,
    json: Json = False,
) -> None:
    chosen = _selection(ids, sender, recipient, domain, everything)

    async def work() -> tuple[list[str], int]:
        async with _open(config) as parts:
            admin = _admin(parts)
            unknown = await _unknown(admin, ids)
            _track(parts, "RESUME", await admin.messages(chosen, -1), ("suspended",))
            return unknown, await admin.resume(chosen)

    unknown, count = run(work)
    done(_("Resumed: {count} recipients.", count=count), {"recipients": count}, json=json)
    _complain(unknown)


@app.command(
    help=_(
        "Remove mail from the queue for ever; its senders get a report unless --silent is given."
        "\n\nExample: postern queue remove P100000-1F --silent"
    )
)
def remove(  # noqa: D103
    *ids: str,
    sender: Sender = None,
    recipient: Recipient = "",
    domain: Domain = "",
    everything: All = False,
    silent: Annotated[bool, Parameter(negative="", help=_("Send no failure reports."))] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    chosen = _selection(ids, sender, recipient, domain, everything)

    async def work() -> tuple[list[str], list[QueuedMessage]]:
        async with _open(config) as parts:
            admin = _admin(parts)
            unknown = await _unknown(admin, ids)
            removed = await admin.remove(chosen, notify=not silent)
            _track(parts, "REMOVE", removed)
            return unknown, removed

    unknown, removed = run(work)
    count = sum(len(m.recipients) for m in removed)
    facts = {"recipients": count, "messages": [m.queue_id for m in removed]}
    done(_("Removed: {count} recipients.", count=count), facts, json=json)
    _complain(unknown)


@app.command(
    help=_(
        "Write a message of the queue to standard output or a file, as it would be sent."
        "\n\nExample: postern queue export P100000-1F --to message.eml"
    )
)
def export(  # noqa: D103
    queue_id: str,
    /,
    *,
    to: Annotated[Path | None, Parameter(help=_("File to write; without it, standard output."))] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    async def work() -> bytes | None:
        async with _open(config) as parts:
            content = await _admin(parts).content(queue_id)
            return None if content is None else content.prefix + await parts.blobs.read(content.blob)

    message = run(work)
    if message is None:
        _missing([queue_id])
    if to is None:
        if json:
            print_json({"queue_id": queue_id, "content": message})
        else:
            sys.stdout.buffer.write(message)
        return
    try:
        to.write_bytes(message)
    except OSError as problem:
        fail(_("cannot write {file}: {reason}", file=to, reason=problem.strerror or problem))
    done(_("Written: {file}", file=to), {"queue_id": queue_id, "file": str(to), "size": len(message)}, json=json)


def _track(parts: Parts, event: str, messages: list[QueuedMessage], states: tuple[str, ...] = STATES) -> None:
    """Note what was done to the recipients that were in one of the states."""
    for message in messages:
        recipients = tuple(r.address for r in message.recipients if r.state in states)
        if recipients:
            parts.tracker.record(
                event,
                message.queue_id,
                message_id=message.message_id,
                sender=message.sender,
                recipients=recipients,
                source="ADMIN",
            )

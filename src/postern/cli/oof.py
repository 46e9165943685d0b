"""`postern mailbox oof`: out of office."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from postern.cli.language import _
from postern.cli.moments import moment, parse_moment
from postern.cli.options import Config, Json
from postern.cli.output import done, fail, print_json, show_one
from postern.cli.sieve import read_file, with_book
from postern.model.rules import Audience, Oof, OofState
from postern.net.clock import SystemClock
from postern.services.rules.rulebook import RuleBook


def oof(  # noqa: D103, PLR0913 - one option for each thing that can be said
    address: str,
    /,
    *,
    on: Annotated[bool | None, Parameter(negative="--off", help=_("Answer senders from now on, or no more."))] = None,
    start: Annotated[str | None, Parameter(help=_("From when on: a date with or without time."))] = None,
    end: Annotated[str | None, Parameter(help=_("Until when: a date with or without time."))] = None,
    internal: Annotated[str | None, Parameter(help=_("What people here are told: text, HTML, or @FILE."))] = None,
    external: Annotated[str | None, Parameter(help=_("What others are told: text, HTML, or @FILE."))] = None,
    audience: Annotated[str | None, Parameter(help=_("Others who are told: all, known (contacts), none."))] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    changes: dict[str, Any] = {}
    if (start is None) is not (end is None):
        fail(_("--start and --end go together"), 2)
    if on is not None:
        changes["state"] = OofState.ENABLED if on else OofState.DISABLED
    if start is not None and end is not None:
        try:
            times = {"starts_at": int(parse_moment(start)), "ends_at": int(parse_moment(end))}
        except ValueError as problem:
            fail(str(problem), 2)
        changes |= {"state": OofState.SCHEDULED, **times}
    if audience is not None:
        if audience not in {one.value for one in Audience}:
            fail(_("--audience must be all, known or none"), 2)
        changes["audience"] = Audience(audience)
    for name, text in (("internal_reply", internal), ("external_reply", external)):
        if text is not None:
            changes[name] = read_file(text[1:]).decode("utf-8", "replace") if text.startswith("@") else text

    async def work(book: RuleBook) -> Oof:
        before = await book.oof()
        if not changes:
            return before
        after = msgspec.structs.replace(before, **changes)
        await book.set_oof(after)
        return after

    found = with_book(address, config, work)
    facts = _facts(found)
    if changes:
        done(_("Out of office of {address} is set.", address=address), facts, json=json)
    elif json:
        print_json(facts)
    else:
        shown = {**facts, "starts_at": moment(found.starts_at or None), "ends_at": moment(found.ends_at or None)}
        labels = {
            "state": _("State"),
            "active": _("Active now"),
            "starts_at": _("Starts"),
            "ends_at": _("Ends"),
            "audience": _("Audience outside"),
            "internal_reply": _("Reply inside"),
            "external_reply": _("Reply outside"),
        }
        show_one(shown, labels, json=False)


def _facts(found: Oof) -> dict[str, Any]:
    return {
        "state": found.state.value,
        "active": found.active(SystemClock().timestamp()),
        "starts_at": found.starts_at or None,
        "ends_at": found.ends_at or None,
        "audience": found.audience.value,
        "internal_reply": found.internal_reply,
        "external_reply": found.external_reply,
    }

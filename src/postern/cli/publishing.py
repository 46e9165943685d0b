"""`postern mailbox publish`: a calendar for whoever has its address."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from postern.cli.language import _
from postern.cli.organisation import Config, Json, existing_account, load_settings, open_organisation, run
from postern.cli.output import fail, show_one
from postern.model.refusal import Reason, Refusal
from postern.services.calendar.publications import PUBLIC_NAME
from postern.services.calendar.publishing import Level
from postern.services.calendar.settings import load_settings as load_calendar
from postern.services.calendar.settings import save_settings

Detail = Annotated[str | None, Parameter(name="--level", help=_("`availability`, `limited` (subjects) or `full`."))]
Public = Annotated[bool, Parameter(negative="", help=_("An address that can be guessed."))]
Off = Annotated[bool, Parameter(negative="", help=_("Publish it no more."))]

_LEVELS = {"availability": Level.AVAILABILITY, "limited": Level.LIMITED, "full": Level.FULL}


def publish(  # noqa: D103
    address: str,
    /,
    *,
    level: Detail = None,
    public: Public = False,
    off: Off = False,
    config: Config = None,
    json: Json = False,
) -> None:
    if level is not None and level not in _LEVELS:
        fail(_("--level is availability, limited or full, not {text}", text=level))
    settings = load_settings(config)

    async def work() -> dict[str, Any]:
        async with open_organisation(settings) as parts:
            account = await existing_account(parts.directory, address)
            if account.mailbox is None:
                raise Refusal(Reason.NO_SUCH_RECIPIENT, address)
            mailbox = await parts.store.mailbox(account.mailbox)
            now = (await load_calendar(mailbox)).published
            # an address that was withdrawn never works again
            kept = now.secret if now.enabled else ""
            now = msgspec.structs.replace(
                now,
                enabled=not off,
                secret="" if public or off else kept or secrets.token_urlsafe(24),
                level=now.level if level is None else _LEVELS[level],
            )
            await save_settings(mailbox, published=now)
            path = f"https://{settings.server.hostname}/calendar/{account.address}/{now.secret or PUBLIC_NAME}"
            return {
                "address": account.address,
                "published": now.enabled,
                "level": next(name for name, each in _LEVELS.items() if each is now.level),
                "ics": f"{path}.ics" if now.enabled else None,
                "html": f"{path}.html" if now.enabled else None,
            }

    labels = {
        "address": _("Address"),
        "published": _("Published"),
        "level": _("Detail"),
        "ics": "iCalendar",
        "html": "HTML",
    }
    show_one(run(work), labels, json=json)

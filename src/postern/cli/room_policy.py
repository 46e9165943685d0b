"""`postern room policy`: when a room or equipment takes a booking."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from postern.cli.language import _
from postern.cli.organisation import Config, Json, existing_account, load_settings, open_organisation, run
from postern.cli.output import fail, show_one
from postern.convert.zones.names import named_zone
from postern.directory.interface import Account, RecipientKind
from postern.model.refusal import Reason, Refusal
from postern.services.calendar.booking import Automation, BookingPolicy
from postern.services.calendar.settings import load_settings as load_calendar
from postern.services.calendar.settings import policy_of, save_settings

Processing = Annotated[str | None, Parameter(help=_("`accept` books at once, `update` asks a person, `none` waits."))]
Conflicts = Annotated[bool | None, Parameter(negative="--no-conflicts", help=_("Two meetings at one time."))]
Recurring = Annotated[bool | None, Parameter(negative="--no-recurring", help=_("Meetings that repeat."))]
Percentage = Annotated[int | None, Parameter(help=_("Percent of a series that may be taken already."))]
Instances = Annotated[int | None, Parameter(help=_("How many of a series may be taken already."))]
Window = Annotated[int | None, Parameter(help=_("Days ahead that can be booked."))]
Duration = Annotated[int | None, Parameter(help=_("Longest meeting in minutes; 0: any."))]
Hours = Annotated[bool | None, Parameter(negative="--any-hours", help=_("In working hours only."))]
External = Annotated[bool | None, Parameter(negative="--no-external", help=_("Requests from elsewhere."))]
Delegates = Annotated[str | None, Parameter(help=_("Who approves: addresses joined by commas; `none`."))]
Booking = Annotated[str | None, Parameter(help=_("Who may book: addresses joined by commas; `all`; `none`."))]
Asking = Annotated[
    str | None, Parameter(help=_("Who may ask for approval: addresses joined by commas; `all`; `none`."))
]
ZoneName = Annotated[str | None, Parameter(name="--zone", help=_("Time zone, such as Europe/Berlin."))]
Answer = Annotated[str | None, Parameter(help=_("Text at the end of each answer."))]

_BOOKABLE = (RecipientKind.ROOM, RecipientKind.EQUIPMENT)


def policy(  # noqa: D103, PLR0913 - one option for each thing that can change
    address: str,
    /,
    *,
    processing: Processing = None,
    conflicts: Conflicts = None,
    recurring: Recurring = None,
    conflict_percentage: Percentage = None,
    conflict_instances: Instances = None,
    window_days: Window = None,
    max_minutes: Duration = None,
    working_hours: Hours = None,
    external: External = None,
    delegates: Delegates = None,
    book: Booking = None,
    ask: Asking = None,
    zone: ZoneName = None,
    answer: Answer = None,
    config: Config = None,
    json: Json = False,
) -> None:
    given: dict[str, Any] = {
        "automation": None if processing is None else _automation(processing),
        "allow_conflicts": conflicts,
        "allow_recurring": recurring,
        "conflict_percentage_allowed": _within("--conflict-percentage", conflict_percentage, 0, 100),
        "maximum_conflict_instances": _within("--conflict-instances", conflict_instances, 0, 1000),
        "booking_window_days": _within("--window-days", window_days, 0, 1080),
        "maximum_duration_minutes": _within("--max-minutes", max_minutes, 0, 1 << 31),
        "only_during_work_hours": working_hours,
        "process_external": external,
        "delegates": None if delegates is None else _addresses(delegates),
        "additional_response": answer,
    }
    for name, text in (("book", book), ("request", ask)):
        if text is not None:
            given[f"all_{name}_in_policy"] = text.strip() == "all"
            given[f"{name}_in_policy"] = frozenset() if text.strip() == "all" else _addresses(text)
    changes = {name: value for name, value in given.items() if value is not None}
    found = named_zone(zone) if zone is not None else None
    if zone is not None and found is None:
        fail(_("no time zone is named {text}; an example: Europe/Berlin", text=zone))

    async def work() -> dict[str, Any]:
        async with open_organisation(load_settings(config)) as parts:
            account = await existing_account(parts.directory, address)
            if account.kind not in _BOOKABLE or account.mailbox is None:
                raise Refusal(Reason.BAD_VALUE, _("{address} is no room and no equipment", address=account.address))
            mailbox = await parts.store.mailbox(account.mailbox)
            if found is not None:
                await save_settings(mailbox, zone=found)
            settings = await load_calendar(mailbox)
            now = policy_of(settings, account)
            if changes:
                now = msgspec.structs.replace(now, **changes)
                await save_settings(mailbox, booking=now)
            return _facts(account, now, settings.zone.id)

    labels = {
        "address": _("Address"),
        "processing": _("Processing"),
        "conflicts": _("Conflicts"),
        "recurring": _("Recurring"),
        "conflict_percentage": _("Conflicts in percent"),
        "conflict_instances": _("Conflicting occurrences"),
        "window_days": _("Days ahead"),
        "max_minutes": _("Longest, minutes"),
        "working_hours": _("Working hours only"),
        "external": _("Requests from elsewhere"),
        "delegates": _("Approved by"),
        "book": _("May book"),
        "ask": _("May ask"),
        "zone": _("Time zone"),
        "answer": _("Answer"),
    }
    show_one(run(work), labels, json=json)


def _automation(text: str) -> Automation:
    try:
        return Automation(text.strip().lower())
    except ValueError:
        fail(_("--processing is accept, update or none, not {text}", text=text))


def _within(option: str, value: int | None, low: int, high: int) -> int | None:
    if value is not None and not low <= value <= high:
        fail(_("{option} is from {low} to {high}", option=option, low=low, high=high))
    return value


def _addresses(text: str) -> frozenset[str]:
    return frozenset() if text.strip() == "none" else frozenset(filter(None, map(str.strip, text.lower().split(","))))


def _facts(account: Account, policy: BookingPolicy, zone: str) -> dict[str, Any]:
    return {
        "address": account.address,
        "processing": policy.automation.value,
        "conflicts": policy.allow_conflicts,
        "recurring": policy.allow_recurring,
        "conflict_percentage": policy.conflict_percentage_allowed,
        "conflict_instances": policy.maximum_conflict_instances,
        "window_days": policy.booking_window_days,
        "max_minutes": policy.maximum_duration_minutes,
        "working_hours": policy.only_during_work_hours,
        "external": policy.process_external,
        "delegates": sorted(policy.delegates),
        "book": "all" if policy.all_book_in_policy else sorted(policy.book_in_policy),
        "ask": "all" if policy.all_request_in_policy else sorted(policy.request_in_policy),
        "zone": zone,
        "answer": policy.additional_response,
    }

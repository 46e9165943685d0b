"""`postern room`: rooms and equipment that can be booked."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from postern.cli import mailbox, room_policy
from postern.cli.account_values import parse_quota
from postern.cli.language import _
from postern.cli.organisation import (
    Config,
    Json,
    existing_account,
    existing_entry,
    load_settings,
    open_directory,
    run,
)
from postern.cli.output import done, expect_change, show_list
from postern.directory.interface import Account, AccountChange, NewAccount, RecipientKind
from postern.directory.sqlite import SqliteDirectory
from postern.model.refusal import Reason, Refusal

app = App(name="room", help=_("Rooms and equipment that can be booked."))

app.command(
    room_policy.policy,
    help=_(
        "Show or change when a booking is taken."
        "\n\nExample: postern room policy atrium@example.org --window-days 90 --no-recurring"
    ),
)

Name = Annotated[str | None, Parameter(help=_("Display name."))]
Seats = Annotated[int | None, Parameter(help=_("How many it seats."))]
Building = Annotated[str | None, Parameter(help=_("Building or floor."))]
Equipment = Annotated[bool, Parameter(negative="", help=_("Not a room but something to take along."))]
Hidden = Annotated[bool | None, Parameter(negative="--shown", help=_("Not in address lists."))]

_BOOKABLE = (RecipientKind.ROOM, RecipientKind.EQUIPMENT)


@app.command(name="list", help=_("List rooms and equipment.\n\nExample: postern room list"))
def list_(*, config: Config = None, json: Json = False) -> None:  # noqa: D103 - help is above
    async def work() -> list[dict[str, Any]]:
        async with open_directory(load_settings(config)) as directory:
            return [
                {
                    "address": entry.address,
                    "name": entry.display_name,
                    "kind": entry.kind.value,
                    "seats": entry.details.capacity,
                    "building": entry.details.office,
                    "hidden": entry.hidden,
                }
                for entry in await directory.entries(hidden=True)
                if entry.kind in _BOOKABLE
            ]

    columns = {
        "address": _("ADDRESS"),
        "name": _("NAME"),
        "kind": _("KIND"),
        "seats": _("SEATS"),
        "building": _("BUILDING"),
    }
    show_list(run(work), columns, json=json)


@app.command(
    help=_("Make a room or equipment.\n\nExample: postern room add atrium@example.org --name Atrium --seats 12")
)
def add(  # noqa: D103
    address: str,
    /,
    *,
    name: Name = None,
    seats: Seats = None,
    building: Building = None,
    equipment: Equipment = False,
    config: Config = None,
    json: Json = False,
) -> None:
    settings = load_settings(config)
    kind = RecipientKind.EQUIPMENT if equipment else RecipientKind.ROOM
    quota = parse_quota(None, settings)

    async def work() -> Account:
        (account,) = await mailbox.create(settings, [NewAccount(address, name or "", kind=kind, quota=quota)])
        await _describe(account.address, seats, building, config)
        return account

    account = run(work)
    done(_("Mailbox {address} is ready.", address=account.address), mailbox.facts(account), json=json)


async def _describe(address: str, seats: int | None, building: str | None, config: Config) -> None:
    async with open_directory(load_settings(config)) as directory:
        entry = await existing_entry(directory, address)
        details = entry.details
        if seats is not None:
            details = msgspec.structs.replace(details, capacity=str(seats))
        if building is not None:
            details = msgspec.structs.replace(details, office=building)
        if details != entry.details:
            await directory.set_details(entry.address, details)


@app.command(
    name="set", help=_("Change a room or equipment.\n\nExample: postern room set atrium@example.org --seats 14")
)
def set_(  # noqa: D103
    address: str,
    /,
    *,
    name: Name = None,
    seats: Seats = None,
    building: Building = None,
    hidden: Hidden = None,
    config: Config = None,
    json: Json = False,
) -> None:
    expect_change(given=any(value is not None for value in (name, seats, building, hidden)))

    async def work() -> Account:
        async with open_directory(load_settings(config)) as directory:
            await _bookable(directory, address)
            account = await directory.change_account(address, AccountChange(display_name=name, hidden=hidden))
        await _describe(account.address, seats, building, config)
        return account

    account = run(work)
    done(_("Mailbox {address} is changed.", address=account.address), mailbox.facts(account), json=json)


@app.command(help=_("Remove a room with its calendar.\n\nExample: postern room remove atrium@example.org --yes"))
def remove(address: str, /, *, yes: mailbox.Yes = False, config: Config = None, json: Json = False) -> None:  # noqa: D103
    async def look() -> None:
        async with open_directory(load_settings(config)) as directory:
            await _bookable(directory, address)

    run(look)
    mailbox.remove(address, yes=yes, config=config, json=json)


async def _bookable(directory: SqliteDirectory, address: str) -> None:
    """Raises Refusal for people: `postern mailbox` changes and removes those."""
    account = await existing_account(directory, address)
    if account.kind not in _BOOKABLE:
        raise Refusal(Reason.BAD_VALUE, _("{address} is no room and no equipment", address=account.address))

"""`postern group`: distribution groups."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from postern.cli.language import _
from postern.cli.organisation import Config, Json, load_settings, open_directory, run
from postern.cli.output import done, show_list, show_one
from postern.directory.interface import Group
from postern.model.refusal import Reason, Refusal

app = App(name="group", help=_("Distribution groups."))

Name = Annotated[str | None, Parameter(help=_("Display name."))]
Internal = Annotated[
    bool | None,
    Parameter(name="--internal", negative="--no-internal", help=_("Only authenticated senders may write to it.")),
]
Filter = Annotated[
    str | None,
    Parameter(
        name="--filter", help=_("RFC 4515 filter, such as '(&(department=Sales)(l=Berlin))': whoever fits is a member.")
    ),
]
Hidden = Annotated[bool | None, Parameter(negative="--shown", help=_("Not in address lists."))]
Owner = Annotated[str | None, Parameter(help=_("Address that gets the bounces of members."))]


def _facts(group: Group) -> dict[str, object]:
    return {
        "group": group.address,
        "name": group.display_name,
        "members": list(group.members),
        "internal": group.authenticated_only,
        "owner": group.owner,
        "filter": group.filter,
        "hidden": group.hidden,
        "source": group.source,
    }


@app.command(name="list", help=_("List the groups.\n\nExample: postern group list"))
def list_(*, config: Config = None, json: Json = False) -> None:  # noqa: D103 - help is above
    async def work() -> list[dict[str, object]]:
        async with open_directory(load_settings(config)) as directory:
            return [_facts(group) for group in await directory.groups()]

    columns = {
        "group": _("GROUP"),
        "name": _("NAME"),
        "members": _("MEMBERS"),
        "internal": _("INTERNAL"),
        "filter": _("FILTER"),
    }
    show_list(run(work), columns, json=json)


@app.command(help=_("Show one group.\n\nExample: postern group show team@example.org"))
def show(address: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    async def work() -> dict[str, object]:
        async with open_directory(load_settings(config)) as directory:
            group = (await directory.resolve(address)).group
            if group is None:
                raise Refusal(Reason.NO_SUCH_RECIPIENT, _("no such group: {address}", address=address))
            return _facts(group)

    labels = {
        "group": _("Address"),
        "name": _("Name"),
        "members": _("Members"),
        "internal": _("Internal"),
        "owner": _("Owner"),
        "filter": _("Filter"),
        "hidden": _("Hidden"),
        "source": _("Comes from"),
    }
    show_one(run(work), labels, json=json)


@app.command(
    help=_(
        "Make a group with members.\n\nExample: postern group add team@example.org anna@example.org bert@example.org"
    )
)
def add(  # noqa: D103
    address: str,
    /,
    *member: str,
    name: Name = None,
    internal: Internal = None,
    owner: Owner = None,
    wanted: Filter = None,
    hidden: Hidden = None,
    config: Config = None,
    json: Json = False,
) -> None:
    async def work() -> Group:
        async with open_directory(load_settings(config)) as directory:
            group = await directory.put_group(
                address, display_name=name, authenticated_only=internal, owner=owner, filter=wanted, hidden=hidden
            )
            return await directory.set_members(address, add=member) if member else group

    group = run(work)
    done(_("Group {group} has {count} members.", group=address, count=len(group.members)), _facts(group), json=json)


@app.command(
    name="add-member",
    help=_("Put members into a group.\n\nExample: postern group add-member team@example.org carla@example.org"),
)
def add_member(address: str, /, *member: str, config: Config = None, json: Json = False) -> None:  # noqa: D103
    _change(address, member, (), config, json)


@app.command(
    name="remove-member",
    help=_("Take members out of a group.\n\nExample: postern group remove-member team@example.org carla@example.org"),
)
def remove_member(address: str, /, *member: str, config: Config = None, json: Json = False) -> None:  # noqa: D103
    _change(address, (), member, config, json)


def _change(address: str, new: tuple[str, ...], gone: tuple[str, ...], config: Config, json: bool) -> None:
    async def work() -> Group:
        async with open_directory(load_settings(config)) as directory:
            return await directory.set_members(address, add=new, remove=gone)

    group = run(work)
    done(_("Group {group} has {count} members.", group=address, count=len(group.members)), _facts(group), json=json)


@app.command(help=_("Remove a group; its members stay.\n\nExample: postern group remove team@example.org"))
def remove(address: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    async def work() -> None:
        async with open_directory(load_settings(config)) as directory:
            await directory.delete_group(address)

    run(work)
    done(_("Group {group} is removed.", group=address), {"group": address, "removed": True}, json=json)

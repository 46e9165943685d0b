"""`postern addresslist`: parts of the address book."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import App, Parameter

from postern.cli.language import _
from postern.cli.organisation import Config, Json, load_settings, open_directory, run
from postern.cli.output import done, show_list
from postern.cli.user import facts, show_entries
from postern.directory.interface import AddressList

app = App(name="addresslist", help=_("Parts of the address book."))

Filter = Annotated[
    str, Parameter(name="--filter", help=_("RFC 4515 filter, such as '(&(department=Sales)(l=Berlin))'."))
]
By = Annotated[str, Parameter(help=_("An attribute, such as department: one list for each of its values."))]


@app.command(name="list", help=_("List the address lists.\n\nExample: postern addresslist list"))
def list_(*, config: Config = None, json: Json = False) -> None:  # noqa: D103 - help is above
    async def work() -> list[dict[str, Any]]:
        async with open_directory(load_settings(config)) as directory:
            defined = {found.name: found for found in await directory.address_lists()}
            return [
                {
                    "list": name,
                    "filter": defined[name].filter if name in defined else "",
                    "by": defined[name].by if name in defined else "",
                    "entries": await directory.count_entries(within=name),
                }
                for name in await directory.address_list_names()
            ]

    columns = {"list": _("LIST"), "entries": _("ENTRIES"), "filter": _("FILTER"), "by": _("BY")}
    show_list(run(work), columns, json=json)


@app.command(help=_("Show who is in an address list.\n\nExample: postern addresslist show 'Departments/Sales'"))
def show(name: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    async def work() -> list[dict[str, Any]]:
        async with open_directory(load_settings(config)) as directory:
            return [facts(entry) for entry in await directory.entries(within=name)]

    show_entries(run(work), json=json)


@app.command(
    help=_("Make or replace an address list.\n\nExample: postern addresslist add Berlin --filter '(l=Berlin)'")
)
def add(  # noqa: D103
    name: str, /, *, wanted: Filter, by: By = "", config: Config = None, json: Json = False
) -> None:
    async def work() -> int:
        async with open_directory(load_settings(config)) as directory:
            await directory.put_address_list(AddressList(name, wanted, by))
            return await directory.count_entries(within=name)

    count = run(work)
    found = {"list": name, "filter": wanted, "by": by, "entries": count}
    done(_("Address list {name} has {count} entries.", name=name, count=count), found, json=json)


@app.command(help=_("Remove an address list; whoever is in it stays.\n\nExample: postern addresslist remove Berlin"))
def remove(name: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    async def work() -> None:
        async with open_directory(load_settings(config)) as directory:
            await directory.delete_address_list(name)

    run(work)
    done(_("Address list {name} is removed.", name=name), {"list": name, "removed": True}, json=json)

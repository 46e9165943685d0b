"""`postern alias`: further addresses of mailboxes and groups, and addresses that lead elsewhere."""

from __future__ import annotations

from cyclopts import App

from postern.cli.language import _
from postern.cli.organisation import Config, Json, load_settings, open_directory, run
from postern.cli.output import done, show_list
from postern.directory.interface import Alias

app = App(name="alias", help=_("Further addresses of mailboxes and groups."))


@app.command(name="list", help=_("List the aliases.\n\nExample: postern alias list --json"))
def list_(*, config: Config = None, json: Json = False) -> None:  # noqa: D103 - help is above
    async def work() -> list[dict[str, object]]:
        async with open_directory(load_settings(config)) as directory:
            return [{"alias": a.address, "targets": list(a.targets)} for a in await directory.aliases()]

    show_list(run(work), {"alias": _("ALIAS"), "targets": _("GOES TO")}, json=json)


@app.command(
    help=_(
        "Make an alias of one or more addresses, or replace it."
        "\n\nExample: postern alias add info@example.org anna@example.org"
    )
)
def add(address: str, target: str, /, *more: str, config: Config = None, json: Json = False) -> None:  # noqa: D103
    async def work() -> None:
        async with open_directory(load_settings(config)) as directory:
            await directory.put_alias(Alias(address, (target, *more)))

    run(work)
    targets = [target, *more]
    done(
        _("Mail for {alias} goes to {targets}.", alias=address, targets=", ".join(targets)),
        {"alias": address, "targets": targets},
        json=json,
    )


@app.command(help=_("Remove an alias.\n\nExample: postern alias remove info@example.org"))
def remove(address: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    async def work() -> None:
        async with open_directory(load_settings(config)) as directory:
            await directory.delete_alias(address)

    run(work)
    done(_("Alias {alias} is removed.", alias=address), {"alias": address, "removed": True}, json=json)

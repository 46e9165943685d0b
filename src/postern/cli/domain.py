"""`postern domain`: the accepted domains."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import App, Parameter

from postern.cli.language import _
from postern.cli.organisation import Config, Json, load_settings, open_directory, run
from postern.cli.output import done, show_list
from postern.directory.interface import Domain, DomainKind

app = App(name="domain", help=_("Accepted domains."))

Kind = Annotated[
    Literal["authoritative", "internal_relay", "external_relay"],
    Parameter(help=_("authoritative: all its recipients are here; internal_relay: others are relayed on.")),
]
CatchAll = Annotated[str, Parameter(help=_("Address that gets mail for unknown recipients."))]


@app.command(name="list", help=_("List the accepted domains, the default one first.\n\nExample: postern domain list"))
def list_(*, config: Config = None, json: Json = False) -> None:  # noqa: D103 - help is above
    async def work() -> list[dict[str, object]]:
        async with open_directory(load_settings(config)) as directory:
            return [
                {"domain": d.name, "kind": d.kind.value, "catch_all": d.catch_all} for d in await directory.domains()
            ]

    columns = {"domain": _("DOMAIN"), "kind": _("KIND"), "catch_all": _("CATCH-ALL")}
    show_list(run(work), columns, json=json)


@app.command(help=_("Accept mail for a domain, or change how.\n\nExample: postern domain add example.org"))
def add(  # noqa: D103
    name: str, /, *, kind: Kind = "authoritative", catch_all: CatchAll = "", config: Config = None, json: Json = False
) -> None:
    async def work() -> None:
        async with open_directory(load_settings(config)) as directory:
            await directory.put_domain(Domain(name, DomainKind(kind), catch_all))

    run(work)
    done(_("Mail for {domain} is accepted.", domain=name), {"domain": name, "kind": kind}, json=json)


@app.command(help=_("Accept no more mail for a domain.\n\nExample: postern domain remove example.org"))
def remove(name: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    async def work() -> None:
        async with open_directory(load_settings(config)) as directory:
            await directory.delete_domain(name)

    run(work)
    done(_("Domain {domain} is removed.", domain=name), {"domain": name, "removed": True}, json=json)

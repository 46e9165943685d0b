"""`postern autodiscover`: what mail programs are told, and the object that tells those of a domain where to ask."""

from __future__ import annotations

import sys
from typing import Annotated, Any

from cyclopts import App, Parameter

from postern.cli.language import _
from postern.cli.options import Config, Json
from postern.cli.organisation import load_settings, open_organisation, run
from postern.cli.output import fail, print_json, show_list
from postern.config.published import published
from postern.model.published import PublishedSite

app = App(name="autodiscover", help=_("What mail programs are told of this server."))

Base = Annotated[
    str,
    Parameter(
        name="--domain",
        help=_("Active Directory domain, such as corp.example.org; without it the organisation's default domain."),
    ),
]
Sites = Annotated[
    tuple[str, ...],
    Parameter(
        name="--site", negative="", help=_("Active Directory site whose clients prefer this server; repeatable.")
    ),
]


@app.command(
    help=_(
        "Print the service connection point for Active Directory as LDIF."
        " Import it with: ldifde -i -f scp.ldf, or ldapadd."
        "\n\nExample: postern autodiscover scp --domain corp.example.org > scp.ldf"
    )
)
def scp(*, domain: Base = "", site: Sites = (), config: Config = None, json: Json = False) -> None:  # noqa: D103
    from postern.protocols.autodiscover import scp as points

    settings = load_settings(config)
    found = published(settings, ())
    if not found.autodiscover:
        fail(_("no listener speaks HTTPS: see [listen.https]"))
    name = domain or _default_domain(config)
    if not name:
        fail(_("there is no domain: give --domain"))
    base = ",".join(f"DC={label}" for label in name.strip(".").split("."))
    entries = points.entries(found.autodiscover, found.hostname, base, site)
    if json:
        print_json([{"dn": dn, "attributes": attributes} for dn, attributes in entries])
    else:
        sys.stdout.write(points.ldif(entries))


@app.command(name="show", help=_("List what mail programs are told.\n\nExample: postern autodiscover show --json"))
def show(*, config: Config = None, json: Json = False) -> None:  # noqa: D103
    rows = [{"what": what, "where": where} for what, where in _told(published(load_settings(config), ("/EWS", "/OAB")))]
    show_list(rows, {"what": _("WHAT"), "where": _("WHERE")}, json=json)


def _told(site: PublishedSite) -> list[tuple[str, str]]:
    names = {"Autodiscover": site.autodiscover, "EWS": site.ews, "OAB": site.oab, "OWA": site.owa}
    names |= {"ActiveSync": site.activesync, "MAPI": site.mapi}
    found = [(name, url) for name, url in names.items() if url]
    found += [
        (one.kind.upper(), f"{one.host}:{one.port} {'TLS' if one.implicit else 'STARTTLS'}") for one in site.servers
    ]
    return found


def _default_domain(config: Any) -> str:
    async def work() -> str:
        async with open_organisation(load_settings(config)) as organisation:
            domains = await organisation.directory.domains()
            return domains[0].name if domains else ""

    return run(work)

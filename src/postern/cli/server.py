"""`postern server`: the organisation's other servers, known by their certificates (direct trust) or by Kerberos."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from postern.certificates.place import Place
from postern.cli.files import explain_file
from postern.cli.language import _
from postern.cli.organisation import Config, Json, become_owner, load_settings, open_directory, run
from postern.cli.output import done, fail, print_json, show_list
from postern.directory.interface import Server
from postern.formats.certificate import pin as pin_of
from postern.formats.certificate import read
from postern.net.clock import SystemClock

app = App(name="server", help=_("The organisation's other servers, known by their certificates."))

Certificates = Annotated[
    tuple[Path, ...],
    Parameter(name="--certificate", negative="", help=_("Its identity (`postern server identity`); may be repeated.")),
]
Pins = Annotated[
    tuple[str, ...],
    Parameter(name="--pin", negative="", help=_("SHA-256 of its key, instead of its certificate; may be repeated.")),
]
ByAuthority = Annotated[
    bool,
    Parameter(negative="", help=_("A certificate of the organisation's own authority with its name is enough.")),
]

Principal = Annotated[
    str,
    Parameter(name="--kerberos", help=_("The principal it signs in as, such as HUB2$@CORP.EXAMPLE.ORG.")),
]
FrontEnd = Annotated[
    bool,
    Parameter(negative="", help=_("It may act for users: IMAP4, POP3 and submission in the name of any of them.")),
]


def _facts(one: Server) -> dict[str, object]:
    return {
        "name": one.name,
        "pins": one.pins,
        "by_authority": one.by_authority,
        "kerberos": one.principal,
        "front_end": one.front_end,
    }


@app.command(
    name="list",
    help=_("List the servers and what proves that it is them.\n\nExample: postern server list"),
)
def list_(*, config: Config = None, json: Json = False) -> None:  # noqa: D103 - help is above
    async def work() -> list[dict[str, object]]:
        async with open_directory(load_settings(config)) as directory:
            return [_facts(one) for one in await directory.servers()]

    columns = {
        "name": _("NAME"),
        "front_end": _("FRONT END"),
        "by_authority": _("BY AUTHORITY"),
        "kerberos": _("KERBEROS"),
        "pins": _("PINS"),
    }
    show_list(run(work), columns, json=json)


@app.command(
    help=_(
        'Trust a server: it may relay and send as anybody, and send connectors with tls = "server" reach it.'
        "\n\nExample: postern server add hub2.example.org --certificate hub2.pem"
    )
)
def add(  # noqa: D103
    name: str,
    /,
    *,
    certificate: Certificates = (),
    pin: Pins = (),
    by_authority: ByAuthority = False,
    principal: Principal = "",
    front_end: FrontEnd = False,
    config: Config = None,
    json: Json = False,
) -> None:
    try:
        pins = (*pin, *(pin_of(read(file.read_bytes())[0]) for file in certificate))
    except OSError as problem:
        fail(explain_file(problem))
    except ValueError as problem:
        fail(str(problem))

    async def work() -> Server:
        async with open_directory(load_settings(config)) as directory:
            await directory.put_server(Server(name, pins, by_authority, principal, front_end))
            return next(one for one in await directory.servers() if one.name == name.lower())

    made = run(work)
    done(_("Server {name} is trusted.", name=made.name), _facts(made), json=json)


@app.command(help=_("Trust a server no more.\n\nExample: postern server remove hub2.example.org"))
def remove(name: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    async def work() -> None:
        async with open_directory(load_settings(config)) as directory:
            await directory.delete_server(name)

    run(work)
    done(_("Server {name} is trusted no more.", name=name), {"name": name, "removed": True}, json=json)


@app.command(
    help=_(
        "Print this server's own identity, for `postern server add` on the others."
        "\n\nExample: postern server identity > hub1.pem"
    )
)
def identity(*, config: Config = None, json: Json = False) -> None:  # noqa: D103
    settings = load_settings(config)
    become_owner(settings.data_dir)
    try:
        pair = Place(settings.data_dir).ensure_identity(settings.server.hostname, SystemClock().now())
        content = pair.certificate.read_bytes()
        found = pin_of(read(content)[0])
    except (OSError, ValueError) as problem:
        fail(str(problem))
    if json:
        print_json({"name": settings.server.hostname, "pin": found, "certificate": content.decode()})
    else:
        sys.stdout.write(content.decode())

"""`postern contact`: people elsewhere who are in the address book."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from postern.cli.language import _
from postern.cli.organisation import Config, Json, load_settings, open_directory, run
from postern.cli.output import done, show_list
from postern.directory.interface import Contact

app = App(name="contact", help=_("People elsewhere who are in the address book."))

Name = Annotated[str | None, Parameter(help=_("Display name."))]
Target = Annotated[str | None, Parameter(help=_("Where the mail goes, if the address is one of ours."))]
Hidden = Annotated[bool | None, Parameter(negative="--shown", help=_("Not in address lists."))]


def _facts(contact: Contact) -> dict[str, object]:
    return {
        "contact": contact.address,
        "name": contact.display_name,
        "target": contact.target,
        "hidden": contact.hidden,
        "source": contact.source,
    }


@app.command(name="list", help=_("List the contacts.\n\nExample: postern contact list --json"))
def list_(*, config: Config = None, json: Json = False) -> None:  # noqa: D103 - help is above
    async def work() -> list[dict[str, object]]:
        async with open_directory(load_settings(config)) as directory:
            return [_facts(contact) for contact in await directory.contacts()]

    show_list(run(work), {"contact": _("CONTACT"), "name": _("NAME"), "target": _("GOES TO")}, json=json)


@app.command(help=_("Make or change a contact.\n\nExample: postern contact add jo@partner.example --name 'Jo Partner'"))
def add(  # noqa: D103
    address: str,
    /,
    *,
    name: Name = None,
    target: Target = None,
    hidden: Hidden = None,
    config: Config = None,
    json: Json = False,
) -> None:
    async def work() -> Contact:
        async with open_directory(load_settings(config)) as directory:
            return await directory.put_contact(address, target=target, display_name=name, hidden=hidden)

    contact = run(work)
    done(
        _("Mail for {alias} goes to {targets}.", alias=contact.address, targets=contact.target),
        _facts(contact),
        json=json,
    )


@app.command(help=_("Remove a contact.\n\nExample: postern contact remove jo@partner.example"))
def remove(address: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    async def work() -> None:
        async with open_directory(load_settings(config)) as directory:
            await directory.delete_contact(address)

    run(work)
    done(_("Contact {contact} is removed.", contact=address), {"contact": address, "removed": True}, json=json)

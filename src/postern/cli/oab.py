"""`postern oab`: the offline address book, made by the server in the background, or now by command."""

from __future__ import annotations

from typing import Any

import msgspec
from cyclopts import App

from postern.cli.language import _
from postern.cli.organisation import Config, Json, load_settings, open_organisation, run
from postern.cli.output import show_list

app = App(name="oab", help=_("The offline address book."))


@app.command(
    help=_("Make the lists of the offline address book that have changed, now.\n\nExample: postern oab update --json")
)
def update(*, config: Config = None, json: Json = False) -> None:  # noqa: D103
    from postern.roles.parts import OFFLINE_DIRECTORY
    from postern.services.address_book import AddressBook
    from postern.services.offline_books import OfflineBooks

    async def work() -> list[dict[str, Any]]:
        async with open_organisation(load_settings(config)) as organisation:
            directory = organisation.directory
            book = AddressBook(directory, organisation.clock)
            books = OfflineBooks(directory, book, organisation.data / OFFLINE_DIRECTORY)
            return [msgspec.structs.asdict(made) for made in await books.make()]

    headings = {
        "name": _("LIST"), "sequence": _("GENERATION"), "recipients": _("RECIPIENTS"), "changed": _("CHANGED"),
    }  # fmt: skip
    show_list(run(work), headings, json=json)
